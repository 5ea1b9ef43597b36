"""Tables from anywhere: what is understood, what is refused and how, and that nothing crashes it."""

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.curves import from_csv
from dlm.curves.from_csv import MAX_LEARNERS, read_curve_table

GOOD = "size,error\n100,0.3\n200,0.25\n400,0.2\n"


@pytest.fixture
def read(tmp_path):
    """Read a table of this text, or these bytes."""

    def read(text, **more):
        path = tmp_path / "my.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_curve_table(path, **more)

    return read


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD,
        "\n" + GOOD.replace("size,error", " Train-Size , Test Error ") + "\n , \n",
        "error,N\n0.2,4e2\n.3,100.\n2.5e-1,+200\n",
        '"size","error"\n"100","0.3"\n"200","0.25"\n"400","0.2"\n',
        "size,error,,\n100,0.3,,\n200,0.25,,\n400,0.2,,\n",
        "size,n,error,loss\n100,1,0.3,9\n200,2,0.25,9\n400,3,0.2,9\n",
        "n_train,accuracy\n100,0.7\n200,0.75\n400,0.8\n",
    ],
)
def test_the_same_curve_however_it_is_written(read, text):
    (curve,) = read(text).curves
    assert (curve.learner, curve.train_sizes, curve.errors) == ("model", (100, 200, 400), ((0.3,), (0.25,), (0.2,)))
    assert (curve.unit, curve.bound, curve.stderr) == ("error rate", (0.0, 1.0), ())


def test_repeats_and_learners_are_further_rows(read):
    text = "learner,size,seed,error\nb,20,0,0.5\na,10,0,0.4\na,10,1,0.5\nb,10,0,0.6\na,20,0,0.3\n"
    first, second = read(text).curves
    assert (first.learner, first.train_sizes, first.errors) == ("b", (10, 20), ((0.6,), (0.5,)))
    assert (second.learner, second.train_sizes, second.errors) == ("a", (10, 20), ((0.4, 0.5), (0.3,)))
    assert [curve.learner for curve in read(text, learners=["a"]).curves] == ["a"]


def test_standard_errors_go_with_their_sizes(read):
    (curve,) = read("size,error,se\n200,0.2,0.02\n100,0.3,0\n").curves
    assert (curve.train_sizes, curve.stderr) == ((100, 200), (0.0, 0.02))


@pytest.mark.parametrize(
    ("column", "errors", "bound", "unit", "taken", "remark"),
    [
        ("error", (1.0, 0.5), None, "error rate", (0.0, 1.0), "read as a rate"),
        ("error", (31, 0.5), None, "error", (0.0, None), "not read as a rate"),
        ("error", (1.0, 0.5), (0.0, None), "error", (0.0, None), ""),
        ("error", (1.0, 0.5), (0.0, 1.0), "error rate", (0.0, 1.0), ""),
        ("loss", (0.4, 0.3), None, "loss", (0.0, None), "without an upper bound"),
        ("val_loss", (0.4, 0.3), (0.0, 5.0), "val loss", (0.0, 5.0), ""),
        ("acc", (0.4, 0.3), None, "error rate", (0.0, 1.0), "read as error = 1 − acc"),
    ],
)
def test_what_the_errors_are_is_taken_from_the_columns_name_and_said(read, column, errors, bound, unit, taken, remark):
    table = read(f"size,{column}\n10,{errors[0]}\n20,{errors[1]}\n", bound=bound)
    assert (table.curves[0].unit, table.curves[0].bound) == (unit, taken)
    assert [remark in said for said in table.remarks] == ([True] if remark else [])


def test_columns_that_are_not_used_are_named(read):
    assert read("size,error,dataset,gpu\n1,0.1,a,b\n").remarks[-1] == "Columns not used: dataset, gpu."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; its first line names columns"),
        (" \n\n", "is empty"),
        ("size,error\n", "no row follows"),
        ("100,0.3\n200,0.2\n", "the first line names no column size: it reads '100', '0.3'; begin with a line such"),
        ("size,eror\n1,2\n", "names no column error (did you mean 'eror'?)"),
        ('""\n1', "names no column size"),
        ("n,examples,error\n1,2,3\n", "names 'n' and 'examples', and each could be the size; rename"),
        ("size,loss,accuracy\n1,2,3\n", "'loss' and 'accuracy', and each could be the error"),
        ("size,error,error\n1,2,3\n", "'error' and 'error'"),
        (GOOD + "800,high\n", "line 5: error 'high' is not a number; write it like 1000 or 0.25"),
        (GOOD + "1_000,0.1\n", "line 5: size '1_000' is not a number"),
        (GOOD + "800,nan\n", "line 5: error 'nan' is not a number; write it like 1000 or 0.25, or remove the row"),
        (GOOD + "800,\n", "line 5: error '' is not a number"),
        (GOOD + "800,1e999\n", "line 5: error '1e999' is not a number"),
        (GOOD + "\n800,-0.1\n", "line 6: error -0.1 is negative"),
        (GOOD + "800\n", "line 5 has 1 cells where 2 columns are named"),
        (GOOD + "800,0,19\n", "line 5 has 3 cells where 2 columns are named"),
        (GOOD.replace(",", ";") + "800;0,19\n", "line 5: error '0,19' is not a number"),
        (GOOD + "0.5,0.1\n", "line 5: size 0.5 is not a whole number"),
        (GOOD + "1e16,0.1\n", "line 5: size 1e+16 is not a whole number from 1 to 1e+15"),
        (GOOD + '"800,0.1\n', "cannot be parsed"),
        ("size,error,se\n1,0.1,-1\n", "line 2: stderr -1 is negative"),
        ("size,error,se\n1,0.1,\n", "line 2: stderr '' is not a number"),
        ("size,error,se\n1,0.1,1\n1,0.2,1\n", "line 3: model has size 1 on line 2 too, and stderr is that of a mean"),
        ("size,error,se,seed\n1,0.1,1,0\n1,0.2,1,1\n", "stderr is that of a mean"),
        ("size,error,seed\n1,0.1,7\n1,0.2,7\n", "line 3: model has size 1, repeat '7' on line 2 too"),
        (
            "size,accuracy\n1,93.5\n",
            "line 2: accuracy 93.5 is above 1; give a share, name the column accuracy_percent, or 1 minus it as error",
        ),
        (
            "size,error_rate\n1,31\n",
            "line 2: error_rate 31 is above 1; give a share, name the column error_rate_percent",
        ),
        ("size,error,model\n1,0.1, \n", "line 2: learner '' is not a valid name"),
        ("size,error,model\n1,0.1,\x1b[31mred\n", "is not a valid name; give 1 to 80 printable characters"),
        ("size,error,model\n" + "".join(f"1,0.1,m{k}\n" for k in range(MAX_LEARNERS + 1)), "choose some, with --learn"),
        (GOOD.encode("utf-16"), "is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_a_remedy(read, text, message):
    with pytest.raises(UsageError) as refused:
        read(text)
    assert message in str(refused.value)
    assert "my.csv: " in str(refused.value)
    assert len(str(refused.value)) < 600


def test_an_error_beyond_the_bound_is_told(read):
    with pytest.raises(UsageError, match=r"line 4: error 0\.2 is outside the bound, 0\.22 to any"):
        read(GOOD, bound=(0.22, None))


def test_what_is_no_file_is_told(tmp_path):
    for path, message in (
        (tmp_path, "cannot be read"),
        (tmp_path / "no.csv", "there is no such file"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(UsageError, match=message):
            read_curve_table(path)


def test_a_table_that_is_too_long_is_refused_and_not_read_to_its_end(read, monkeypatch):
    monkeypatch.setattr(from_csv, "MAX_ROWS", 2)
    with pytest.raises(UsageError, match="more than 2 rows"):
        read(GOOD + "800,not looked at\n")


CELLS = st.sampled_from(["size", "error", "n", "seed", "learner", "1", "20", "0.5", "-1", "nan", "", '"', "x", "1e9"])
TABLES = st.lists(st.lists(CELLS, max_size=4), max_size=5).map(lambda lines: "\n".join(map(",".join, lines)).encode())


@settings(deadline=None)
@given(text=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")) | TABLES)
@example(b"size,error\r1,1\r")
@example(b'"size\n",error\n1,1')
def test_whatever_the_file_holds_it_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(text)
    with contextlib.suppress(UsageError):
        assert read_curve_table(path).curves


@pytest.mark.parametrize(
    ("header", "values", "errors"),
    [
        ("error (%)", (31, 24, 19), (0.31, 0.24, 0.19)),
        ("Test error [%]", (31, 24, 0.5), (0.31, 0.24, 0.005)),
        ("error_percent", (0.9, 0.8, 0.7), (0.009, 0.008, 0.007)),
        ("err in pct", (100, 24, 19), (1.0, 0.24, 0.19)),
        ("accuracy_percent", (69, 76, 81), (0.31, 0.24, 0.19)),
    ],
)
def test_columns_in_per_cent_are_read_as_fractions(read, header, values, errors):
    rows = "".join(f"{size},{value},1\n" for size, value in zip((100, 200, 400), values))
    table = read(f"size,{header},stderr\n{rows}")
    [curve] = table.curves
    assert [error for (error,) in curve.errors] == list(errors)
    assert (curve.unit, curve.bound, curve.stderr) == ("error rate", (0.0, 1.0), (0.01,) * 3)
    assert f"Column {header}: read as per cent" in table.remarks[0]


def test_percentages_above_100_are_refused(read):
    with pytest.raises(UsageError, match=r"line 2: error_\(%\) 131 is above 100"):
        read("size,error (%)\n100,131\n200,24\n400,19\n")


def test_two_columns_of_errors_in_two_units_are_refused(read):
    with pytest.raises(UsageError, match="'error' and 'error_percent'"):
        read("size,error,error_percent\n100,0.31,31\n")


def test_a_line_that_declares_the_separator_is_skipped(read):
    (curve,) = read("sep=;\nsize;error\n100;0.3\n200;0.2\n").curves
    assert (curve.train_sizes, curve.errors) == ((100, 200), ((0.3,), (0.2,)))

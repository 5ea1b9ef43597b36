"""Tables in every notation give the same columns, with remarks on what was assumed and dropped."""

import dataclasses
import datetime
import io
from collections import namedtuple
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data.readers import tables

ROWS = "age,city,when\n31,Bonn,2024-01-02\n45,Köln,2024-01-03\n52.5,Bonn,2024-02-01\n"
Result = namedtuple("Result", "columns remarks")


@pytest.fixture
def read(tmp_path):
    """Read a table of this text, these bytes, or this Arrow table."""

    def read(content, target="", name="my.csv"):
        path = tmp_path / name
        if isinstance(content, pa.Table):
            path = path.with_suffix(".parquet")
            pq.write_table(content, path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        data = tables.from_tables(dataclasses.replace(tables.read_tables({"all": [path]}), target=target))
        return Result(data.columns, data.remarks)

    return read


def has_remark(data, *words):
    return any(all(word in remark for word in words) for remark in data.remarks)


def numbers(columns, name):
    return columns[name].values.tolist()


def texts_of(column):
    return [bytes(column.values[k]).decode() for k in range(len(column))]


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        ROWS.replace(",", "\t"),
        ROWS.replace(",", ";"),
        ROWS.replace(",", ";").replace("52.5", "52,5"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\r"),
        "\ufeff" + ROWS,
        "\n\n" + ROWS + "\n\n",
        ROWS.replace(",", " , "),
        '"age","city","when"\n"31","Bonn","2024-01-02"\n"45","Köln","2024-01-03"\n"52.5","Bonn","2024-02-01"\n',
        ROWS.replace("2024-01-02", "02.01.2024").replace("2024-01-03", "3.1.2024").replace("2024-02-01", "1.2.2024"),
    ],
    ids=["comma", "tab", "semicolon", "decimals", "crlf", "cr", "bom", "blank", "blanks", "quotes", "dates"],
)
def test_every_notation_gives_the_same_columns(read, text):
    columns, _ = read(text)
    assert numbers(columns, "age") == [31, 45, 52.5]
    assert (columns["city"].kind, columns["city"].names, numbers(columns, "city")) == (
        "class",
        ("Bonn", "Köln"),
        [0, 1, 0],
    )
    days = [datetime.datetime(2024, *day, tzinfo=datetime.UTC).timestamp() for day in ((1, 2), (1, 3), (2, 1))]
    assert (columns["when"].kind, numbers(columns, "when")) == ("date", days)


@pytest.mark.parametrize("mark", ["", "NA", "NaN", "nan", "null", "?", "N/A", '""', " ? "])
def test_missing_values_are_recognized(read, mark):
    columns, _ = read(f"a,b,c,d\n1,x,2024-01-01,true\n{mark},{mark},{mark},{mark}\n3,y,2024-01-02,false\n")
    assert np.isnan(columns["a"].values).tolist() == [False, True, False]
    assert numbers(columns, "b") == [0, -1, 1]
    assert np.isnan(columns["c"].values).tolist() == [False, True, False]
    assert np.isnan(columns["d"].values).tolist() == [False, True, False] or numbers(columns, "d") == [1, -1, 0]


def test_decimal_commas_and_thousands_separators_are_read_with_a_remark(read):
    data = read("a;b\n1.234,5;x\n3,14;y\n")
    assert numbers(data.columns, "a") == [1234.5, 3.14]
    assert has_remark(data, "Column a", "commas are read as decimal points", "1234.5")
    data = read('a,b\n"1,234",x\n"1,234,567.5",y\n12,z\n')
    assert numbers(data.columns, "a") == [1234, 1234567.5, 12]
    assert has_remark(data, "Column a", "thousands", "1,234 as 1234")


def test_a_few_words_among_numbers_are_missing_with_a_remark(read):
    data = read("a,b\n" + "".join(f"{k / 7},{k % 2}\n" for k in range(99)) + "unknown,1\n")
    assert (data.columns["a"].kind, np.isnan(data.columns["a"].values).sum()) == ("number", 1)
    assert has_remark(data, "Column a", "1 of 100", "'unknown'")


@pytest.mark.parametrize(
    ("date", "day"),
    [("12/31/2024", (12, 31)), ("31/12/2024", (12, 31)), ("2024/12/31", (12, 31)), ("31.12.2024 08:30", (12, 31))],
)
def test_unambiguous_local_dates_are_read(read, date, day):
    data = read(f"a,b\n{date},1\n{date.replace('31', '30')},2\n")
    assert datetime.datetime.fromtimestamp(data.columns["a"].values[0], datetime.UTC).timetuple()[1:3] == day
    assert has_remark(data, "dates like", date)


def test_ambiguous_dates_are_not_read(read):
    data = read("a,b\n03/04/2024,1\n05/06/2024,2\n")
    assert "date" not in {column.kind for column in data.columns.values()}
    assert has_remark(data, "Column a: not read as dates", "03/04/2024")


def test_useless_columns_are_dropped_with_a_remark(read):
    rows = [f"{k},{k + 1},7,,{k % 5},u{k},{'ab' * 9}{k:06x},{'x' if k % 3 else ''}\n" for k in range(40)]
    data = read("PassengerId,row,same,empty,kept,code,hash,half\n" + "".join(rows), target="kept")
    assert set(data.columns) == {"kept"}
    assert has_remark(data, "their values are constant", "same, empty, half")
    assert has_remark(data, "40 of 40 values are distinct", "PassengerId, row", "data.inputs")
    assert has_remark(data, "nearly all values are distinct", "code")


def test_the_target_is_never_dropped(read):
    assert set(read("id,a\n" + "".join(f"{k},{k % 3}\n" for k in range(9)), target="id").columns) == {"id", "a"}


def test_distinct_numbers_are_kept_unless_the_name_is_an_identifier(read):
    columns, _ = read("price,a\n" + "".join(f"{k * k + 3},{k % 3}\n" for k in range(40)))
    assert columns["price"].values.dtype == np.float32
    assert set(columns) == {"price", "a"}


def test_long_texts_are_texts_and_short_ones_classes(read):
    rows = "".join(f'"the {k}th review, which says something",{("good", "bad")[k % 2]},play {k}\n' for k in range(30))
    columns, _ = read("a,b,text\n" + rows)
    assert {name: column.kind for name, column in columns.items()} == {"a": "text", "b": "class", "text": "text"}
    assert texts_of(columns["a"])[3] == "the 3th review, which says something"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", ["line 3 has 3 cells", "header has 2"]),
        ("a,b\n3,14,2\n", ["line 2 has 3 cells", "quote cells"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", ["first line must name the columns", "5.1"]),
        ("5,0,0,0\n1,0,0,0\n", ["first line must name the columns"]),
        ("a,b,a\n1,2,3\n", ["names a more than once"]),
        ("a,b\n", ["has no rows"]),
        (" \n\n", ["is blank"]),
        (b"a,b\n1,\xe4\n", ["not UTF-8", "byte 6", "0xe4"]),
        ("a,b\n1,2\n".encode("utf-16"), ["UTF-16"]),
        (b"PK\x03\x04\x00\x00", ["not a text file", "byte 4"]),
        (b"a,b\n1,\xe4"[:-1] + "€".encode()[:2], ["not UTF-8", "incomplete character"]),
    ],
    ids=lambda value: None if isinstance(value, list) else "case",
)
def test_invalid_tables_are_usage_errors(read, text, words):
    with pytest.raises(UsageError) as error:
        read(text)
    assert all(word in str(error.value) for word in words), error.value


def test_consecutive_numbers_may_be_column_names(read):
    header = ",".join(map(str, range(6))) + ",label\n"
    assert set(read(header + "1,2,3,4,5,6,a\n3,4,5,6,7,8,b\n").columns) == {*"012345", "label"}


def test_parquet_types_give_the_same_kinds(read):
    table = pa.table(
        {
            "whole": pa.array([1, None, 3], pa.int16()),
            "price": pa.array([Decimal("1.50"), Decimal("2.25"), None]),
            "real": pa.array([0.1, float("inf"), 0.3]),
            "truth": [True, False, None],
            "sort": pa.array(["b", "a", None]).dictionary_encode(),
            "day": pa.array([0, 1, None], pa.date32()),
            "noon": pa.array([0, 90, None], pa.time32("s")),
            "vector": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
            "ragged": pa.array([[1.0], [2.0, 3.0], []]),
            "odd": pa.array([{"a": 1}, {"a": 2}, {"a": 3}]),
        }
    )
    data = read(table)
    columns = data.columns
    assert np.array_equal(columns["whole"].values, [1, np.nan, 3], equal_nan=True)
    assert np.array_equal(columns["price"].values, [1.5, 2.25, np.nan], equal_nan=True)
    assert np.array_equal(columns["real"].values, [0.1, np.nan, 0.3], equal_nan=True)
    assert has_remark(data, "Column real: 1 infinite values are treated as missing")
    assert np.array_equal(columns["truth"].values, [1, 0, np.nan], equal_nan=True)
    assert (columns["sort"].names, numbers(columns, "sort")) == (("a", "b"), [1, 0, -1])
    assert np.array_equal(columns["day"].values, [0, 86400, np.nan], equal_nan=True)
    assert np.array_equal(columns["noon"].values, [0, 90, np.nan], equal_nan=True)
    assert columns["vector"].values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert [columns["ragged"].values[k].tolist() for k in range(3)] == [[1], [2, 3], []]
    assert "odd" not in columns
    assert has_remark(data, "type struct<a: int64> is not supported", "odd")


def test_parquet_may_contain_encoded_images(read):
    def file(shade):
        held = io.BytesIO()
        Image.new("L", (4, 3), shade).save(held, "PNG")
        return {"bytes": held.getvalue(), "path": f"{shade}.png"}

    columns, _ = read(pa.table({"image": [file(shade) for shade in (5, 200)], "label": [0, 1]}))
    assert (columns["image"].kind, columns["image"].values.shape) == ("image", (2, 3, 4, 1))
    assert columns["image"].values[:, 0, 0, 0].tolist() == [5, 200]
    with pytest.raises(UsageError, match="1 of 2 images cannot be read"):
        read(pa.table({"image": [file(5), {"bytes": b"no picture", "path": ""}], "label": [0, 1]}))


def test_splits_share_class_names_and_have_common_columns_only(tmp_path):
    (tmp_path / "train.csv").write_text("a,b,leak\n1,x,3\n2,z,4\n")
    (tmp_path / "test.csv").write_text("a,b\n3,y\n")
    read = tables.read_tables({name: [tmp_path / f"{name}.csv"] for name in ("train", "test")})
    data = tables.from_tables(dataclasses.replace(read, target="b"))
    assert (data.columns["b"].names, data.columns["b"].values.tolist()) == (("x", "y", "z"), [0, 2, 1])
    assert data.counts == {"train": 2, "test": 1}
    assert has_remark(data, "not in every split: leak")
    data = tables.from_tables(dataclasses.replace(read, target="leak"))
    assert data.counts == {"all": 2}
    assert has_remark(data, "without column leak: test")


def test_splits_with_different_column_types_are_a_usage_error(tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,x\n2,z\n")
    (tmp_path / "test.csv").write_text("a,b\nq,y\n")
    read = tables.read_tables({name: [tmp_path / f"{name}.csv"] for name in ("train", "test")})
    with pytest.raises(UsageError, match="different column types"):
        tables.from_tables(read)


def test_an_invalid_parquet_file_is_a_usage_error(tmp_path):
    (tmp_path / "my.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(UsageError, match="not a Parquet file"):
        tables.read_tables({"all": [tmp_path / "my.parquet"]})


def test_json_lines_are_a_table(read):
    lines = '{"a": 1, "b": "x"}\n{"b": "y", "a": 2.5}\n\n{"a": null, "b": "x"}\n'
    columns, _ = read(lines, name="my.jsonl")
    assert np.array_equal(columns["a"].values, [1, 2.5, np.nan], equal_nan=True)
    assert columns["b"].names == ("x", "y")
    listed, _ = read('[{"a": 1, "b": "x"}, {"a": 2.5, "b": "y"}]', name="my.json")
    assert numbers(listed, "a") == [1, 2.5]
    mixed, _ = read('{"a": 1, "b": 1}\n{"a": "one", "b": 2}\n', name="my.jsonl")
    assert mixed["a"].names == ("1", "one")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": \n', ["line 2 is not valid JSON"]),
        ('{"a": 1}\n[1]\n', ["line 2 is not an object"]),
        ("\n", ["no objects"]),
        ("[1, 2]", ["not a list of objects"]),
        ('{"a": [1]}\n{"a": "x"}\n', ["field 'a'", "different types"]),
    ],
    ids=["cut", "list", "empty", "numbers", "mixed"],
)
def test_invalid_json_is_a_usage_error(read, text, words):
    with pytest.raises(UsageError) as error:
        read(text, name="my.jsonl")
    assert all(word in str(error.value) for word in words), error.value


def test_a_table_larger_than_memory_is_not_read(read, monkeypatch):
    memory = namedtuple("memory", "available")
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(20))
    with pytest.raises(UsageError, match=r"exceed the 0\.0 MB of free memory; save fewer columns"):
        read(ROWS)


def rows_of(*columns):
    return "".join(",".join(map(str, row)) + "\n" for row in zip(*columns))


SHUFFLED = np.random.default_rng(0).permutation(60).tolist()
FRACTIONS = np.random.default_rng(1).normal(1.5, 0.1, 60).tolist()


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__", "index", "row"])
def test_a_shuffled_row_number_is_dropped_whatever_its_name(read, name):
    data = read(f"{name},a\n" + rows_of(SHUFFLED, FRACTIONS))
    assert set(data.columns) == {"a"}
    assert has_remark(data, "row numbers", "data.inputs")


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_of_a_sample_of_joined_tables_is_dropped(read, name):
    rows = [7 * k for k in SHUFFLED[:50]] + [7 * k for k in SHUFFLED[:10]]
    assert set(read(f"{name},a\n" + rows_of(rows, FRACTIONS)).columns) == {"a"}


@pytest.mark.parametrize("name", ["refractive_index", "sample_id", "key", "Unnamed: 0"])
def test_fractions_are_never_identifiers(read, name):
    assert set(read(f"{name},a\n" + rows_of(FRACTIONS, SHUFFLED)).columns) == {name}


def test_a_repeated_identifier_is_an_input_with_a_remark(read):
    data = read("patient_id,a\n" + rows_of([k // 3 for k in SHUFFLED], FRACTIONS))
    assert set(data.columns) == {"patient_id", "a"}
    assert has_remark(data, "Column patient_id", "data.group=patient_id")


def test_a_line_that_declares_the_separator_is_skipped(read):
    for text in ("sep=;\na;b\n1,5;x\n2,5;y\n", '"sep=\t"\r\na\tb\r\n1.5\tx\r\n2.5\ty\r\n'):
        assert numbers(read(text).columns, "a") == [1.5, 2.5]
    with pytest.raises(UsageError, match=r"declares sep=\|"):
        read("sep=|\na|b\n1|2\n")


def test_all_formats_clean_texts_alike(read):
    labels = ["yes", "yes ", "re\u0301el", "r\u00e9el", "no", "NA"]
    csv = read("a,b\n" + rows_of(range(6), labels)).columns["b"]
    parquet = read(pa.table({"a": range(6), "b": labels})).columns["b"]
    lines = "".join(f'{{"a": {k}, "b": "{label}"}}\n' for k, label in enumerate(labels))
    json = read(lines, name="my.jsonl").columns["b"]
    for column in (csv, parquet, json):
        assert (column.names, column.values.tolist()) == (("no", "r\u00e9el", "yes"), [2, 2, 1, 1, 0, -1])


def test_integers_of_20_digits_stay_distinct(read):
    ids = [12345678901234567890 + k % 2 for k in range(30)]
    assert len(read("a,label\n" + rows_of(FRACTIONS, ids), target="label").columns["label"].names) == 2
    ids = [2**60 + k % 2 for k in range(30)]
    assert len(np.unique(read("a,label\n" + rows_of(FRACTIONS, ids), target="label").columns["label"].values)) == 2

"""A path is enough: what it is, what is predicted, what is said of it, and what is refused in which words."""

import os
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import wavfile

from dlm import UsageError
from dlm.data.columns import num_rows
from dlm.data.readers.read import read

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """Write a table with a column of inputs and these targets; its path."""

    def table(targets, name="my.csv"):
        rows = [f"{k * 0.37 % 1:.3f},{target}" for k, target in enumerate(targets)]
        (tmp_path / name).write_text("\n".join(["x,goal", *rows]))
        return str(tmp_path / name)

    return table


def said(own, *words):
    return any(all(word in remark for word in words) for remark in own.remarks)


def refused(path, **more):
    with pytest.raises(UsageError) as error:
        read(str(path), **more)
    assert str(error.value).startswith(str(path))
    return str(error.value)[len(str(path)) :]


@pytest.mark.parametrize(
    ("targets", "kind", "words"),
    [
        (["yes", "no"] * 20, "class", ["2 classes (no, yes)"]),
        (["true", "false"] * 20, "class", ["2 classes (false, true)"]),
        ([3, 4, 5, 10] * 10, "class", ["4 classes (3, 4, 5, 10)", "task=numbers"]),
        (list(range(40)), "number", ["numbers to predict (40 distinct values)", "task=classes"]),
        ([0.5, 1.5] * 20, "number", ["numbers to predict (2 distinct values)"]),
        (list(range(10)) * 4, "number", ["numbers to predict (10 distinct values)"]),
    ],
    ids=["words", "truth", "few", "many", "fractions", "few rows each"],
)
def test_what_is_predicted_is_guessed_and_said(table, targets, kind, words):
    own = read(table(targets), target="goal")
    assert (own.name, own.kind, own.target, list(own.splits)) == ("my", "table", "goal", ["all"])
    assert own.splits["all"]["goal"].kind == kind
    assert said(own, "Column goal: taken for", *words)


def test_the_guess_can_be_overruled(table):
    numbers = read(table([3, 4] * 20), target="goal", task="numbers").splits["all"]["goal"]
    assert (numbers.kind, numbers.values[:2].tolist()) == ("number", [3, 4])
    classes = read(table([*range(10)] * 4), target="goal", task="classes").splits["all"]["goal"]
    assert (classes.kind, classes.names) == ("class", tuple("0123456789"))
    assert "holds texts such as 'no'" in refused(table(["no", "yes"] * 20), target="goal", task="numbers")


def test_rows_without_a_target_and_classes_of_too_few_rows_are_left_out(table):
    own = read(table([*["a", "b"] * 20, "", "NA", "rare", "rare"]), target="goal")
    goal = own.splits["all"]["goal"]
    assert (goal.names, np.bincount(goal.values).tolist()) == (("a", "b"), [20, 20])
    assert said(own, "Rows without a target are left out: 2")
    assert said(own, "fewer than 3 rows are left out", "rare")


def test_the_same_rows_are_counted(tmp_path):
    (tmp_path / "my.csv").write_text("x,text,goal\n" + "".join(f"{k % 50},a{k % 50},{k % 2}\n" for k in range(60)))
    assert said(read(str(tmp_path / "my.csv"), target="goal"), "same as an earlier one", "10 of 60")


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["a", "b"] * 5, ["10 rows are too few", "30"]),
        (["a"] * 40, ["one class only, a"]),
        ([1.5] * 40, ["1.5 in every row"]),
        ([f"name {k}" for k in range(40)], ["40 of 40 rows are of classes with fewer than 3 rows", "another target"]),
        ([""] * 40, ["no value in any row"]),
    ],
    ids=["few", "one class", "constant", "names", "missing"],
)
def test_what_cannot_be_learned_from_is_refused_in_words(table, targets, words):
    message = refused(table(targets), target="goal")
    assert all(word in message for word in words), message


def test_a_target_alone_is_refused(tmp_path):
    (tmp_path / "my.csv").write_text("id,goal\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(40)))
    assert "no column but the target 'goal'" in refused(tmp_path / "my.csv", target="goal")


def test_the_column_to_predict_must_be_named_unless_its_name_tells(table, tmp_path):
    path = table(["a", "b"] * 20)
    assert "which column is to be predicted? Name it, target=…; there are x, goal" in refused(path)
    assert "no column 'gaol'; did you mean 'goal'" in refused(path, target="gaol")
    (tmp_path / "other.csv").write_text((tmp_path / "my.csv").read_text().replace("goal", "Label"))
    assert read(str(tmp_path / "other.csv")).target == "Label"


def test_paths_that_are_none_are_refused_with_those_beside_them(table, tmp_path):
    table(["a", "b"] * 20)
    assert "no such file or folder (beside it: my.csv)" in refused(tmp_path / "mi.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "the file is empty" in refused(tmp_path / "empty.csv")
    (tmp_path / "none").mkdir()
    assert "the folder is empty" in refused(tmp_path / "none")
    (tmp_path / "none" / "a.xyz").write_text("?")
    assert "no files that are read (.xyz); known are .csv" in refused(tmp_path / "none")
    assert "'.xyz' is not read; known are .csv" in refused(tmp_path / "none" / "a.xyz")
    (tmp_path / "a.xlsx").write_text("?")
    assert "save the sheet as CSV" in refused(tmp_path / "a.xlsx")
    assert "no such file or folder" in refused("a\0b")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no plain file" in refused(tmp_path / "pipe.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(table, tmp_path):
    path = table(["a", "b"] * 20)
    (tmp_path / "my.csv").chmod(0)
    assert "cannot be read (Permission denied)" in refused(path, target="goal")


def test_errors_of_the_system_are_told_as_usage(table, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    path = table(["a", "b"] * 20)
    monkeypatch.setattr("dlm.data.readers.delimited.check_text", denied)
    assert "cannot be read (Permission denied)" in refused(path, target="goal")


def test_tables_larger_than_memory_are_refused(table, monkeypatch):
    path = table(["a", "b"] * 20)
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("memory", "available")(99))
    assert "memory that are free" in refused(path, target="goal")


def test_a_folder_of_tables_has_splits_by_their_names(table, tmp_path):
    for name in ("train.csv", "test-1.csv", "test-2.csv"):
        table(["a", "b"] * 20, name)
    (tmp_path / "readme.txt").write_text("how it was made")
    own = read(str(tmp_path), target="goal")
    assert {split: num_rows(columns) for split, columns in own.splits.items()} == {"train": 40, "test": 80}


def test_classes_that_training_has_none_of_are_left_out(table, tmp_path):
    table(["a", "b"] * 40, "train.csv")
    table([*["a", "b"] * 10, *["c"] * 5], "test.csv")
    own = read(str(tmp_path), target="goal")
    assert num_rows(own.splits["test"]) == 20
    assert own.splits["test"]["goal"].names == ("a", "b")
    assert said(own, "training has none of", "c")


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), shade, np.uint8)).save(path)


def test_a_folder_of_pictures_needs_no_more_than_its_path(tmp_path):
    for k in range(40):
        picture(tmp_path / "ab"[k % 2] / f"{k}.png", k)
    own = read(str(tmp_path))
    assert (own.kind, own.target, own.splits["all"]["image"].values.shape) == ("images", "label", (40, 4, 4, 1))
    assert read(str(tmp_path), size=(2, 2)).splits["all"]["image"].values.shape == (40, 2, 2, 1)
    assert "names of sub-folders are it" in refused(tmp_path, target="goal")
    assert "is a single file; name the folder" in refused(tmp_path / "a" / "0.png")


def test_a_table_may_name_pictures_or_sounds(tmp_path):
    rows = []
    for k in range(40):
        picture(tmp_path / "files" / f"{k}.png", k)
        wavfile.write(tmp_path / "files" / f"{k}.wav", 8000, np.full(9, k + 1, np.int16))
        rows.append((k, 100 + k * k, "xy"[k % 2]))
    (tmp_path / "ages.csv").write_text("path,age,by\n" + "".join(f"files/{k}.png,{a},{b}\n" for k, a, b in rows))
    own = read(str(tmp_path / "ages.csv"), target="age")
    assert (own.kind, own.splits["all"]["age"].values[:3].tolist()) == ("images", [100, 101, 104])
    assert own.splits["all"]["path"].values[:, 0, 0, 0].tolist() == list(range(40))
    assert said(own, "not used beside the files: by")
    (tmp_path / "words.csv").write_text("file,word\n" + "".join(f"files/{k}.wav,{b}\n" for k, _, b in rows))
    own = read(str(tmp_path / "words.csv"))
    assert (own.kind, own.target) == ("sounds", "word")
    assert own.splits["all"]["file"].values[3].tolist() == [4] * 9
    (tmp_path / "files" / "7.wav").unlink()
    assert "1 of 40 files that column 'file' names are not there, such as 'files/7.wav'" in refused(
        tmp_path / "words.csv"
    )


def test_texts_with_and_without_labels(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"line {k}\n" for k in range(40)))
    own = read(str(tmp_path / "lines.txt"))
    assert (own.kind, own.target, list(own.splits["all"])) == ("texts", "", ["text"])
    lines = [f'{{"text": "document {k}", "label": "{"ab"[k % 2]}", "extra": {k % 4}}}\n' for k in range(40)]
    (tmp_path / "my.jsonl").write_text("".join(lines))
    own = read(str(tmp_path / "my.jsonl"))
    assert (own.kind, own.target, set(own.splits["all"])) == ("table", "label", {"text", "label", "extra"})
    (tmp_path / "plain.jsonl").write_text("".join(lines).replace("label", "colour"))
    assert "which column" in refused(tmp_path / "plain.jsonl")
    assert list(read(str(tmp_path / "plain.jsonl"), kind="texts").splits["all"]) == ["text"]
    (tmp_path / "short.txt").write_text("a\nb\n")
    assert "2 rows are too few" in refused(tmp_path / "short.txt")


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (np.arange(200) % 40, "class", 40),
        (np.arange(200) % 40 + 5, "number", 0),
        (np.arange(200) % 4 - 1, "class", 3),
        (np.arange(200) % 3 - 1, "class", 3),
        (RNG.normal(size=(200, 2)), "number", 0),
    ],
    ids=["many", "from five", "with missing", "signs", "vectors"],
)
def test_integers_of_arrays_are_classes_where_they_count_from_zero(tmp_path, labels, kind, names):
    np.savez(tmp_path / "my.npz", x=RNG.normal(size=(200, 3)), y=labels)
    own = read(str(tmp_path / "my.npz"))
    target = own.splits["all"]["y"]
    assert (own.kind, target.kind, len(target.names)) == ("arrays", kind, names)
    if labels.min() == -1 and labels.max() == 2:
        assert (num_rows(own.splits["all"]), target.names) == (150, ("0", "1", "2"))
        assert said(own, "−1 is taken as missing")


@settings(max_examples=150, deadline=None)
@example(b"x,y\n" + b"1,2\n" * 40, "csv")
@example(b'x,"y\n1,2\n', "csv")
@example(b"\xef\xbb\xbf", "csv")
@example(b'{"x": NaN, "y": 1e999}\n' * 40, "jsonl")
@example(b"RIFF\0\0\0\0WAVE", "npz")
@given(
    st.one_of(st.binary(max_size=80), st.text('ab1,;"\n\t.-/ \r{}:[]', max_size=80).map(str.encode)),
    st.sampled_from(["csv", "tsv", "jsonl", "json", "txt", "npz", "parquet", "wav"]),
)
def test_whatever_a_file_holds_the_answer_is_data_or_words(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    path.write_bytes(content)
    said = ""
    try:
        own = read(str(path), target="y" if ending != "txt" else "")
    except UsageError as error:
        said = str(error)
    assert said.startswith(str(path)) if said else num_rows(own.splits["all"]) >= 30
    assert len(said) < 1000

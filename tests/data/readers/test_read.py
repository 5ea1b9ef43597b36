"""A path gives a data set: its kind and target are inferred, with remarks; unsuitable data is a usage error."""

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
from dlm.data.readers.read import read_folder, read_lines, read_path

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """Write a table with a column of inputs and these targets; its path."""

    def table(targets, name="my.csv"):
        rows = [f"{k * 0.37 % 1:.3f},{target}" for k, target in enumerate(targets)]
        (tmp_path / name).write_text("\n".join(["x,goal", *rows]))
        return str(tmp_path / name)

    return table


def has_remark(data, *words):
    return any(all(word in remark for word in words) for remark in data.remarks)


def usage_error(path, **more):
    with pytest.raises(UsageError) as error:
        read_path(str(path), **more)
    assert str(error.value).startswith(str(path))
    return str(error.value)[len(str(path)) :]


@pytest.mark.parametrize(
    ("targets", "kind", "words"),
    [
        (["yes", "no"] * 20, "class", ["2 classes (no, yes)"]),
        (["true", "false"] * 20, "class", ["2 classes (false, true)"]),
        ([3, 4, 5, 10] * 10, "class", ["4 classes (3, 4, 5, 10)", "task=numbers"]),
        (list(range(40)), "number", ["numbers (40 distinct values)", "task=classes"]),
        ([0.5, 1.5] * 20, "number", ["numbers (2 distinct values)"]),
        (list(range(10)) * 4, "number", ["numbers (10 distinct values)"]),
    ],
    ids=["words", "truth", "few", "many", "fractions", "few rows each"],
)
def test_the_type_of_the_target_is_inferred_with_a_remark(table, targets, kind, words):
    data = read_path(table(targets), target="goal")
    assert (data.name, data.target, list(data.splits())) == ("my", "goal", ["all"])
    assert data.splits()["all"]["goal"].kind == kind
    assert has_remark(data, "Target goal: ", *words)


def test_the_task_can_be_set(table):
    numbers = read_path(table([3, 4] * 20), target="goal", task="numbers").splits()["all"]["goal"]
    assert (numbers.kind, numbers.values[:2].tolist()) == ("number", [3, 4])
    classes = read_path(table([*range(10)] * 4), target="goal", task="classes").splits()["all"]["goal"]
    assert (classes.kind, classes.names) == ("class", tuple("0123456789"))
    assert "values that are not numbers (could not convert string to float: 'no')" in usage_error(
        table(["no", "yes"] * 20), target="goal", task="numbers"
    )


def test_rows_without_target_and_rare_classes_are_dropped(table):
    data = read_path(table([*["a", "b"] * 20, "", "NA", "rare", "rare"]), target="goal")
    goal = data.splits()["all"]["goal"]
    assert (goal.names, np.bincount(goal.values).tolist()) == (("a", "b"), [20, 20])
    assert has_remark(data, "Dropped 2 rows without a target")
    assert has_remark(data, "fewer than 3 rows", "rare")


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["a", "b"] * 5, ["10 rows are too few", "30"]),
        (["a"] * 40, ["is a in every row"]),
        ([1.5] * 40, ["1.5 in every row"]),
        ([f"name {k}" for k in range(40)], ["40 of 40 rows are in classes with fewer than 3 rows", "another target"]),
        ([""] * 40, ["has no values"]),
    ],
    ids=["few", "one class", "constant", "names", "missing"],
)
def test_unsuitable_targets_are_usage_errors(table, targets, words):
    message = usage_error(table(targets), target="goal")
    assert all(word in message for word in words), message


def test_a_target_alone_is_usage_error(tmp_path):
    (tmp_path / "my.csv").write_text("id,goal\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(40)))
    assert "no column except the target 'goal'" in usage_error(tmp_path / "my.csv", target="goal")


def test_the_target_is_inferred_only_from_a_usual_name(table, tmp_path):
    path = table(["a", "b"] * 20)
    assert "cannot infer the target column; set --target to one of: x, goal" in usage_error(path)
    assert "no column 'gaol'; did you mean 'goal'" in usage_error(path, target="gaol")
    (tmp_path / "other.csv").write_text((tmp_path / "my.csv").read_text().replace("goal", "Label"))
    assert read_path(str(tmp_path / "other.csv")).target == "Label"


def test_invalid_paths_are_usage_errors_with_similar_names(table, tmp_path):
    table(["a", "b"] * 20)
    assert "no such file or folder (did you mean my.csv?)" in usage_error(tmp_path / "mi.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "the file is empty" in usage_error(tmp_path / "empty.csv")
    (tmp_path / "none").mkdir()
    assert "the folder is empty" in usage_error(tmp_path / "none")
    (tmp_path / "none" / "a.xyz").write_text("?")
    assert "no supported files (.xyz); supported are .csv" in usage_error(tmp_path / "none")
    assert "suffix '.xyz' is not supported; supported are .csv" in usage_error(tmp_path / "none" / "a.xyz")
    (tmp_path / "a.xlsx").write_text("?")
    assert "save the sheet as CSV" in usage_error(tmp_path / "a.xlsx")
    assert "no such file or folder" in usage_error("a\0b")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in usage_error(tmp_path / "pipe.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_may_not_be_read_is_usage_error(table, tmp_path):
    path = table(["a", "b"] * 20)
    (tmp_path / "my.csv").chmod(0)
    assert "cannot be read (Permission denied)" in usage_error(path, target="goal")


def test_operating_system_errors_are_usage_errors(table, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    path = table(["a", "b"] * 20)
    monkeypatch.setattr("dlm.data.readers.text_tables.read_text", denied)
    assert "cannot be read (Permission denied)" in usage_error(path, target="goal")


def test_tables_larger_than_memory_are_usage_error(table, monkeypatch):
    path = table(["a", "b"] * 20)
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("memory", "available")(99))
    assert "of free memory" in usage_error(path, target="goal")


def test_tables_of_a_folder_are_splits_by_name(table, tmp_path):
    for name in ("train.csv", "test-1.csv", "test-2.csv"):
        table(["a", "b"] * 20, name)
    (tmp_path / "readme.txt").write_text("how it was made")
    data = read_path(str(tmp_path), target="goal")
    assert {split: num_rows(columns) for split, columns in data.splits().items()} == {"train": 40, "test": 80}


def test_classes_without_training_rows_are_dropped(table, tmp_path):
    table(["a", "b"] * 40, "train.csv")
    table([*["a", "b"] * 10, *["c"] * 5], "test.csv")
    data = read_path(str(tmp_path), target="goal")
    assert num_rows(data.splits()["test"]) == 20
    assert data.splits()["test"]["goal"].names == ("a", "b")
    assert has_remark(data, "without training rows are left out: c")


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), shade, np.uint8)).save(path)


def test_a_folder_of_images_needs_only_its_path(tmp_path):
    for k in range(40):
        picture(tmp_path / "ab"[k % 2] / f"{k}.png", k)
    data = read_path(str(tmp_path))
    assert (data.target, data.splits()["all"]["image"].values.shape) == ("label", (40, 4, 4, 1))
    assert read_path(str(tmp_path), size=(2, 2)).splits()["all"]["image"].values.shape == (40, 2, 2, 1)
    assert "sub-folders are the classes" in usage_error(tmp_path, target="goal")
    assert "is a single file; give a folder" in usage_error(tmp_path / "a" / "0.png")


def test_a_table_may_name_image_or_sound_files(tmp_path):
    rows = []
    for k in range(40):
        picture(tmp_path / "files" / f"{k}.png", k)
        wavfile.write(tmp_path / "files" / f"{k}.wav", 8000, np.full(9, k + 1, np.int16))
        rows.append((k, 100 + k * k, "xy"[k % 2]))
    (tmp_path / "ages.csv").write_text("path,age,by\n" + "".join(f"files/{k}.png,{a},{b}\n" for k, a, b in rows))
    data = read_path(str(tmp_path / "ages.csv"), target="age")
    assert data.splits()["all"]["age"].values[:3].tolist() == [100, 101, 104]
    assert data.splits()["all"]["path"].values[:, 0, 0, 0].tolist() == list(range(40))
    assert has_remark(data, "not used beside the files: by")
    (tmp_path / "words.csv").write_text("file,word\n" + "".join(f"files/{k}.wav,{b}\n" for k, _, b in rows))
    data = read_path(str(tmp_path / "words.csv"))
    assert (data.target, data.columns["file"].kind) == ("word", "audio")
    assert data.splits()["all"]["file"].values[3].tolist() == [4] * 9
    (tmp_path / "files" / "7.wav").unlink()
    words = (tmp_path / "words.csv").read_text().replace("files/9.wav", "")
    (tmp_path / "words.csv").write_text(words)
    data = read_path(str(tmp_path / "words.csv"))
    assert len(data.splits()["all"]["file"]) == 38
    assert has_remark(data, "left out: 2 of 40 rows name no existing file in column 'file'", "row 8 ('files/7.wav')")
    (tmp_path / "files" / "11.wav").unlink()
    assert "3 of 40 rows name no existing file in column 'file'" in usage_error(tmp_path / "words.csv")


def test_texts_with_and_without_labels(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"line {k}\n" for k in range(40)))
    data = read_path(str(tmp_path / "lines.txt"))
    assert (data.target, list(data.splits()["all"])) == ("", ["text"])
    lines = [f'{{"text": "document {k}", "label": "{"ab"[k % 2]}", "extra": {k % 4}}}\n' for k in range(40)]
    (tmp_path / "my.jsonl").write_text("".join(lines))
    data = read_path(str(tmp_path / "my.jsonl"))
    assert (data.target, set(data.splits()["all"])) == ("label", {"text", "label", "extra"})
    (tmp_path / "plain.jsonl").write_text("".join(lines).replace("label", "colour"))
    assert "cannot infer the target column" in usage_error(tmp_path / "plain.jsonl")
    assert list(read_path(str(tmp_path / "plain.jsonl"), kind="texts").splits()["all"]) == ["text"]
    (tmp_path / "short.txt").write_text("a\nb\n")
    assert "2 rows are too few" in usage_error(tmp_path / "short.txt")


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
def test_integer_arrays_from_zero_are_classes(tmp_path, labels, kind, names):
    np.savez(tmp_path / "my.npz", x=RNG.normal(size=(200, 3)), y=labels)
    data = read_path(str(tmp_path / "my.npz"))
    target = data.splits()["all"]["y"]
    assert (target.kind, len(target.names)) == (kind, names)
    if labels.min() == -1 and labels.max() == 2:
        assert (num_rows(data.splits()["all"]), target.names) == (150, ("0", "1", "2"))
        assert has_remark(data, "−1 is treated as missing")


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
def test_any_file_gives_data_or_a_usage_error(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    path.write_bytes(content)
    message = ""
    try:
        data = read_path(str(path), target="y" if ending != "txt" else "")
    except UsageError as error:
        message = str(error)
    assert message.startswith(str(path)) if message else num_rows(data.splits()["all"]) >= 30
    assert len(message) < 1000


def texts_of(found):
    column = found.columns["text"]
    return [bytes(column.values[k]).decode() for k in range(len(column))]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_folders_are_classes_and_files_are_documents(tmp_path):
    write(tmp_path / "pos" / "1.txt", "\ufeffvery good\nindeed\n")
    write(tmp_path / "neg" / "1.txt", "schlecht, für mich")
    write(tmp_path / "neg" / "2.txt", " \n")
    write(tmp_path / "readme.txt", "how they were collected")
    found = read_folder(tmp_path, kind="texts")
    assert texts_of(found) == ["schlecht, für mich", "very good\nindeed"]
    assert (found.columns["label"].names, found.columns["label"].values.tolist()) == (("neg", "pos"), [0, 1])
    assert "Dropped empty documents: 1." in found.remarks
    assert "Skipped other files: 1, for example readme.txt." in found.remarks


def test_splits_of_documents(tmp_path):
    for name in ("train/a/1.txt", "train/b/1.txt", "test/a/1.txt"):
        write(tmp_path / name, name)
    found = read_folder(tmp_path, kind="texts")
    assert texts_of(found) == ["train/a/1.txt", "train/b/1.txt", "test/a/1.txt"]
    assert found.counts == {"train": 2, "test": 1}


def test_documents_without_classes_have_no_target(tmp_path):
    for k in range(3):
        write(tmp_path / f"{k}.txt", f"number {k}")
    found = read_folder(tmp_path, kind="texts")
    assert (set(found.columns), found.target, texts_of(found)[2]) == ({"text"}, "", "number 2")


def test_a_line_is_a_document(tmp_path):
    found = read_lines(write(tmp_path / "my.txt", "one\r\n\ntwo \nthree"))
    assert (texts_of(found), found.target) == (["one", "two", "three"], "")
    assert found.remarks == ("Each line is a document: 3.", "Dropped blank lines: 1.")


def test_bytes_that_are_not_utf8_are_usage_errors_with_the_file(tmp_path):
    write(tmp_path / "a" / "1.txt", "fine")
    write(tmp_path / "b" / "2.txt", "naïve".encode("latin-1"))
    with pytest.raises(UsageError, match=r"b/2\.txt: not UTF-8: byte 2 is 0xef"):
        read_folder(tmp_path, kind="texts")
    with pytest.raises(UsageError, match="not a text file: byte 1 is zero"):
        read_lines(write(tmp_path / "my.txt", b"a\0b"))

"""Plain texts: one a file or one a line, with the file and the byte named where they are no UTF-8."""

import pytest

from dlm import UsageError
from dlm.data.readers.text import read_documents, read_lines


def texts_of(found):
    column = found.columns["text"]
    return [bytes(column.values[k]).decode() for k in range(len(column))]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_folders_are_classes_and_a_file_is_a_document(tmp_path):
    write(tmp_path / "pos" / "1.txt", "\ufeffvery good\nindeed\n")
    write(tmp_path / "neg" / "1.txt", "schlecht, für mich")
    write(tmp_path / "neg" / "2.txt", " \n")
    write(tmp_path / "readme.txt", "how they were collected")
    found = read_documents(tmp_path)
    assert texts_of(found) == ["schlecht, für mich", "very good\nindeed"]
    assert (found.columns["label"].names, found.columns["label"].values.tolist()) == (("neg", "pos"), [0, 1])
    assert "Empty documents are left out: 1." in found.remarks
    assert "Other files are passed over: 1, such as readme.txt." in found.remarks


def test_splits_of_documents(tmp_path):
    for name in ("train/a/1.txt", "train/b/1.txt", "test/a/1.txt"):
        write(tmp_path / name, name)
    found = read_documents(tmp_path)
    assert texts_of(found) == ["train/a/1.txt", "train/b/1.txt", "test/a/1.txt"]
    assert found.counts == {"train": 2, "test": 1}


def test_documents_without_classes_have_no_target(tmp_path):
    for k in range(3):
        write(tmp_path / f"{k}.txt", f"number {k}")
    found = read_documents(tmp_path)
    assert (set(found.columns), found.target, texts_of(found)[2]) == ({"text"}, "", "number 2")


def test_a_line_is_a_document(tmp_path):
    found = read_lines(write(tmp_path / "my.txt", "one\r\n\ntwo \nthree"))
    assert (texts_of(found), found.target) == (["one", "two", "three"], "")
    assert found.remarks == ("Each line is a document: 3.", "Blank lines are left out: 1.")


def test_bytes_that_are_no_text_are_told_with_their_file(tmp_path):
    write(tmp_path / "a" / "1.txt", "fine")
    write(tmp_path / "b" / "2.txt", "naïve".encode("latin-1"))
    with pytest.raises(UsageError, match=r"b/2\.txt: is no text in UTF-8: byte 2 is 0xef"):
        read_documents(tmp_path)
    with pytest.raises(UsageError, match="is no text: byte 1 is zero"):
        read_lines(write(tmp_path / "my.txt", b"a\0b"))

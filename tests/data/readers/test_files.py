"""Listing of the files of folders: links, loops, folders of the system, and forms of Unicode."""

import unicodedata
from pathlib import Path

import pytest

from dlm.data.readers.files import class_files, walk


def _files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def _labels(folder: Path) -> list[tuple[str, str, str]]:
    return [(file.split, file.label, file.path.name) for file in class_files(folder, {".png"})[0]]


@pytest.mark.parametrize("depth", ["class", "split", "inside", "file"])
def test_links_are_followed(tmp_path, depth):
    store, study = tmp_path / "store", tmp_path / "study"
    _files(store, "train/a/part/1.png", "train/b/part/2.png", "test/a/part/3.png", "test/b/part/4.png")
    pattern = {"split": "*", "class": "*/*", "inside": "*/*/*", "file": "*/*/*/*"}[depth]
    for path in store.glob(pattern):
        link = study / path.relative_to(store)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    expected = [("train", "a", "1.png"), ("train", "b", "2.png"), ("test", "a", "3.png"), ("test", "b", "4.png")]
    assert _labels(study) == expected


def test_link_loops_end(tmp_path):
    _files(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path)
    assert sorted(_labels(tmp_path)) == [("all", "a", "1.png"), ("all", "b", "2.png")]
    assert len(list(walk(tmp_path))) == 2


def test_loop_as_the_only_folder_ends(tmp_path):
    _files(tmp_path, ".hidden")
    (tmp_path / "self").symlink_to(tmp_path)
    assert _labels(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["@eaDir", "__MACOSX", "#recycle", ".cache", "System Volume Information", "lost+found"]
)
def test_folders_of_the_system_are_skipped(tmp_path, name):
    _files(tmp_path, "a/1.png", "b/2.png", f"a/{name}/1.png", f"{name}/a/1.png", f"{name}/3.png")
    files, remarks = class_files(tmp_path, {".png"})
    assert [file.label for file in files] == ["a", "b"]
    assert remarks == ("Skipped hidden files: 3.",)


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._1.png"])
def test_files_of_the_system_are_skipped(tmp_path, name):
    _files(tmp_path, "a/1.png", "b/2.png", f"a/{name}", name)
    files, remarks = class_files(tmp_path, {".png"})
    assert [file.label for file in files] == ["a", "b"]
    assert remarks == ("Skipped hidden files: 2.",)


def test_forms_of_unicode_are_one_class(tmp_path):
    composed, separate = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    _files(tmp_path, f"train/{composed}/1.png", "train/tea/2.png", f"test/{separate}/3.png", "test/tea/4.png")
    assert {label for _, label, _ in _labels(tmp_path)} == {composed, "tea"}

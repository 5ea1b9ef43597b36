"""Atomic writes leave the old or the new file; damaged files are moved aside."""

import os

import pytest

from dlm.utils.files import replacing, set_aside, write_atomically


def fail_while_writing(path):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half-way")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_atomically(path, "old")
    with pytest.raises(RuntimeError, match="half-way"):
        fail_while_writing(path)
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: calls.append(os.readlink(f"/proc/self/fd/{handle}")) or real_sync(handle)
    )
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("renamed") or real_replace(*paths))
    write_atomically(tmp_path / "a", "text")
    assert calls == [str(tmp_path / "a.tmp"), "renamed", str(tmp_path)]


def test_each_damaged_file_gets_a_new_name(tmp_path):
    for text in ("first", "second"):
        (tmp_path / "a").write_text(text)
        set_aside(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    moved = set_aside(tmp_path / "folder", tmp_path / "damaged")
    assert moved == tmp_path / "damaged" / "folder.damaged"
    assert moved.is_dir()
    assert (tmp_path / "a.damaged").read_text() == "first"
    assert (tmp_path / "a.damaged-1").read_text() == "second"

"""The cache gives back what was put in, never a damaged or half entry, and never stops a run."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from dlm.data import cache
from dlm.data.cache import TEMPORARY, cached, content_key
from dlm.data.columns import Column, Ragged, concatenated, consistent, ragged, sliced, text_values

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DLM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def images(*shapes):
    rows = [np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) for shape in shapes]
    return Column(ragged(rows, np.uint8, 3), "image")


def block(start, stop, **others):
    number = Column(np.arange(start, stop, dtype=np.float32).reshape(-1, 1) * [1, np.nan], "number")
    words = Column(text_values([f"row {row}\0" * (row % 3) for row in range(start, stop)]), "text")
    label = Column(np.arange(start, stop, dtype=np.int32) % 3 - 1, "class", ("a", "ü", "c"))
    sound = Column(ragged([np.full(row, row, np.int16) for row in range(start, stop)], np.int16, 1), "audio", (), 8000)
    return {"number": number, "words": words, "a/label": label, "sound": sound, **others}


def blocks(sizes=(3, 1, 6)):
    ends = np.cumsum([0, *sizes])
    return [block(int(start), int(stop)) for start, stop in itertools.pairwise(ends)]


def failing():
    raise AssertionError("it was made again")


def assert_same(first, second):
    assert list(first) == list(second)
    for name, column in first.items():
        other = second[name]
        assert (column.kind, column.names, column.rate, len(column)) == (
            other.kind, other.names, other.rate, len(other)
        )  # fmt: skip
        for row in range(len(column)):
            a, b = np.asarray(column.values[row]), np.asarray(other.values[row])
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def whole():
    return {name: concatenated([each[name] for each in blocks()]) for name in blocks()[0]}


def test_what_is_written_in_blocks_comes_back_as_one_and_is_not_made_again(folder):
    assert_same(cached("k", blocks), whole())
    assert_same(cached("k", failing), whole())
    assert [path.name for path in folder.iterdir()] == ["k"]


def test_arrays_are_mapped_and_cannot_be_written():
    column = cached("k", blocks)["number"].values
    assert type(column) is np.ndarray
    assert not column.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1


@pytest.mark.parametrize(
    ("made", "shape"),
    [
        ([images((2, 3, 1), (2, 3, 1)), images((2, 3, 1))], (3, 2, 3, 1)),
        ([images((2, 3, 1), (2, 3, 1)), images((3, 2, 1))], None),
        ([images((2, 3, 1), (1, 3, 1)), images((2, 3, 1))], None),
        ([images((2, 3, 1)), Column(np.zeros((2, 5, 5, 1), np.uint8), "image")], None),
    ],
    ids=["one size", "other in a later block", "other in the first", "plain after ragged"],
)
def test_rows_of_one_shape_are_a_plain_array_and_others_ragged(made, shape):
    found = cached("k", lambda: [{"image": each} for each in made])
    assert_same(found, {"image": concatenated(made)})
    assert isinstance(found["image"].values, Ragged) == (shape is None)
    assert shape is None or found["image"].values.shape == shape


def test_texts_stay_ragged_and_may_all_be_empty():
    found = cached("k", lambda: [{"text": Column(text_values(["", ""]), "text")}])
    assert isinstance(found["text"].values, Ragged)
    assert [found["text"].values[row].tobytes() for row in (0, 1)] == [b"", b""]


def test_hundreds_of_columns_do_not_run_out_of_open_files():
    made = {f"column {number}": Column(text_values(["a"]), "text") for number in range(600)}
    assert_same(cached("k", lambda: [made]), made)


def damage(name, change):
    def damaged(entry):
        path = next(path for path in sorted(entry.iterdir()) if path.name.endswith(name))
        path.write_bytes(change(path.read_bytes()))

    return damaged


def flipped(place):
    def flip(data):
        at = range(len(data))[place]
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return flip


@pytest.mark.parametrize(
    "harm",
    [
        damage(".values", flipped(-1)),
        damage(".values", flipped(0)),
        damage(".shapes", flipped(-1)),
        damage(".shapes", lambda data: data[:-4]),
        damage("manifest.json", lambda data: data[:-9]),
        damage("manifest.json", lambda data: data.replace(b"8000", b"8001")),
        damage("manifest.json", lambda data: b""),
        lambda entry: (entry / "0.values").unlink(),
        lambda entry: (entry / "manifest.json").unlink(),
    ],
    ids=["end", "first", "shapes", "short", "cut list", "other list", "empty list", "no file", "no list"],
)
def test_a_damaged_entry_is_said_and_made_again(folder, capsys, harm):
    cached("k", blocks)
    harm(folder / "k")
    assert_same(cached("k", blocks), whole())
    assert "is damaged" in capsys.readouterr().err
    assert_same(cached("k", failing), whole())
    assert [path.name for path in folder.iterdir()] == ["k"]
    assert not capsys.readouterr().err


def test_who_has_an_entry_open_keeps_it_while_it_is_replaced(folder):
    first = cached("k", blocks)
    (folder / "k" / "manifest.json").write_text("{")
    cached("k", blocks)
    assert_same(first, whole())


@pytest.mark.parametrize("when", ["folder", "block", "end"])
def test_a_cache_that_cannot_be_written_is_said_once_and_the_data_is_in_memory(folder, monkeypatch, capsys, when):
    def full(*_):
        raise OSError(28, "No space left on device")

    if when == "folder":
        folder.parent.write_text("a file")
    else:
        monkeypatch.setattr(cache.Writer, {"block": "append", "end": "close"}[when], full)
    assert_same(cached("k", blocks), whole())
    assert capsys.readouterr().err.count("dlm: ") == 1
    assert when == "folder" or not list(folder.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_read_but_not_written(folder, capsys):
    cached("k", blocks)
    folder.chmod(0o500)
    assert_same(cached("k", failing), whole())
    assert_same(cached("other", blocks), whole())
    assert "cannot be used" in capsys.readouterr().err


def test_an_error_of_the_maker_passes_and_leaves_nothing(folder):
    def breaking():
        yield block(0, 2)
        raise FileNotFoundError("the data file")

    with pytest.raises(FileNotFoundError, match="the data file"):
        cached("k", breaking)
    assert not list(folder.iterdir())


def make_together(barrier, queue):
    def slowly():
        barrier.wait(60)  # both have begun, so neither finds the other's entry
        yield from blocks()

    queue.put(cached("k", slowly)["number"].values.tobytes())


def test_two_processes_at_once_get_the_same_and_leave_one_entry(folder):
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=make_together, args=(barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert found == [whole()["number"].values.tobytes()] * 2
    assert [path.name for path in folder.iterdir()] == ["k"]
    assert_same(cached("k", failing), whole())


KILLED = """
import time
from dlm.data.cache import cached
from test_cache import block

def slowly():
    yield block(0, 3)
    print("made", flush=True)
    time.sleep(60)

cached("k", slowly)
"""


def test_a_maker_that_is_killed_leaves_nothing_that_is_used_and_is_cleaned_up(folder):
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    maker = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    assert maker.stdout.readline() == b"made\n"
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    (left,) = folder.iterdir()
    assert left.name.endswith(TEMPORARY)
    for path in (*left.iterdir(), left):
        os.utime(path, (time.time() - 4000,) * 2)
    assert_same(cached("k", blocks), whole())
    assert [each.name for each in folder.iterdir()] == ["k"]


def test_an_entry_that_is_being_written_is_not_removed(folder):
    ours = cache._temporary_name(folder / "other")
    ours.mkdir(parents=True)
    (ours / "0.values").write_bytes(b"0")
    os.utime(ours, (time.time() - 4000,) * 2)
    cached("k", blocks)
    assert sorted(folder.iterdir()) == sorted([ours, folder / "k"])


def test_a_key_names_content_and_settings_but_not_where_the_files_are(tmp_path):
    for name, text in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in "abc")
    assert content_key([a, b], "x") == content_key([c, b], "x")
    others = [content_key([a], "x"), content_key([b, a], "x"), content_key([a, b]), content_key([a, b], "x", "y")]
    assert len({content_key([a, b], "x"), *others}) == 5


def test_the_cache_is_the_users_unless_a_folder_is_named(monkeypatch, tmp_path):
    from dlm.train import devices  # JAX is nothing for the processes that import this file

    assert devices.cache_folder() == cache.folder().with_name("xla") == tmp_path / "cache" / "xla"
    monkeypatch.delenv("DLM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert cache.folder().is_relative_to(platformdirs.user_cache_dir("dlm"))


def test_cut_columns_are_those_rows_without_a_copy():
    found = cached("k", blocks)
    part = sliced(found, 3, 8)
    assert_same(part, {name: column.take(np.arange(3, 8)) for name, column in whole().items()})
    assert np.shares_memory(part["number"].values, found["number"].values)
    assert np.shares_memory(part["sound"].values.values, found["sound"].values.values)
    again = {
        name: concatenated([sliced(found, start, stop)[name] for start, stop in ((0, 3), (3, 10))]) for name in found
    }
    assert_same(again, whole())


def test_a_column_is_ragged_in_every_split_or_in_none():
    one, other = images((2, 2, 1), (2, 2, 1)), images((3, 2, 1))
    plain = Column(np.zeros((2, 2, 2, 1), np.uint8), "image")
    splits = consistent({"train": {"image": plain}, "test": {"image": other}})
    assert all(isinstance(each["image"].values, Ragged) for each in splits.values())
    assert_same(splits["train"], {"image": plain})
    assert isinstance(consistent({"train": {"image": plain}})["train"]["image"].values, np.ndarray)
    assert isinstance(consistent({"train": {"image": one}})["train"]["image"].values, Ragged)

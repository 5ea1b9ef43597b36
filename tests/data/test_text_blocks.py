"""A text becomes blocks in which every byte is predicted once; whole texts are held out, wherever they were found."""

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import StdlibText
from dlm.data.sources.bundled import _documents
from dlm.data.text_blocks import blocks, split_documents

DOCUMENTS = [b"the cat", b"", b"a", b"sat on the mat"]


def test_every_byte_is_the_target_of_one_place_and_its_input_is_the_byte_before():
    x, y = blocks(DOCUMENTS, 4)
    assert (x.dtype, y.dtype, x.shape, y.shape) == (np.uint8, np.uint8, (5, 4), (5, 4))
    assert y.tobytes() == b"the catasat on the m"  # "at" is lost: no whole block
    assert x.tobytes() == b"\0the ca\0\0sat on the "


def test_inputs_go_on_from_one_block_to_the_next():
    x, y = blocks([b"one long text, cut in blocks"], 7)
    assert np.array_equal(x[1:, 0], y[:-1, -1])
    assert np.array_equal(x[:, 1:], y[:, :-1])
    assert x[0, 0] == 0


def test_a_text_of_whole_blocks_loses_nothing():
    x, y = blocks([b"ab", b"cd"], 4)
    assert (x.tobytes(), y.tobytes()) == (b"\0a\0c", b"abcd")


@pytest.mark.parametrize("documents", [[], [b""], [b"ab", b"c"]])
def test_a_text_shorter_than_a_block_is_refused(documents):
    with pytest.raises(UsageError, match=r"length=4 exceeds the \d bytes"):
        blocks(documents, 4)


def texts(number):
    rng = np.random.default_rng(0)
    return [rng.integers(97, 123, rng.integers(1, 200)).astype(np.uint8).tobytes() for _ in range(number)]


def test_documents_are_split_alike_in_whatever_order_and_however_often_they_are_found():
    documents = texts(300)
    first = split_documents(documents)
    assert split_documents([*documents[::-1], *documents[:50], b""]) == first
    assert sorted(document for part in first for document in part) == sorted(set(documents))


def test_splits_hold_their_shares_of_the_bytes_within_a_document():
    documents = texts(300)
    total = sum(map(len, documents))
    for shares in [(0.8, 0.1, 0.1), (0.5, 0.5), (1.0,)]:
        ends = np.cumsum([sum(map(len, part)) for part in split_documents(documents, shares)])
        assert np.all(np.abs(ends - np.cumsum(shares) * total) <= 100)


def test_fewer_bytes_are_the_first_documents_of_more():
    documents = texts(300)
    (few,), (all_of_them,) = (split_documents(documents, (1.0,), most) for most in (5000, 0))
    assert few == all_of_them[: len(few)]
    assert 5000 - 200 < sum(map(len, few)) <= 5000


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.5, -0.5), (1.0, 0.0)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(UsageError, match="shares="):
        split_documents([b"a"], shares)


@pytest.fixture(scope="module")
def stdlib():
    return StdlibText(length=64, most_bytes=400_000)


def test_the_standard_library_is_a_text_of_bytes_and_the_same_each_time(stdlib):
    dataset = stdlib.load()
    assert dataset.name.startswith("stdlib_text/3.")
    assert (dataset.vocabulary, dataset.num_classes) == (256, 0)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.x.dtype == part.y.dtype == np.uint8
        assert part.x.shape == part.y.shape == (len(part), 64)
    number = 64 * sum(map(len, (dataset.train, dataset.validation, dataset.test)))
    assert 300_000 < number <= 400_000
    assert 0.7 < 64 * len(dataset.train) / number < 0.9
    assert stdlib.load().fingerprint == dataset.fingerprint


def test_no_file_of_the_standard_library_is_in_two_splits(stdlib):
    dataset = stdlib.load()
    texts = [part.y.tobytes() for part in (dataset.train, dataset.validation, dataset.test)]
    documents = [document for document in _documents(Path(sysconfig.get_path("stdlib"))) if len(document) > 2000]
    middles = [document[len(document) // 2 :][:400] for document in documents]
    found = np.array([[middle in text for text in texts] for middle in middles])
    assert found.sum(axis=1).max() == 1
    assert found.any(axis=0).all()


def test_tests_and_what_differs_between_hosts_is_left_out(tmp_path):
    kept = ["os.py", "json/decoder.py"]
    for name in [
        *kept,
        "test/test_os.py",
        "unittest/test/x.py",
        "site-packages/numpy/a.py",
        "_sysconfigdata__linux.py",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"# {name}\r\n".encode())
    assert sorted(_documents(tmp_path)) == sorted(f"# {name}\n".encode() for name in kept)


def test_a_python_without_its_sources_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(UsageError, match=r"has too few \.py files"):
        StdlibText().load()

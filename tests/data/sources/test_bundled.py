"""Bundled data sets: real data, disjoint splits, and subsets that are the same on every host."""

import dataclasses
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import Digits, Split, StdlibText
from dlm.data.sources.bundled import _documents
from dlm.data.subsets import row_digests, subset_hash


def subsets(dataset, sizes, seed=0):
    order = dataset.order(seed)
    return [subset_hash(dataset.digests[order], size) for size in sizes]


def test_digits_are_the_real_ones_and_no_example_is_in_two_splits(digits):
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1257, 180, 360)
    assert digits.train.x.shape[1:] == (8, 8, 1)
    assert digits.train.x.dtype == np.uint8
    assert (digits.features(digits.train.x).min(), digits.features(digits.train.x).max()) == (0, 1)
    splits = [set(row_digests(part.x, part.y)) for part in (digits.train, digits.validation, digits.test)]
    assert len(set.union(*splits)) == sum(map(len, splits)) == 1797
    for part in (digits.validation, digits.test):
        assert np.ptp(np.bincount(part.y, minlength=10)) <= len(part) // 50


def test_digits_have_the_same_hashes_on_every_host(digits):
    """A change means that the source or the subsets changed, and earlier studies cannot be resumed."""
    assert digits.fingerprint == "643aa95c35c9fab7"
    assert subsets(digits, (32, 1257)) == ["aaddf8b4af2255de", "b4930912702829b4"]


def test_subsets_do_not_depend_on_row_order_or_dtype(digits):
    rows = np.random.default_rng(0).permutation(len(digits.train))
    other = Split(digits.train.x[rows].astype(np.float64), digits.train.y[rows].astype(np.int64))
    again = dataclasses.replace(digits, name="elsewhere", train=other)
    assert again.fingerprint == digits.fingerprint
    for seed in (0, 5):
        assert subsets(again, (10, 100, 1000), seed) == subsets(digits, (10, 100, 1000), seed)
        first, second = (dataset.train.x[dataset.order(seed)[:100]] for dataset in (digits, again))
        assert np.array_equal(first, second)


def test_subsets_are_stratified(digits):
    for seed in range(3):
        labels = digits.train.y[digits.order(seed)]
        for size in (10, 20, 100):
            counts = np.bincount(labels[:size], minlength=10)
            assert np.all(np.abs(counts - size * np.bincount(digits.train.y) / 1257) < 1)


@pytest.mark.parametrize("changes", [{"test": 0}, {"test": 1797}, {"validation": 1437}, {"validation": -3}])
def test_holding_out_too_many_digits_is_a_usage_error(changes):
    name, count = next(iter(changes.items()))
    with pytest.raises(UsageError, match=rf"data\.{name}={count} does not fit \d+ examples; choose 1 to"):
        Digits(**changes).load()


@pytest.fixture(scope="module")
def stdlib():
    return StdlibText(length=64, max_bytes=400_000)


def test_stdlib_text_has_byte_blocks_and_a_stable_fingerprint(stdlib):
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


def test_no_stdlib_file_is_in_two_splits(stdlib):
    dataset = stdlib.load()
    texts = [part.y.tobytes() for part in (dataset.train, dataset.validation, dataset.test)]
    documents = [document for document in _documents(Path(sysconfig.get_path("stdlib"))) if len(document) > 2000]
    middles = [document[len(document) // 2 :][:400] for document in documents]
    found = np.array([[middle in text for text in texts] for middle in middles])
    assert found.sum(axis=1).max() == 1
    assert found.any(axis=0).all()


def test_tests_and_host_specific_files_are_excluded(tmp_path):
    expected = ["os.py", "json/decoder.py"]
    for name in [
        *expected,
        "test/test_os.py",
        "unittest/test/x.py",
        "site-packages/numpy/a.py",
        "_sysconfigdata__linux.py",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"# {name}\r\n".encode())
    assert sorted(_documents(tmp_path)) == sorted(f"# {name}\n".encode() for name in expected)


def test_a_python_without_sources_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(UsageError, match=r"has too few \.py files"):
        StdlibText().load()

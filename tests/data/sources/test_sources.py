"""Sources give the same arrays everywhere, and say in words what is missing and how to get it."""

import dataclasses
import json
import socket

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import Digits, Split, Tfds
from dlm.data.subsets import row_digests, subset_hash

TINY = Tfds("tiny", validation=6)


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


def test_digits_have_the_hashes_they_had_on_every_host(digits):
    """If this changes, the source or the way of subsets did, and earlier studies cannot be gone on with."""
    assert digits.fingerprint == "643aa95c35c9fab7"
    assert subsets(digits, (32, 1257)) == ["aaddf8b4af2255de", "b4930912702829b4"]


def test_digits_by_another_way_give_the_same_subsets(digits):
    """Rows in another order, as floats, from another reader: the same subsets by the same names."""
    rows = np.random.default_rng(0).permutation(len(digits.train))
    other = Split(digits.train.x[rows].astype(np.float64), digits.train.y[rows].astype(np.int64))
    again = dataclasses.replace(digits, name="elsewhere", train=other)
    assert again.fingerprint == digits.fingerprint
    for seed in (0, 5):
        assert subsets(again, (10, 100, 1000), seed) == subsets(digits, (10, 100, 1000), seed)
        first, second = (dataset.train.x[dataset.order(seed)[:100]] for dataset in (digits, again))
        assert np.array_equal(first, second)


def test_every_subset_of_digits_holds_every_class(digits):
    for seed in range(3):
        labels = digits.train.y[digits.order(seed)]
        for size in (10, 20, 100):
            counts = np.bincount(labels[:size], minlength=10)
            assert np.all(np.abs(counts - size * np.bincount(digits.train.y) / 1257) < 1)


@pytest.mark.parametrize("changes", [{"test": 0}, {"test": 1797}, {"validation": 1437}, {"validation": -3}])
def test_digits_cannot_hold_out_what_is_not_there(changes):
    name, count = next(iter(changes.items()))
    with pytest.raises(UsageError, match=rf"data\.{name}={count} must lie between 1 and"):
        Digits(**changes).load()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a set that TFDS itself prepared: 30 training and 9 test images of three classes."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets")
    folder = tmp_path_factory.mktemp("tfds")

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")

        def _info(self):
            image = tfds.features.Tensor(shape=(2, 2, 1), dtype=np.uint8)
            label = tfds.features.ClassLabel(num_classes=3)
            word = tfds.features.Text()
            features = tfds.features.FeaturesDict({"image": image, "label": label, "word": word})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(30, 0), "test": self._generate_examples(9, 100)}

        def _generate_examples(self, count, start):
            for i in range(count):
                yield i, {"image": np.full((2, 2, 1), start + i, np.uint8), "label": i % 3, "word": "w"}

    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture
def copy(tiny, tmp_path):
    """Another version of the tiny set, in which only its description is changed."""

    def copy(version, **changes):
        source, target = tiny / "tiny" / "1.2.0", tmp_path / "tiny" / version
        target.mkdir(parents=True)
        for file in source.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        info = json.loads((source / "dataset_info.json").read_text())
        (target / "dataset_info.json").write_text(json.dumps({**info, "version": version, **changes}))
        return tmp_path

    return copy


def test_a_tfds_set_is_read_from_its_folder(tiny, monkeypatch):
    dataset = TINY.load(tiny)
    assert dataset.name == "tiny/1.2.0"
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 6, 9)
    assert dataset.num_classes == 3
    assert sorted([*dataset.train.x[:, 0, 0, 0], *dataset.validation.x[:, 0, 0, 0]]) == list(range(30))
    assert sorted(dataset.test.x[:, 0, 0, 0]) == list(range(100, 109))
    assert all(
        label == (image - 100) % 3 for image, label in zip(dataset.test.x[:, 0, 0, 0].astype(int), dataset.test.y)
    )
    assert dataset.scale == 1 / 255
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny))
    assert TINY.load().fingerprint == dataset.fingerprint


def test_a_test_split_can_be_held_out(tiny):
    dataset = dataclasses.replace(TINY, test=9).load(tiny)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (15, 6, 9)
    assert dataset.test.x.max() < 30
    assert np.bincount(dataset.test.y).tolist() == [3, 3, 3]


def test_the_newest_version_is_read_unless_one_is_named(copy):
    for version in ("1.9.0", "1.10.0", "incomplete.5_2.0.0"):
        folder = copy(version)
    assert TINY.load(folder).name == "tiny/1.10.0"
    assert dataclasses.replace(TINY, version="1.9.0").load(folder).name == "tiny/1.9.0"
    with pytest.raises(UsageError, match=r"'tiny' version 3\.0\.0 is not in"):
        dataclasses.replace(TINY, version="3.0.0").load(folder)


def test_a_preparation_that_was_cut_short_is_not_read(copy):
    with pytest.raises(UsageError, match="'tiny' is not in"):
        TINY.load(copy("incomplete.5X_2.0.0"))


def test_a_set_that_is_absent_is_not_downloaded_but_asked_for(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(UsageError) as raised:
        Tfds("mnist").load(tmp_path / "nowhere")
    text = str(raised.value)
    for part in (str(tmp_path / "nowhere" / "mnist"), "nothing is downloaded", "--data_dir", "TFDS_DATA_DIR"):
        assert part in text
    assert "download_and_prepare" in text
    assert not (tmp_path / "nowhere").exists()


def test_the_folder_given_comes_before_the_environment(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny))
    with pytest.raises(UsageError, match=str(tmp_path)):
        TINY.load(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert TINY.load(tiny).num_classes == 3


def test_a_name_that_is_nearly_there_brings_the_nearest(tiny, copy):
    with pytest.raises(UsageError, match="Did you mean 'tiny', which is there"):
        Tfds("tinny").load(tiny)
    folder = copy("1.2.0")
    (folder / "tiny").rename(folder / "inner")
    (folder / "tiny").mkdir()
    (folder / "inner").rename(folder / "tiny" / "small")
    with pytest.raises(UsageError, match="Did you mean 'tiny/small', which is there"):
        Tfds("tiny").load(folder)
    assert Tfds("tiny/small", validation=6).load(folder).num_classes == 3


def test_a_format_that_needs_tensorflow_is_told_with_the_way_out(copy):
    folder = copy("1.2.0", fileFormat="tfrecord")
    with pytest.raises(UsageError, match=r"prepared as tfrecord.*delete .*file_format='array_record'"):
        TINY.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("picture",)}, r"data has no column 'picture'; did you mean|data has no column 'picture'; choose"),
        ({"target": "absent"}, r"data has no column 'absent'; "),
        ({"test": "dev"}, r"has no split 'dev'"),
        ({"train": "train[:0]"}, r"train\[:0\]"),
        ({"validation": 30}, r"data\.validation=30 must lie between 1 and 29"),
        ({"test": 30}, r"data\.test=30 must lie between 1 and 29"),
    ],
)
def test_a_set_of_another_kind_is_told_by_its_features(tiny, changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(TINY, **changes).load(tiny)


@pytest.fixture(scope="module")
def fashion(shared_tfds):
    return Tfds("fashion_mnist", validation=10_000).load(shared_tfds)


def test_fashion_mnist_is_the_real_one(fashion):
    assert (len(fashion.train), len(fashion.validation), len(fashion.test)) == (50_000, 10_000, 10_000)
    assert fashion.train.x.shape[1:] == (28, 28, 1)
    assert np.all(np.bincount(fashion.train.y) == 5000)
    assert np.all(np.bincount(fashion.validation.y) == np.bincount(fashion.test.y))


def test_fashion_mnist_has_balanced_nested_subsets(fashion):
    order = fashion.order(0)
    assert np.array_equal(np.sort(order), np.arange(50_000))
    for size in (10, 1000, 50_000):
        assert np.all(np.bincount(fashion.train.y[order[:size]], minlength=10) == size // 10)
    for size in (37, 12_345):
        assert np.ptp(np.bincount(fashion.train.y[order[:size]], minlength=10)) <= 1

"""Series as the literature measures them: no leak over a border, the latest windows first, one scale for all."""

import csv
import dataclasses
import io

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import Series, TfdsSeries
from dlm.data.leakage import searched
from dlm.data.normalization import normalization_stats
from dlm.data.sources.time_series import in_time
from dlm.data.subset_orders import SubsetOrders

STEPS = np.arange(100.0)[:, None] * [1, -2]
SHAPE = {"context": 8, "horizon": 4, "validation": 20, "test": 20}


@pytest.fixture(scope="module")
def dataset():
    return in_time("made", STEPS, **SHAPE)


def steps_of(dataset, values):
    """Which steps of STEPS scaled values are."""
    past = STEPS[:60, 0]
    return np.rint(values[..., 0] * past.std() + past.mean()).astype(int)


def test_no_target_of_training_reaches_into_validation_and_no_target_is_in_two_splits(dataset):
    assert steps_of(dataset, dataset.train.y).max() == 59
    assert steps_of(dataset, dataset.train.x).min() == 0
    of_validation, of_test = (steps_of(dataset, split.y) for split in (dataset.validation, dataset.test))
    assert (of_validation.min(), of_validation.max(), of_test.min(), of_test.max()) == (60, 79, 80, 99)


def test_every_window_counts_and_contexts_reach_back_over_the_border(dataset):
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [60 - 12 + 1, 17, 17]
    assert steps_of(dataset, dataset.test.x)[0].tolist() == list(range(72, 80))
    assert steps_of(dataset, dataset.test.y)[0].tolist() == [80, 81, 82, 83]
    assert dataset.train.y.shape == (49, 4, 2)


def test_a_subset_is_the_latest_history_and_the_same_for_every_seed(dataset):
    orders = SubsetOrders(dataset, (0, 7))
    assert orders.hash(0, 10) == orders.hash(7, 10)
    for size in (1, 10, 49):
        subset = orders.subset(7, size)
        seen = np.concatenate([steps_of(dataset, subset.x), steps_of(dataset, subset.y)], axis=1)
        assert sorted(set(seen.ravel())) == list(range(60 - (size + 8 + 4 - 1), 60))


def test_all_splits_have_the_scale_of_the_whole_training_split_and_no_subset_changes_it(dataset):
    past = STEPS[:60]
    assert np.allclose(dataset.test.y[-1, -1], (STEPS[-1] - past.mean(axis=0)) / past.std(axis=0))
    assert normalization_stats(dataset, np.arange(5)) is None
    flat = in_time("flat", np.ones((100, 1)), **SHAPE)
    assert np.all(flat.test.x == 0)


def test_windows_that_overlap_by_design_are_not_called_duplicates():
    same, counts = searched(in_time("flat", np.ones((100, 1)), **SHAPE))
    assert (same.leaked, counts.repeated) == (None, 0)
    assert "overlap" in counts.note


def test_a_table_file_may_be_read_in_time_too(tmp_path):
    text = io.StringIO()
    csv.writer(text).writerows([["t", "a", "b"], *([k, k % 7, k * k] for k in range(100))])
    (tmp_path / "my.csv").write_text(text.getvalue())
    source = Series(str(tmp_path / "my.csv"), 8, 4, validation=0.2, test=0.2, in_time=True)
    dataset = source.load()
    assert (dataset.in_time, dataset.train.y.shape, dataset.standardize) == (True, (49, 4, 2), False)
    with pytest.raises(UsageError, match=r"data\.in_time forecasts every column, not data\.target='a' alone"):
        dataclasses.replace(source, target="a").load()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A TFDS set of three splits in order of time."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets")
    parts = {"train": range(60), "validation": range(60, 80), "test": range(80, 100)}

    class Steps(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "t": np.int32,
                "name": tfds.features.Text(),
                "values": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            }
            about = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=about, disable_shuffling=True)

        def _split_generators(self, _):
            return {part: self._generate_examples(steps) for part, steps in parts.items()}

        def _generate_examples(self, steps):
            for k in steps:
                yield k, {"t": k, "name": "x", "values": STEPS[k].astype(np.float32)}

    folder = tmp_path_factory.mktemp("series_tfds")
    Steps(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_a_prepared_set_becomes_the_same_windows(prepared, dataset):
    found = TfdsSeries("steps", 8, 4, index="t").load(prepared)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(found, part).x, getattr(dataset, part).x)
        assert np.array_equal(getattr(found, part).y, getattr(dataset, part).y)


def test_splits_may_be_cut_elsewhere(prepared):
    found = TfdsSeries("steps", 8, 4, train="train+validation[:50%]", validation="validation[50%:]").load(prepared)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [70 - 11, 10 - 3, 20 - 3]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"index": "t", "validation": "test", "test": "validation"}, r"'t' of 'steps' goes from 59 to 80"),
        ({"values": "value"}, "has no feature 'value'; did you mean 'values'"),
        ({"values": "name"}, "'name' of 'steps' holds no row of numbers"),
    ],
)
def test_what_is_no_series_is_refused(prepared, more, words):
    with pytest.raises(UsageError, match=words):
        TfdsSeries("steps", 8, 4, **more).load(prepared)

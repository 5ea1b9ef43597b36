"""Windows of time series: disjoint targets, the latest windows first, one scale; and tables of series."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.data import Series, TfdsSeries
from dlm.data.leakage import check_leakage
from dlm.data.normalization import normalization_stats
from dlm.data.sources.time_series import read_series, windowed_dataset
from dlm.data.subset_orders import SubsetOrders

STEPS = np.arange(100.0)[:, None] * [1, -2]
SHAPE = {"context": 8, "horizon": 4, "validation": 20, "test": 20}


@pytest.fixture(scope="module")
def dataset():
    return windowed_dataset("made", STEPS, **SHAPE)


def steps_of(dataset, values):
    """Which steps of STEPS scaled values are."""
    past = STEPS[:60, 0]
    return np.rint(values[..., 0] * past.std() + past.mean()).astype(int)


def test_targets_of_splits_are_disjoint(dataset):
    assert steps_of(dataset, dataset.train.y).max() == 59
    assert steps_of(dataset, dataset.train.x).min() == 0
    of_validation, of_test = (steps_of(dataset, split.y) for split in (dataset.validation, dataset.test))
    assert (of_validation.min(), of_validation.max(), of_test.min(), of_test.max()) == (60, 79, 80, 99)


def test_every_window_is_used_and_contexts_may_begin_before_the_border(dataset):
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [60 - 12 + 1, 17, 17]
    assert steps_of(dataset, dataset.test.x)[0].tolist() == list(range(72, 80))
    assert steps_of(dataset, dataset.test.y)[0].tolist() == [80, 81, 82, 83]
    assert dataset.train.y.shape == (49, 4, 2)


def test_a_subset_is_the_latest_history_for_every_seed(dataset):
    orders = SubsetOrders(dataset, (0, 7))
    assert orders.hash(0, 10) == orders.hash(7, 10)
    for size in (1, 10, 49):
        subset = orders.subset(7, size)
        seen = np.concatenate([steps_of(dataset, subset.x), steps_of(dataset, subset.y)], axis=1)
        assert sorted(set(seen.ravel())) == list(range(60 - (size + 8 + 4 - 1), 60))


def test_all_splits_have_the_scale_of_the_whole_training_split(dataset):
    past = STEPS[:60]
    assert np.allclose(dataset.test.y[-1, -1], (STEPS[-1] - past.mean(axis=0)) / past.std(axis=0))
    assert normalization_stats(dataset, np.arange(5)) is None
    flat = windowed_dataset("flat", np.ones((100, 1)), **SHAPE)
    assert np.all(flat.test.x == 0)


def test_overlapping_windows_are_not_duplicates():
    same, counts = check_leakage(windowed_dataset("flat", np.ones((100, 1)), **SHAPE))
    assert (same.leaked_rows, counts.repeated) == (None, 0)
    assert "overlap" in counts.note


def test_a_table_can_be_time_ordered(tmp_path):
    text = io.StringIO()
    csv.writer(text).writerows([["t", "a", "b"], *([k, k % 7, k * k] for k in range(100))])
    (tmp_path / "my.csv").write_text(text.getvalue())
    source = Series(str(tmp_path / "my.csv"), 8, 4, validation=0.2, test=0.2, time_ordered=True)
    dataset = source.load()
    assert (dataset.time_ordered, dataset.train.y.shape, dataset.standardize) == (True, (49, 4, 2), False)
    with pytest.raises(UsageError, match=r"data\.time_ordered predicts all columns; remove data\.target='a'"):
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


def test_a_tfds_series_gives_the_same_windows(prepared, dataset):
    found = TfdsSeries("steps", 8, 4, index="t").load(prepared)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(found, part).x, getattr(dataset, part).x)
        assert np.array_equal(getattr(found, part).y, getattr(dataset, part).y)


def test_splits_may_be_tfds_expressions(prepared):
    found = TfdsSeries("steps", 8, 4, train="train+validation[:50%]", validation="validation[50%:]").load(prepared)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [70 - 11, 10 - 3, 20 - 3]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"index": "t", "validation": "test", "test": "validation"}, r"'t' of 'steps' goes from 59 to 80"),
        ({"values": "value"}, "has no feature 'value'; did you mean 'values'"),
        ({"values": "name"}, "'name' of 'steps' is not a row of numbers"),
    ],
)
def test_unsuitable_features_are_usage_errors(prepared, more, words):
    with pytest.raises(UsageError, match=words):
        TfdsSeries("steps", 8, 4, **more).load(prepared)


TWO_SERIES = np.arange(20.0)[:, None] * [1, 100]


@pytest.fixture
def read(tmp_path):
    def read(text, **more):
        (tmp_path / "my.csv").write_text(text)
        return read_series(str(tmp_path / "my.csv"), **more)

    return read


def has_remark(series, *words):
    return any(all(word in remark for word in words) for remark in series.remarks)


def unscaled(values, context, horizon, **options):
    return windowed_dataset("made", values, context, horizon, time_ordered=False, **options)


def test_windows_have_their_steps_and_the_following_ones():
    train = unscaled(TWO_SERIES, 3, 2, validation=2, test=2).train
    assert (train.x.shape, train.y.shape) == ((12, 3, 2), (12, 4))
    assert train.x[5].tolist() == [[5, 500], [6, 600], [7, 700]]
    assert train.y[5].tolist() == [8, 800, 9, 900]
    train = unscaled(TWO_SERIES, 3, 2, validation=2, test=2, stride=4, target=1).train
    assert (train.x[:, 0, 0].tolist(), train.y.tolist()[1]) == ([0, 4, 8], [700, 800])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(4, 7), st.integers(4, 7))
def test_no_step_is_a_target_in_two_splits_or_part_of_training(context, horizon, stride, validation, test):
    steps = np.arange(24.0)[:, None]
    made = unscaled(steps, context, horizon, validation=validation, test=test, stride=stride)
    border = 24 - validation - test
    assert max(made.train.x.max(), made.train.y.max()) < border
    assert (border <= made.validation.y).all()
    assert (made.validation.y < border + validation).all()
    assert (made.test.y >= border + validation).all()
    splits = (made.train, made.validation, made.test)
    for split in splits:
        assert np.array_equal(split.x[:, -1, 0] + 1, split.y[:, 0])
    assert made.test.x[0, 0, 0] == border + validation - context
    forecast = [set(split.y.ravel()) for split in splits]
    assert len(set.union(*forecast)) == sum(map(len, forecast))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"test": 1}, "test has 1 steps to predict, fewer than horizon=2"),
        ({"context": 12}, "train has 0 steps to predict"),
        ({"horizon": 0}, "horizon=0 must be at least 1"),
    ],
)
def test_splits_without_a_window_are_usage_errors(more, words):
    with pytest.raises(UsageError, match=words):
        unscaled(TWO_SERIES, **{"context": 3, "horizon": 2, "validation": 4, "test": 4, **more})


def test_rows_are_sorted_by_date_with_remarks_on_gaps(read):
    series = read("when,a,b,c\n2024-01-03,3,x,5\n2024-01-01,1,y,5\n2024-01-02,2,z,5\n2024-01-09,9,x,5\n")
    assert (series.names, series.values[:, 0].tolist()) == (("a",), [1, 2, 3, 9])
    assert has_remark(series, "sorted by when")
    assert has_remark(series, "1 gaps", "from 2024-01-03 to 2024-01-09")
    assert has_remark(series, "not numeric: b")
    assert has_remark(series, "their values are constant: c")


def test_months_are_not_gaps(read):
    rows = "".join(f"{year}-{month:02}-01,{year * month % 7}\n" for year in (2023, 2024) for month in range(1, 13))
    assert not has_remark(read("when,a\n" + rows), "gaps")


def test_missing_values_are_filled_forward(read):
    series = read("year,a,b\n2000,,7\n2001,1,\n2002,,8\n2003,4,9\n2004,5,1\n")
    assert series.names == ("a", "b")
    assert series.values[1:].tolist() == [[1, 8], [4, 9], [5, 1]]


def test_dropped_rows_fill_later_missing_values(read):
    series = read("t,a,b\n0,,7\n1,1,\n2,2,\n3,3,9\n")
    assert series.values.tolist() == [[1, 7], [2, 7], [3, 9]]
    assert has_remark(series, "Dropped 1 rows before")
    assert has_remark(series, "Filled 2 missing values")


def test_a_column_that_begins_late_is_dropped(read):
    series = read("t,a,b\n" + "".join(f"{k},{k * k},{k % 3 if k > 7 else ''}\n" for k in range(10)))
    assert (series.names, len(series.values)) == (("a",), 10)
    assert has_remark(series, "begin in the second half: b")


def test_without_times_rows_are_in_file_order(read):
    series = read("a,b\n3,1\n1,2\n2,4\n")
    assert series.values[:, 0].tolist() == [3, 1, 2]
    assert has_remark(series, "no column of times")


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("when,a\n2024-01-01,1\n2024-01-01,2\n", {}, "1 rows repeat the when of another row, for example 2024-01-01"),
        ("when,a\n2024-01-01,1\n,2\n", {}, "1 rows have no when"),
        ("when,a\n2024-01-01,x\n2024-01-02,y\n", {}, "no numeric column"),
        ("a,b\n1,x\n2,y\n", {"index": "b"}, "column 'b' has kind class, not times"),
        ("a,b\n1,x\n2,y\n", {"index": "c"}, "no column 'c'"),
    ],
    ids=["twice", "missing", "texts", "kind", "name"],
)
def test_unsuitable_tables_are_usage_errors(read, text, more, words):
    with pytest.raises(UsageError, match=words):
        read(text, **more)


@pytest.mark.parametrize("name", ["epoch", "recorded"])
def test_fractional_seconds_since_1970_are_times(read, name):
    rows = "".join(f"{k * k % 7},{1.7e9 + 0.25 * k}\n" for k in range(40))
    series = read(f"a,{name}\n{rows}")
    assert series.names == ("a",)
    assert has_remark(series, f"The time is column {name}", "data.index")

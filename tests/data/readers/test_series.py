"""Series in order of time, and windows of which none knows what it is to forecast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.data.readers.series import read_series, split_windows, windows

STEPS = np.arange(20.0)[:, None] * [1, 100]


@pytest.fixture
def read(tmp_path):
    def read(text, **more):
        (tmp_path / "my.csv").write_text(text)
        return read_series(str(tmp_path / "my.csv"), **more)

    return read


def said(series, *words):
    return any(all(word in remark for word in words) for remark in series.remarks)


def test_windows_hold_the_steps_and_those_that_follow():
    x, y = windows(STEPS, 3, 2)
    assert (x.shape, y.shape) == ((16, 3, 2), (16, 4))
    assert x[5].tolist() == [[5, 500], [6, 600], [7, 700]]
    assert y[5].tolist() == [8, 800, 9, 900]
    x, y = windows(STEPS, 3, 2, stride=4, target=1)
    assert (x[:, 0, 0].tolist(), y.tolist()[1]) == ([0, 4, 8, 12], [700, 800])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(4, 7), st.integers(4, 7))
def test_no_step_is_forecast_in_two_splits_nor_seen_by_training(context, horizon, stride, validation, test):
    steps = np.arange(24.0)[:, None]
    splits = split_windows(steps, context, horizon, validation=validation, test=test, stride=stride)
    border = 24 - validation - test
    assert list(splits) == ["train", "validation", "test"]
    x, y = splits["train"]
    assert max(x.max(), y.max()) < border
    assert (border <= splits["validation"][1]).all()
    assert (splits["validation"][1] < border + validation).all()
    assert (splits["test"][1] >= border + validation).all()
    for x, y in splits.values():
        assert np.array_equal(x[:, -1, 0] + 1, y[:, 0])
    assert splits["test"][0][0, 0, 0] == border + validation - context
    forecast = [set(y.ravel()) for _, y in splits.values()]
    assert len(set.union(*forecast)) == sum(map(len, forecast))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"test": 1}, "test has 1 steps to forecast, fewer than horizon=2"),
        ({"context": 12}, "train has 0 steps to forecast"),
        ({"horizon": 0}, "horizon=0 must be at least 1"),
        ({"target": 2}, "target=2 is no column of 2"),
    ],
)
def test_splits_without_a_window_are_refused(more, words):
    with pytest.raises(UsageError, match=words):
        split_windows(STEPS, **{"context": 3, "horizon": 2, "validation": 4, "test": 4, **more})


def test_windows_of_too_few_steps_are_refused():
    with pytest.raises(UsageError, match=r"\(20, 2\) values are too few for context=19 and horizon=2"):
        windows(STEPS, 19, 2)


def test_rows_are_sorted_by_date_and_gaps_told(read):
    series = read("when,a,b,c\n2024-01-03,3,x,5\n2024-01-01,1,y,5\n2024-01-02,2,z,5\n2024-01-09,9,x,5\n")
    assert (series.names, series.values[:, 0].tolist()) == (("a",), [1, 2, 3, 9])
    assert np.array_equal(np.diff(series.times), np.array([1, 1, 6]) * 86400)
    assert said(series, "sorted by when")
    assert said(series, "gaps: 1", "from 2024-01-03 to 2024-01-09")
    assert said(series, "hold no numbers: b")
    assert said(series, "no two of their values differ: c")


def test_months_are_no_gaps(read):
    rows = "".join(f"{year}-{month:02}-01,{year * month % 7}\n" for year in (2023, 2024) for month in range(1, 13))
    assert read("when,a\n" + rows).remarks == ()


def test_a_missing_value_is_the_last_one_known_never_a_later_one(read):
    series = read("year,a,b\n2000,,7\n2001,1,\n2002,,8\n2003,4,9\n2004,5,1\n")
    assert series.names == ("a", "b")
    assert series.times.tolist() == [2001, 2002, 2003, 2004]
    assert series.values[1:].tolist() == [[1, 8], [4, 9], [5, 1]]


def test_a_value_before_the_first_row_that_is_kept_counts_as_known(read):
    series = read("t,a,b\n0,,7\n1,1,\n2,2,\n3,3,9\n")
    assert series.values.tolist() == [[1, 7], [2, 7], [3, 9]]
    assert said(series, "before every column has begun are left out: 1")
    assert said(series, "filled with the last one known: 2")


def test_a_column_that_begins_late_does_not_cost_the_others_their_rows(read):
    series = read("t,a,b\n" + "".join(f"{k},{k * k},{k % 3 if k > 7 else ''}\n" for k in range(10)))
    assert (series.names, len(series.values)) == (("a",), 10)
    assert said(series, "begin in the later half: b")


def test_without_times_rows_are_in_the_order_of_the_file(read):
    series = read("a,b\n3,1\n1,2\n2,4\n")
    assert series.values[:, 0].tolist() == [3, 1, 2]
    assert said(series, "no column of times")


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("when,a\n2024-01-01,1\n2024-01-01,2\n", {}, "1 rows have a when that another has, such as 2024-01-01"),
        ("when,a\n2024-01-01,1\n,2\n", {}, "1 rows have no when"),
        ("when,a\n2024-01-01,x\n2024-01-02,y\n", {}, "no column of numbers"),
        ("a,b\n1,x\n2,y\n", {"index": "b"}, "column 'b' is of kind class, no times"),
        ("a,b\n1,x\n2,y\n", {"index": "c"}, "no column 'c'"),
    ],
    ids=["twice", "missing", "texts", "kind", "name"],
)
def test_what_is_no_series_is_refused_in_words(read, text, more, words):
    with pytest.raises(UsageError, match=words):
        read(text, **more)

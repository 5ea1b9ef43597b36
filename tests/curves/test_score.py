"""An old forecast against new numbers: which are scored, and by what."""

import dataclasses
import math
from statistics import NormalDist

import numpy as np
import pytest

from dlm.curves import Curve, summarize
from dlm.curves.score import quantiles_at, score_forecast
from dlm.curves.types import ForecastGrid, LearnerSummary, MeasuredSizes, Stamp, StudySummary

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
SPREAD = 0.1  # of log error


def normal_grid(train_sizes=(1000, 4000, 16000)):
    """Log error is normal around log(n^-1/2), with a spread that is the same at all sizes."""
    errors = [[float(np.exp(-0.5 * math.log(n) + SPREAD * z)) for z in Z] for n in train_sizes]
    return ForecastGrid(LEVELS, train_sizes, tuple(map(tuple, errors)))


def forecast(name="a", grid=None, seen=(500, 1000)):
    curve = Curve(name, (500, 1000), ((0.05,), (0.03,)))
    learner = LearnerSummary(curve, "", (), (), (), grid=grid or normal_grid())
    return StudySummary((learner,), (), (), 0.95, stamp=Stamp("", 1000, (MeasuredSizes(name, seen),), "", ""))


def later(train_sizes, errors, **more):
    return Curve("a", train_sizes, errors, **more)


def test_between_the_sizes_of_the_grid_lines_are_straight_in_logarithms():
    logs = quantiles_at(normal_grid(), 2000)
    np.testing.assert_allclose(logs, -0.5 * math.log(2000) + SPREAD * Z, rtol=1e-12)


def test_a_mean_without_noise_is_held_against_the_interval_itself():
    (point,) = score_forecast(forecast(), [later((2000,), ((0.03,),))]).points
    middle = 2000**-0.5
    assert (point.median, point.low, point.high) == pytest.approx(
        (middle, middle * math.exp(SPREAD * Z[0]), middle * math.exp(SPREAD * Z[-1]))
    )
    assert point.interval == (point.low, point.high)
    assert not point.covered
    assert point.stderr is None
    assert point.log_error == pytest.approx(math.log(0.03 / middle))
    assert point.interval_score == pytest.approx(point.high - point.low + 40 * (0.03 - point.high))


def test_the_noise_of_the_mean_widens_the_interval():
    noisy = score_forecast(forecast(), [later((2000,), ((0.03,),), stderr=(0.004,))]).points[0]
    assert noisy.covered
    assert noisy.interval_score == noisy.interval[1] - noisy.interval[0]
    rng = np.random.default_rng(0)
    sums = 2000**-0.5 * np.exp(SPREAD * rng.standard_normal(400_000)) + 0.004 * rng.standard_normal(400_000)
    np.testing.assert_allclose(noisy.interval, np.quantile(sums, [0.025, 0.975]), rtol=0.02)


def test_only_what_was_not_measured_by_then_is_scored():
    result = score_forecast(
        forecast(seen=(500, 1000, 2000)),
        [later((500, 700, 1000, 2000, 4000, 99999), ((0.05,), (0.04,), (0.031,), (0.02,), (0.015,), (0.01,)))],
    )
    assert [point.train_size for point in result.points] == [4000]
    told = " ".join(result.remarks)
    assert "a: 2,000 examples were measured before the forecast was made." in told
    assert "a: 99,999 examples exceed the largest forecast size, 16,000." in told
    assert "a: errors at 1,000 examples differ from those of the forecast." in told


def test_learners_go_by_their_name_but_a_lone_one_needs_none():
    b = dataclasses.replace(later((2000,), ((0.02,),)), learner="b")
    assert score_forecast(forecast(), [b]).points[0].learner == "a"
    c = dataclasses.replace(b, learner="c")
    nothing = score_forecast(forecast(), [b, c])
    assert (nothing.points, nothing.remarks) == ((), ("a: no later measurement.",))


def test_what_was_not_forecast_is_not_scored():
    none = forecast()
    none = dataclasses.replace(none, learners=(dataclasses.replace(none.learners[0], grid=None),))
    result = score_forecast(none, [later((2000,), ((0.02,),))])
    assert (result.points, result.remarks) == ((), ("a: 2,000 examples exceed the largest forecast size, 1,000.",))


@pytest.mark.parametrize("error", [0.0, 1e-300, 1.0])
def test_extreme_numbers_stay_numbers(error):
    zero = ForecastGrid(LEVELS, (1000, 2000), ((0.0,) * 8 + (1.0,),) * 2)
    for grid in (zero, normal_grid()):
        (point,) = score_forecast(forecast(grid=grid), [later((1500,), ((error, error),))]).points
        assert all(math.isfinite(value) for value in (point.median, *point.interval, point.interval_score))
        assert point.log_error is None or math.isfinite(point.log_error)


def test_the_grid_of_an_answer_reaches_as_far_as_its_points_carry():
    train_sizes = (64, 128, 256, 512)
    errors = tuple((0.05 + 2 * n**-0.5,) * 3 for n in train_sizes)
    (learner,) = summarize([Curve("a", train_sizes, errors)], level=0.99).learners
    grid = learner.grid
    assert (grid.train_sizes[0], grid.train_sizes[-1]) == (512, 512 * 16)
    assert len(grid.train_sizes) == 40
    assert grid.levels == (*sorted({*LEVELS, 0.005, 0.995}),)
    assert [len(row) for row in grid.errors] == [11] * 40
    middle = quantiles_at(grid, 1024)[grid.levels.index(0.5)]
    assert math.exp(middle) == pytest.approx(learner.predictions[0].median, rel=0.005)
    usual = summarize([Curve("a", train_sizes, errors)]).learners[0].grid
    assert usual.levels == LEVELS, "no level twice, by rounding"
    assert summarize([Curve("two", train_sizes[:2], errors[:2])]).learners[0].grid is None

"""Planted powers are recovered, and what takes a group to where the others are holds the true size."""

import numpy as np
import pytest

from benchmarks.fairness import Planted, exponent_row, forecast_row
from dlm.analysis.fairness.forecasts import exponent, need, shared_spread
from dlm.analysis.fairness.groups import Measure
from dlm.curves.types import Curve

RATE = Measure(True)


@pytest.mark.parametrize("seeds", [3, 8])
def test_planted_powers_are_in_their_intervals(seeds):
    row = exponent_row(Planted((150, 600), (0.4, 0.4), (0.25, 0.45)), seeds, studies=60)
    assert row["held"] >= 0.9
    assert row["width"] < 0.25


def test_exact_powers_are_exact_of_any_measure():
    examples = np.random.default_rng(0).random(50)
    tables = {n: examples[None] * n**-0.6 for n in (10, 100, 1000)}
    assert exponent(tables, np.arange(50), measure=Measure(False)).power == pytest.approx(0.6)
    assert exponent(tables, np.arange(50), measure=Measure(False, True)).power == pytest.approx(0.3)


def test_no_mistakes_have_no_power():
    assert exponent({n: np.zeros((2, 9)) for n in (1, 2, 4)}, np.arange(9), measure=RATE) is None
    assert exponent({n: np.ones((2, 9)) for n in (1, 2)}, np.arange(9), measure=RATE) is None


def test_a_planted_need_is_held():
    row = forecast_row(Planted((400, 800), (0.4, 0.3), (0.3, 0.35)), 4, studies=4)
    assert row["needs told"] >= 0.75
    assert row["need held"] >= 0.75
    assert row["held"] >= 0.75


def test_a_group_that_is_better_has_met_it_and_one_without_sizes_cannot_tell():
    curve = Curve("a", (10, 20), ((0.2,), (0.1,)))
    low, high = np.r_[np.ones((2, 10)), np.zeros((18, 10))].T, np.ones((10, 20))
    assert need(curve, low, high, measure=RATE, level=0.95).kind == "reached"
    assert need(curve, high, low, measure=RATE, level=0.95).kind == "undetermined"
    assert need(curve, high, np.zeros((1, 20)), measure=RATE, level=0.95).kind == "undetermined"


def test_the_spread_that_seeds_share_does_not_fall_with_seeds():
    rng = np.random.default_rng(1)
    same = np.repeat((rng.random((1, 400)) < 0.2).astype(float), 20, axis=0)
    others = (rng.random((20, 400)) < 0.2).astype(float)
    assert shared_spread(same, RATE) == pytest.approx(np.sqrt(0.8 / 0.2 / 400), rel=0.15)
    assert shared_spread(others, RATE) < 0.5 * shared_spread(same, RATE)

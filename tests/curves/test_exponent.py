"""The best of k settings, exponents and drifts are what their definitions say, and no wolf is cried."""

import itertools
import math
import re

import numpy as np
import pytest

from benchmarks.tuning import Setting, exponent_row
from dlm.analysis.tuning import expected_best, tuned_learners
from dlm.curves.exponent import error_exponent, hyperparameter_trend
from dlm.curves.types import Curve
from dlm.report.sections.tuning import drift_sentences

SIZES = (32, 64, 128, 256, 512)


def by_hand(ranks, values, k):
    """Every order of trying the settings, the first k of which are tried."""
    orders = [order[:k] for order in itertools.permutations(range(len(values)))]
    return np.mean([values[min(order, key=lambda place: (ranks[place], place))] for order in orders])


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_best_of_k_is_the_mean_over_all_orders_of_trying(count):
    rng = np.random.default_rng(count)
    validation, test = rng.uniform(size=(2, count))
    if count > 2:
        validation[1] = validation[4]  # of equals the first
    ranks = [(0.0, error) for error in validation]
    for values in (validation, test):
        told = expected_best(ranks, list(values))
        assert told == pytest.approx([by_hand(ranks, values, k) for k in range(1, count + 1)])


def test_where_all_drawn_may_have_diverged_there_is_no_mean():
    told = expected_best([(-2, 0.3), (0, math.inf), (-2, 0.2)], [0.4, math.nan, 0.1])
    assert math.isnan(told[0])
    assert told[1:] == pytest.approx([(0.4 + 0.1 + 0.1) / 3, 0.1])
    assert np.isnan(expected_best([(0, math.inf)], [math.nan])).all()


def test_an_exponent_is_that_of_a_power_law_and_holds_what_seeds_do():
    errors = tuple(tuple(0.5 * (size / 32) ** -0.4 * factor for factor in (0.9, 1.0, 1.1)) for size in SIZES)
    told = error_exponent(Curve("a", SIZES, errors))
    assert (told.power, told.low, told.high) == pytest.approx((0.4, 0.4, 0.4))
    tilted = [[0.5 * (size / 32) ** -power for power in (0.3, 0.4, 0.5)] for size in SIZES]
    told = error_exponent(Curve("a", SIZES, tuple(map(tuple, tilted))))
    assert told.low < 0.3 < 0.5 < told.high
    assert error_exponent(Curve("a", SIZES[:2], ((0.1,), (0.1,)))) is None
    assert error_exponent(Curve("a", SIZES, ((0.0,),) * 5)) is None
    assert error_exponent(Curve("a", SIZES, ((0.2,), (0.1,), (0.05,), (0.02,), (0.0,)), num_test=100)).power > 0


def test_a_best_value_that_stays_does_not_drift_and_one_that_moves_does():
    values = (1e-4, 1e-3, 1e-2, 1e-1)
    still = hyperparameter_trend(dict.fromkeys(SIZES, (0.01, 0.01)), values)
    assert still.power == pytest.approx(0, abs=1e-9)
    assert not still.is_significant
    moving = hyperparameter_trend({size: ((size / 32) ** -0.5,) * 3 for size in SIZES}, (0.1, 0.2, 0.4, 0.8, 1.0))
    assert moving.power == pytest.approx(-0.5)
    assert moving.is_significant
    assert hyperparameter_trend(dict.fromkeys(SIZES[:3], (1.0,)), values) is None
    assert hyperparameter_trend(dict.fromkeys(SIZES, (1.0,)), (0.0, 1.0)) is None


def test_one_step_of_the_grid_at_one_size_is_no_drift():
    best = dict.fromkeys(SIZES, (0.01,) * 3)
    assert not hyperparameter_trend(best | {512: (1e-1,) * 3}, (1e-3, 1e-2, 1e-1)).is_significant


def share_with_an_alarm(setting, studies):
    rng, count = np.random.default_rng(0), 0
    for _ in range(studies):
        _, validation, test = setting.draw(rng)
        count += bool(drift_sentences(tuned_learners(setting.records(validation, test))))
    return count / studies


def test_a_planted_drift_is_told_and_none_is_made_up():
    assert share_with_an_alarm(Setting(0.8, 0.3, examples=2000, seeds=3), 20) >= 0.95
    assert share_with_an_alarm(Setting(0.0, 0.05, examples=200, seeds=3), 60) <= 0.15


def test_the_tuned_exponent_is_covered_where_one_value_for_all_sizes_biases_it():
    row = exponent_row(Setting(0.8, 0.1, seeds=3), 30)
    assert row["tuned: coverage"] >= 0.9
    assert abs(row["bias"]) < 0.03
    assert row["untuned: bias"] < -0.1
    assert row["untuned: coverage"] < 0.3


def test_the_alarm_tells_value_sizes_and_what_it_does_to_the_curve():
    setting = Setting(0.8, 0.3, trainings=0.01, examples=10**6, seeds=2)
    _, validation, test = setting.draw(np.random.default_rng(0))
    (line,) = drift_sentences(tuned_learners(setting.records(validation, test)))
    assert re.fullmatch(
        r"net: the best lr decreases with training-set size, as n\^-0\.[78]\d* \[-[\d.]+, -0\.[\d.]+\]: "
        r"(\S+) at 32 examples, \S+ at 1,024; "
        r"with lr=\1 at every size the error would fall as n\^-0\.[12]\d* \[-[\d.]+, -?[\d.]+\] "
        r"instead of n\^-0\.4\d* \[-[\d.]+, -[\d.]+\]\.",
        line,
    )

"""Noise of training and of the test set are two numbers, and each is only given where it is known."""

import dataclasses
import math

import numpy as np
import pytest

from dlm.curves import Curve, summarize
from dlm.curves.measurement_noise import (
    curve_points,
    noise_at_largest,
    noise_warning,
    repeats,
    standard_error,
    standard_errors,
)

SEEDS = Curve("a", (10, 20), ((0.4, 0.5), (0.09, 0.10, 0.11)), num_test=900)
ONE = Curve("a", (10, 20), ((0.4,), (0.1,)), num_test=900)
BINOMIAL = math.sqrt(0.1 * 0.9 / 900)


def test_both_are_told_at_the_largest_size():
    noise = noise_at_largest(SEEDS)
    assert (noise.train_size, noise.num_seeds) == (20, 3)
    assert noise.training == pytest.approx(0.01)
    assert noise.test == pytest.approx(BINOMIAL)


@pytest.mark.parametrize(
    ("curve", "training", "test"),
    [
        (ONE, None, BINOMIAL),
        (dataclasses.replace(SEEDS, num_test=0), 0.01, None),
        (dataclasses.replace(SEEDS, bound=(0.0, None), unit="nats"), 0.01, None),
        (dataclasses.replace(ONE, errors=((0.4,), (0.0,))), None, math.sqrt(0.5 / 900 * (1 - 0.5 / 900) / 900)),
    ],
)
def test_what_is_not_known_is_not_made_up(curve, training, test):
    noise = noise_at_largest(curve)
    assert noise.training == (training if training is None else pytest.approx(training))
    assert noise.test == (test if test is None else pytest.approx(test))


def test_nothing_known_is_no_noise():
    assert noise_at_largest(dataclasses.replace(ONE, num_test=0)) is None
    assert noise_at_largest(Curve("none", (), ())) is None


def test_the_standard_error_of_a_mean_holds_all_that_is_known():
    assert standard_error(SEEDS, 1) == pytest.approx(math.hypot(0.01 / math.sqrt(3), BINOMIAL))
    assert standard_error(dataclasses.replace(SEEDS, num_test=0), 1) == pytest.approx(0.01 / math.sqrt(3))
    assert standard_error(ONE, 1) == pytest.approx(BINOMIAL)
    assert standard_error(dataclasses.replace(ONE, stderr=(0.3, 0.2)), 1) == 0.2
    assert standard_error(dataclasses.replace(ONE, num_test=0), 1) is None


def test_what_the_forecaster_is_given():
    assert standard_errors(SEEDS) is None, "its seeds tell"
    np.testing.assert_allclose(standard_errors(ONE), [math.sqrt(0.4 * 0.6 / 900), BINOMIAL])
    np.testing.assert_allclose(standard_errors(dataclasses.replace(ONE, stderr=(0.3, 0.2))), [0.3, 0.2])
    assert standard_errors(dataclasses.replace(ONE, num_test=0)) is None


def test_a_test_set_that_dominates_is_warned_of():
    quiet = dataclasses.replace(SEEDS, errors=((0.4, 0.5), (0.099, 0.100, 0.101)))
    assert "another test split may differ by ±2.0 %, other seeds by ±0.1 %: the test set's noise dom" in noise_warning(
        quiet
    )
    loud = dataclasses.replace(SEEDS, errors=((0.4, 0.5), (0.05, 0.10, 0.15)))
    assert noise_warning(loud) == ""
    assert noise_warning(dataclasses.replace(quiet, num_test=1_000_000)) == ""
    assert noise_warning(dataclasses.replace(ONE, num_test=100)).startswith(
        "the error at 20 examples is about 10 mistakes"
    )
    assert summarize([quiet], multiples=()).learners[0].noise == noise_at_largest(quiet)


def test_seeds_that_share_the_whole_pool_are_one_repeat():
    """Their spread of zero is not taken for certainty: the noise is that of the other sizes."""
    errors = ((0.30, 0.34, 0.32), (0.22, 0.25, 0.23), (0.17, 0.19, 0.18), (0.14, 0.14, 0.14))
    known = curve_points(Curve("a", (100, 200, 400, 800), errors, pool_size=800))
    unknown = curve_points(Curve("a", (100, 200, 400, 800), errors))
    np.testing.assert_allclose(repeats(Curve("a", (100, 800), ((0.3, 0.4), (0.1, 0.2)), pool_size=800))[1, :1], 0.15)
    assert known.noise[-1] > 1.5 * unknown.noise[-1]
    assert known.noise[-1] > known.noise[0]


def test_the_sampling_error_of_hold_outs_is_removed_from_the_spread_of_seeds():
    rng = np.random.default_rng(0)
    folds = 0.2 + np.sqrt(0.2 * 0.8 / 100) * rng.standard_normal(400)  # each seed has its own 100 test examples
    training = 0.02 * rng.standard_normal((3, 400))
    errors = tuple(tuple(row) for row in folds + training)
    curve = Curve("a", (10, 20, 40), errors, num_test=400 * 100, hold_outs=400)
    spread = repeats(curve).std(axis=1, ddof=1)
    np.testing.assert_allclose(spread, 0.02, rtol=0.15)
    np.testing.assert_allclose(repeats(curve).mean(axis=1), np.mean(errors, axis=1))
    one_test_set = Curve("a", (10, 20, 40), errors, num_test=100)
    np.testing.assert_allclose(repeats(one_test_set), errors)

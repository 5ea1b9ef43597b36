"""Scores on forecasts whose worth is known."""

import numpy as np
import pytest

from benchmarks.forecasting import scores

BOUND = (0.0, 1.0)


def pits(forecast_spread, num=800, shift=0.0):
    """PIT values of standard normal measurements for draws with another standard deviation."""
    rng = np.random.default_rng(0)
    draws = forecast_spread * rng.standard_normal((2000, num)) + shift
    return scores.pit(draws, rng.standard_normal(num), "name")


def test_the_true_distribution_is_calibrated():
    values = pits(1.0)
    for level in (0.5, 0.8, 0.95):
        assert scores.coverage(values, level) == pytest.approx(level, abs=0.04)
    assert scores.quantile_calibration_error(values) < 5e-4
    assert scores.central_calibration_error(values) < 1e-3


def test_calibration_errors_detect_width_and_bias():
    assert scores.coverage(pits(0.3), 0.95) < 0.6
    assert scores.central_calibration_error(pits(0.3)) > 0.02
    assert scores.central_calibration_error(pits(3.0)) > 0.02
    assert scores.quantile_calibration_error(pits(1.0, shift=0.7)) > 0.02


def test_ties_have_uniform_pit_values():
    zeros = scores.pit(np.zeros((100, 1000)), np.zeros(1000), "ties")
    assert zeros.min() < 0.02
    assert zeros.max() > 0.98
    assert scores.coverage(zeros, 0.5) == pytest.approx(0.5, abs=0.06)


def test_measured_draws_add_the_standard_error_and_stay_inside():
    draws = scores.measured_draws(np.full((4000, 2), 0.5), [0.05, 0.0], BOUND, "name")
    assert draws.std(axis=0) == pytest.approx([0.05, scores.ROUNDING / 12**0.5], rel=0.05)
    assert (draws == scores.measured_draws(np.full((4000, 2), 0.5), [0.05, 0.0], BOUND, "name")).all()
    low = scores.measured_draws(np.full((4000, 1), 1e-5), [0.01], BOUND, "name")
    assert low.min() == 0.0
    assert 0.4 < (low == 0).mean() < 0.6


def test_interval_score_is_the_width_and_a_penalty():
    assert scores.interval_score(0.1, 0.3, 0.2, 0.95) == pytest.approx(0.2)
    assert scores.interval_score(0.1, 0.3, 0.35, 0.95) == pytest.approx(0.2 + 40 * 0.05)
    assert scores.interval_score(0.1, 0.3, 0.05, 0.8) == pytest.approx(0.2 + 10 * 0.05)


def test_accuracy_of_logs():
    assert scores.abs_log_error(0.1, 0.2) == pytest.approx(np.log(2))
    assert scores.abs_log_error(0.0, 1e-9) == 0.0
    assert scores.rmsle([1.0, 1.0], [np.e, 1.0]) == pytest.approx(0.5**0.5)


def test_brier_beats_the_base_rate_only_with_knowledge():
    outcome = np.array([1, 0, 0, 1])
    assert scores.brier(outcome, outcome) == 0
    assert scores.base_rate_brier(outcome) == 0.25
    assert scores.brier([0.5] * 4, outcome) == 0.25

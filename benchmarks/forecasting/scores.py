"""Scores forecasts against measurements: calibration, sharpness, accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.forecasting.archives import Bound, number

Array = NDArray[np.float64]

SMALLEST_ERROR = 5e-4  # below, a log error says more about the size of the test set than about the learner
ROUNDING = 1e-4  # the archives give four digits: a measured mean lies within half of this
LEVELS = np.arange(0.05, 0.951, 0.05)  # of quantiles and of central intervals, where calibration is scored


def smallest_error(bound: Bound) -> float:
    """The least error that is told from zero: of an error rate; of an error with a unit of its own there is none."""
    return SMALLEST_ERROR if bound[1] == 1.0 else 1e-12


def measured_draws(samples: Array, stderr: ArrayLike, bound: Bound, name: str) -> Array:
    """Draws [D, A] of the measured mean, from draws of the expected error and the mean's standard error [A].

    Noise is normal with rounding added, depends on `name` alone, and leaves nothing outside the bound, so that a
    measured zero is foretold by the draws that end there.
    """
    rng = np.random.default_rng(number(name))
    noise = rng.standard_normal(samples.shape) * np.asarray(stderr, dtype=float)
    rounding = ROUNDING * (rng.uniform(size=samples.shape) - 0.5) if bound[1] == 1.0 else 0.0
    return np.clip(samples + noise + rounding, *bound)


def pit(draws: Array, measured: Array, name: str) -> Array:
    """Share of draws [D, A] below each measured value [A]; where draws equal it, a place among them by chance.

    Uniform over many forecasts if these are calibrated (Czado, Gneiting and Held 2009). Depends on `name` alone.
    """
    below, equal = (draws < measured).mean(axis=0), (draws == measured).mean(axis=0)
    return below + equal * np.random.default_rng(number(f"pit|{name}")).uniform(size=len(measured))


def coverage(pits: ArrayLike, level: float) -> float:
    """Share of measured values inside the central interval at `level`."""
    values = np.asarray(pits, dtype=float)
    return float((np.abs(2 * values - 1) <= level).mean()) if values.size else float("nan")


def quantile_calibration_error(pits: ArrayLike) -> float:
    """Mean squared calibration error: mean over levels q = .05 ... .95 of (share below the q-quantile - q)^2."""
    values = np.asarray(pits, dtype=float)
    return float(np.mean([((values <= q).mean() - q) ** 2 for q in LEVELS])) if values.size else float("nan")


def central_calibration_error(pits: ArrayLike) -> float:
    """The same over central intervals: mean over levels .05 ... .95 of (coverage - level)^2; blind to a bias."""
    values = np.asarray(pits, dtype=float)
    return float(np.mean([(coverage(values, q) - q) ** 2 for q in LEVELS])) if values.size else float("nan")


def interval_score(low: ArrayLike, high: ArrayLike, measured: ArrayLike, level: float) -> Array:
    """Width plus 2/(1 - level) times the distance outside (Gneiting and Raftery 2007, eq. 43); less is better."""
    lower, upper, value = (np.asarray(item, dtype=float) for item in (low, high, measured))
    outside = np.maximum(lower - value, 0) + np.maximum(value - upper, 0)
    return np.asarray(upper - lower + 2 / (1 - level) * outside)


def log_miss(measured: ArrayLike, predicted: ArrayLike, smallest: float = SMALLEST_ERROR) -> Array:
    """|log predicted - log measured|, both no less than `smallest`."""
    value, guess = (np.maximum(np.asarray(item, dtype=float), smallest) for item in (measured, predicted))
    return np.asarray(np.abs(np.log(guess / value)))


def rmsle(measured: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean over a curve's points of (log predicted - log measured)^2."""
    return float(np.sqrt(np.mean(log_miss(measured, predicted, smallest=smallest_error((0.0, None))) ** 2)))


def brier(probability: ArrayLike, happened: ArrayLike) -> float:
    """Mean squared difference of a probability and what happened (0 or 1)."""
    return float(np.mean((np.asarray(probability, dtype=float) - np.asarray(happened, dtype=float)) ** 2))


def base_rate_brier(happened: ArrayLike) -> float:
    """The Brier score of always saying how often it happens here."""
    rate = float(np.mean(np.asarray(happened, dtype=float)))
    return rate * (1 - rate)

"""Scores forecasts against measurements: calibration, sharpness, accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.forecasting.archives import Bound, number

Array = NDArray[np.float64]

SMALLEST_ERROR = 5e-4  # below, log errors depend mainly on the size of the test set
ROUNDING = 1e-4  # resolution of the archives: four digits
LEVELS = np.arange(0.05, 0.951, 0.05)  # of quantiles and of central intervals, where calibration is scored


def smallest_error(bound: Bound) -> float:
    """The smallest error in logarithms: SMALLEST_ERROR for error rates, no limit in practice for other units."""
    return SMALLEST_ERROR if bound[1] == 1.0 else 1e-12


def measured_draws(samples: Array, stderr: ArrayLike, bound: Bound, name: str) -> Array:
    """Draws [D, A] of the measured mean, from draws of the expected error and the mean's standard error [A].

    Noise is normal plus rounding and depends on `name` alone. Draws are clipped to the bound, so the share of draws
    that are clipped to zero is the probability of a measured zero.
    """
    rng = np.random.default_rng(number(name))
    noise = rng.standard_normal(samples.shape) * np.asarray(stderr, dtype=float)
    rounding = ROUNDING * (rng.uniform(size=samples.shape) - 0.5) if bound[1] == 1.0 else 0.0
    return np.clip(samples + noise + rounding, *bound)


def pit(draws: Array, measured: Array, name: str) -> Array:
    """Share of draws [D, A] below each measured value [A]; a random rank among draws that equal it.

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
    """The same over central intervals: mean over levels .05 ... .95 of (coverage - level)^2; insensitive to a bias."""
    values = np.asarray(pits, dtype=float)
    return float(np.mean([(coverage(values, q) - q) ** 2 for q in LEVELS])) if values.size else float("nan")


def interval_score(low: ArrayLike, high: ArrayLike, measured: ArrayLike, level: float) -> Array:
    """Width plus 2/(1 - level) times the distance outside (Gneiting and Raftery 2007, eq. 43); lower is better."""
    lower, upper, value = (np.asarray(item, dtype=float) for item in (low, high, measured))
    outside = np.maximum(lower - value, 0) + np.maximum(value - upper, 0)
    return np.asarray(upper - lower + 2 / (1 - level) * outside)


def abs_log_error(measured: ArrayLike, predicted: ArrayLike, smallest: float = SMALLEST_ERROR) -> Array:
    """|log predicted - log measured|, both clipped to at least `smallest`."""
    value, prediction = (np.maximum(np.asarray(item, dtype=float), smallest) for item in (measured, predicted))
    return np.asarray(np.abs(np.log(prediction / value)))


def rmsle(measured: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean over a curve's points of (log predicted - log measured)^2."""
    return float(np.sqrt(np.mean(abs_log_error(measured, predicted, smallest=smallest_error((0.0, None))) ** 2)))


def brier(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Mean squared difference of a probability and the outcome (0 or 1)."""
    return float(np.mean((np.asarray(probability, dtype=float) - np.asarray(outcome, dtype=float)) ** 2))


def base_rate_brier(outcome: ArrayLike) -> float:
    """Brier score of predicting the base rate of these outcomes."""
    rate = float(np.mean(np.asarray(outcome, dtype=float)))
    return rate * (1 - rate)

"""A measured `Curve` as the arrays that the forecaster takes."""

from __future__ import annotations

import dataclasses
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from dlm.curves.forecast import Forecast, forecast
from dlm.curves.points import Points, read_points
from dlm.curves.results import Curve

Array = NDArray[np.float64]


def only_finite(curve: Curve) -> Curve:
    """The curve in ascending sizes, without errors that are not finite: these are counted as failed."""
    rows = sorted(
        (size, kept)
        for size, errors in zip(curve.sizes, curve.errors)
        if (kept := tuple(error for error in errors if math.isfinite(error)))
    )
    lost = sum(map(len, curve.errors)) - sum(len(kept) for _, kept in rows)
    sizes, errors = tuple(size for size, _ in rows), tuple(kept for _, kept in rows)
    return dataclasses.replace(curve, sizes=sizes, errors=errors, failed=curve.failed + lost)


def repeats_table(curve: Curve) -> Array:
    """Errors [K, S] with NaN where a size has fewer seeds than another."""
    table = np.full((len(curve.sizes), max(map(len, curve.errors), default=1)), np.nan)
    for row, errors in zip(table, curve.errors):
        row[: len(errors)] = errors
    return table


def test_noise(curve: Curve) -> Array | None:
    """Binomial standard errors [K] of an error rate with a known test set; None when seeds show the noise."""
    if curve.num_test <= 0 or curve.bound != (0.0, 1.0) or any(len(errors) > 1 for errors in curve.errors):
        return None
    mean = np.nanmean(repeats_table(curve), axis=1)
    share = np.clip(mean, 0.5 / curve.num_test, 1 - 0.5 / curve.num_test)
    return np.sqrt(share * (1 - share) / curve.num_test)


def curve_points(curve: Curve) -> Points:
    """The points of a curve, however few."""
    return read_points(
        np.array(curve.sizes), repeats_table(curve), stderr=test_noise(curve), bound=curve.bound, least=1
    )


def curve_forecast(curve: Curve, at: Array, level: float, seed: int) -> Forecast:
    """The forecast of a curve. Draws of different learners are independent, whatever their order."""
    return forecast(
        np.array(curve.sizes),
        repeats_table(curve),
        stderr=test_noise(curve),
        at=at,
        level=level,
        bound=curve.bound,
        seed=zlib.crc32(curve.learner.encode()) + seed,
    )

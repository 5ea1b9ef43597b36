"""A measured `Curve` as the arrays that the forecaster takes."""

from __future__ import annotations

import dataclasses
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from dlm.curves.forecast import Forecast, describe_law, forecast
from dlm.curves.mixture import fit_mixture
from dlm.curves.noise import standard_errors
from dlm.curves.points import MIN_SIZES, Points, read_points
from dlm.curves.results import Curve

Array = NDArray[np.float64]


def only_finite(curve: Curve) -> Curve:
    """The curve in ascending sizes, without errors that are not finite: these are counted as failed."""
    rows = sorted(
        (size, kept, stderr)
        for size, errors, stderr in zip(curve.sizes, curve.errors, curve.stderr or (0.0,) * len(curve.sizes))
        if (kept := tuple(error for error in errors if math.isfinite(error)))
    )
    lost = sum(map(len, curve.errors)) - sum(len(kept) for _, kept, _ in rows)
    sizes, errors = tuple(size for size, _, _ in rows), tuple(kept for _, kept, _ in rows)
    stderrs = tuple(stderr for _, _, stderr in rows) if curve.stderr else ()
    return dataclasses.replace(curve, sizes=sizes, errors=errors, failed=curve.failed + lost, stderr=stderrs)


def repeats_table(curve: Curve) -> Array:
    """Errors [K, S] with NaN where a size has fewer seeds than another."""
    table = np.full((len(curve.sizes), max(map(len, curve.errors), default=1)), np.nan)
    for row, errors in zip(table, curve.errors):
        row[: len(errors)] = errors
    return table


def curve_points(curve: Curve) -> Points:
    """The points of a curve, however few."""
    return read_points(
        np.array(curve.sizes), repeats_table(curve), stderr=standard_errors(curve), bound=curve.bound, least=1
    )


def curve_forecast(curve: Curve, at: Array, level: float, seed: int) -> Forecast:
    """The forecast of a curve. Draws of different learners are independent, whatever their order."""
    return forecast(
        np.array(curve.sizes),
        repeats_table(curve),
        stderr=standard_errors(curve),
        at=at,
        level=level,
        bound=curve.bound,
        seed=zlib.crc32(curve.learner.encode()) + seed,
    )


def curve_law(curve: Curve) -> str:
    """The law that describes a curve so far, as `Forecast.law` has it; empty where there are too few sizes for one."""
    clean = only_finite(curve)
    if len(clean.sizes) < MIN_SIZES:
        return ""
    try:
        points = curve_points(clean)
        return describe_law(fit_mixture(points), points)
    except ValueError:
        return ""

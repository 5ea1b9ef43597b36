"""How much of another's data a learner needs, with seeds as the unit of noise: a t-test inverted.

`a` on m examples errs as `b` does on m / k: k solves g(log m) = f(log m − log k) for the log errors f of b and g of a.
Each seed gives one number for a candidate k, the mean over sizes of its own g − f, and k is believed where these
numbers, one a seed, are not clearly off zero (Student's t). What a seed does to many sizes, and to both curves, is in
its number, so nothing need be known of how errors go together. Between its sizes a curve is interpolated in log-log
scale (Fritsch & Carlson 1980), never extrapolated: an end that b's sizes do not reach stays open (Fieller 1954).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlm.curves.data_efficiency.equivalence import (
    TREND_LEVEL,
    Ends,
    EquivalenceRatio,
    OverallEquivalenceRatio,
    ratio_kind,
)

Array = NDArray[np.float64]

MIN_SEEDS = 3  # of two, Student's interval is hardly ever bounded
_GRID = 400
_LEAST_SLOPE = 0.02  # of a log error along log size, below which a size tells nothing of a rate


class LogErrors(NamedTuple):
    """Log errors [K, S] of the same S seeds at log sizes x [K], ascending."""

    x: Array
    y: Array


class _Profile(NamedTuple):
    """At candidate log rates [Q] at which some size has a partner: each seed's number [Q, S]."""

    rates: Array
    numbers: Array


def overall_ratio(a: LogErrors, b: LogErrors, level: float) -> OverallEquivalenceRatio:
    """How many times `b`'s data `a` needs, one rate for all sizes, with what drift; see `OverallEquivalenceRatio`.

    Sizes count by how steep b's curve is at their partners.
    """
    profile = _profile(a, b)
    median, low, high, kind = _believed(profile, level)
    if median is None:
        return OverallEquivalenceRatio((), None, low, high, kind)
    partners = a.x - math.log(median)
    inside = (partners >= b.x[0] - 1e-9) & (partners <= b.x[-1] + 1e-9)
    train_sizes = tuple(round(math.exp(one)) for one in a.x[inside])
    return OverallEquivalenceRatio(train_sizes, median, low, high, kind, *_drift(a, b, math.log(median), inside))


def ratio_at_each_size(a: LogErrors, b: LogErrors, level: float) -> tuple[EquivalenceRatio, ...]:
    """The rate at each of `a`'s sizes by itself."""
    found = [_believed(_profile(LogErrors(a.x[k : k + 1], a.y[k : k + 1]), b), level) for k in range(len(a.x))]
    return tuple(EquivalenceRatio(round(math.exp(x)), *one) for x, one in zip(a.x, found, strict=True))


def _profile(a: LogErrors, b: LogErrors) -> _Profile:
    """Candidates as far as b's sizes reach. A rate k has partners at size / k, so that greater ones are worse for a."""
    rates = np.linspace(a.x[0] - b.x[-1], a.x[-1] - b.x[0], _GRID)
    partners = a.x - rates[:, None]
    inside = (partners >= b.x[0] - 1e-9) & (partners <= b.x[-1] + 1e-9)
    at, partners = _interpolated(b), np.clip(partners, b.x[0], b.x[-1])
    steep = inside * np.maximum(-at(partners, 1).mean(axis=2), 0.0)
    # Where b is flat at every partner, all count alike.
    weight = np.where(steep.any(axis=1, keepdims=True), steep, inside)
    total = weight.sum(axis=1, keepdims=True)
    known = total[:, 0] > 0
    numbers = np.einsum("qk,qks->qs", weight / np.where(total > 0, total, 1), a.y - at(partners, 0))
    return _Profile(rates[known], numbers[known])


def _interpolated(b: LogErrors):  # type: ignore[no-untyped-def]
    from scipy.interpolate import PchipInterpolator

    curve = PchipInterpolator(b.x, b.y, axis=0)
    return lambda x, order: curve(x, nu=order)


def _believed(profile: _Profile, level: float) -> Ends:
    """Median, low, high and kind of the rates that the t-test does not reject: the hull of them, open at the ends.

    A seed's number rises with the errors of a: a positive one says that a needs more than this rate.
    """
    from scipy import stats

    rates, numbers = profile
    count = numbers.shape[1]
    error = np.maximum(numbers.std(axis=1, ddof=1), 1e-12) / math.sqrt(count)
    t, mean = numbers.mean(axis=1) / error, numbers.mean(axis=1)
    limit = float(stats.t.ppf((1 + level) / 2, count - 1))
    too_small, too_large = t > limit, t < -limit
    if too_small.all() or too_large.all():
        end = math.exp(rates[-1] if too_small.all() else rates[0])
        return (None, end, None, "above") if too_small.all() else (None, None, end, "below")
    low = _last_true(rates, too_small, t - limit)
    high = _last_true(rates[::-1], too_large[::-1], -limit - t[::-1])
    crossing = np.flatnonzero(np.diff(np.sign(mean)))
    median = float(np.exp(np.mean([_zero(rates, mean, int(k)) for k in crossing]))) if len(crossing) else None
    kind = ratio_kind(low is not None, high is not None)
    return None if kind == "undetermined" else median, low, high, kind


def _last_true(rates: Array, rejected: NDArray[np.bool_], excess: Array) -> float | None:
    """Where the first run of rejected rates ends, between grid points; None where the first is not rejected."""
    if not rejected[0]:
        return None
    k = int(np.argmin(rejected)) - 1
    return math.exp(_zero(rates, excess, k))


def _zero(x: Array, y: Array, k: int) -> float:
    """Where the line through points k and k + 1 is zero."""
    return float(x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k]))


def _drift(a: LogErrors, b: LogErrors, log_rate: float, inside: NDArray[np.bool_]) -> tuple[float | None, bool]:
    """The factor by which the rate changes when the size doubles, and whether clearly: a trend for each seed."""
    from scipy import stats

    at, partners = _interpolated(b), np.clip(a.x - log_rate, b.x[0], b.x[-1])
    slope = at(partners, 1).mean(axis=1)
    told = inside & (slope < -_LEAST_SLOPE)
    if told.sum() < 2:
        return None, False
    # Where a errs more than b at the partner by d, it needs more by d over how fast b falls.
    own = (a.y[told] - at(partners[told], 0)) / -slope[told, None]
    centred = a.x[told] - a.x[told].mean()
    trend = centred @ own / (centred @ centred)
    error = max(float(trend.std(ddof=1)), 1e-12) / math.sqrt(len(trend))
    p = float(2 * stats.t.sf(abs(trend.mean()) / error, len(trend) - 1))
    return float(2.0 ** np.clip(trend.mean(), -10, 10)), p < TREND_LEVEL

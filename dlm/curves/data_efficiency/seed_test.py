"""Data-equivalence ratio by a t-test over paired seeds.

`a` on m examples has the error of `b` on m / k: k solves g(log m) = f(log m − log k) for the log errors f of b and g
of a. For a candidate k, each seed gives one number, the mean over sizes of its own g − f; k is accepted if Student's
t-test over seeds does not reject a mean of zero. Effects of a seed on several sizes and on both curves are part of its
number, so no model of the correlations is needed. Curves are interpolated monotonically in log-log scale (Fritsch &
Carlson 1980) and never extrapolated: an end beyond the sizes of b stays open (Fieller 1954).
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
from dlm.curves.points import Array

MIN_SEEDS = 3  # with two seeds the interval is hardly ever bounded
_GRID = 400
_LEAST_SLOPE = 0.02  # minimum slope of log error in log size at a size that informs the ratio


class LogErrors(NamedTuple):
    """Log errors [K, S] of the same S seeds at log sizes x [K], ascending."""

    x: Array
    y: Array


def overall_ratio(a: LogErrors, b: LogErrors, level: float) -> OverallEquivalenceRatio:
    """How many times `b`'s data `a` needs, one ratio for all sizes and its trend; see `OverallEquivalenceRatio`.

    Sizes are weighted by the slope of b's curve at their partners.
    """
    median, low, high, kind = _interval(*_profile(a, b), level)
    if median is None:
        return OverallEquivalenceRatio((), None, low, high, kind)
    partners = a.x - math.log(median)
    inside = (partners >= b.x[0] - 1e-9) & (partners <= b.x[-1] + 1e-9)
    train_sizes = tuple(round(math.exp(x)) for x in a.x[inside])
    return OverallEquivalenceRatio(train_sizes, median, low, high, kind, *_drift(a, b, math.log(median), inside))


def ratio_at_each_size(a: LogErrors, b: LogErrors, level: float) -> tuple[EquivalenceRatio, ...]:
    """The ratio at each size of `a` separately."""
    intervals = [_interval(*_profile(LogErrors(a.x[k : k + 1], a.y[k : k + 1]), b), level) for k in range(len(a.x))]
    return tuple(EquivalenceRatio(round(math.exp(x)), *ends) for x, ends in zip(a.x, intervals, strict=True))


def _profile(a: LogErrors, b: LogErrors) -> tuple[Array, Array]:
    """Candidate log ratios [Q] with a partner of at least one size, and the mean difference of each seed [Q, S].

    The partner of a size is size / k, so larger k are worse for a.
    """
    rates = np.linspace(a.x[0] - b.x[-1], a.x[-1] - b.x[0], _GRID)
    partners = a.x - rates[:, None]
    inside = (partners >= b.x[0] - 1e-9) & (partners <= b.x[-1] + 1e-9)
    at, partners = _interpolated(b), np.clip(partners, b.x[0], b.x[-1])
    steep = inside * np.maximum(-at(partners, 1).mean(axis=2), 0.0)
    # If b is flat at every partner, all sizes have equal weights.
    weight = np.where(steep.any(axis=1, keepdims=True), steep, inside)
    total = weight.sum(axis=1, keepdims=True)
    known = total[:, 0] > 0
    numbers = np.einsum("qk,qks->qs", weight / np.where(total > 0, total, 1), a.y - at(partners, 0))
    return rates[known], numbers[known]


def _interpolated(b: LogErrors):  # type: ignore[no-untyped-def]
    from scipy.interpolate import PchipInterpolator

    curve = PchipInterpolator(b.x, b.y, axis=0)
    return lambda x, order: curve(x, nu=order)


def _interval(rates: Array, numbers: Array, level: float) -> Ends:
    """Median, low, high and kind: the hull of the ratios that the t-test does not reject.

    A positive mean difference indicates that a needs more than this ratio.
    """
    from scipy import stats

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
    """Interpolated end of the first run of rejected ratios; None if the first is not rejected."""
    if not rejected[0]:
        return None
    k = int(np.argmin(rejected)) - 1
    return math.exp(_zero(rates, excess, k))


def _zero(x: Array, y: Array, k: int) -> float:
    """Where the line through points k and k + 1 is zero."""
    return float(x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k]))


def _drift(a: LogErrors, b: LogErrors, log_rate: float, inside: NDArray[np.bool_]) -> tuple[float | None, bool]:
    """Factor of the ratio per doubling of the size, and its significance: one trend per seed."""
    from scipy import stats

    at, partners = _interpolated(b), np.clip(a.x - log_rate, b.x[0], b.x[-1])
    slope = at(partners, 1).mean(axis=1)
    informative = inside & (slope < -_LEAST_SLOPE)
    if informative.sum() < 2:
        return None, False
    # An excess error d of a over b at the partner raises the log ratio by d / slope of b.
    own = (a.y[informative] - at(partners[informative], 0)) / -slope[informative, None]
    centred = a.x[informative] - a.x[informative].mean()
    trend = centred @ own / (centred @ centred)
    error = max(float(trend.std(ddof=1)), 1e-12) / math.sqrt(len(trend))
    p = float(2 * stats.t.sf(abs(trend.mean()) / error, len(trend) - 1))
    return float(2.0 ** np.clip(trend.mean(), -10, 10)), p < TREND_LEVEL

"""Data-equivalence ratio of two measured curves from their joint posterior.

A learner's error on m examples of the other kind equals its error on r·m examples of the reference; r is the data-
equivalence ratio. With f and g the log errors of reference and other, r solves f(log m + log r) = g(log m). The
distribution of r is the posterior probability that f(log m + log r) < g(log m), from `PairPosterior`. An end of the
interval is open where the sizes of the reference do not reach it, and the interval is wide where its curve is flat
(Fieller 1954, "Some problems in interval estimation"). Nothing is extrapolated.

Errors are expected errors over training data and initial weights, on one test set. Paired seeds (same position, same
subset and initial weights) narrow the interval if their errors are correlated. The noise of the shared test set
is not included; it shifts both curves, largely alike. With one seed the noise follows from the scatter around smooth
curves, and a prior allows for effects common to all sizes.

This works with any number of seeds. `seed_test` needs three pairs and fewer assumptions;
docs/method/data_equivalence.md compares both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np

from dlm.curves.data_efficiency.paired_curves import Pair, PairPosterior, read_pair
from dlm.curves.forecaster import check_level
from dlm.curves.points import Array
from dlm.curves.types import Curve
from dlm.utils.errors import UsageError

RatioKind = Literal["interval", "below", "above", "undetermined"]
Ends = tuple[float | None, float | None, float | None, RatioKind]  # median, low, high and kind

TREND_LEVEL = 0.01  # significance level of a trend of the ratio
_GRID = 40
_OPEN = 1e-4  # probabilities closer to 0 or 1 are not resolved
_MOST_POWER = 10.0  # largest power of size in a trend; larger ones are noise of a flat reference
_STEP = 0.02  # step of the log ratio for the slope of the reference


@dataclasses.dataclass(frozen=True)
class EquivalenceRatio:
    """Number of reference examples equivalent to one of the other's, at `train_size` examples of the other.

    `kind`: "interval" (low..high), "below" (only `high`), "above" (only `low`), or "undetermined". `median` is None
    outside the sizes of the reference. Each end is exceeded with probability (1 - level) / 2, also a single one.
    """

    train_size: int
    median: float | None
    low: float | None
    high: float | None
    kind: RatioKind


@dataclasses.dataclass(frozen=True)
class OverallEquivalenceRatio:
    """One ratio for all sizes, as `EquivalenceRatio`; `train_sizes` are those with a partner in the reference.

    `factor_per_doubling`: how the ratio changes with each doubling of the size, None if undetermined.
    `changes_with_size`: that factor is significantly different from 1, so that no single ratio fits all sizes.
    """

    train_sizes: tuple[int, ...]
    median: float | None
    low: float | None
    high: float | None
    kind: RatioKind
    factor_per_doubling: float | None = None
    changes_with_size: bool = False


def data_equivalence_ratio(reference: Curve, other: Curve, *, level: float = 0.95) -> tuple[EquivalenceRatio, ...]:
    """The ratio at each size of `other`; errors are paired by seed.

    UsageError for curves of different units, ValueError for a level outside (0, 1).
    """
    pair, posterior = _read(reference, other, level)
    ratios = {}
    if posterior is not None:
        least, most = _range(pair)
        for size in pair.train_sizes[pair.other]:
            x = math.log(size)
            probability_at = _probability_at(posterior, np.array([x]), (least, most))
            ends = _ends(*_profile(probability_at, least - x, most - x), level)
            ratios[round(size)] = EquivalenceRatio(round(size), *ends)
    unknown: Ends = (None, None, None, "undetermined")
    return tuple(ratios.get(size, EquivalenceRatio(size, *unknown)) for size in other.train_sizes)


def overall_equivalence_ratio(reference: Curve, other: Curve, *, level: float = 0.95) -> OverallEquivalenceRatio:
    """One ratio for all sizes of `other`, and whether it changes with size. Errors as `data_equivalence_ratio`.

    Sizes are weighted by their information on the ratio. The only alternative tested is a trend in size.
    """
    pair, posterior = _read(reference, other, level)
    if posterior is None:
        return OverallEquivalenceRatio((), None, None, None, "undetermined")
    (least, most), x = _range(pair), pair.x[pair.other]
    probability_at = _probability_at(posterior, x, (least, most))
    median, low, high, kind = _ends(*_profile(probability_at, least - x[-1], most - x[0]), level)
    if median is None:
        return OverallEquivalenceRatio((), median, low, high, kind)
    partners = x + math.log(median)
    inside = x[(partners >= least) & (partners <= most)]
    train_sizes = tuple(round(math.exp(log_size)) for log_size in inside)
    drift = _drift(posterior, inside, math.log(median), (least, most))
    return OverallEquivalenceRatio(train_sizes, median, low, high, kind, *drift)


def _read(reference: Curve, other: Curve, level: float) -> tuple[Pair, PairPosterior | None]:
    check_level(level)
    if reference.unit != other.unit:
        raise UsageError(
            f"unit {other.unit!r} of {other.learner!r} is not {reference.unit!r} of {reference.learner!r}; "
            "compare curves of one unit"
        )
    pair = read_pair(reference, other)
    return pair, PairPosterior(pair) if (~pair.other).sum() > 1 and pair.other.any() else None


def _range(pair: Pair) -> tuple[float, float]:
    measured = pair.x[~pair.other]
    return float(measured[0]), float(measured[-1])


def _probability_at(posterior: PairPosterior, x: Array, within: tuple[float, float]) -> Callable[[Array], Array]:
    """Probability that a log ratio is too large, from all sizes x [J] with a partner in the range of the reference.

    The weight of a size is the slope of the reference divided by the variance of the difference (least squares).
    """

    def probability_at(log_ratios: Array) -> Array:
        partners = log_ratios[:, None] + x
        inside = (partners >= within[0] - 1e-9) & (partners <= within[1] + 1e-9)
        weight = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)
        if len(x) > 1:
            slope, sd = _tangents(posterior, x, log_ratios, within)
            information = inside * np.maximum(slope, 0) / sd**2
            total = information.sum(axis=1, keepdims=True)
            weight = np.where(total > 0, information / np.where(total > 0, total, 1), weight)
        return posterior.probability_above(np.broadcast_to(x, partners.shape), np.clip(partners, *within), weight)

    return probability_at


def _tangents(
    posterior: PairPosterior, x: Array, log_ratios: Array, within: tuple[float, float]
) -> tuple[Array, Array]:
    """Slope of the difference at each size x [J] in the log ratio [Q], and its standard deviation: [Q, J]."""
    partners = np.clip(log_ratios[:, None] + x, *within)
    of_other = np.broadcast_to(x, partners.shape).reshape(-1, 1)
    mean, sd = posterior.moments(of_other, partners.reshape(-1, 1), np.ones(of_other.shape))
    return np.gradient(mean.reshape(partners.shape), log_ratios, axis=0), sd.reshape(partners.shape)


def _drift(
    posterior: PairPosterior, x: Array, log_ratio: float, within: tuple[float, float]
) -> tuple[float | None, bool]:
    """Factor of the ratio per doubling of the size, by weighted least squares, and its significance."""
    if len(x) < 2:
        return None, False
    slope, sd = (column[1] for column in _tangents(posterior, x, log_ratio + np.array([-_STEP, 0, _STEP]), within))
    # An increase d of the log ratio at one size reduces the difference there by slope·d.
    design = np.stack([slope, slope * (x - x.mean())], axis=1) / sd[:, None]
    weight = (-np.linalg.pinv(design)[1] / sd)[None]
    power = float(posterior.moments(x[None], x[None] + log_ratio, weight)[0][0])
    if abs(power) > _MOST_POWER:
        return None, False
    probability = float(posterior.probability_above(x[None], x[None] + log_ratio, weight)[0])
    return 2.0**power, 2 * min(probability, 1 - probability) < TREND_LEVEL


def _profile(probability_at: Callable[[Array], Array], least: float, most: float) -> tuple[Array, Array]:
    """Ascending log ratios and the probability that each is too large, on a grid refined around the transition."""
    coarse = np.linspace(least, most, _GRID)
    probability = probability_at(coarse)
    # Between the last ratio that is too small and the first that is too large.
    first = np.flatnonzero(probability > _OPEN)
    last = np.flatnonzero(probability < 1 - _OPEN)
    start = max(int(first[0]) - 1, 0) if len(first) else _GRID - 2
    end = min(int(last[-1]) + 1, _GRID - 1) if len(last) else 1
    fine = np.linspace(coarse[start], coarse[end], _GRID)
    log_ratios, place = np.unique(np.concatenate([coarse, fine]), return_index=True)
    return log_ratios, np.concatenate([probability, probability_at(fine)])[place]


def _ends(log_ratios: Array, probability: Array, level: float) -> Ends:
    """Median, low, high and kind; the hull of all ratios that are not rejected if the probability is not monotone."""
    tail = (1 - level) / 2
    low, high = _first_above(log_ratios, probability, tail), _last_below(log_ratios, probability, 1 - tail)
    if low == math.inf:  # even the largest ratio is too small
        return None, math.exp(log_ratios[-1]), None, "above"
    if high == -math.inf:
        return None, None, math.exp(log_ratios[0]), "below"
    median = (_first_above(log_ratios, probability, 0.5) + _last_below(log_ratios, probability, 0.5)) / 2
    kind = ratio_kind(math.isfinite(low), math.isfinite(high))
    ends = [math.exp(end) if math.isfinite(end) else None for end in (median, low, high)]
    return (None if kind == "undetermined" else ends[0]), ends[1], ends[2], kind


def ratio_kind(low: bool, high: bool) -> RatioKind:
    """The kind of an interval with or without each of its ends."""
    if low and high:
        return "interval"
    return "above" if low else "below" if high else "undetermined"


def _first_above(at: Array, probability: Array, level: float) -> float:
    """Where the probability first exceeds `level`: -inf if it starts above, inf if it never does."""
    above = probability > level
    if above[0] or not above.any():
        return -math.inf if above[0] else math.inf
    return _crossing(at, probability, int(np.argmax(above)), level)


def _last_below(at: Array, probability: Array, level: float) -> float:
    """Where the probability is last below `level`: inf if it ends below, -inf if it is never below."""
    return -_first_above(-at[::-1], 1 - probability[::-1], 1 - level)


def _crossing(at: Array, probability: Array, after: int, level: float) -> float:
    """Crossing between two neighbours, linear in normal scores."""
    neighbours = np.clip(probability[after - 1 : after + 1], 1e-12, 1 - 1e-12)
    before, wanted, beyond = map(NormalDist().inv_cdf, (neighbours[0], level, neighbours[1]))
    share = (wanted - before) / (beyond - before)
    return float(at[after - 1] + share * (at[after] - at[after - 1]))

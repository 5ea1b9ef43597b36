"""How many examples of one kind an example of another kind is worth, with an interval that holds.

A learner's error on m examples of the other kind equals that on r·m of the reference's: r is the rate of exchange. With
f and g the log errors of the reference and of the other, r solves f(log m + log r) = g(log m). Every candidate r is
tested: r is too large where f(log m + log r) is below g(log m), and the chance of that, from `pair_posterior`, is the
distribution of r. So an interval stays open at an end that the reference's sizes do not reach, and is wide where its
curve is flat (Fieller 1954, "Some problems in interval estimation"). Nothing is extrapolated.

An error is the expected one over draws of training data and initial weights, for one and the same test set. Seeds that
are paired (equal place, equal subset and initial weights) make the interval narrower, as far as the errors show it.
The test set's own noise is not in it. All seeds share that set, so they cannot show it. It moves both curves, and
largely alike, since r compares them where their errors are equal; what does not cancel are the examples that only one
of the two gets wrong. With one seed, noise is judged by the scatter around smooth curves, and what a seed does to all
sizes alike cannot be seen, only allowed for.
Coverage: docs/exchange.md.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlm.curves.data_efficiency.paired_curves import Pair, PairPosterior, read_pair
from dlm.curves.forecaster import check_level
from dlm.curves.types import Curve
from dlm.utils.errors import UsageError

Array = NDArray[np.float64]
RatioKind = Literal["interval", "below", "above", "undetermined"]
Ends = tuple[float | None, float | None, float | None, RatioKind]  # median, low, high and kind

TREND_LEVEL = 0.01  # chance with which a constant rate is said to change
_GRID = 40
_OPEN = 1e-4  # chances nearer to 0 or 1 than this are of no interest
_MOST_POWER = 10.0  # of size in a drift; more is what a flat reference makes of noise
_STEP = 0.02  # of the log rate, for the slope of the reference


@dataclasses.dataclass(frozen=True)
class EquivalenceRatio:
    """How many examples of the reference one of the other's is worth, at `size` of the other.

    `kind`: "interval" (low..high), "below" (only `high` can be said), "above" (only `low`), or "undetermined".
    `median` is None where it lies outside the reference's sizes. Each end is passed with a chance of (1 - level) / 2,
    also where it is the only one.
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
    """The rate at each size of `other`. Errors of both are aligned by seed.

    Raises UsageError where the curves have different units, ValueError for a level outside (0, 1).
    """
    pair, posterior = _read(reference, other, level)
    told = {}
    if posterior is not None:
        least, most = _range(pair)
        for size in pair.train_sizes[pair.other]:
            x = math.log(size)
            log_rates, chance = _profile(_chance_at(posterior, np.array([x]), (least, most)), least - x, most - x)
            told[round(size)] = EquivalenceRatio(round(size), *_ends(log_rates, chance, level))
    return tuple(told.get(size, EquivalenceRatio(size, None, None, None, "undetermined")) for size in other.train_sizes)


def overall_equivalence_ratio(reference: Curve, other: Curve, *, level: float = 0.95) -> OverallEquivalenceRatio:
    """The rate that fits all sizes of `other` best, and whether one rate does. Raises as `data_equivalence_ratio`.

    Sizes are weighted by how much they tell of the rate. Only a drift along the sizes is looked for.
    """
    pair, posterior = _read(reference, other, level)
    if posterior is None:
        return OverallEquivalenceRatio((), None, None, None, "undetermined")
    (least, most), x = _range(pair), pair.x[pair.other]
    chance_at = _chance_at(posterior, x, (least, most))
    log_rates, chance = _profile(chance_at, least - x[-1], most - x[0])
    median, low, high, kind = _ends(log_rates, chance, level)
    if median is None:
        return OverallEquivalenceRatio((), median, low, high, kind)
    partners = x + math.log(median)
    inside = x[(partners >= least) & (partners <= most)]
    train_sizes = tuple(round(math.exp(one)) for one in inside)
    return OverallEquivalenceRatio(
        train_sizes, median, low, high, kind, *_drift(posterior, inside, math.log(median), (least, most))
    )


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


def _chance_at(posterior: PairPosterior, x: Array, within: tuple[float, float]) -> Callable[[Array], Array]:
    """The chance that a log rate is too large, from all sizes x [J] whose partners lie within the reference's.

    A size counts by the slope of the reference there over the variance of the difference, as in least squares.
    """

    def chance_at(log_rates: Array) -> Array:
        partners = log_rates[:, None] + x
        inside = (partners >= within[0] - 1e-9) & (partners <= within[1] + 1e-9)
        weight = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)
        if len(x) > 1:
            slope, sd = _tangents(posterior, x, log_rates, within)
            told = inside * np.maximum(slope, 0) / sd**2
            total = told.sum(axis=1, keepdims=True)
            weight = np.where(total > 0, told / np.where(total > 0, total, 1), weight)
        return posterior.chance_above(np.broadcast_to(x, partners.shape), np.clip(partners, *within), weight)

    return chance_at


def _tangents(posterior: PairPosterior, x: Array, log_rates: Array, within: tuple[float, float]) -> tuple[Array, Array]:
    """How the difference at each size x [J] grows with the log rate [Q], and its standard deviation: [Q, J] both."""
    partners = np.clip(log_rates[:, None] + x, *within)
    of_other = np.broadcast_to(x, partners.shape).reshape(-1, 1)
    mean, sd = posterior.moments(of_other, partners.reshape(-1, 1), np.ones(of_other.shape))
    return np.gradient(mean.reshape(partners.shape), log_rates, axis=0), sd.reshape(partners.shape)


def _drift(
    posterior: PairPosterior, x: Array, log_rate: float, within: tuple[float, float]
) -> tuple[float | None, bool]:
    """The factor by which the rate changes when the size doubles, by weighted least squares, and whether clearly so."""
    if len(x) < 2:
        return None, False
    slope, sd = (column[1] for column in _tangents(posterior, x, log_rate + np.array([-_STEP, 0, _STEP]), within))
    # A rate that is larger by d at one size makes the difference there smaller by slope·d.
    design = np.stack([slope, slope * (x - x.mean())], axis=1) / sd[:, None]
    weight = (-np.linalg.pinv(design)[1] / sd)[None]
    power = float(posterior.moments(x[None], x[None] + log_rate, weight)[0][0])
    if abs(power) > _MOST_POWER:
        return None, False
    chance = float(posterior.chance_above(x[None], x[None] + log_rate, weight)[0])
    return 2.0**power, 2 * min(chance, 1 - chance) < TREND_LEVEL


def _profile(chance_at: Callable[[Array], Array], least: float, most: float) -> tuple[Array, Array]:
    """Log rates, ascending, and the chance that each is too large; densely where that is in doubt."""
    coarse = np.linspace(least, most, _GRID)
    chance = chance_at(coarse)
    # Between the last that is surely too small and the first that is surely too large.
    first = np.flatnonzero(chance > _OPEN)
    last = np.flatnonzero(chance < 1 - _OPEN)
    start = max(int(first[0]) - 1, 0) if len(first) else _GRID - 2
    end = min(int(last[-1]) + 1, _GRID - 1) if len(last) else 1
    fine = np.linspace(coarse[start], coarse[end], _GRID)
    log_rates, place = np.unique(np.concatenate([coarse, fine]), return_index=True)
    return log_rates, np.concatenate([chance, chance_at(fine)])[place]


def _ends(log_rates: Array, chance: Array, level: float) -> Ends:
    """Median, low, high and kind. Where the chance is not monotone, the hull of all rates that are not rejected."""
    tail = (1 - level) / 2
    low, high = _first_above(log_rates, chance, tail), _last_below(log_rates, chance, 1 - tail)
    if low == math.inf:  # even the largest is surely too small
        return None, math.exp(log_rates[-1]), None, "above"
    if high == -math.inf:
        return None, None, math.exp(log_rates[0]), "below"
    median = (_first_above(log_rates, chance, 0.5) + _last_below(log_rates, chance, 0.5)) / 2
    kind = ratio_kind(math.isfinite(low), math.isfinite(high))
    ends = [math.exp(end) if math.isfinite(end) else None for end in (median, low, high)]
    return (None if kind == "undetermined" else ends[0]), ends[1], ends[2], kind


def ratio_kind(low: bool, high: bool) -> RatioKind:
    """The kind of an interval with or without each of its ends."""
    if low and high:
        return "interval"
    return "above" if low else "below" if high else "undetermined"


def _first_above(at: Array, chance: Array, level: float) -> float:
    """Where the chance first passes `level`: -inf if it starts above, inf if it never does."""
    above = chance > level
    if above[0] or not above.any():
        return -math.inf if above[0] else math.inf
    return _crossing(at, chance, int(np.argmax(above)), level)


def _last_below(at: Array, chance: Array, level: float) -> float:
    """Where the chance last passes `level`: inf if it ends below, -inf if it is never below."""
    return -_first_above(-at[::-1], 1 - chance[::-1], 1 - level)


def _crossing(at: Array, chance: Array, after: int, level: float) -> float:
    """Between two neighbours, linear in normal scores."""
    neighbours = np.clip(chance[after - 1 : after + 1], 1e-12, 1 - 1e-12)
    before, wanted, beyond = map(NormalDist().inv_cdf, (neighbours[0], level, neighbours[1]))
    share = (wanted - before) / (beyond - before)
    return float(at[after - 1] + share * (at[after] - at[after - 1]))

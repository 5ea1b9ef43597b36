"""Data-equivalence ratio of two measured curves.

A learner's error on m examples of the other kind equals its error on r·m examples of the reference; r is the data-
equivalence ratio. With f and g the log errors of reference and other, r solves f(log m + log r) = g(log m). A candidate
r is too large with the probability that f(log m + log r) < g(log m), and the interval contains every r for which this
is neither near 0 nor near 1. An end of the interval is open where the sizes of the reference do not reach it, and the
interval is wide where its curve is flat (Fieller 1954, "Some problems in interval estimation"). Nothing is
extrapolated. The probability comes from one of two kinds of `Evidence`, which docs/method/data_equivalence.md compares:

- `CurvePosterior`: the joint posterior of both curves, for any number of seeds.
- `SeedTest`: a t-test over at least three paired seeds, with fewer assumptions.

Errors are expected errors over training data and initial weights, on one test set. Paired seeds (same position, same
subset and initial weights) narrow the interval if their errors are correlated. The noise of the shared test set
is not included; it shifts both curves, largely alike. With one seed the noise follows from the scatter around smooth
curves, and a prior allows for effects common to all sizes.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlm.curves.data_efficiency.paired_curves import Indices, Pair, PairPosterior, read_pair
from dlm.curves.forecaster import check_level
from dlm.curves.points import Array
from dlm.curves.types import Curve
from dlm.utils.errors import UsageError

RatioKind = Literal["interval", "below", "above", "undetermined"]
Ends = tuple[float | None, float | None, float | None, RatioKind]  # median, low, high and kind

TREND_LEVEL = 0.01  # significance level of a trend of the ratio
_OPEN = 1e-4  # probabilities closer to 0 or 1 are not resolved
_MOST_POWER = 10.0  # largest power of size in a trend; larger ones are noise of a flat reference
_LEAST_SLOPE = 0.02  # minimum slope of log error in log size at a size that informs the trend over seeds
_STEP = 0.02  # step of the log ratio for the slope of the reference


@dataclasses.dataclass(frozen=True)
class EquivalenceRatio:
    """Number of reference examples equivalent to one of the other's, at one size of the other or at all `train_sizes`.

    `kind`: "interval" (low..high), "below" (only `high`), "above" (only `low`), or "undetermined". `median` is None
    outside the sizes of the reference. Each end is exceeded with probability (1 - level) / 2, also a single one. With
    several sizes, `train_sizes` are those with a partner in the reference, `factor_per_doubling` is how the ratio
    changes with each doubling of the size, None if undetermined, and `changes_with_size` that this factor is
    significantly different from 1, so that no single ratio fits all sizes.
    """

    train_sizes: tuple[int, ...] = ()
    median: float | None = None
    low: float | None = None
    high: float | None = None
    kind: RatioKind = "undetermined"
    factor_per_doubling: float | None = None
    changes_with_size: bool = False


class Evidence(abc.ABC):
    """What two curves say about their log ratio: log sizes `x` [J] of the other, and the `span` of the reference's."""

    num_candidates: int  # of the grids on which the ratio is searched

    def __init__(self, reference_x: Array, x: Array):
        self.x, self.span = x, (float(reference_x[0]), float(reference_x[-1]))

    def partners(self, indices: Indices, log_ratios: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Log sizes of the reference at each ratio [Q] and size [J], clipped to its span, and which are inside."""
        partners = log_ratios[:, None] + self.x[indices]
        inside = (partners >= self.span[0] - 1e-9) & (partners <= self.span[1] + 1e-9)
        return np.clip(partners, *self.span), inside

    @abc.abstractmethod
    def probability_too_large(self, indices: Indices, log_ratios: Array) -> Array:
        """Probability [Q] that a log ratio is too large, from all sizes at `indices` with a partner."""

    @abc.abstractmethod
    def trend(self, indices: Indices, log_ratio: float) -> tuple[float, float] | None:
        """Power of the size by which the ratio changes, and the probability that it is positive; None if unknown."""


def _weights(information: Array, inside: NDArray[np.bool_]) -> Array:
    """Weights [Q, J] of the sizes with a partner, proportional to `information`; equal without any."""
    weight = np.where(information.any(axis=1, keepdims=True), information, inside)
    return weight / weight.sum(axis=1, keepdims=True)


class CurvePosterior(Evidence):
    """Evidence from the joint posterior of both curves."""

    num_candidates = 40

    def __init__(self, pair: Pair):
        super().__init__(pair.x[~pair.other], pair.x[pair.other])
        self._posterior = PairPosterior(pair)

    def probability_too_large(self, indices: Indices, log_ratios: Array) -> Array:
        """The weight of a size is the slope of the reference divided by the variance of the difference."""
        partners, inside = self.partners(indices, log_ratios)
        information = np.zeros(partners.shape)
        if len(indices) > 1:
            slope, sd = self._tangents(indices, log_ratios)
            information = inside * np.maximum(slope, 0) / sd**2
        of_other = np.broadcast_to(self.x[indices], partners.shape)
        return self._posterior.probability_above(of_other, partners, _weights(information, inside))

    def trend(self, indices: Indices, log_ratio: float) -> tuple[float, float] | None:
        """By weighted least squares."""
        slope, sd = (column[1] for column in self._tangents(indices, log_ratio + np.array([-_STEP, 0, _STEP])))
        x = self.x[indices]
        # An increase d of the log ratio at one size reduces the difference there by slope·d.
        design = np.stack([slope, slope * (x - x.mean())], axis=1) / sd[:, None]
        query = x[None], x[None] + log_ratio, (-np.linalg.pinv(design)[1] / sd)[None]
        return float(self._posterior.moments(*query)[0][0]), float(self._posterior.probability_above(*query)[0])

    def _tangents(self, indices: Indices, log_ratios: Array) -> tuple[Array, Array]:
        """Slope of the difference at each size in the log ratio [Q], and its standard deviation: [Q, J]."""
        partners, _ = self.partners(indices, log_ratios)
        of_other = np.broadcast_to(self.x[indices], partners.shape).reshape(-1, 1)
        mean, sd = self._posterior.moments(of_other, partners.reshape(-1, 1), np.ones(of_other.shape))
        return np.gradient(mean.reshape(partners.shape), log_ratios, axis=0), sd.reshape(partners.shape)


class LogErrors(NamedTuple):
    """Log errors [K, S] of the same S seeds at log sizes x [K], ascending."""

    x: Array
    y: Array


class SeedTest(Evidence):
    """Evidence from a t-test over paired seeds.

    At a candidate ratio each seed gives one number, the mean over sizes of its own difference g − f. Effects of a seed
    on several sizes and on both curves are part of its number, so no model of the correlations is needed. The reference
    is interpolated monotonically in log-log scale (Fritsch & Carlson 1980).
    """

    num_candidates = 400

    def __init__(self, reference: LogErrors, other: LogErrors):
        from scipy.interpolate import PchipInterpolator  # slow to import

        super().__init__(reference.x, other.x)
        self._curves, self._y = PchipInterpolator(reference.x, reference.y, axis=0), other.y

    def probability_too_large(self, indices: Indices, log_ratios: Array) -> Array:
        """The weight of a size is the slope of the reference at its partner."""
        partners, inside = self.partners(indices, log_ratios)
        steep = inside * np.maximum(-self._curves(partners, nu=1).mean(axis=2), 0.0)
        differences = self._y[indices] - self._curves(partners)
        return _probability_positive(np.einsum("qk,qks->qs", _weights(steep, inside), differences))

    def trend(self, indices: Indices, log_ratio: float) -> tuple[float, float] | None:
        """By least squares, one trend for each seed."""
        partners = self.x[indices] + log_ratio
        slope = self._curves(partners, nu=1).mean(axis=1)
        steep = slope < -_LEAST_SLOPE
        if steep.sum() < 2:
            return None
        # An excess error d of the other changes the log ratio by d / slope of the reference.
        own = (self._y[indices] - self._curves(partners))[steep] / slope[steep, None]
        centred = self.x[indices][steep] - self.x[indices][steep].mean()
        trends = centred @ own / (centred @ centred)
        return float(trends.mean()), float(_probability_positive(trends))


def _probability_positive(values: Array) -> Array:
    """Probability that the mean of values [..., S] over seeds is positive, by Student's t."""
    from scipy.special import stdtr  # slow to import

    count = values.shape[-1]
    error = np.maximum(values.std(axis=-1, ddof=1), 1e-12) / math.sqrt(count)
    return np.asarray(stdtr(count - 1, values.mean(axis=-1) / error))


def data_equivalence_ratio(reference: Curve, other: Curve, *, level: float = 0.95) -> tuple[EquivalenceRatio, ...]:
    """The ratio at each size of `other`, from the posterior of both curves; errors are paired by seed.

    UsageError for curves of different units, ValueError for a level outside (0, 1).
    """
    evidence = _curve_posterior(reference, other, level)
    ratios = {ratio.train_sizes: ratio for ratio in ratio_at_each_size(evidence, level)} if evidence else {}
    return tuple(ratios.get((size,), EquivalenceRatio((size,))) for size in other.train_sizes)


def overall_equivalence_ratio(reference: Curve, other: Curve, *, level: float = 0.95) -> EquivalenceRatio:
    """One ratio for all sizes of `other`, and whether it changes with size. Errors as `data_equivalence_ratio`."""
    evidence = _curve_posterior(reference, other, level)
    return overall_ratio(evidence, level) if evidence else EquivalenceRatio()


def _curve_posterior(reference: Curve, other: Curve, level: float) -> CurvePosterior | None:
    check_level(level)
    if reference.unit != other.unit:
        raise UsageError(
            f"unit {other.unit!r} of {other.learner!r} is not {reference.unit!r} of {reference.learner!r}; "
            "compare curves of one unit"
        )
    pair = read_pair(reference, other)
    return CurvePosterior(pair) if (~pair.other).sum() > 1 and pair.other.any() else None


def ratio_at_each_size(evidence: Evidence, level: float) -> tuple[EquivalenceRatio, ...]:
    """The ratio at each size of the other separately."""
    ends = [_ends(*_profile(evidence, np.array([place])), level) for place in range(len(evidence.x))]
    return tuple(EquivalenceRatio((round(math.exp(x)),), *each) for x, each in zip(evidence.x, ends, strict=True))


def overall_ratio(evidence: Evidence, level: float) -> EquivalenceRatio:
    """One ratio for all sizes of the other, weighted by their information on it. Only a trend in size is tested."""
    indices = np.arange(len(evidence.x))
    median, low, high, kind = _ends(*_profile(evidence, indices), level)
    if median is None:
        return EquivalenceRatio((), median, low, high, kind)
    inside = indices[evidence.partners(indices, np.array([math.log(median)]))[1][0]]
    train_sizes = tuple(round(math.exp(x)) for x in evidence.x[inside])
    trend = evidence.trend(inside, math.log(median)) if len(inside) > 1 else None
    if trend is None or abs(trend[0]) > _MOST_POWER:
        return EquivalenceRatio(train_sizes, median, low, high, kind)
    power, probability = trend
    significant = 2 * min(probability, 1 - probability) < TREND_LEVEL
    return EquivalenceRatio(train_sizes, median, low, high, kind, 2.0**power, significant)


def _profile(evidence: Evidence, indices: Indices) -> tuple[Array, Array]:
    """Ascending log ratios with a partner and the probability that each is too large, refined around the transition."""

    def candidates(least: float, most: float) -> Array:
        grid = np.linspace(least, most, evidence.num_candidates)
        return grid[evidence.partners(indices, grid)[1].any(axis=1)]

    (least, most), x = evidence.span, evidence.x[indices]
    coarse = candidates(least - x[-1], most - x[0])
    probability = evidence.probability_too_large(indices, coarse)
    # Between the last ratio that is too small and the first that is too large.
    start = max(int(np.argmax(probability > _OPEN)) - 1, 0)
    end = min(len(coarse) - int(np.argmax(probability[::-1] < 1 - _OPEN)), len(coarse) - 1)
    fine = candidates(coarse[start], coarse[end])
    log_ratios, place = np.unique(np.concatenate([coarse, fine]), return_index=True)
    return log_ratios, np.concatenate([probability, evidence.probability_too_large(indices, fine)])[place]


def _ends(log_ratios: Array, probability: Array, level: float) -> Ends:
    """Median, low, high and kind; the hull of all ratios that are not rejected if the probability is not monotone."""
    tail = (1 - level) / 2
    low, high = _first_above(log_ratios, probability, tail), _last_below(log_ratios, probability, 1 - tail)
    if low == math.inf:  # even the largest ratio is too small
        return None, math.exp(log_ratios[-1]), None, "above"
    if high == -math.inf:
        return None, None, math.exp(log_ratios[0]), "below"
    median = (_first_above(log_ratios, probability, 0.5) + _last_below(log_ratios, probability, 0.5)) / 2
    middle, least, most = (math.exp(end) if math.isfinite(end) else None for end in (median, low, high))
    if least is None and most is None:
        return None, None, None, "undetermined"
    return middle, least, most, "below" if least is None else "above" if most is None else "interval"


def _first_above(at: Array, probability: Array, level: float) -> float:
    """Where the probability first exceeds `level`: -inf if it starts above, inf if it never does."""
    above = probability > level
    if above[0] or not above.any():
        return -math.inf if above[0] else math.inf
    after = int(np.argmax(above))
    # Linear in normal scores.
    neighbours = np.clip(probability[after - 1 : after + 1], 1e-12, 1 - 1e-12)
    before, wanted, beyond = map(NormalDist().inv_cdf, (neighbours[0], level, neighbours[1]))
    share = (wanted - before) / (beyond - before)
    return float(at[after - 1] + share * (at[after] - at[after - 1]))


def _last_below(at: Array, probability: Array, level: float) -> float:
    """Where the probability is last below `level`: inf if it ends below, -inf if it is never below."""
    return -_first_above(-at[::-1], 1 - probability[::-1], 1 - level)

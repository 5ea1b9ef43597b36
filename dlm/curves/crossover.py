"""Estimates where one learner becomes better than another, with probabilities at each size.

All results come from joint draws of the two log errors (`error_gap`): a crossing is reported or excluded only where a
fixed share of the draws agrees, otherwise it is undetermined. docs/method/crossover.md has the measured accuracy.
"""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from dlm.curves.diagnostics import CALIBRATED_REACH, carried_reach
from dlm.curves.forecaster import Forecast, check_level, curve_forecast
from dlm.curves.measurement_noise import curve_points, only_finite
from dlm.curves.new_examples import DEFAULT_CORRELATION, joint_normals, sampling_error
from dlm.curves.points import Array, Points
from dlm.curves.types import Crossover, CrossoverKind, Curve, ProbabilityBetter

NUM_DRAWS = 1000
MULTIPLES = (2.0, 4.0, 10.0)  # of the largest measured size, at which a probability is reported
OFFSET_SCALE = 0.35  # beyond the measured sizes, a draw's offset decays exponentially in log size with this scale
RESIDUAL_FACTOR = 2.0  # a law follows noisy points, so its residual underestimates the noise by about this factor
SMALLEST_LOG = -690.0  # log of the smallest error, where zero would be minus infinity
_GRID = 24


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedCurve:
    """One curve of a comparison: its finite errors, its points, and its forecast, if any.

    `normal` [D]: the draws of the test set's sampling error, see `new_examples`; None leaves it out.
    """

    curve: Curve
    points: Points
    forecast: Forecast | None
    normal: Array | None = None
    cache: dict[tuple[bytes, int, int], Array] = dataclasses.field(default_factory=dict, repr=False)

    def log_errors(self, train_sizes: Array, num_measured: int, seed: int) -> Array:
        """Draws of log errors [D, X], seeded by the learner's name, so that two learners are independent.

        Cached for the next pair.
        """
        key = (train_sizes.tobytes(), num_measured, seed)
        if key not in self.cache:
            rng = np.random.default_rng([seed, zlib.crc32(self.curve.learner.encode())])
            perturbed = _perturbed(self, train_sizes[:num_measured], rng)
            samples = _continued(perturbed, self.forecast, train_sizes) if self.forecast else perturbed
            self.cache[key] = self._on_new_examples(samples)
        return self.cache[key]

    def _on_new_examples(self, log_errors: Array) -> Array:
        sampling = sampling_error(self.curve)
        if sampling is None or self.normal is None:
            return log_errors
        errors = sampling.apply(np.exp(log_errors), self.normal[:NUM_DRAWS])
        return np.asarray(np.log(np.maximum(errors, np.exp(SMALLEST_LOG))))

    def log_error(self, size: float) -> float:
        """Measured log mean error at a size, interpolated."""
        points = self.points
        return _base(points) + float(np.interp(np.log(size), np.log(points.train_sizes), points.log_error))


@dataclasses.dataclass(frozen=True, eq=False)
class ErrorGap:
    """Draws `gap` [D, X] of the challenger's log error minus the incumbent's, at ascending `train_sizes` [X].

    The first `num_measured` sizes are measured for both.
    """

    train_sizes: Array
    gap: Array
    num_measured: int

    def probabilities(self) -> Array:
        """P(challenger is better) [X]; a tie counts half."""
        return (self.gap < 0).mean(axis=0) + 0.5 * (self.gap == 0).mean(axis=0)

    def crossings(self) -> Array:
        """Size [D] of the last crossing in each draw; inf without one.

        A crossing inside the measured sizes counts if the challenger is better at their end, otherwise one beyond
        them. The smallest size if the challenger is better at every measured one.
        """
        inside = _last_crossing(self.train_sizes[: self.num_measured], self.gap[:, : self.num_measured])
        return np.where(np.isfinite(inside), inside, _last_crossing(self.train_sizes, self.gap))


def compared_curve(curve: Curve, forecast: Forecast | None, normal: Array | None = None) -> ComparedCurve:
    """Prepares a curve for comparisons; `normal` as in `ComparedCurve`. ValueError for invalid errors."""
    curve = only_finite(curve)
    return ComparedCurve(curve, curve_points(curve), forecast, normal)


def error_gap(incumbent: ComparedCurve, challenger: ComparedCurve, seed: int) -> ErrorGap:
    """Draws of the gap of two curves with common sizes; equal seeds give equal draws in either order."""
    smallest, largest = common_range(incumbent.curve, challenger.curve)
    knots = np.union1d(incumbent.points.train_sizes, challenger.points.train_sizes)
    knots = np.union1d(knots[(knots > smallest) & (knots < largest)], [smallest, largest])
    train_sizes = np.concatenate([knots, _beyond(incumbent, challenger, largest)])
    of_challenger, of_incumbent = (item.log_errors(train_sizes, len(knots), seed) for item in (challenger, incumbent))
    return ErrorGap(train_sizes, of_challenger - of_incumbent, len(knots))


def common_range(a: Curve, b: Curve) -> tuple[float, float]:
    """Smallest and largest common size; the first exceeds the second if the ranges do not overlap."""
    return float(max(a.train_sizes[0], b.train_sizes[0])), float(min(a.train_sizes[-1], b.train_sizes[-1]))


def _beyond(a: ComparedCurve, b: ComparedCurve, largest: float) -> Array:
    """Sizes beyond the largest, up to the supported reach of both forecasts."""
    reach = min(carried_reach(a.curve.train_sizes), carried_reach(b.curve.train_sizes), CALIBRATED_REACH)
    if a.forecast is None or b.forecast is None or reach <= 1:
        return np.empty(0)
    grid = np.geomspace(largest, largest * reach, _GRID)[1:]
    return np.union1d(grid, [largest * multiple for multiple in MULTIPLES if multiple <= reach])


def _base(points: Points) -> float:
    return max(points.base, SMALLEST_LOG)


def _continued(perturbed: Array, forecast: Forecast, train_sizes: Array) -> Array:
    """Drawn log errors [D, X] of a forecast, half of which pass through the perturbed measurements [D, M]."""
    num_measured, curves = perturbed.shape[1], forecast.test_set_curves.first(NUM_DRAWS)
    log_errors = np.log(np.maximum(curves.at(train_sizes), np.exp(SMALLEST_LOG)))
    half = slice(NUM_DRAWS // 2)
    excess = perturbed[half, -1:] - log_errors[half, num_measured - 1 : num_measured]
    decay = (train_sizes[num_measured:] / train_sizes[num_measured - 1]) ** (-1 / OFFSET_SCALE)
    log_errors[half, :num_measured] = perturbed[half]
    log_errors[half, num_measured:] += excess * decay
    return log_errors


def _perturbed(one: ComparedCurve, train_sizes: Array, rng: np.random.Generator) -> Array:
    """Measured log errors [D, X] with normal noise at each size, interpolated."""
    points, noise = one.points, one.points.noise
    if not points.noise_known and one.forecast is not None:
        # One seed and unknown test size: the residual of the law is the only estimate of the noise.
        noise = np.maximum(noise, RESIDUAL_FACTOR * float(one.forecast.diagnostics["noise"]))
    moved = points.log_error + noise * rng.standard_normal((NUM_DRAWS, len(noise)))
    logs = np.log(points.train_sizes)
    interpolation = np.array([np.interp(np.log(train_sizes), logs, one) for one in np.eye(len(logs))])
    return _base(points) + moved @ interpolation


def _last_crossing(train_sizes: Array, gap: Array) -> Array:
    """Size [D] after which the gap [D, X] stays below zero, interpolated in log size; inf if it ends above."""
    behind = gap >= 0
    last = gap.shape[1] - 1 - np.argmax(behind[:, ::-1], axis=1)  # the last size at which the challenger is not better
    rows = np.arange(len(gap))
    after = np.minimum(last + 1, gap.shape[1] - 1)
    gap_before, gap_after = gap[rows, last], gap[rows, after]
    share = gap_before / np.where(gap_before > gap_after, gap_before - gap_after, 1.0)
    logs = np.log(train_sizes)
    size = np.exp(logs[last] + share * (logs[after] - logs[last]))
    size = np.where(behind.any(axis=1), size, train_sizes[0])
    return np.where(behind[:, -1], np.inf, size)


CERTAIN_SHARE = 0.9  # share of draws that must agree for "already", "measured" and "never"
LIKELY_SHARE = 0.7  # share of draws that must cross for "forecast"


def crossover(
    a: Curve,
    b: Curve,
    level: float = 0.95,
    seed: int = 0,
    *,
    as_given: bool = False,
    test_correlation: float = DEFAULT_CORRELATION,
) -> Crossover:
    """Estimates the size at which the learner that is worse at the smallest common size becomes better.

    Args:
      a, b: curves of the same unit with overlapping sizes; a forecast needs 3 sizes each.
      level: of the interval low..high.
      seed: of the draws.
      as_given: `a` is the incumbent and `b` the challenger, also if `b` is better at the smallest size.
      test_correlation: of the two sampling errors on the common test set.
    """
    check_level(level)
    a, b = only_finite(a), only_finite(b)
    if not (a.train_sizes and b.train_sizes):
        return Crossover(a.learner, b.learner, "undetermined", None, None, None)
    normals = joint_normals(2, NUM_DRAWS, seed, [[1.0, test_correlation], [test_correlation, 1.0]]).T
    one, other = (_with_forecast(curve, seed, normal) for curve, normal in zip((a, b), normals))
    return crossover_of(one, other, level, seed, as_given=as_given)


def _with_forecast(curve: Curve, seed: int, normal: Array) -> ComparedCurve:
    if carried_reach(curve.train_sizes) <= 1:
        return compared_curve(curve, None, normal)
    return compared_curve(curve, curve_forecast(curve, np.array([float(curve.train_sizes[-1])]), 0.95, seed), normal)


def crossover_of(a: ComparedCurve, b: ComparedCurve, level: float, seed: int, *, as_given: bool = False) -> Crossover:
    """`crossover` of prepared curves, which share cached draws across pairs."""
    check_level(level)
    smallest, largest = common_range(a.curve, b.curve)
    if smallest > largest:
        return Crossover(a.curve.learner, b.curve.learner, "undetermined", None, None, None)
    if not as_given and b.log_error(smallest) < a.log_error(smallest):
        a, b = b, a
    gap = error_gap(a, b, seed)
    kind, train_sizes = classify_crossing(gap, level)
    reported = {largest * multiple for multiple in MULTIPLES}
    probabilities = tuple(
        ProbabilityBetter(round(size), round(float(p), 4), bool(size <= largest))
        for size, p in zip(gap.train_sizes, gap.probabilities())
        if size <= largest or size in reported
    )
    return Crossover(a.curve.learner, b.curve.learner, kind, *train_sizes, probabilities)


def classify_crossing(
    gap: ErrorGap, level: float
) -> tuple[CrossoverKind, tuple[float | None, float | None, float | None]]:
    """Kind of a crossover, with the sizes low, median and high."""
    crossing, largest = gap.crossings(), float(gap.train_sizes[gap.num_measured - 1])
    # Draws with equal errors everywhere do not cross, but count half in the probability.
    crosses = max(float(np.isfinite(crossing).mean()), float(gap.probabilities()[-1]))
    nothing = (None, None, None)
    low, median, high = crossing_interval(crossing, level)
    inside = median <= largest
    if crosses >= CERTAIN_SHARE and median <= gap.train_sizes[0]:
        return "already", nothing
    if np.isfinite(median) and crosses >= (CERTAIN_SHARE if inside else LIKELY_SHARE):
        return "measured" if inside else "forecast", (low, median, high if np.isfinite(high) else None)
    if len(gap.train_sizes) > gap.num_measured and crosses <= 1 - CERTAIN_SHARE:
        return "never", nothing
    return "undetermined", nothing


def crossing_interval(crossing: Array, level: float) -> tuple[float, float, float]:
    """Low, median and high of crossings [D]; inf beyond the supported sizes.

    The low end is a quantile of the draws that cross: if few draws cross, the quantile of all draws would lie after
    their crossings.
    """
    tail = (1 - level) / 2
    crossed = crossing[np.isfinite(crossing)]
    median, high = (float(q) for q in np.quantile(crossing, [0.5, 1 - tail], method="inverted_cdf"))
    low = float(np.quantile(crossed, tail, method="inverted_cdf")) if len(crossed) else np.inf
    return low, median, high

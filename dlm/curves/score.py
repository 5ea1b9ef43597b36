"""Scores an earlier forecast with later measurements at larger sizes.

A forecast is of the expected error, and a measured mean has noise: the interval for the mean is that of the forecast,
widened by the standard error of the mean.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from dlm.curves.measurement_noise import only_finite, standard_error
from dlm.curves.points import Array
from dlm.curves.types import Curve, ForecastGrid, LearnerSummary, StudySummary

_TINY = np.finfo(float).tiny
_LARGEST_LOG = 700.0
_DRAWS, _SHAKES = 1000, 101  # evenly spaced probabilities of the forecast, and of the noise


@dataclasses.dataclass(frozen=True)
class ScoredPoint:
    """One learner at one size: forecast median and interval, and the measured mean with its standard error.

    `interval`: the forecast interval widened by the standard error (0 if None). `log_error`: |log(median / mean)|, None
    if one of them is zero. `interval_score`, in the unit of the error: the width of `interval` plus 2 / (1 − level)
    times the distance of the mean from it.
    """

    learner: str
    train_size: int
    median: float
    low: float
    high: float
    mean: float
    stderr: float | None
    num_repeats: int
    interval: tuple[float, float]
    log_error: float | None
    interval_score: float

    @property
    def covered(self) -> bool:
        """Whether the mean lies in the interval."""
        return self.interval[0] <= self.mean <= self.interval[1]


@dataclasses.dataclass(frozen=True)
class ForecastScore:
    """All scored points, and remarks on sizes without a score and on inconsistencies."""

    points: tuple[ScoredPoint, ...]
    remarks: tuple[str, ...]


def score_forecast(answer: StudySummary, later: Sequence[Curve]) -> ForecastScore:
    """Scores a stamped forecast at every size measured after it was made; learners are matched by name."""
    by_name = {curve.learner: only_finite(curve) for curve in later}
    if len(answer.learners) == len(by_name) == 1:  # a single curve on both sides is matched regardless of its name
        by_name = {answer.learners[0].curve.learner: next(iter(by_name.values()))}
    seen = {one.learner: frozenset(one.train_sizes) for one in answer.stamp.measured} if answer.stamp else {}
    scored: list[ScoredPoint] = []
    remarks: list[str] = []
    for learner in answer.learners:
        name = learner.curve.learner
        if name not in by_name:
            remarks.append(f"{name}: no later measurement.")
            continue
        points, notes = _score_learner(learner, by_name[name], seen.get(name, frozenset()), answer.level)
        scored += points
        remarks += notes
    return ForecastScore(tuple(scored), tuple(remarks))


def _score_learner(
    learner: LearnerSummary, later: Curve, measured_before: frozenset[int], level: float
) -> tuple[list[ScoredPoint], list[str]]:
    curve, grid = learner.curve, learner.grid
    measured = dict(zip(later.train_sizes, later.errors))
    earlier = zip(curve.train_sizes, curve.errors)
    changed = [size for size, errors in earlier if not {*errors} <= {*measured.get(size, errors)}]
    beyond = [size for size in later.train_sizes if size > max(curve.train_sizes, default=0)]
    known = [size for size in beyond if size in measured_before]
    farthest = grid.train_sizes[-1] if grid else max(curve.train_sizes, default=0)
    far = [size for size in beyond if size > farthest and size not in known]
    reasons = (
        (changed, "errors at {} examples differ from those of the forecast."),
        (known, "{} examples were measured before the forecast was made."),
        (far, f"{{}} examples exceed the largest forecast size, {farthest:,}."),
    )
    remarks = [f"{curve.learner}: {reason.format(_listed(sizes))}" for sizes, reason in reasons if sizes]
    fresh = [later.train_sizes.index(size) for size in beyond if size not in {*known, *far}]
    return [_score_point(learner, grid, later, place, level) for place in fresh if grid], remarks


def _score_point(learner: LearnerSummary, grid: ForecastGrid, later: Curve, place: int, level: float) -> ScoredPoint:
    tails = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
    logs = quantiles_at(grid, later.train_sizes[place])
    low, median, high = np.clip(np.exp(_at_levels(grid, logs, tails)), *learner.curve.bound)
    mean, stderr = float(np.mean(later.errors[place])), standard_error(later, place)
    least, most = low, high
    if stderr:
        from scipy.special import ndtri  # slow to import

        expected = np.exp(_at_levels(grid, logs, _even(_DRAWS)))
        shaken = np.clip(expected, *learner.curve.bound)[:, None] + stderr * ndtri(_even(_SHAKES))
        least, most = np.clip(np.quantile(shaken, tails[[0, 2]]), *learner.curve.bound)
    missed = max(least - mean, mean - most, 0.0)
    return ScoredPoint(
        learner=learner.curve.learner,
        train_size=later.train_sizes[place],
        median=float(median),
        low=float(low),
        high=float(high),
        mean=mean,
        stderr=stderr,
        num_repeats=len(later.errors[place]),
        interval=(float(least), float(most)),
        log_error=abs(math.log(median / mean)) if min(median, mean) > _TINY else None,
        interval_score=float(most - least + 2 / (1 - level) * missed),
    )


def quantiles_at(grid: ForecastGrid, size: float) -> Array:
    """Log errors at the levels of the grid, interpolated linearly in log size."""
    logs = np.log(np.maximum(np.array(grid.errors, dtype=float), _TINY))
    place = np.log(np.array(grid.train_sizes, dtype=float))
    return np.array([np.interp(math.log(size), place, column) for column in logs.T])


def _at_levels(grid: ForecastGrid, logs: Array, levels: Array) -> Array:
    """Log errors at other levels: linear in the normal score of the level, with extrapolation."""
    from scipy.interpolate import make_interp_spline  # slow to import
    from scipy.special import ndtri

    return np.minimum(make_interp_spline(ndtri(grid.levels), logs, k=1)(ndtri(levels)), _LARGEST_LOG)


def _even(num: int) -> Array:
    return (np.arange(num) + 0.5) / num


def _listed(train_sizes: Sequence[int]) -> str:
    first = [f"{size:,}" for size in train_sizes[:8]]
    return ", ".join(first) + (f" and {len(train_sizes) - 8} more" if len(train_sizes) > 8 else "")

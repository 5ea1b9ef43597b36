"""Gaps: a group's error minus that of all other examples, with simultaneous intervals; see docs/method/fairness.md.

The gap is to all other examples, not to all: a large group is most of all examples and would differ little from itself.
All limits of a family (groups x columns x learners at one size) use a common tail, of the largest |t| under no gap,
which are correlated as the examples are the same (single-step max-|t|, Westfall and Young 1993). A gap is significant
if its interval excludes 0. A single step, not step-down, keeps intervals and tests consistent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from dlm.analysis.fairness.groups import (
    Array,
    GroupColumn,
    GroupComparison,
    Measure,
    design_effect,
    difference_limits,
    mean_limits,
    rate_limits,
)


@dataclasses.dataclass(frozen=True)
class SeedNoise:
    """Variance of a gap between trainings, relative to `Measure.variance_scale` of both errors; degrees of freedom.

    Pooled over all groups of a learner at a size and its neighbours, as a few seeds estimate it badly.
    """

    relative: float = 0.0
    freedom: float = 1.0

    def half_width(self, error: float, others: float, num_seeds: int, measure: Measure, tail: float) -> float:
        """Its contribution to the half width of the gap's interval."""
        if self.relative <= 0:
            return 0.0
        variance = self.relative * float(measure.variance_scale(np.array([error, others])).sum()) / num_seeds
        return float(-special.stdtrit(self.freedom, tail) * np.sqrt(variance))


def seed_noise(
    tables: Mapping[int, Array], columns: Sequence[GroupColumn], *, measure: Measure
) -> dict[int, SeedNoise]:
    """The noise at each size of one learner, from errors [S, N] by size."""
    train_sizes = sorted(tables)
    parts = {
        size: [part for column in columns for part in _parts(tables[size], column, measure)] for size in train_sizes
    }
    return {
        size: _pooled([part for near in train_sizes[max(place - 1, 0) : place + 2] for part in parts[near]])
        for place, size in enumerate(train_sizes)
    }


def _parts(table: Array, column: GroupColumn, measure: Measure) -> list[tuple[float, float, float]]:
    """Parts of a column's groups. The last group follows from the others, which reduces the degrees of freedom."""
    comparisons = column.comparisons()
    free = (len(table) - 1) * (len(comparisons) - 1) / max(len(comparisons), 1)
    return [(*_part(table, comparison, measure), free) for comparison in comparisons]


def _pooled(parts: Sequence[tuple[float, float, float]]) -> SeedNoise:
    """Pools parts of (relative variance, weight, degrees of freedom)."""
    relative, weight, freedom = np.array(parts, dtype=float).reshape(-1, 3).T
    weight = weight * freedom
    if not weight.sum():
        return SeedNoise()
    share = weight / weight.sum()
    used = freedom > 0
    return SeedNoise(max(float(share @ relative), 0.0), 1 / float((share[used] ** 2 / freedom[used]).sum()))


def _part(table: Array, comparison: GroupComparison, measure: Measure) -> tuple[float, float]:
    """Variance between seeds beyond that of single examples, and its weight, of one comparison."""
    if len(table) < 2:
        return 0.0, 0.0
    both = comparison.own, comparison.others
    means = np.stack([table[:, indices].mean(axis=1) for indices in both])
    scale = float(measure.variance_scale(measure.finish(means.mean(axis=1))).sum())
    if scale <= 0:
        return 0.0, 0.0
    first, second = measure.finish(means)
    slopes = measure.slope(means.mean(axis=1))
    by_chance = sum(
        slope**2 * float(table[:, indices].var(axis=0, ddof=1).sum()) / len(indices) ** 2
        for slope, indices in zip(slopes, both)
    )
    relative = (float(np.var(first - second, ddof=1)) - by_chance) / scale
    # Weighted by the inverse of its noise, which in small groups comes mostly from single examples.
    return relative, (by_chance / scale + 1 / table.shape[1]) ** -2


_DRAWS = 20_000


@dataclasses.dataclass(frozen=True)
class Gap:
    """A group's error, that of all other examples, and their difference with a simultaneous interval, at one size."""

    learner: str
    column: str
    group: str
    size: int
    num_test: int
    num_seeds: int
    error: float
    others: float
    gap: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class GroupRange:
    """The largest minus the smallest error of a column's groups, with an interval valid if those of the gaps are."""

    learner: str
    column: str
    size: int
    most: str
    least: str
    spread: float
    low: float
    high: float


def gaps(
    size: int,
    errors: Mapping[str, Array],
    columns: Sequence[GroupColumn],
    noise: Mapping[str, SeedNoise],
    *,
    measure: Measure,
    level: float = 0.95,
) -> list[Gap]:
    """The gap of every group, by learner, with simultaneous intervals of probability `level`.

    `errors` [S, N]: of each learner's seeds on each test example at `size`. `noise`: of each learner's seeds.
    """
    compared = [
        (learner, comparison) for learner in errors for column in columns for comparison in column.comparisons()
    ]
    if not compared:
        return []
    means = {learner: table.mean(axis=0) for learner, table in errors.items()}
    tail = common_tail(np.stack([_influence(comparison, means[learner]) for learner, comparison in compared]), level)
    effect = {
        (learner, column.name): design_effect(mean[known], column.codes[known]) if measure.is_rate else 1.0
        for learner, mean in means.items()
        for column in columns
        if (known := column.known()).any()
    }
    result = []
    for learner, pair in compared:
        table, limits = errors[learner], functools.partial(_limits, measure, tail, effect[learner, pair.column])
        own, others = (limits(table[:, indices].mean(axis=0)) for indices in (pair.own, pair.others))
        more = noise[learner].half_width(own[0], others[0], len(table), measure, tail)
        low, high = difference_limits(own, others, more)
        if measure.is_rate:
            low, high = max(low, -1.0), min(high, 1.0)
        names, counts = (learner, pair.column, pair.group, size), (len(pair.own), len(table))
        result.append(Gap(*names, *counts, own[0], others[0], own[0] - others[0], low, high))
    return result


def common_tail(influence: Array, level: float) -> float:
    """The tail on each side at which intervals of M comparisons hold simultaneously with probability `level`.

    `influence` [M, N] of each test example on each difference; their products are its covariance. A comparison
    without variance counts as independent of the others.
    """
    length = np.linalg.norm(influence, axis=1)
    unit = influence / np.where(length > 0, length, 1.0)[:, None]
    correlation = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    largest = float(np.quantile(np.abs(root @ _normals(len(root))).max(axis=0), level))
    # Bounded by the tails of one comparison and of independent ones.
    alone, independent = (1 - level) / 2, (1 - level ** (1 / len(root))) / 2
    return float(np.clip(special.ndtr(-largest), independent, alone))


@functools.lru_cache(maxsize=2)
def _normals(count: int) -> Array:
    return np.random.default_rng(0).standard_normal((count, _DRAWS))


def group_ranges(family: Sequence[Gap], *, measure: Measure) -> list[GroupRange]:
    """The range of each learner and column, from its gaps at one size.

    The error of all examples lies between a group's and that of the others; for rates its position there is known.
    """
    together: dict[tuple[str, str], list[Gap]] = {}
    for gap in family:
        together.setdefault((gap.learner, gap.column), []).append(gap)
    return [_spread(group, measure) for group in together.values()]


def _spread(family: Sequence[Gap], measure: Measure) -> GroupRange:
    most, least = (pick(family, key=lambda gap: gap.error) for pick in (max, min))
    if len(family) == 2:
        low, high = max(0.0, family[0].low, -family[0].high), max(family[0].high, -family[0].low)
    else:
        total = sum(gap.num_test for gap in family)
        share = [1.0 if measure.is_root else 1 - gap.num_test / total for gap in family]
        lows, highs = ([part * getattr(gap, end) for part, gap in zip(share, family)] for end in ("low", "high"))
        low = max(0.0, *lows) + max(0.0, *(-high for high in highs))
        if measure.is_root:  # roots do not average: only a single group's gap is a valid bound
            low = max(0.0, *lows, *(-high for high in highs))
        high = max(0.0, *highs) + max(0.0, *(-low for low in lows))
    name = most.learner, most.column, most.size
    return GroupRange(*name, most.group, least.group, most.error - least.error, low, high)


def _influence(comparison: GroupComparison, mean: Array) -> Array:
    """Influence of each test example [N] on the difference."""
    influence = np.zeros(len(mean))
    for indices, sign in ((comparison.own, 1.0), (comparison.others, -1.0)):
        influence[indices] = sign * (mean[indices] - mean[indices].mean()) / len(indices)
    return influence


def _limits(measure: Measure, tail: float, effect: float, values: Array) -> tuple[float, float, float]:
    """(error, low, high) of the examples' mean errors [N]."""
    mean = float(values.mean())
    if measure.is_rate:
        low, high = rate_limits(mean, len(values) / effect, tail)
    else:
        low, high = mean_limits(values, tail)
    return tuple(float(end) for end in measure.finish(np.array([mean, low, high])))  # type: ignore[return-value]

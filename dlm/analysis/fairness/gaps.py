"""By how much a group's error differs from everyone else's, with intervals that hold for all groups together.

The gap is to everyone else, not to all: a large group is most of all, and would differ from itself by little. What is
estimated is the expected error over trainings and over examples of a group, so two noises count. The test set's:
examples of a group are few, and all seeds share them (`intervals`). The seeds': a training may suit one
group, which their errors show beyond what examples alone would (`seed_noise`). With one seed the gap is that
of this training.

All limits of a family (groups x columns x learners at one size) are at a common tail: that of the largest of their
|t| under no gap, which are correlated since the examples are the same (single-step max-|t|, Westfall and Young 1993).
A gap is shown where its interval leaves out 0. One step, not step-down, so that the intervals say what the tests say.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from dlm.analysis.fairness.groups import Column, Side
from dlm.analysis.fairness.intervals import Array, Measure, design_effect, difference_limits, mean_limits, rate_limits


@dataclasses.dataclass(frozen=True)
class SeedNoise:
    """Variance of a gap between trainings, relative to `Measure.variance_scale` of its two sides, and its freedom.

    One number for all groups of a learner at a size and its neighbours: a few seeds tell it badly.
    """

    relative: float = 0.0
    freedom: float = 1.0

    def half_width(self, error: float, others: float, num_seeds: int, measure: Measure, tail: float) -> float:
        """What it adds to the half width of the gap's interval."""
        if self.relative <= 0:
            return 0.0
        variance = self.relative * float(measure.variance_scale(np.array([error, others])).sum()) / num_seeds
        return float(-special.stdtrit(self.freedom, tail) * np.sqrt(variance))


def seed_noise(tables: Mapping[int, Array], columns: Sequence[Column], *, measure: Measure) -> dict[int, SeedNoise]:
    """The noise at each size of one learner, from errors [S, N] by size."""
    train_sizes = sorted(tables)
    parts = {
        size: [part for column in columns for part in _parts(tables[size], column, measure)] for size in train_sizes
    }
    return {
        size: _pooled([part for near in train_sizes[max(place - 1, 0) : place + 2] for part in parts[near]])
        for place, size in enumerate(train_sizes)
    }


def _parts(table: Array, column: Column, measure: Measure) -> list[tuple[float, float, float]]:
    """Of a column's groups. The last follows from the others, so all have a little less freedom each."""
    sides = column.sides()
    free = (len(table) - 1) * (len(sides) - 1) / max(len(sides), 1)
    return [(*_part(table, (side.own, side.others), measure), free) for side in sides]


def _pooled(parts: Sequence[tuple[float, float, float]]) -> SeedNoise:
    """Parts of (relative variance, weight, freedom) as one."""
    relative, weight, freedom = np.array(parts, dtype=float).reshape(-1, 3).T
    weight = weight * freedom
    if not weight.sum():
        return SeedNoise()
    share = weight / weight.sum()
    used = freedom > 0
    return SeedNoise(max(float(share @ relative), 0.0), 1 / float((share[used] ** 2 / freedom[used]).sum()))


def _part(table: Array, sides: Sequence[np.ndarray], measure: Measure) -> tuple[float, float]:
    """Of one comparison: variance between seeds beyond that of single examples, and its weight."""
    if len(table) < 2:
        return 0.0, 0.0
    means = np.stack([table[:, places].mean(axis=1) for places in sides])
    scale = float(measure.variance_scale(measure.finish(means.mean(axis=1))).sum())
    if scale <= 0:
        return 0.0, 0.0
    first, second = measure.finish(means)
    slopes = measure.slope(means.mean(axis=1))
    by_chance = sum(
        slope**2 * float(table[:, places].var(axis=0, ddof=1).sum()) / len(places) ** 2
        for slope, places in zip(slopes, sides)
    )
    relative = (float(np.var(first - second, ddof=1)) - by_chance) / scale
    # A part is as sure as its noise is small; what single examples do is the most of it in small groups.
    return relative, (by_chance / scale + 1 / table.shape[1]) ** -2


_DRAWS = 20_000


@dataclasses.dataclass(frozen=True)
class Gap:
    """A group's error, that of everyone else, and the difference with its simultaneous interval, at one size."""

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
    def is_shown(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class Spread:
    """The largest minus the smallest error of a column's groups, with an interval that holds whenever the gaps' do."""

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
    columns: Sequence[Column],
    noise: Mapping[str, SeedNoise],
    *,
    measure: Measure,
    level: float = 0.95,
) -> list[Gap]:
    """The gap of every group, by learner, with intervals that all hold with a chance of `level`.

    `errors` [S, N]: of each learner's seeds on each test example, as averaged into its error at `size`. `noise`: what
    is believed of its seeds' noise.
    """
    compared = [(learner, side) for learner in errors for column in columns for side in column.sides()]
    if not compared:
        return []
    means = {learner: table.mean(axis=0) for learner, table in errors.items()}
    tail = common_tail(np.stack([_influence(side, means[learner]) for learner, side in compared]), level)
    effects = {
        (learner, column.name): design_effect(mean[column.known()], column.codes[column.known()])
        for learner, mean in means.items()
        for column in columns
        if measure.is_rate and column.known().any()
    }
    return [
        _gap(
            learner,
            side,
            size,
            errors[learner],
            noise[learner],
            measure,
            tail,
            effects.get((learner, side.column), 1.0),
        )
        for learner, side in compared
    ]


def common_tail(influence: Array, level: float) -> float:
    """The tail, on each side, that intervals of comparisons [M] need so that all hold with a chance of `level`.

    `influence` [M, N]: what each test example adds to each difference; their products are its covariance. A comparison
    in which nothing varies counts as independent of the others.
    """
    length = np.linalg.norm(influence, axis=1)
    unit = influence / np.where(length > 0, length, 1.0)[:, None]
    correlation = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    largest = float(np.quantile(np.abs(root @ _normals(len(root))).max(axis=0), level))
    # Between what one comparison needs and what independent ones do, whatever the draws say.
    alone, independent = (1 - level) / 2, (1 - level ** (1 / len(root))) / 2
    return float(np.clip(special.ndtr(-largest), independent, alone))


@functools.lru_cache(maxsize=2)
def _normals(count: int) -> Array:
    return np.random.default_rng(0).standard_normal((count, _DRAWS))


def spreads(found: Sequence[Gap], *, measure: Measure) -> list[Spread]:
    """The spread of each learner and column, from its gaps at one size.

    Everyone's error lies between a group's and everyone else's, and a mean of rates at a known place there.
    """
    together: dict[tuple[str, str], list[Gap]] = {}
    for gap in found:
        together.setdefault((gap.learner, gap.column), []).append(gap)
    return [_spread(group, measure) for group in together.values()]


def _spread(found: Sequence[Gap], measure: Measure) -> Spread:
    most, least = (pick(found, key=lambda gap: gap.error) for pick in (max, min))
    if len(found) == 2:
        low, high = max(0.0, found[0].low, -found[0].high), max(found[0].high, -found[0].low)
    else:
        total = sum(gap.num_test for gap in found)
        share = [1.0 if measure.is_root else 1 - gap.num_test / total for gap in found]
        lows, highs = ([part * end for part, end in zip(share, ends)] for ends in _ends(found))
        low = max(0.0, *lows) + max(0.0, *(-high for high in highs))
        if measure.is_root:  # roots do not average: one group's gap is all that is sure
            low = max(0.0, *lows, *(-high for high in highs))
        high = max(0.0, *highs) + max(0.0, *(-low for low in lows))
    name = most.learner, most.column, most.size
    return Spread(*name, most.group, least.group, most.error - least.error, low, high)


def _ends(found: Sequence[Gap]) -> tuple[list[float], list[float]]:
    return [gap.low for gap in found], [gap.high for gap in found]


def _influence(side: Side, mean: Array) -> Array:
    """What each test example [N] adds to the difference, but for what all of its side add alike."""
    influence = np.zeros(len(mean))
    for places, sign in ((side.own, 1.0), (side.others, -1.0)):
        influence[places] = sign * (mean[places] - mean[places].mean()) / len(places)
    return influence


def _gap(
    learner: str, side: Side, size: int, table: Array, noise: SeedNoise, measure: Measure, tail: float, effect: float
) -> Gap:
    own, rest = (_limits(table[:, places].mean(axis=0), measure, tail, effect) for places in (side.own, side.others))
    error, others = own[0], rest[0]
    low, high = difference_limits(own, rest, noise.half_width(error, others, len(table), measure, tail))
    if measure.is_rate:
        low, high = max(low, -1.0), min(high, 1.0)
    return Gap(
        learner, side.column, side.group, size, len(side.own), len(table),
        error, others, error - others, low, high,
    )  # fmt: skip


def _limits(values: Array, measure: Measure, tail: float, effect: float) -> tuple[float, float, float]:
    """(error, low, high) of the examples' mean errors [N]."""
    mean = float(values.mean())
    if measure.is_rate:
        low, high = rate_limits(mean, len(values) / effect, tail)
    else:
        low, high = mean_limits(values, tail)
    return tuple(float(end) for end in measure.finish(np.array([mean, low, high])))  # type: ignore[return-value]

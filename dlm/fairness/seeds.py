"""How much a gap between groups moves from one training to the next, beyond what single examples do by chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from dlm.fairness.columns import Column
from dlm.fairness.limits import Array, Measure


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
    sizes = sorted(tables)
    parts = {size: [part for column in columns for part in _parts(tables[size], column, measure)] for size in sizes}
    return {
        size: _pooled([part for near in sizes[max(place - 1, 0) : place + 2] for part in parts[near]])
        for place, size in enumerate(sizes)
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

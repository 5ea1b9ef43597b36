"""How fast a group's error falls with data: the power of n, on average over the measured sizes, with an interval.

The slope of log error in log size, by least squares over sizes alike: no law is assumed. Its noise is that of the test
examples, which all sizes and seeds share, so that what an example adds to it is summed over sizes before it is squared;
and that of the seeds, as far as their slopes differ by more than single examples would make them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import special

from dlm.curves.exponent import LEAST_SIZES, Exponent
from dlm.fairness.columns import Places
from dlm.fairness.limits import Array, Measure

_NO_MISTAKE = 1.0  # variance of a log error that was measured as zero and is taken for half a mistake


def exponent(tables: Mapping[int, Array], places: Places, *, measure: Measure, level: float = 0.95) -> Exponent | None:
    """Of the test examples at `places`, from errors [S, N] by size; None for fewer than three sizes, or no mistake."""
    sizes = sorted(tables)
    own = [tables[size][:, places] for size in sizes]
    if len(sizes) < LEAST_SIZES or not any(table.any() for table in own):
        return None
    x = np.log(np.array(sizes, dtype=float))
    weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    means = np.array([table.mean() for table in own])
    seen = np.where(means > 0, means, 0.5 / len(places) if measure.is_rate else means[means > 0].min() / 2)
    y = np.log(measure.finish(seen))
    slope = float(weight @ y)
    # What a unit of an example's error at each size adds to the slope.
    lever = weight * measure.slope(seen) / measure.finish(seen) / len(places)
    test = float(
        ((sum(lever_k * (table.mean(axis=0) - table.mean()) for lever_k, table in zip(lever, own))) ** 2).sum()
    )
    test += float((weight[means == 0] ** 2).sum()) * _NO_MISTAKE
    seeds, freedom = _seeds(own, lever)
    if not freedom:  # one seed: what scatters around the line, if that is more
        scatter = y - y.mean() - slope * (x - x.mean())
        freedom = len(x) - 2
        seeds = max(float(scatter @ scatter) / freedom * float(weight @ weight) - test, 0.0)
    # As many examples tell the test set's variance as are wrong at the size that has fewest.
    freedoms = np.array([max(float(means.min()) * len(places), 1.0), freedom])
    half = math.hypot(*(special.stdtrit(freedoms, (1 + level) / 2) * np.sqrt([test, seeds])))
    return Exponent(-slope, -slope - half, -slope + half)


def _seeds(own: list[Array], lever: Array) -> tuple[float, int]:
    """Variance of the slope by seeds beyond what single examples add, and its degrees of freedom; 0 for one seed.

    Equal places are equal seeds where all sizes have as many; else the sizes' seeds count as independent.
    """
    if len({len(table) for table in own}) == 1:
        added = [sum(lever_k * table for lever_k, table in zip(lever, own))]
    else:
        added = [lever_k * table for lever_k, table in zip(lever, own)]
    several = [table for table in added if len(table) > 1]
    excess = sum(
        (float(table.sum(axis=1).var(ddof=1)) - float(table.var(axis=0, ddof=1).sum())) / len(table)
        for table in several
    )
    return max(excess, 0.0), min((len(table) - 1 for table in several), default=0)

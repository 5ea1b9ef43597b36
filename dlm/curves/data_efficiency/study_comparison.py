"""Two studies of the same learner held against each other: who needs how much of the other's data, who errs less.

Cells are paired by size, seed and subset. Who errs less is judged by a t-test over seeds: of each seed the mean over
sizes of its relative differences. So a seed, whose subsets nest and whose errors are alike along the curve, counts once
however many sizes there are. Each size's own test is corrected for their number (Holm 1979).
How much data: `seed_rate`, or `data_equivalence_ratio` where there are fewer than three pairs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

from dlm.curves.data_efficiency.equivalence import (
    EquivalenceRatio,
    OverallEquivalenceRatio,
    RatioKind,
    data_equivalence_ratio,
    overall_equivalence_ratio,
)
from dlm.curves.data_efficiency.seed_test import MIN_SEEDS, LogErrors, overall_ratio, ratio_at_each_size
from dlm.curves.types import Curve

R = TypeVar("R", EquivalenceRatio, OverallEquivalenceRatio)

POWER = 0.8  # with which a difference that is called visible is seen
MOST_SEEDS = 1000  # that are advised
WORTH_SEEING = 0.05  # a relative difference for which seeds are advised


@dataclasses.dataclass(frozen=True)
class SeedError:
    """One measured error, and the content of the subset that it was learnt from."""

    seed: int
    subset: str
    error: float


@dataclasses.dataclass(frozen=True)
class ErrorDifference:
    """How much more `a` errs than `b`, relative to the mean of both; below 0 it errs less.

    `mean` with its interval low..high; `p` two-sided, of no difference. `num_seeds` are paired. `size` is None for that
    over all sizes. With one seed there is a mean and nothing else.
    """

    train_size: int | None
    mean: float
    low: float | None
    high: float | None
    p: float | None
    num_seeds: int


@dataclasses.dataclass(frozen=True)
class StudyComparison:
    """`a` compared with `b`.

    `data_ratio`: how many times `b`'s data `a` needs for the same error, one ratio for all sizes; `data_ratios`: at
    each of `a`'s sizes. `differences`: at each common size, with Holm's p; `overall`: over all common sizes.
    `detectable_difference`: the smallest relative difference that this number of seeds detects with a power of 80 %;
    `num_seeds_needed`: the number of seeds that detects one of 5 %; None if the noise is unknown.
    """

    a: str
    b: str
    data_ratio: OverallEquivalenceRatio
    data_ratios: tuple[EquivalenceRatio, ...]
    differences: tuple[ErrorDifference, ...]
    overall: ErrorDifference | None
    detectable_difference: float | None
    num_seeds_needed: int | None


SeedErrors = Mapping[int, Sequence[SeedError]]


def compare_studies(
    a: tuple[Curve, SeedErrors], b: tuple[Curve, SeedErrors], *, level: float = 0.95
) -> StudyComparison:
    """Two curves with their cells by size. Raises UsageError where they have different units."""
    (curve_a, cells_a), (curve_b, cells_b) = a, b
    table = paired(cells_a, cells_b)
    seeds = sorted({seed for row in table.values() for seed in row})
    whole_of = [[row[seed] for row in table.values() if seed in row] for seed in seeds]
    complete = [float(np.mean(one)) for one in whole_of if len(one) == len(table)]
    train_sizes = _holm([error_difference(list(row.values()), level, size) for size, row in table.items()])
    whole = error_difference(complete, level, None) if complete else None
    needs, needs_at = _needs(a, b, table, level)
    return StudyComparison(
        a=curve_a.learner,
        b=curve_b.learner,
        data_ratio=needs,
        data_ratios=needs_at,
        differences=tuple(train_sizes),
        overall=whole,
        detectable_difference=_visible(complete, level),
        num_seeds_needed=_seeds_needed(complete, level),
    )


def _needs(
    a: tuple[Curve, SeedErrors], b: tuple[Curve, SeedErrors], table: Mapping[int, Mapping[int, float]], level: float
) -> tuple[OverallEquivalenceRatio, tuple[EquivalenceRatio, ...]]:
    """By the seed test where enough seeds have every size of both studies; otherwise by the curves' posterior."""
    rows = [set(row) for row in table.values()]
    rows += [{cell.seed for cell in row} for _, cells in (a, b) for row in cells.values()]
    seeds = set.intersection(*rows) if table else set()
    if len(seeds) >= MIN_SEEDS:
        logs_a, logs_b = (_logs(curve, cells, seeds) for curve, cells in (a, b))
        if len(logs_a.x) and len(logs_b.x) > 1:
            return overall_ratio(logs_a, logs_b, level), ratio_at_each_size(logs_a, logs_b, level)
    whole, each = overall_equivalence_ratio(b[0], a[0], level=level), data_equivalence_ratio(b[0], a[0], level=level)
    drift = 1 / whole.factor_per_doubling if whole.factor_per_doubling else None
    return dataclasses.replace(_inverted(whole), factor_per_doubling=drift), tuple(map(_inverted, each))


def _logs(curve: Curve, cells: SeedErrors, seeds: Collection[int]) -> LogErrors:
    """Log errors of some seeds; zero as half of one test example, sizes left out where that is not known."""
    least = 0.5 / curve.num_test if curve.num_test else 0.0
    table = {
        size: [max(cell.error, least) for cell in sorted(cells[size], key=lambda cell: cell.seed) if cell.seed in seeds]
        for size in curve.train_sizes
    }
    kept = [size for size, errors in table.items() if min(errors) > 0]
    return LogErrors(np.log(np.array(kept, float)), np.log(np.array([table[size] for size in kept])))


def paired(a: SeedErrors, b: SeedErrors) -> dict[int, dict[int, float]]:
    """Relative differences by common size and seed, of cells that learnt from the same subset."""
    table: dict[int, dict[int, float]] = {}
    for size in sorted(set(a) & set(b)):
        others = {(cell.seed, cell.subset): cell.error for cell in b[size]}
        row = {
            cell.seed: relative_difference(cell.error, others[cell.seed, cell.subset])
            for cell in a[size]
            if (cell.seed, cell.subset) in others
        }
        if row:
            table[size] = row
    return table


def relative_difference(a: float, b: float) -> float:
    """a − b relative to their mean: between −2 and 2, and 0 where both are 0."""
    return 2 * (a - b) / (a + b) if a + b > 0 else 0.0


def error_difference(values: Sequence[float], level: float, size: int | None) -> ErrorDifference:
    """Student's interval and test of paired differences."""
    from scipy import stats

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return ErrorDifference(size, mean, None, None, None, count)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    return ErrorDifference(size, mean, mean - half, mean + half, p, count)


def _holm(found: Sequence[ErrorDifference]) -> list[ErrorDifference]:
    """Step-down p-values in place of each size's own."""
    order = sorted((k for k, one in enumerate(found) if one.p is not None), key=lambda k: found[k].p or 0.0)
    adjusted, least = list(found), 0.0
    for rank, k in enumerate(order):
        least = min(1.0, max(least, (len(order) - rank) * (found[k].p or 0.0)))
        adjusted[k] = dataclasses.replace(found[k], p=least)
    return adjusted


def _inverted(rate: R) -> R:
    """From what an example of `a` is worth in `b`'s to how many times `b`'s data `a` needs."""
    kinds: dict[RatioKind, RatioKind] = {"below": "above", "above": "below"}
    median, low, high = (None if end is None else 1 / end for end in (rate.median, rate.high, rate.low))
    return dataclasses.replace(rate, median=median, low=low, high=high, kind=kinds.get(rate.kind, rate.kind))


def _visible(values: Sequence[float], level: float) -> float | None:
    """The true difference that a test of so many seeds with such a spread finds with a chance of `POWER`."""
    if len(values) < 2:
        return None
    return _effect(len(values), level) * float(np.std(values, ddof=1))


def _seeds_needed(values: Sequence[float], level: float) -> int | None:
    if len(values) < 2:
        return None
    spread = float(np.std(values, ddof=1))
    return next((n for n in range(2, MOST_SEEDS + 1) if _effect(n, level) * spread <= WORTH_SEEING), MOST_SEEDS)


def _effect(count: int, level: float) -> float:
    """The difference, in standard deviations of a seed's, that a paired t-test finds with a chance of `POWER`."""
    from scipy import optimize, stats

    critical = float(stats.t.ppf((1 + level) / 2, count - 1))

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, count - 1, shift)) - POWER

    return float(optimize.brentq(missing, 0.0, critical + 20.0)) / math.sqrt(count)

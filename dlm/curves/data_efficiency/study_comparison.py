"""Compares two studies of the same learner: data-equivalence ratios and differences of the error.

Errors are paired by size, seed and subset. The difference is tested by a t-test over seeds of the mean over sizes of
the relative differences, because the subsets of a seed nest and its errors are correlated along the curve. The
p-values of single sizes are corrected for their number (Holm 1979). The data-equivalence ratio comes from a `SeedTest`,
or from the posterior of the curves with fewer than three pairs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from dlm.curves.data_efficiency.equivalence import (
    EquivalenceRatio,
    LogErrors,
    RatioKind,
    SeedTest,
    data_equivalence_ratio,
    overall_equivalence_ratio,
    overall_ratio,
    ratio_at_each_size,
)
from dlm.curves.types import Curve

MIN_SEEDS = 3  # of the seed test; with two, its interval is hardly ever bounded
POWER = 0.8  # of the detectable difference
MOST_SEEDS = 1000  # maximum number of seeds that is recommended
RELEVANT_DIFFERENCE = 0.05  # relative difference that the recommended number of seeds detects


# By size, and by seed and content hash of the training subset: the test error.
SeedErrors = Mapping[int, Mapping[tuple[int, str], float]]


@dataclasses.dataclass(frozen=True)
class ErrorDifference:
    """Relative difference of the errors of `a` and `b`, (a − b) / mean; negative if `a` is better.

    `mean` with interval low..high; `p`: two-sided. `num_seeds`: number of pairs. `train_size`: None for all sizes
    together. A single pair has a mean only.
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
    data_ratio: EquivalenceRatio
    data_ratios: tuple[EquivalenceRatio, ...]
    differences: tuple[ErrorDifference, ...]
    overall: ErrorDifference | None
    detectable_difference: float | None
    num_seeds_needed: int | None


def compare_studies(
    a: tuple[Curve, SeedErrors], b: tuple[Curve, SeedErrors], *, level: float = 0.95
) -> StudyComparison:
    """Compares two curves with their errors by size. UsageError for different units."""
    (curve_a, errors_a), (curve_b, errors_b) = a, b
    table = paired(errors_a, errors_b)
    seeds = set.intersection(*map(set, table.values())) if table else set()
    complete = [float(np.mean([row[seed] for row in table.values()])) for seed in sorted(seeds)]
    differences = tuple(_holm([error_difference(list(row.values()), level, size) for size, row in table.items()]))
    whole = error_difference(complete, level, None) if complete else None
    for errors in (*errors_a.values(), *errors_b.values()):
        seeds = seeds & {seed for seed, _ in errors}
    ratios = _ratios(a, b, seeds, level)
    return StudyComparison(curve_a.learner, curve_b.learner, *ratios, differences, whole, *_power(complete, level))


def _ratios(
    a: tuple[Curve, SeedErrors], b: tuple[Curve, SeedErrors], seeds: Collection[int], level: float
) -> tuple[EquivalenceRatio, tuple[EquivalenceRatio, ...]]:
    """By the test over `seeds`, which have every size, if they are enough; otherwise by the curves' posterior."""
    if len(seeds) >= MIN_SEEDS:
        logs_a, logs_b = (_logs(curve, errors, seeds) for curve, errors in (a, b))
        if len(logs_a.x) and len(logs_b.x) > 1:
            evidence = SeedTest(logs_b, logs_a)
            return _inverted(overall_ratio(evidence, level)), tuple(map(_inverted, ratio_at_each_size(evidence, level)))
    ratios = data_equivalence_ratio(b[0], a[0], level=level)
    return _inverted(overall_equivalence_ratio(b[0], a[0], level=level)), tuple(map(_inverted, ratios))


def _logs(curve: Curve, errors: SeedErrors, seeds: Collection[int]) -> LogErrors:
    """Log errors of the given seeds; zero counts as half a test example, or the size is omitted."""
    least = 0.5 / curve.num_test if curve.num_test else 0.0
    table = {
        size: [max(error, least) for (seed, _), error in sorted(errors[size].items()) if seed in seeds]
        for size in curve.train_sizes
    }
    table = {size: row for size, row in table.items() if min(row) > 0}
    return LogErrors(np.log(np.array([*table], float)), np.log(np.array([*table.values()])))


def paired(a: SeedErrors, b: SeedErrors) -> dict[int, dict[int, float]]:
    """Relative differences by common size and seed, of errors with the same training subset."""
    table = {
        size: {key[0]: relative_difference(a[size][key], b[size][key]) for key in a[size] if key in b[size]}
        for size in sorted(set(a) & set(b))
    }
    return {size: row for size, row in table.items() if row}


def relative_difference(a: float, b: float) -> float:
    """(a − b) / mean: between −2 and 2; 0 if both are 0."""
    return 2 * (a - b) / (a + b) if a + b > 0 else 0.0


def error_difference(values: Sequence[float], level: float, size: int | None) -> ErrorDifference:
    """Mean, interval and p-value of paired differences (Student's t)."""
    from scipy import stats

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return ErrorDifference(size, mean, None, None, None, count)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    return ErrorDifference(size, mean, mean - half, mean + half, p, count)


def _holm(differences: Sequence[ErrorDifference]) -> list[ErrorDifference]:
    """Replaces the p-values by Holm's step-down p-values."""
    adjusted, least = list(differences), 0.0
    tested = sorted((item.p, k) for k, item in enumerate(differences) if item.p is not None)
    for rank, (p, k) in enumerate(tested):
        least = min(1.0, max(least, (len(tested) - rank) * p))
        adjusted[k] = dataclasses.replace(differences[k], p=least)
    return adjusted


def _inverted(ratio: EquivalenceRatio) -> EquivalenceRatio:
    """The inverse ratio: how many times the data of `b` that `a` needs."""
    kinds: dict[RatioKind, RatioKind] = {"below": "above", "above": "below"}
    values = (ratio.median, ratio.high, ratio.low, ratio.factor_per_doubling)
    median, low, high, factor = (None if value is None else 1 / value for value in values)
    kind = kinds.get(ratio.kind, ratio.kind)
    return dataclasses.replace(ratio, median=median, low=low, high=high, kind=kind, factor_per_doubling=factor)


def _power(values: Sequence[float], level: float) -> tuple[float | None, int | None]:
    """The difference that a test of these seeds detects, and the number of seeds for `RELEVANT_DIFFERENCE`."""
    if len(values) < 2:
        return None, None
    spread = float(np.std(values, ddof=1))
    enough = (n for n in range(2, MOST_SEEDS + 1) if _effect(n, level) * spread <= RELEVANT_DIFFERENCE)
    return _effect(len(values), level) * spread, next(enough, MOST_SEEDS)


def _effect(count: int, level: float) -> float:
    """The difference, in standard deviations over seeds, that a paired t-test detects with probability `POWER`."""
    from scipy import optimize, stats

    critical = float(stats.t.ppf((1 + level) / 2, count - 1))

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, count - 1, shift)) - POWER

    return float(optimize.brentq(missing, 0.0, critical + 20.0)) / math.sqrt(count)

"""Compares learners of a study: deep with classical ones, and each with a baseline that learns nothing.

At each size the best learner of a family is the one with the least mean validation error; its test errors are the
family's. The numbers that compare the families did not select the learners. The best learner may change from size to
size; the forecast treats the family as one learner, so it knows of no such change beyond the measured sizes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy import special

from dlm.analysis.predictions import TestSet, block_size, on_test_set, power_of_mean, predictions
from dlm.analysis.sampling_error import with_sampling_errors
from dlm.curves.crossover import crossover
from dlm.curves.from_records import BOUNDS, selected_rows, settings_by_size, test_counts
from dlm.curves.types import Crossover, Curve
from dlm.storage.record_log import Record
from dlm.study.names import NO_PRECISION

CLASSICAL, DEEP = "the best classical learner", "the best deep learner"
FEWEST_BLOCKS = 2


@dataclasses.dataclass(frozen=True)
class ErrorRatio:
    """Ratio of two errors with its interval by test examples; below 1 the first error is smaller.

    `high` may be infinite; `num_blocks` blocks of `block_size` test examples are paired.
    """

    ratio: float
    low: float
    high: float
    num_blocks: int
    block_size: int = 1


def ratio_of(relative_difference: float, power: float = 1.0) -> float:
    """a/b, to a power, from (a - b) relative to the mean of both: 0 at -2, infinite at 2."""
    half = min(max(relative_difference / 2, -1.0), 1.0)
    return math.inf if half == 1.0 else ((1 + half) / (1 - half)) ** power


def error_ratio(
    workdir: Path, trials: Sequence[Record], others: Sequence[Record], tests: Sequence[TestSet], level: float
) -> ErrorRatio | None:
    """Ratio of the errors of two groups of trials at one size, paired by test example, each a mean over its seeds.

    `tests` are the test sets of all hold-outs; each example is paired within its own. None where predictions were not
    saved, and where the recorded error is neither a mean over examples nor its root.
    """
    errors: list[list[np.ndarray]] = []
    powers: set[float | None] = set()
    size = 1
    for test in tests:
        rows = [on_test_set(group, test) for group in (trials, others)]
        saved = [predictions(workdir, group, test) for group in rows]
        if all(saved):
            powers |= {power_of_mean(seeds, group) for seeds, group in zip(saved, rows)}
            errors.append([np.mean(np.stack([seed["error"] for seed in each]), axis=0, dtype=float) for each in saved])
            size = block_size(test)
    num_blocks = sum(len(a) for a, _ in errors) // size
    if num_blocks < FEWEST_BLOCKS or len(powers) != 1 or (power := powers.pop()) is None:
        return None
    a, b = (np.concatenate(each) for each in zip(*errors))
    scale = float(a.mean() + b.mean()) / 2 or 1.0
    blocks = [float(block.mean()) for block in np.array_split((a - b) / scale, num_blocks)]
    mean, t = float(np.mean(blocks)), float(special.stdtrit(num_blocks - 1, (1 + level) / 2))
    half = t * float(np.std(blocks, ddof=1)) / math.sqrt(num_blocks)
    ratio, low, high = (ratio_of(end, power) for end in (mean, mean - half, mean + half))
    return ErrorRatio(ratio, low, high, num_blocks, size)


@dataclasses.dataclass(frozen=True)
class Family:
    """The best learner of a family at each size: the curve of their errors, their names, and the last size's trials."""

    curve: Curve
    selected: tuple[str, ...]
    last: tuple[Record, ...]


@dataclasses.dataclass(frozen=True)
class FamilyComparison:
    """Where deep learning becomes better than classical learning; `ratio` of their errors at the largest size."""

    classical: Family
    deep: Family
    crossover: Crossover
    ratio: ErrorRatio | None


def compare_families(
    workdir: Path, records: Sequence[Record], tests: Sequence[TestSet], level: float, pool_size: int = 0
) -> FamilyComparison | None:
    """Deep against classical learners; None where a family or its validation errors are missing.

    `pool_size` as in `Curve`.
    """
    families = best_of_each_family(records)
    if families is None:
        return None
    classical, deep = families
    ratio = error_ratio(workdir, deep.last, classical.last, tests, level)
    last = {family.curve.learner: {family.curve.train_sizes[-1]: family.last} for family in families}
    curves = [dataclasses.replace(family.curve, pool_size=pool_size) for family in families]
    (one, other), correlation = with_sampling_errors(workdir, curves, last)
    where = crossover(one, other, level, as_given=True, test_correlation=correlation[0][1])
    return FamilyComparison(classical, deep, where, ratio)


def best_of_each_family(records: Sequence[Record]) -> tuple[Family, Family] | None:
    """The best classical and the best deep learner at each size that both families were measured at.

    Trials with added noise are excluded. None where there is no common size, or the units differ.
    """
    candidates: dict[bool, dict[int, list[tuple[float, str, list[Record]]]]] = {True: {}, False: {}}
    for by_size in settings_by_size(records).values():
        for size, settings in by_size.items():
            best = min(settings, key=lambda setting: setting.rank)
            pairs = [pair for pair in zip(best.rows, best.validation) if pair[0].value is not None]
            finished, errors = [row for row, _ in pairs if not row.noise], [error for _, error in pairs]
            if finished and all(map(math.isfinite, errors)):
                of_size = candidates[finished[0].precision == NO_PRECISION].setdefault(size, [])
                of_size.append((float(np.mean(errors)), finished[0].learner, finished))
    shared = sorted(set(candidates[True]) & set(candidates[False]))
    if not shared:
        return None
    classical, deep = (
        _family(name, {size: min(candidates[kind][size], key=lambda each: each[:2]) for size in shared})
        for kind, name in ((True, CLASSICAL), (False, DEEP))
    )
    return (classical, deep) if classical.curve.unit == deep.curve.unit else None


def _family(name: str, selected: Mapping[int, tuple[float, str, list[Record]]]) -> Family:
    first = next(iter(selected.values()))[2][0]
    errors = tuple(tuple(float(row.value or 0.0) for row in rows) for _, _, rows in selected.values())
    bound = BOUNDS.get(first.unit, (0.0, None))
    _, learners, rows = zip(*selected.values())
    num_test, hold_outs = test_counts(rows[-1])
    curve = Curve(name, tuple(selected), errors, first.unit, bound, num_test, hold_outs=hold_outs)
    return Family(curve, learners, tuple(rows[-1]))


@dataclasses.dataclass(frozen=True)
class NaiveComparison:
    """Learners that are not shown to have a smaller error than the best naive baseline, which learns nothing from data.

    `ratios` of their errors to the baseline's at `size`; `num_learners` learners that train were compared.
    """

    baseline: str
    size: int
    error: float
    unit: str
    num_learners: int
    ratios: Mapping[str, ErrorRatio]


def compare_with_naive_baseline(
    workdir: Path, records: Sequence[Record], tests: Sequence[TestSet], level: float
) -> NaiveComparison | None:
    """Compares at the largest size that all learners have; None where every learner is shown to be better."""
    curves = {
        name: by_size
        for name, by_size in selected_rows(records).items()
        if not any(row.noise for rows in by_size.values() for row in rows)
    }
    shared = set.intersection(*map(_measured_sizes, curves.values())) if curves else set()
    naive = [
        name
        for name, by_size in curves.items()
        if all(row.step == 0 and row.status == "done" for rows in by_size.values() for row in rows)
    ]
    if not shared or not naive or len(naive) == len(curves) or not tests:
        return None
    size = max(shared)
    trials = {name: by_size[size] for name, by_size in curves.items()}
    best = min(naive, key=lambda name: _mean_error(trials[name]))
    ratios = {
        name: error_ratio(workdir, rows, trials[best], tests, level)
        for name, rows in trials.items()
        if name not in naive
    }
    worse = {name: ratio for name, ratio in ratios.items() if ratio and ratio.high >= 1}
    if not worse:
        return None
    error, unit = _mean_error(trials[best]), trials[best][0].unit
    return NaiveComparison(best, size, error, unit, len(ratios), worse)


def _measured_sizes(by_size: Mapping[int, Sequence[Record]]) -> set[int]:
    return {size for size, rows in by_size.items() if any(row.value is not None for row in rows)}


def _mean_error(rows: Sequence[Record]) -> float:
    return fmean(row.value for row in rows if row.value is not None)

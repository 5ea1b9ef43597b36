"""Errors with and without test examples that overlap the training pool, and trials without a result."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from dlm.curves.from_records import curve_name
from dlm.storage.record_log import Record, ends
from dlm.study.names import ERROR_WITHOUT_LEAKS


@dataclasses.dataclass(frozen=True)
class OverlapEffect:
    """A learner's mean error at its largest size on all test examples, and on those that are not in the pool."""

    learner: str
    size: int
    unit: str
    error: float
    error_without_overlap: float
    num_seeds: int


def overlap_effects(records: Sequence[Record]) -> list[OverlapEffect]:
    """One for each curve, of the seeds that have both errors at its largest size."""
    without = {
        (row.trial_id, row.step): row.value
        for row in records
        if row.metric == ERROR_WITHOUT_LEAKS and row.value is not None
    }
    pairs: dict[str, dict[int, list[tuple[float, float, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in ends(records).values():
        other = without.get((row.trial_id, row.step))
        if row.value is not None and other is not None:
            pairs[curve_name(row.learner, row.noise)][row.train_size].append((row.value, other, row.unit))
    effects = []
    for name, by_size in pairs.items():
        size = max(by_size)
        with_overlap, without_overlap, units = zip(*by_size[size])
        means = float(np.mean(with_overlap)), float(np.mean(without_overlap))
        effects.append(OverlapEffect(name, size, units[0], *means, len(units)))
    return effects


@dataclasses.dataclass(frozen=True)
class MissingResult:
    """A trial that diverged or failed. `loss` is the row of a diverged trial's last finite training loss, if any."""

    end: Record
    loss: Record | None


def missing_results(records: Sequence[Record]) -> list[MissingResult]:
    """The diverged trials, then the failed ones, by learner, size and seed."""
    losses = {(row.trial_id, row.step): row for row in records if (row.split, row.metric) == ("train", "loss")}
    missing = [row for row in ends(records).values() if row.status in ("diverged", "failed")]
    missing.sort(key=lambda row: (row.status, row.learner, row.train_size, row.subset_seed))
    return [MissingResult(row, losses.get((row.trial_id, row.step))) for row in missing]


def always_diverged(records: Iterable[Record]) -> dict[str, float]:
    """Learning rates, by learner, of the learners of which every trial diverged."""
    finished = list(ends(records).values())
    trials = Counter(row.learner for row in finished)
    diverged = Counter(row.learner for row in finished if row.status == "diverged")
    rates = {row.learner: rate for row in finished if (rate := _learning_rate(row))}
    return {name: rate for name, rate in rates.items() if trials[name] == diverged[name]}


def _learning_rate(row: Record) -> float | None:
    try:
        return float(json.loads(row.hyper)["hyper"]["lr"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

"""Statistics of records: test measures, training errors, resources, validation errors, overlap, missing results."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dlm.analysis.tuning import flat_config, is_number
from dlm.curves.from_records import curve_name
from dlm.storage.record_log import Record, ends
from dlm.study.learner import Budget
from dlm.study.names import ERROR, ERROR_WITHOUT_LEAKS, LOSS, TRAIN, VALIDATION, Status

REPORTED_ELSEWHERE = ("error", "loss", ERROR_WITHOUT_LEAKS)
FEWEST_MEASURED, LEAST_IMPROVEMENT = 4, 0.02  # validation losses of a trial; their fall from quarter to quarter
SUMMED = ("seconds", "flops", "joules")  # resources that can be added over trials

Trials = Mapping[str, Mapping[int, Sequence[Record]]]  # by curve and size: the row that ends each trial


@dataclasses.dataclass(frozen=True)
class TestMeasure:
    """A measure of the test set: its unit (empty for none) and its means by learner and size."""

    __test__ = False  # not a test case

    name: str
    unit: str
    means: Mapping[str, Mapping[int, float]]


@dataclasses.dataclass(frozen=True)
class Resource:
    """A field of the records that holds a resource: medians by learner and size, and the sum over all trials."""

    field: str
    medians: Mapping[str, Mapping[int, float]]
    total: float


def other_measures(trials: Trials, records: Iterable[Record]) -> list[TestMeasure]:
    """Every measure of the test set except error and loss, in alphabetical order."""
    keys = {(row.trial_id, row.step): (name, size) for name, size, row in _all_rows(trials)}
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    units: dict[str, str] = {}
    for row in records:
        key = keys.get((row.trial_id, row.step))
        if key and row.split == "test" and row.metric not in REPORTED_ELSEWHERE and row.value is not None:
            values[row.metric, *key].append(row.value)
            units[row.metric] = row.unit
    means: dict[str, dict[str, dict[int, float]]] = {}
    for (name, learner, size), own in values.items():
        means.setdefault(name, {}).setdefault(learner, {})[size] = statistics.fmean(own)
    return [TestMeasure(name, units[name], means[name]) for name in sorted(means)]


@dataclasses.dataclass(frozen=True)
class TrainingGap:
    """A learner's mean training and test error at its largest size where both were measured."""

    learner: str
    size: int
    unit: str
    train: float
    test: float


def training_gaps(trials: Trials, records: Iterable[Record]) -> list[TrainingGap]:
    """One for each learner that learns from data and has training errors."""
    train_errors = {
        (row.trial_id, row.step): row.value
        for row in records
        if (row.split, row.metric) == (TRAIN, ERROR) and row.value is not None
    }
    gaps = []
    for name, by_size in trials.items():
        for size, rows in sorted(by_size.items(), reverse=True):
            keys = [(row, train_errors.get((row.trial_id, row.step))) for row in rows if row.step]
            pairs = [(train, row.value) for row, train in keys if train is not None and row.value is not None]
            if pairs:
                train, test = map(statistics.fmean, zip(*pairs))
                gaps.append(TrainingGap(name, size, rows[0].unit, train, test))
                break
    return gaps


def _all_rows(trials: Trials) -> Iterator[tuple[str, int, Record]]:
    """(curve, size, row) of every trial."""
    return ((name, size, row) for name, by_size in trials.items() for size, rows in by_size.items() for row in rows)


def largest_sizes(measures: Sequence[TestMeasure]) -> dict[str, int]:
    """The largest size of each learner that has a value of any measure."""
    train_sizes: dict[str, int] = {}
    for measure in measures:
        for learner, by_size in measure.means.items():
            train_sizes[learner] = max(train_sizes.get(learner, 0), *by_size)
    return train_sizes


def resources(trials: Trials, fields: Iterable[str]) -> list[Resource]:
    """The named record fields that any trial has a value of."""
    used = []
    for field in fields:
        medians = {learner: _medians(by_size, field) for learner, by_size in trials.items()}
        if any(medians.values()):
            used.append(Resource(field, medians, sum(getattr(row, field) or 0.0 for *_, row in _all_rows(trials))))
    return used


def _medians(by_size: Mapping[int, Sequence[Record]], field: str) -> dict[int, float]:
    values = {size: [value for row in rows if (value := getattr(row, field))] for size, rows in by_size.items()}
    return {size: statistics.median(own) for size, own in values.items() if own}


def mean_error(rows: Sequence[Record]) -> float | None:
    """The mean error of the trials that have one."""
    values = [row.value for row in rows if row.value is not None]
    return statistics.fmean(values) if values else None


def validation_histories(records: Sequence[Record], trials: Trials) -> dict[str, dict[int, dict[int, Sequence[float]]]]:
    """Validation errors by learner, size and step, of the trials that were evaluated during training."""
    evaluated = {row.trial_id for row in records if row.status == "running"}
    keys = {row.trial_id: (name, size) for name, size, row in _all_rows(trials) if row.trial_id in evaluated}
    errors: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in records:
        if (row.split, row.metric) == ("validation", "error") and row.trial_id in keys and row.value is not None:
            name, size = keys[row.trial_id]
            errors[name][size][row.step].append(row.value)
    return {
        name: {size: dict(sorted(steps.items())) for size, steps in by_size.items()} for name, by_size in errors.items()
    }


@dataclasses.dataclass(frozen=True)
class Undertrained:
    """A learner of which some trials were still improving when their budget ended.

    `num_trials` trials were measured often enough to tell. `limits` are the fields of the budget that ended the
    improving ones, by path, with their values.
    """

    learner: str
    num_improving: int
    num_trials: int
    limits: Mapping[str, float]


def undertrained_learners(records: Sequence[Record], trials: Trials, study: Mapping[str, Any]) -> list[Undertrained]:
    """The learners with improving trials; `study` is the study's canonical form.

    A trial was improving if the mean validation loss of the last quarter of its measurements is more than 2 % below
    that of the quarter before, and no early stopping ended it.
    """
    losses: dict[str, dict[int, float]] = defaultdict(dict)
    for row in records:
        if (row.split, row.metric) == (VALIDATION, LOSS) and row.value is not None:
            losses[row.trial_id][row.step] = row.value
    results = []
    for name, by_size in trials.items():
        rows = [row for own in by_size.values() for row in own]
        measured = [row for row in rows if row.status == Status.DONE and len(losses[row.trial_id]) >= FEWEST_MEASURED]
        limits: dict[str, float] = {}
        num_improving = 0
        for row in measured:
            prefix, budget = _budget(study, row)
            if row.step >= budget.num_steps(row.train_size) and _is_improving(losses[row.trial_id]):
                num_improving += 1
                field = budget.binding_field(row.train_size)
                limits[prefix + field] = getattr(budget, field)
        if num_improving:
            results.append(Undertrained(name, num_improving, len(measured), limits))
    return results


def _is_improving(losses: Mapping[int, float]) -> bool:
    """Whether losses by step still fell at their end."""
    ordered = [loss for _, loss in sorted(losses.items())]
    quarter = len(ordered) // 4
    last, before = statistics.fmean(ordered[-quarter:]), statistics.fmean(ordered[-2 * quarter : -quarter])
    return last < before - LEAST_IMPROVEMENT * abs(before)


def _budget(study: Mapping[str, Any], row: Record) -> tuple[str, Budget]:
    """The path and the budget of a gradient-trained trial: its learner's own, or the study's."""
    own = json.loads(row.hyper).get("budget")
    fields = {name: value for name, value in (own or study["budget"]).items() if name != "type"}
    return f"learners.{row.learner}.budget." if own else "budget.", Budget(**fields)


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
    rates = {row.learner: flat_config(row.hyper).get("hyper.lr") for row in finished}
    return {name: rate for name, rate in rates.items() if is_number(rate) and rate and trials[name] == diverged[name]}

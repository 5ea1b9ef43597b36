"""Analyses groups of test examples: curves, forecasts, gaps with simultaneous intervals, and metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dlm.analysis.fairness.forecasts import exponent, need, summarize_group
from dlm.analysis.fairness.gaps import Gap, GroupRange, gaps, group_ranges, seed_noise
from dlm.analysis.fairness.groups import LEAST_EXAMPLES, GroupColumn, GroupComparison, LearnerErrors, Measure
from dlm.analysis.fairness.metrics import ColumnMetrics, column_metrics
from dlm.curves.exponent import Exponent
from dlm.curves.from_records import BOUNDS, selected_rows
from dlm.curves.types import LearnerSummary, RequiredSize
from dlm.storage import artifacts
from dlm.storage.record_log import Record
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class GroupCurve:
    """A learner's curve on the test examples of one group.

    `in_pool`: the group's examples in the training pool, None if unknown. `exponent` is None below three sizes.
    `need`: the training-set size, with the group proportions of the pool, at which the group reaches the error of all
    other examples at the largest size.
    """

    learner: str
    column: str
    group: str
    in_pool: int | None
    answer: LearnerSummary
    exponent: Exponent | None
    need: RequiredSize | None


@dataclasses.dataclass(frozen=True)
class GroupReport:
    """Gaps at every size; their intervals hold simultaneously for all learners, columns and groups of a size.

    `metrics` are of each learner's largest size; `notes` are caveats.
    """

    curves: tuple[GroupCurve, ...]
    gaps: tuple[Gap, ...]
    group_ranges: tuple[GroupRange, ...]
    metrics: tuple[ColumnMetrics, ...]
    level: float
    unit: str
    notes: tuple[str, ...] = ()

    def largest(self) -> tuple[Gap, ...]:
        """The gaps at each learner's largest size."""
        last = {gap.learner: gap.size for gap in sorted(self.gaps, key=lambda gap: gap.size)}
        return tuple(gap for gap in self.gaps if gap.size == last[gap.learner])


def analyze_groups(
    workdir: Path, records: Iterable[Record], *, targets: Sequence[float] = (), level: float = 0.95
) -> GroupReport | None:
    """The report of the trials of these records; None if the study declares no groups or has no saved predictions.

    The hyperparameters at each size are those selected for the learner's curve. All learners have one unit. Of several
    hold-outs the first is used, which a note says.
    """
    test = artifacts.read_test_set(workdir)
    if test is None or "groups" not in test:
        return None
    selected = selected_rows(records)
    read = (_learner_errors(workdir, name, by_size, test) for name, by_size in selected.items())
    learners = [learner for learner in read if learner]
    if not learners:
        return None
    columns, measure = columns_of(test), Measure.of(learners[0].unit)
    families = _all_gaps(learners, columns, measure, level)
    metrics, notes = _all_metrics(learners, columns)
    return GroupReport(
        tuple(
            _group_curve(learner, column, comparison, targets, level)
            for learner in learners
            for column in columns
            for comparison in column.comparisons()
        ),
        tuple(gap for family in families for gap in family),
        tuple(spread for family in families for spread in group_ranges(family, measure=measure)),
        tuple(metrics),
        level,
        learners[0].unit,
        (*_hold_out_note(selected), *_notes(learners, columns), *notes),
    )


def _all_gaps(
    learners: Sequence[LearnerErrors], columns: Sequence[GroupColumn], measure: Measure, level: float
) -> list[list[Gap]]:
    """One family of gaps a size, of all learners measured there."""
    noise = {learner.learner: seed_noise(learner.errors, columns, measure=measure) for learner in learners}
    families = []
    for size in sorted({size for learner in learners for size in learner.errors}):
        there = {learner.learner: learner.errors[size] for learner in learners if size in learner.errors}
        at_size = {name: noise[name][size] for name in there}
        families.append(gaps(size, there, columns, at_size, measure=measure, level=level))
    return families


def _group_curve(
    learner: LearnerErrors, column: GroupColumn, comparison: GroupComparison, targets: Sequence[float], level: float
) -> GroupCurve:
    curve, measure = learner.curve(column.name, comparison.group, comparison.own), Measure.of(learner.unit)
    own, others = learner.last[:, comparison.own], learner.last[:, comparison.others]
    summary = summarize_group(curve, own, measure=measure, targets=targets, multiples=(2.0, 10.0), level=level)
    return GroupCurve(
        learner.learner,
        column.name,
        comparison.group,
        dict(zip(column.groups, column.pool)).get(comparison.group),
        summary,
        exponent(learner.errors, comparison.own, measure=measure, level=level),
        need(curve if summary.predictions else None, own, others, measure=measure, level=level),
    )


def _all_metrics(
    learners: Sequence[LearnerErrors], columns: Sequence[GroupColumn]
) -> tuple[list[ColumnMetrics], list[str]]:
    """Metrics at each learner's largest size, or a note why there are none."""
    known = [column for column in columns if column.known().any()]
    try:
        return [column_metrics(learner, column) for learner in learners for column in known], []
    except UsageError as error:
        return [], [f"{str(error)[0].upper()}{str(error)[1:]}."]


def _notes(learners: Sequence[LearnerErrors], columns: Sequence[GroupColumn]) -> list[str]:
    notes = []
    for column in columns:
        compared = {comparison.group for comparison in column.comparisons()}
        few = [name for code, name in enumerate(column.groups) if name not in compared and (column.codes == code).any()]
        if few:
            notes.append(
                f"{column.name}: {', '.join(few)} not compared, as the group or its complement has fewer than "
                f"{LEAST_EXAMPLES} test examples."
            )
        unknown = int((~column.known()).sum())
        if unknown:
            notes.append(f"{column.name}: {unknown:,} test examples of unknown group are excluded.")
    single = [learner.learner for learner in learners if len(learner.last) == 1]
    if single:
        notes.append(
            f"{', '.join(single)}: one seed at the largest size, so a gap is that of this training; other trainings "
            "may differ."
        )
    return notes


def _hold_out_note(selected: Mapping[str, Mapping[int, Sequence[Record]]]) -> list[str]:
    used = {row.hold_out for by_size in selected.values() for rows in by_size.values() for row in rows}
    return [f"Groups are compared on the test examples of the first of {len(used)} hold-outs."] if len(used) > 1 else []


def columns_of(test: Mapping[str, np.ndarray]) -> list[GroupColumn]:
    """The columns of a saved test set that define groups."""
    return [
        GroupColumn(
            str(name),
            tuple(map(str, test[f"group_names_{k}"])),
            test["groups"][:, k],
            tuple(map(int, test[f"group_pool_{k}"])),
        )
        for k, name in enumerate(test["group_columns"])
    ]


def _learner_errors(
    workdir: Path, name: str, train_sizes: Mapping[int, Sequence[Record]], test: Mapping[str, np.ndarray]
) -> LearnerErrors | None:
    """A learner's errors, of the trials with saved predictions; with the classes if there are two."""
    saved: dict[int, list[dict[str, np.ndarray]]] = {}
    for size, trials in train_sizes.items():
        ends = [row for row in trials if row.value is not None and row.hold_out == 0]
        read = [artifacts.read_predictions(workdir, row.trial_id) for row in ends]
        complete = [seed for seed in read if seed and seed.get("error", np.zeros(0)).shape == (len(test["groups"]),)]
        if complete:
            saved[size] = complete
    if not saved:
        return None
    unit = next(iter(train_sizes.values()))[0].unit
    errors = {size: np.stack([seed["error"] for seed in seeds]).astype(np.float64) for size, seeds in saved.items()}
    learner = LearnerErrors(name, errors, unit, BOUNDS.get(unit, (0.0, None)))
    last = saved[max(saved)]
    if any(seed.get("probabilities", np.zeros((0, 0))).shape[-1] != 2 for seed in last):
        return learner
    predicted = np.stack([seed["probabilities"].argmax(axis=1) for seed in last])
    names = [*map(str, test.get("class_names", []))] or ["0", "1"]
    return dataclasses.replace(learner, truth=test["y"], predicted=predicted, positive=names[1])

"""Analyses groups of test examples: curves, forecasts, gaps with simultaneous intervals, and metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlm.analysis.fairness.forecasts import exponent, need, summarize_group
from dlm.analysis.fairness.gaps import Gap, GroupRange, gaps, group_ranges, seed_noise
from dlm.analysis.fairness.groups import LEAST_EXAMPLES, Array, GroupColumn, GroupComparison, Indices, Measure
from dlm.analysis.fairness.metrics import ColumnMetrics, column_metrics
from dlm.curves.exponent import Exponent
from dlm.curves.from_records import BOUNDS, selected_rows
from dlm.curves.types import Curve, LearnerSummary, RequiredSize
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


@dataclasses.dataclass(frozen=True, eq=False)
class LearnerErrors:
    """A learner's errors [S, N] of each test example, by size; the curve shows their mean, or its root for RMSE.

    For a binary target, `truth` [N] and `predicted` [S, N] at the largest size are classes, 1 for `positive`.
    """

    learner: str
    errors: Mapping[int, Array]
    unit: str = "error rate"
    bound: tuple[float, float | None] = (0.0, 1.0)
    truth: NDArray[np.integer] | None = None
    predicted: NDArray[np.integer] | None = None
    positive: str = ""

    def curve(self, column: str, group: str, indices: Indices) -> Curve:
        """The curve of some test examples."""
        measure, train_sizes = Measure.of(self.unit), sorted(self.errors)
        rows = [measure.finish(self.errors[size][:, indices].mean(axis=1, dtype=np.float64)) for size in train_sizes]
        return Curve(
            f"{self.learner}, {column}={group}",
            tuple(train_sizes),
            tuple(tuple(map(float, row)) for row in rows),
            self.unit,
            self.bound,
            len(indices),
        )


def group_report(
    learners: Sequence[LearnerErrors],
    columns: Sequence[GroupColumn],
    *,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
) -> GroupReport:
    """Curves, forecasts, gaps and metrics of every group of every column, by learner. All learners have one unit."""
    measure = Measure.of(learners[0].unit)
    families = _all_gaps(learners, columns, measure, level)
    curves = [
        _group_curve(one, column, comparison, measure, targets, multiples, level)
        for one in learners
        for column in columns
        for comparison in column.comparisons()
    ]
    metrics, note = _all_metrics(learners, columns, measure)
    notes = [*_notes(learners, columns), *([note] if note else [])]
    return GroupReport(
        tuple(curves),
        tuple(gap for family in families for gap in family),
        tuple(spread for family in families for spread in group_ranges(family, measure=measure)),
        tuple(metrics),
        level,
        learners[0].unit,
        tuple(notes),
    )


def _all_gaps(
    learners: Sequence[LearnerErrors], columns: Sequence[GroupColumn], measure: Measure, level: float
) -> list[list[Gap]]:
    """One family of gaps a size, of all learners measured there."""
    noise = {one.learner: seed_noise(one.errors, columns, measure=measure) for one in learners}
    families = []
    for size in sorted({size for one in learners for size in one.errors}):
        there = {one.learner: one.errors[size] for one in learners if size in one.errors}
        at_size = {name: noise[name][size] for name in there}
        families.append(gaps(size, there, columns, at_size, measure=measure, level=level))
    return families


def _group_curve(
    one: LearnerErrors,
    column: GroupColumn,
    comparison: GroupComparison,
    measure: Measure,
    targets: Sequence[float],
    multiples: Sequence[float],
    level: float,
) -> GroupCurve:
    curve, last = one.curve(column.name, comparison.group, comparison.own), one.errors[max(one.errors)]
    own, others = last[:, comparison.own], last[:, comparison.others]
    pool = dict(zip(column.groups, column.pool))
    summary = summarize_group(curve, own, measure=measure, targets=targets, multiples=multiples, level=level)
    has_forecast = bool(summary.predictions)
    return GroupCurve(
        one.learner,
        column.name,
        comparison.group,
        pool.get(comparison.group),
        summary,
        exponent(one.errors, comparison.own, measure=measure, level=level),
        need(curve if has_forecast else None, own, others, measure=measure, level=level),
    )


def _all_metrics(
    learners: Sequence[LearnerErrors], columns: Sequence[GroupColumn], measure: Measure
) -> tuple[list[ColumnMetrics], str]:
    """Metrics at each learner's largest size, or a note why there are none."""
    metrics = []
    try:
        for one in learners:
            size = max(one.errors)
            extra = {"truth": one.truth, "predicted": one.predicted, "positive": one.positive}
            metrics += [
                column_metrics(one.learner, size, column, one.errors[size], measure=measure, **extra)  # type: ignore[arg-type]
                for column in columns
                if column.known().any()
            ]
    except UsageError as error:
        return [], f"{str(error)[0].upper()}{str(error)[1:]}."
    return metrics, ""


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
    single = [one.learner for one in learners if len(one.errors[max(one.errors)]) == 1]
    if single:
        notes.append(
            f"{', '.join(single)}: one seed at the largest size, so a gap is that of this training; other trainings "
            "may differ."
        )
    return notes


Predictions = dict[str, np.ndarray]


def analyze_groups(
    workdir: Path,
    records: Iterable[Record],
    trial_ids: Collection[str] | None = None,
    *,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
) -> GroupReport | None:
    """The report of the given trials, or of all; None if the study declares no groups or has no saved predictions.

    The hyperparameters at each size are those selected for the learner's curve.
    """
    test = artifacts.read_test_set(workdir)
    if test is None or "groups" not in test:
        return None
    learners = [
        one
        for name, train_sizes in selected_rows(records, trial_ids).items()
        if (one := _measured(workdir, name, train_sizes, test)) is not None
    ]
    if not learners:
        return None
    return group_report(learners, columns_of(test), targets=targets, multiples=multiples, level=level)


def columns_of(test: Mapping[str, np.ndarray]) -> list[GroupColumn]:
    """The columns of a saved test set that define groups."""
    return [
        GroupColumn(
            str(name),
            tuple(map(str, test[f"group_names_{place}"])),
            test["groups"][:, place],
            tuple(map(int, test[f"group_pool_{place}"])),
        )
        for place, name in enumerate(test["group_columns"])
    ]


def _measured(
    workdir: Path, name: str, train_sizes: Mapping[int, Sequence[Record]], test: Mapping[str, np.ndarray]
) -> LearnerErrors | None:
    """A learner's errors, of the trials with saved predictions."""
    count = len(test["groups"])
    saved: dict[int, list[Predictions]] = {}
    for size, trials in train_sizes.items():
        read = [artifacts.read_predictions(workdir, row.trial_id) for row in trials if row.value is not None]
        complete = [seed for seed in read if seed and seed.get("error", np.zeros(0)).shape == (count,)]
        if complete:
            saved[size] = complete
    if not saved:
        return None
    unit = next(iter(train_sizes.values()))[0].unit
    errors = {size: np.stack([seed["error"] for seed in seeds]).astype(np.float64) for size, seeds in saved.items()}
    binary = _binary(saved[max(saved)], test)
    return LearnerErrors(name, errors, unit, BOUNDS.get(unit, (0.0, None)), *binary)


def _binary(
    seeds: Sequence[Predictions], test: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, str] | tuple[()]:
    """(true classes [N], predicted classes [S, N], name of the second) of two classes; empty otherwise."""
    if any(seed.get("probabilities", np.zeros((0, 0))).shape[-1] != 2 for seed in seeds):
        return ()
    names = test.get("class_names", np.zeros(0))
    predicted = np.stack([seed["probabilities"].argmax(axis=1) for seed in seeds])
    return test["y"], predicted, str(names[1] if len(names) else 1)

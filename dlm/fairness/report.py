"""From errors of test examples to all that is said of groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dlm.curves.results import Curve
from dlm.errors import UsageError
from dlm.fairness.columns import LEAST_EXAMPLES, Column, Places, Side
from dlm.fairness.exponents import exponent
from dlm.fairness.gaps import Gap, gaps, spreads
from dlm.fairness.limits import Array, Measure
from dlm.fairness.metrics import REMEDY, ColumnMetrics, column_metrics
from dlm.fairness.needs import group_answer, need
from dlm.fairness.results import GroupCurve, GroupReport
from dlm.fairness.seeds import seed_noise


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A learner's errors [S, N] of each test example, by size (mean over N, root of it for RMSE: what its curve shows).

    For a binary target `truth` [N] and, of the largest size, `predicted` [S, N] are classes, 1 for `positive`.
    """

    learner: str
    errors: Mapping[int, Array]
    unit: str = "error rate"
    bound: tuple[float, float | None] = (0.0, 1.0)
    truth: NDArray[np.integer] | None = None
    predicted: NDArray[np.integer] | None = None
    positive: str = ""

    def curve(self, column: str, group: str, places: Places) -> Curve:
        """The curve of some test examples."""
        measure, sizes = Measure.of(self.unit), sorted(self.errors)
        rows = [measure.finish(self.errors[size][:, places].mean(axis=1, dtype=np.float64)) for size in sizes]
        return Curve(
            f"{self.learner}, {column}={group}",
            tuple(sizes),
            tuple(tuple(map(float, row)) for row in rows),
            self.unit,
            self.bound,
            len(places),
        )


def group_report(
    learners: Sequence[Measured],
    columns: Sequence[Column],
    *,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
) -> GroupReport:
    """Curves, forecasts, gaps and metrics of every group of every column, by learner. All learners have one unit."""
    measure = Measure.of(learners[0].unit)
    found = _all_gaps(learners, columns, measure, level)
    curves = [
        _group_curve(one, column, side, measure, targets, multiples, level)
        for one in learners
        for column in columns
        for side in column.sides()
    ]
    metrics, note = _all_metrics(learners, columns, measure)
    notes = [*_notes(learners, columns), *([note] if note else [])]
    return GroupReport(
        tuple(curves),
        tuple(gap for family in found for gap in family),
        tuple(spread for family in found for spread in spreads(family, measure=measure)),
        tuple(metrics),
        level,
        learners[0].unit,
        tuple(notes),
    )


def _all_gaps(
    learners: Sequence[Measured], columns: Sequence[Column], measure: Measure, level: float
) -> list[list[Gap]]:
    """A family of gaps a size, of all learners that were measured there."""
    noise = {one.learner: seed_noise(one.errors, columns, measure=measure) for one in learners}
    families = []
    for size in sorted({size for one in learners for size in one.errors}):
        there = {one.learner: one.errors[size] for one in learners if size in one.errors}
        at_size = {name: noise[name][size] for name in there}
        families.append(gaps(size, there, columns, at_size, measure=measure, level=level))
    return families


def _group_curve(
    one: Measured,
    column: Column,
    side: Side,
    measure: Measure,
    targets: Sequence[float],
    multiples: Sequence[float],
    level: float,
) -> GroupCurve:
    curve, last = one.curve(column.name, side.group, side.own), one.errors[max(one.errors)]
    own, others = last[:, side.own], last[:, side.others]
    pool = dict(zip(column.groups, column.pool))
    told = group_answer(curve, own, measure=measure, targets=targets, multiples=multiples, level=level)
    carried = bool(told.predictions)
    return GroupCurve(
        one.learner,
        column.name,
        side.group,
        pool.get(side.group),
        told,
        exponent(one.errors, side.own, measure=measure, level=level),
        need(curve if carried else None, own, others, measure=measure, level=level),
    )


def _all_metrics(
    learners: Sequence[Measured], columns: Sequence[Column], measure: Measure
) -> tuple[list[ColumnMetrics], str]:
    """Metrics at each learner's largest size, or why there are none."""
    found = []
    try:
        for one in learners:
            size = max(one.errors)
            extra = {"truth": one.truth, "predicted": one.predicted, "positive": one.positive}
            found += [
                column_metrics(one.learner, size, column, one.errors[size], measure=measure, **extra)  # type: ignore[arg-type]
                for column in columns
                if column.known().any()
            ]
    except UsageError:
        return [], f"Metrics of groups (false positives, parity) need fairlearn: {REMEDY}."
    return found, ""


def _notes(learners: Sequence[Measured], columns: Sequence[Column]) -> list[str]:
    told = []
    for column in columns:
        compared = {side.group for side in column.sides()}
        few = [name for code, name in enumerate(column.groups) if name not in compared and (column.codes == code).any()]
        if few:
            told.append(
                f"{column.name}: fewer than {LEAST_EXAMPLES} test examples of {', '.join(few)}, or of everyone else; "
                "they are not compared."
            )
        unknown = int((~column.known()).sum())
        if unknown:
            told.append(f"{column.name}: the group of {unknown:,} test examples is not known; they are left out.")
    single = [one.learner for one in learners if len(one.errors[max(one.errors)]) == 1]
    if single:
        told.append(
            f"{', '.join(single)}: one seed at the largest size, so a gap is that of this training; "
            "others may have another."
        )
    return told

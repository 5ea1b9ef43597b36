"""Other measures of the test set on the page: a chart of each, and a table of all."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dlm.report.formatting import error_number, is_rate
from dlm.report.html.elements import Chart, Choice, Section, size_axis
from dlm.report.sections.learning_curve import Cells
from dlm.report.tables import Table
from dlm.storage.artifacts import WITHOUT_LEAKS
from dlm.storage.record_log import Record

TOLD_ELSEWHERE = ("error", "loss", WITHOUT_LEAKS)
ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Measured:
    """One measure: its name, its unit (empty: none), and medians by learner and size."""

    name: str
    unit: str
    medians: Mapping[str, Mapping[int, float]]

    @property
    def head(self) -> str:
        """Its name as a table's head."""
        return f"{self.name.replace('_', ' ')}{' %' if is_rate(self.unit) else ''}"

    def text(self, learner: str, size: int) -> str:
        """The number of a cell."""
        value = self.medians.get(learner, {}).get(size)
        return ABSENT if value is None else error_number(value, self.unit)


def other_measures(cells: Mapping[str, Mapping[int, Sequence[Record]]], rows: Sequence[Record]) -> list[Measured]:
    """Every measure of the test set that nothing else tells, in the order of their names."""
    place = {
        (row.trial_id, row.step): (name, size)
        for name, by_size in cells.items()
        for size, own in by_size.items()
        for row in own
    }
    values: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    units: dict[str, str] = {}
    for row in rows:
        cell = place.get((row.trial_id, row.step))
        if cell and row.split == "test" and row.metric not in TOLD_ELSEWHERE and row.value is not None:
            values[row.metric][cell].append(row.value)
            units[row.metric] = row.unit
    return [Measured(name, units[name], _medians(values[name])) for name in sorted(values)]


def _medians(values: Mapping[tuple[str, int], list[float]]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for (learner, size), own in values.items():
        found[learner][size] = statistics.median(own)
    return dict(found)


def last_sizes(measured: Sequence[Measured]) -> dict[str, int]:
    """The largest size of each learner that has a number."""
    train_sizes: dict[str, int] = {}
    for one in measured:
        for learner, by_size in one.medians.items():
            train_sizes[learner] = max(train_sizes.get(learner, 0), *by_size)
    return train_sizes


def measure_table(measured: Sequence[Measured]) -> Table:
    """Learners x measures, each learner at its largest size."""
    rows = tuple(
        (learner, f"{size:,}", *(one.text(learner, size) for one in measured))
        for learner, size in last_sizes(measured).items()
    )
    return Table("Other measures of the test set, medians", ("learner", "examples", *(m.head for m in measured)), rows)


def measures_section(measured: Sequence[Measured], cells: Cells) -> Section | None:
    """None where nothing else was measured."""
    if not measured:
        return None
    options = tuple((one.name.replace("_", " "), (_chart(one),)) for one in measured)
    return Section(
        "measures",
        "Other measures",
        (Choice("measures-of", "Test", options), _table(measured, cells)),
        note="Medians of the seeds, of the cells that the learning curves are made of.",
    )


def _chart(one: Measured) -> Chart:
    traces = tuple(
        {
            "x": sorted(by_size),
            "y": [by_size[size] for size in sorted(by_size)],
            "hovertemplate": f"<b>{learner}</b><br>n=%{{x:,}}<br>%{{y}}<extra></extra>",
            "mode": "lines+markers",
            "meta": {"learner": learner, "role": "line"},
        }
        for learner, by_size in one.medians.items()
    )
    said = "; ".join(f"{learner} {one.text(learner, max(by_size))}" for learner, by_size in one.medians.items())
    form = ".2~%" if is_rate(one.unit) else ".4~g"
    name = one.name.replace("_", " ")
    unit = f" ({one.unit})" if one.unit and one.unit.casefold() != name else ""
    return Chart(
        f"measure-{one.name}",
        f"Test {name} against training examples",
        f"At each learner's largest size: {said}{' %' if is_rate(one.unit) else ''}.",
        traces,
        {"xaxis": size_axis(), "yaxis": {"title": {"text": f"test {name}{unit}"}, "tickformat": form}, "height": 380},
        scales="xy",
    )


def _table(measured: Sequence[Measured], cells: Cells) -> Table:
    rows = [
        (learner, f"{size:,}", *(one.text(learner, size) for one in measured))
        for learner, by_size in cells.items()
        for size in by_size
    ]
    return Table("Medians of the seeds", ("learner", "examples", *(one.head for one in measured)), tuple(rows))

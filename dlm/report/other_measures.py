"""What a study measured on test beside the error: medians over seeds, of the cells that the curves are made of."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dlm.leak_counts import WITHOUT_LEAKS
from dlm.records import Record
from dlm.report.phrases import error_number, is_rate
from dlm.report.terminal import tables

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
    sizes: dict[str, int] = {}
    for one in measured:
        for learner, by_size in one.medians.items():
            sizes[learner] = max(sizes.get(learner, 0), *by_size)
    return sizes


def measure_tables(measured: Sequence[Measured], console: Console) -> Iterator[Table]:
    """Learners × measures, each learner at its largest size."""
    sizes = last_sizes(measured)
    columns = [("examples", [Text(f"{size:,}") for size in sizes.values()])]
    columns += [(one.head, [Text(one.text(*cell)) for cell in sizes.items()]) for one in measured]
    return tables(console, "learner", list(sizes), columns)

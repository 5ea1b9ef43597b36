"""Counts of cells, and their errors so far, by learner and size, from records as they are written."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from dlm.curves.from_records import curve_name, curves
from dlm.curves.results import Curve
from dlm.records import FINAL, Record
from dlm.report.status import Row
from dlm.report.summary import Spread, spread


@dataclasses.dataclass(frozen=True)
class Cell:
    """A trial to be counted; `learner` is the name of its curve."""

    trial_id: str
    learner: str
    size: int


class Tally:
    """Takes records in any order, the same ones twice too, and keeps two rows of each finished trial.

    `cells` are the ones that count; None: those that the records speak of.
    """

    def __init__(self, cells: Iterable[Cell] | None) -> None:
        self._cells: dict[str, Cell] = {}
        self._counts: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in ("cells", "trained", "failed")}
        self._ends: dict[str, dict[str, Record]] = defaultdict(dict)  # by learner, then by trial
        self._validation: dict[str, dict[str, Record]] = defaultdict(dict)
        self._curves: dict[str, Curve] = {}
        self._spreads: dict[tuple[str, int], Spread] = {}
        self._stale: set[str] = set()  # learners with new rows
        self._takes_all = cells is None
        for cell in cells or ():
            self._count(cell)

    def add(self, rows: Iterable[Record]) -> None:
        """Note new records; those of other trials are passed over."""
        for row in rows:
            if self._takes_all and row.trial_id not in self._cells:
                self._count(Cell(row.trial_id, curve_name(row.learner, row.noise), row.train_size))
            cell = self._cells.get(row.trial_id)
            if cell is None or row.metric != "error" or row.status not in FINAL:
                continue
            if row.split == "validation":
                self._validation[cell.learner][row.trial_id] = row
            elif row.split == "test":
                self._end(cell, row)
            self._stale.add(cell.learner)

    def curves(self) -> list[Curve]:
        """The curves so far. Takes about a millisecond for a hundred cells of a learner that has new ones."""
        while self._stale:
            name = self._stale.pop()
            for curve in curves([*self._ends[name].values(), *self._validation[name].values()]):
                self._curves[name] = curve
                self._spreads |= {(name, size): spread(errors) for size, errors in zip(curve.sizes, curve.errors)}
        return list(self._curves.values())

    def rows(self, running: Collection[str] = ()) -> tuple[Row, ...]:
        """One row a learner and size, in the order of the cells; `running` are the trials on their way."""
        self.curves()
        cells = [self._cells[trial_id] for trial_id in running if trial_id in self._cells]
        under_way = Counter(
            (cell.learner, cell.size) for cell in cells if cell.trial_id not in self._ends.get(cell.learner, ())
        )
        return tuple(self._row(key, under_way[key]) for key in self._counts["cells"])

    def _row(self, key: tuple[str, int], running: int) -> Row:
        cells, trained, failed = (self._counts[name][key] for name in ("cells", "trained", "failed"))
        row, told = Row(*key, cells, trained, running, failed), self._spreads.get(key)
        return dataclasses.replace(row, median=told.median, low=told.low, high=told.high) if told else row

    def _count(self, cell: Cell) -> None:
        self._cells[cell.trial_id] = cell
        self._counts["cells"][cell.learner, cell.size] += 1

    def _end(self, cell: Cell, row: Record) -> None:
        before = self._ends[cell.learner].get(cell.trial_id)
        if before is not None:
            # A cell that failed once and was tried again counts as what it was in the end.
            if row.status == "failed" != before.status:
                return
            self._counts[_outcome(before)][cell.learner, cell.size] -= 1
        self._ends[cell.learner][cell.trial_id] = row
        self._counts[_outcome(row)][cell.learner, cell.size] += 1


def _outcome(row: Record) -> str:
    return "trained" if row.status == "done" else "failed"

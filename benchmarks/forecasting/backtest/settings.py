"""Input and output types of the parts of the backtest."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks.forecasting.archives import (
    SPLITS,
    ArchiveCurve,
    SplitCurve,
    by_hash,
    in_half,
    read_folder,
    read_splits,
    stem,
    tables,
)
from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.scored_tasks import Row, map_chunks, score_tasks

Cell = str | float | int
SPLIT_ARCHIVE = "lcdb10"  # whose single splits are in the table of splits


@dataclasses.dataclass(frozen=True)
class Setting:
    """The measured curves, the half of the data sets to evaluate, and the number of curves.

    `limit`: maximum number of curves of an archive in a table (None: all), selected by a hash of their names.
    """

    folder: pathlib.Path
    half: str = "report"
    limit: int | None = 300
    jobs: int = 1
    cache: dict[str, Row] = dataclasses.field(default_factory=dict, repr=False)

    def score(self, tasks: Sequence[Task]) -> list[Row]:
        """Scores of the forecaster on each task; cached across parts."""
        new = [task for task in tasks if task.key not in self.cache]
        for task, row in zip(new, map_chunks(score_tasks, new, self.jobs)):
            self.cache[task.key] = row
        return [self.cache[task.key] for task in tasks]

    @functools.cached_property
    def curves(self) -> list[ArchiveCurve]:
        """Every curve in the folder."""
        return read_folder(self.folder)

    @functools.cached_property
    def splits(self) -> list[SplitCurve]:
        """Curves with single splits; empty if the folder has no such table."""
        return [curve for path in tables(self.folder) if stem(path) == SPLITS for curve in read_splits(path)]

    @functools.cached_property
    def cut_archives(self) -> list[str]:
        """Archives without a published split, whose curves are cut here."""
        return sorted({curve.archive for curve in self.curves if not curve.published})

    def archive(self, name: str, half: str | None = None, limit: int | None = None) -> list[ArchiveCurve]:
        """Up to `limit` (default: the setting's) curves of an archive in `half` (default: the setting's)."""
        half = half or self.half
        curves = {c.name: c for c in self.curves if c.archive == name and not c.published and in_half(c.dataset, half)}
        return [curves[key] for key in by_hash(curves, limit or self.limit)]

    def split_curves(self, half: str | None = None) -> list[SplitCurve]:
        """Up to `limit` curves with single splits in `half`."""
        curves = {curve.name: curve for curve in self.splits if in_half(curve.dataset, half or self.half)}
        return [curves[key] for key in by_hash(curves, self.limit)]

    def published(self) -> list[ArchiveCurve]:
        """Curves with a published split; they belong to no half because nothing was selected on them."""
        return [curve for curve in self.curves if curve.published]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table to print; numbers are shown with three significant digits or as many decimals."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def text(self) -> str:
        """The table in Markdown."""
        lines = [f"\n### {self.title}", "", _line(self.columns), "|" + "---|" * len(self.columns)]
        lines += [_line([format_cell(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, *([f"\n{self.note}"] if self.note else [])])


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the backtest: its tables, and `data` for figures."""

    name: str
    tables: Sequence[Table]
    data: dict[str, Any] = dataclasses.field(default_factory=dict)


def format_cell(cell: Cell) -> str:
    """A cell as text: counts in full, shares and errors with three decimals, small numbers with two digits."""
    if isinstance(cell, str | int):
        return str(cell)
    if math.isnan(cell):
        return "–"
    return f"{cell:.3f}" if abs(cell) >= 0.02 or cell == 0 else f"{cell:.2g}" if abs(cell) < 0.001 else f"{cell:.4f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

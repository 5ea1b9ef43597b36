"""What of a workdir is exported: its records, its curves, and the forecast of its last report."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from pathlib import Path

from dlm import records
from dlm.curves.from_records import curves
from dlm.curves.results import Answer, Curve
from dlm.errors import UsageError
from dlm.records import Record
from dlm.report.kept import FORECAST, read_stamped
from dlm.report.write import declared, described, learners_of


@dataclasses.dataclass(frozen=True)
class Contents:
    """A workdir to export. `curves` have a size at least; `answer` is what its last report forecast, if any."""

    study: str
    rows: tuple[Record, ...]
    curves: tuple[Curve, ...]
    answer: Answer | None


@dataclasses.dataclass(frozen=True)
class Point:
    """A learner's test error at one size: over `num_seeds` seeds."""

    train_size: int
    median: float
    min: float
    max: float
    num_seeds: int


def gather(workdir: Path, *, forecast: bool) -> Contents:
    """What a workdir holds, with its forecast if asked for.

    UsageError for a forecast.json that cannot be read.
    """
    rows = records.rows(workdir)
    chosen = None
    with contextlib.suppress(UsageError):  # a workdir that lost its study.json still has its numbers
        chosen = declared(workdir)["trial_ids"]
    measured = tuple(curve for curve in curves(rows, chosen, learners_of(described(workdir))) if curve.sizes)
    answer = read_stamped(workdir / FORECAST) if forecast and (workdir / FORECAST).exists() else None
    return Contents(rows[-1].study if rows else "", tuple(rows), measured, answer)


def points(curve: Curve) -> list[Point]:
    """A curve's points, by ascending size."""
    return [
        Point(size, statistics.median(errors), min(errors), max(errors), len(errors))
        for size, errors in zip(curve.sizes, curve.errors, strict=True)
    ]

"""Learning curves from a table that anybody made: one row a measurement, in comma, semicolon or tab separated text."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dlm.curves.csv_columns import ACCURACY, ERROR, MeasurementRow, read_rows
from dlm.curves.types import Curve
from dlm.utils.errors import UsageError, nearest

Bound = tuple[float, float | None]

MAX_LEARNERS = 30
MAX_SIZES = 1000  # of one learner
MAX_REPEATS = 10_000  # of one size


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Curves, and in sentences what was assumed when they were read."""

    curves: tuple[Curve, ...]
    remarks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What the errors are: their unit and range, and what was assumed to say so."""

    unit: str
    bound: Bound
    remarks: tuple[str, ...] = ()


def read_curve_table(path: Path, *, bound: Bound | None = None, learners: Sequence[str] = ()) -> CurveTable:
    """The curves of a table, of all learners or of those named.

    Columns size and error, and perhaps repeat, learner, stderr; `columns` knows other names of these. `bound` is the
    error's possible range; by default the column's name and numbers tell. UsageError holds what was found and on
    which line, the rule and the remedy.
    """
    try:
        header, rows = read_rows(path)
        rows, measure = _measure(header.measure, rows, bound)
        _check_bound(rows, measure.bound)
        curves = tuple(_curve(name, part, measure) for name, part in _by_learner(rows, learners).items())
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    unused = (f"Columns not used: {_listed(header.unused)}.",) if header.unused else ()
    return CurveTable(curves, measure.remarks + unused)


def _measure(name: str, rows: list[MeasurementRow], bound: Bound | None) -> tuple[list[MeasurementRow], _Measure]:
    """The rows as errors, and what these are."""
    above = next((row for row in rows if row.error > 1), None)
    if name in ACCURACY:
        if above:
            raise UsageError(
                f"line {above.line}: {name} {above.error:g} is above 1; give a share, or 1 minus it as error"
            )
        rows = [dataclasses.replace(row, error=round(1 - row.error, 12)) for row in rows]
        told = f"Column {name}: read as error = 1 − {name}, a rate from 0 to 1. Targets are errors too."
        return rows, _Measure("error rate", bound or (0.0, 1.0), (told,))
    if name not in ERROR:
        told = f"Column {name}: taken to be 0 or more, without an upper end; --bound=0,5 gives one."
        unit = name.replace("_", " ")
        return rows, _Measure(unit, bound) if bound else _Measure(unit, (0.0, None), (told,))
    if bound:
        return rows, _Measure("error rate" if bound == (0.0, 1.0) else "error", bound)
    if not above:
        told = f"Column {name}: all are within 0 and 1, so taken for a rate that 1 bounds; --bound=0, says otherwise."
        return rows, _Measure("error rate", (0.0, 1.0), (told,))
    if "rate" in name:
        raise UsageError(
            f"line {above.line}: {name} {above.error:g} is above 1; give a share, or name the column error"
        )
    told = f"Column {name}: some are above 1, so taken for no rate, without an upper end; --bound=0,100 gives one."
    return rows, _Measure("error", (0.0, None), (told,))


def _check_bound(rows: Iterable[MeasurementRow], bound: Bound) -> None:
    low, high = bound
    for row in rows:
        if row.error < low or (high is not None and row.error > high):
            ends = f"{low:g} to {'any' if high is None else format(high, 'g')}"
            raise UsageError(f"line {row.line}: error {row.error:g} is outside the bound, {ends}; widen --bound")


def _by_learner(rows: Iterable[MeasurementRow], learners: Sequence[str]) -> dict[str, list[MeasurementRow]]:
    found: dict[str, list[MeasurementRow]] = defaultdict(list)
    for row in rows:
        found[row.learner].append(row)
    for name in learners:
        if name not in found:
            raise UsageError(f"--learners={name} is no learner of this table; {nearest(name, found)[:400]}")
    picked = {name: part for name, part in found.items() if not learners or name in learners}
    if len(picked) > MAX_LEARNERS:
        raise UsageError(f"{len(picked):,} learners are more than {MAX_LEARNERS}; choose some, with --learners")
    return picked


def _curve(name: str, rows: Iterable[MeasurementRow], measure: _Measure) -> Curve:
    by_size: dict[int, list[MeasurementRow]] = defaultdict(list)
    for row in rows:
        by_size[row.size].append(row)
    if len(by_size) > MAX_SIZES:
        raise UsageError(f"{name}: {len(by_size):,} sizes are more than {MAX_SIZES:,}; keep a few an octave")
    train_sizes = sorted(by_size)
    for size in train_sizes:
        _check_repeats(name, by_size[size])
    return Curve(
        learner=name,
        train_sizes=tuple(train_sizes),
        errors=tuple(tuple(row.error for row in by_size[size]) for size in train_sizes),
        unit=measure.unit,
        bound=measure.bound,
        stderr=tuple(row.stderr for size in train_sizes for row in by_size[size] if row.stderr is not None),
    )


def _check_repeats(name: str, rows: list[MeasurementRow]) -> None:
    """UsageError for too many rows of one size, for a repeat that stands twice, and for two means of one size."""
    if len(rows) > MAX_REPEATS:
        raise UsageError(
            f"{name}: {len(rows):,} rows of size {rows[0].size:,}, more than {MAX_REPEATS:,}; average them"
        )
    first: dict[str | None, MeasurementRow] = {}
    for row in rows:
        before = first.setdefault(row.repeat if row.stderr is None else None, row)
        if before is row:
            continue
        if row.stderr is not None:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,} on line {before.line} too, and stderr is that of a "
                "mean; give one row a size, or leave stderr out"
            )
        if row.repeat is not None:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,}, repeat {row.repeat[:40]!r} on line {before.line} too; "
                "leave one out, or tell curves apart by a column learner"
            )


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = [name[:40] if name.isprintable() else ascii(name)[:40] for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")

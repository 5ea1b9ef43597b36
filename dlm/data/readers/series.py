"""A table of numbers in order of time, as windows: some steps to look at, and the next to forecast."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from dlm.data.columns import Column
from dlm.data.readers.paths import about, existing, listed
from dlm.data.readers.tables import columns_of_table, read_table
from dlm.utils.errors import UsageError, at_least, nearest

_INDEX = ("t", "time", "step", "index", "year", "date", "timestamp", "unix", "")

Windows = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Series:
    """Several series at the same times.

    values: float64 [T, C], none missing, in order of time; names: [C]; times: float64 [T], seconds since 1970 or the
    numbers of the index column; remarks: in sentences, what was assumed, filled and left out.
    """

    values: np.ndarray
    names: tuple[str, ...]
    times: np.ndarray
    remarks: tuple[str, ...]


def read_series(path: str, *, index: str = "") -> Series:
    """A CSV, parquet or JSON table with a row for each time. `index` names the column of times; else the dates are it.

    Rows are sorted. A missing value is the last one known before it; rows before the first are left out. UsageError
    for two rows of one time, for rows without one, and for tables without numbers.
    """
    with about(path):
        table, told = read_table(existing(path))
        index = _index(table, index)
        columns, left_out = columns_of_table(table, index)
        times, about_times = _times(index, columns.pop(index)) if index else _counted(table.num_rows)
        numbers = {name: column.values for name, column in columns.items() if _is_series(column)}
        if not numbers:
            raise UsageError("there is no column of numbers that vary; give one to forecast")
        order = np.argsort(times, kind="stable")
        values = np.stack([np.asarray(numbers[name], np.float64)[order] for name in numbers], axis=1)
        others = [name for name in columns if name not in numbers]
        unused = (f"Columns left out, for they hold no numbers: {listed(others)}.",) if others else ()
        names, values, filled = _filled(tuple(numbers), values)
        times = times[order][len(times) - len(values) :]
    return Series(values, names, times, (*told, *left_out, *unused, *about_times, *filled))


def windows(values: np.ndarray, context: int, horizon: int, stride: int = 1, target: int | None = None) -> Windows:
    """All windows that begin every `stride` steps: x [N, context, C] and the steps that follow, y.

    values: [T, C]. y: [N, horizon · C], step after step; with `target`, a column's place, that one only: [N, horizon].
    """
    at_least(1, context=context, horizon=horizon, stride=stride)
    if values.ndim != 2 or len(values) < context + horizon:
        raise UsageError(
            f"{values.shape} values are too few for context={context} and horizon={horizon}; a window takes "
            f"{context + horizon} steps of [T, C]: choose them shorter, or give more"
        )
    if target is not None and not 0 <= target < values.shape[1]:
        raise UsageError(f"target={target} is no column of {values.shape[1]}; choose 0 to {values.shape[1] - 1}")
    cut = np.lib.stride_tricks.sliding_window_view(values, context + horizon, axis=0)[::stride].swapaxes(1, 2)
    y = cut[:, context:] if target is None else cut[:, context:, target]
    return np.ascontiguousarray(cut[:, :context]), y.reshape(len(cut), -1).copy()


def split_windows(
    values: np.ndarray,
    context: int,
    horizon: int,
    *,
    validation: int,
    test: int,
    stride: int = 1,
    target: int | None = None,
) -> dict[str, Windows]:
    """Windows of train, validation and test, in this order of time; the last `test` steps, and `validation` before.

    A window belongs to the split that all its targets lie in; one whose targets lie in two splits is in none. So no
    step is forecast in two splits, and training sees nothing from its border on. The context of a window of
    validation or test may reach back over the border: by then those steps are past.
    """
    at_least(1, context=context, horizon=horizon, stride=stride, validation=validation, test=test)
    border = len(values) - validation - test
    ends = {
        "train": (context, border),
        "validation": (border, border + validation),
        "test": (len(values) - test, len(values)),
    }
    for name, (start, end) in ends.items():
        if end - start < horizon:
            raise UsageError(
                f"{name} has {max(end - start, 0)} steps to forecast, fewer than horizon={horizon}, of {len(values)} "
                f"with context={context}, validation={validation} and test={test}; choose these smaller, or give more"
            )
    return {
        name: windows(values[start - context : end], context, horizon, stride, target)
        for name, (start, end) in ends.items()
    }


def _index(table: pa.Table, index: str) -> str:
    """The column of times: that named, else the first of dates, else one of numbers with a usual name, or none."""
    if index and index not in table.column_names:
        raise UsageError(f"there is no column {index!r}; {nearest(index, table.column_names)[:400]}")
    types = {name: table.schema.field(name).type for name in table.column_names}
    dates = [name for name, kind in types.items() if pa.types.is_temporal(kind) and not pa.types.is_time(kind)]
    usual = [name for name in types if name.casefold() in _INDEX and pa.types.is_integer(types[name])]
    return index or next(iter([*dates, *usual]), "")


def _counted(rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    return np.arange(rows, dtype=np.float64), ("There is no column of times, so rows are in the order of the file.",)


def _times(name: str, column: Column) -> tuple[np.ndarray, tuple[str, ...]]:
    """Times as numbers, unsorted, and what is odd about them."""
    if column.kind not in ("date", "number") or np.asarray(column.values).ndim != 1:
        raise UsageError(
            f"column {name!r} is of kind {column.kind}, no times; write them like 2024-12-31, or as numbers"
        )
    times = np.asarray(column.values, np.float64)
    if np.isnan(times).any():
        raise UsageError(f"{int(np.isnan(times).sum()):,} rows have no {name}; give each row a time, or leave it out")
    again = np.sort(times)
    same = again[1:][np.diff(again) == 0]
    if len(same):
        raise UsageError(
            f"{len(same):,} rows have a {name} that another has, such as {_shown(same[0], column)}; keep the rows of "
            "one series, with a column for each of its numbers"
        )
    told = (f"Rows are sorted by {name}.",) if np.any(np.diff(times) < 0) else ()
    return times, (*told, *_gaps(name, again, column))


def _gaps(name: str, times: np.ndarray, column: Column) -> tuple[str, ...]:
    """Steps that are more than half longer than most; months and years of calendars are not."""
    steps = np.diff(times)
    if not len(steps):
        return ()
    long = np.flatnonzero(steps > 1.5 * np.median(steps))
    if not len(long):
        return ()
    worst = int(long[np.argmax(steps[long])])
    start, end = (_shown(times[k], column) for k in (worst, worst + 1))
    return (
        f"Column {name} has gaps: {len(long):,}, the longest from {start} to {end}; rows on both sides are taken for "
        "neighbours.",
    )


def _filled(names: tuple[str, ...], values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, tuple[str, ...]]:
    """Missing values from the last one known; no columns that begin in the later half, no rows before all began."""
    begins = np.argmin(np.isnan(values), axis=0)
    late = begins > len(values) // 2
    out = [name for name, is_late in zip(names, late) if is_late]
    told = [f"Columns left out, for they begin in the later half: {listed(out)}."] if out else []
    if late.all():
        raise UsageError("every column of numbers begins in the later half; leave out the rows before")
    values, start = values[:, ~late], int(begins[~late].max())
    names = tuple(name for name, is_late in zip(names, late) if not is_late)
    if start:
        told.append(f"Rows before every column has begun are left out: {start:,}.")
    missing = np.isnan(values)
    if missing[start:].any():
        told.append(f"Missing values are filled with the last one known: {int(missing[start:].sum()):,}.")
    last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(values))[:, None]), axis=0)
    return names, np.take_along_axis(values, last, axis=0)[start:], tuple(told)


def _is_series(column: Column) -> bool:
    return column.kind == "number" and isinstance(column.values, np.ndarray) and column.values.ndim == 1


def _shown(time: float, column: Column) -> str:
    if column.kind == "number":
        return f"{time:g}"
    return str(np.datetime64(round(time), "s")).replace("T00:00:00", "")

"""Time series as windows: from `context` steps of all columns, predict the next `horizon` steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlm.data.columns import SPLITS, Centring, Column
from dlm.data.dataset import Dataset, Split
from dlm.data.tfds.reader import read
from dlm.utils.errors import UsageError, at_least, nearest

if TYPE_CHECKING:
    import pyarrow as pa

TIME_NAMES = (
    "t", "time", "times", "step", "index", "year", "date", "datetime", "timestamp", "ts", "unix", "unix_time", "epoch",
    "seconds", "",
)  # fmt: skip
EPOCHS = tuple((3e8 * unit, 4.2e9 * unit) for unit in (1, 1e3, 1e6, 1e9))  # 1979 to 2103 in s, ms, µs, ns since 1970


@dataclasses.dataclass(frozen=True)
class TfdsSeries:
    """A TFDS data set with an example per time step, and consecutive splits such as `train[:70%]`.

    From `context` steps of the feature `values` [C], predicts the next `horizon`. index: a feature that counts the
    steps, which verifies their order; empty if they are in order. version: empty for the newest on disk.
    """

    name: str
    context: int = 96
    horizon: int = 96
    values: str = "values"
    index: str = ""
    version: str = ""
    train: str = "train"
    validation: str = "validation"
    test: str = "test"

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """Inputs float32 [N, context, C], targets float32 [N, horizon, C]. Raises UsageError for unsuitable data."""
        splits = {part: getattr(self, part) for part in SPLITS}
        name, columns = read(self.name, splits, version=self.version, data_dir=data_dir, download=download)
        parts = [_numbers(self.name, columns[part], self.values) for part in SPLITS]
        if self.index:
            steps = np.concatenate([_numbers(self.name, columns[part], self.index)[:, 0] for part in SPLITS])
            wrong = np.flatnonzero(np.diff(steps) != 1)
            if len(wrong):
                before, after = steps[wrong[0]], steps[wrong[0] + 1]
                raise UsageError(
                    f"data.index={self.index!r} of {self.name!r} goes from {before:g} to {after:g}; prepare the data "
                    "set in order of time, without shuffling, and choose consecutive splits"
                )
        validation, test = len(parts[1]), len(parts[2])
        return windowed_dataset(
            name, np.concatenate(parts), self.context, self.horizon, validation=validation, test=test
        )


@dataclasses.dataclass(frozen=True)
class Series:
    """A table with a row per time: from `context` steps of all columns, predicts the next `horizon`, or of `target`.

    index: the column of times, by default the dates. validation, test: shares of the steps at the end, test last; no
    target is in two splits. Windows start every `stride` steps. time_ordered: subsets are the latest windows, all
    columns are predicted, and all values have one scale, see `windowed_dataset`.
    """

    path: str
    context: int = 96
    horizon: int = 24
    target: str = ""
    index: str = ""
    stride: int = 1
    validation: float = 0.1
    test: float = 0.2
    time_ordered: bool = False

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Inputs float32 [N, context, C]; targets [N, horizon], [N, horizon · C] or, time-ordered, [N, horizon, C]."""
        series = read_series(self.path, index=self.index)
        if self.target and self.target not in series.names:
            raise UsageError(
                f"data.target={self.target!r} is not a numeric column; {nearest(self.target, series.names)}"
            )
        if self.target and self.time_ordered:
            raise UsageError(f"data.time_ordered predicts all columns; remove data.target={self.target!r}")
        validation, test = (round(share * len(series.values)) for share in (self.validation, self.test))
        return windowed_dataset(
            Path(self.path).stem,
            series.values,
            self.context,
            self.horizon,
            validation=validation,
            test=test,
            stride=self.stride,
            target=series.names.index(self.target) if self.target else None,
            time_ordered=self.time_ordered,
            remarks=series.remarks,
        )


def windowed_dataset(
    name: str,
    values: np.ndarray,
    context: int,
    horizon: int,
    *,
    validation: int,
    test: int,
    stride: int = 1,
    target: int | None = None,
    time_ordered: bool = True,
    remarks: tuple[str, ...] = (),
) -> Dataset:
    """Windows of values [T, C] in order of time; the last `test` steps, and the `validation` steps before, held out.

    A window starts every `stride` steps and belongs to the split that contains all its targets; windows across a border
    are dropped, so no step is a target in two splits. The context of a validation or test window may begin before the
    border. Inputs are float32 [N, context, C]. time_ordered: all values are standardized by the training steps, and
    targets are [N, horizon, C]; otherwise they are [N, horizon · C] or, of the column `target`, [N, horizon].
    """
    at_least(1, context=context, horizon=horizon, stride=stride, validation=validation, test=test)
    border, last = len(values) - validation - test, len(values) - test
    if time_ordered:
        past = values[: max(border, 0)]
        std = past.std(axis=0) if len(past) else np.ones(values.shape[1])
        values = (values - past.mean(axis=0)) / np.where(std > 0, std, 1.0)
    splits, values = {}, values.astype(np.float32) if time_ordered else Centring.fit(values).check(name)(values)
    for part, start, end in zip(SPLITS, (context, border, last), (border, last, len(values))):
        if end - start < horizon:
            raise UsageError(
                f"{part} has {max(end - start, 0)} steps to predict, fewer than horizon={horizon}, of {len(values)} "
                f"with context={context}, validation={validation} and test={test}; reduce these, or give more steps"
            )
        steps = np.lib.stride_tricks.sliding_window_view(values[start - context : end], context + horizon, axis=0)
        x, y = np.split(steps[::stride].swapaxes(1, 2), [context], axis=1)
        y = y if time_ordered else (y if target is None else y[:, :, target]).reshape(len(y), -1)
        splits[part] = Split(np.ascontiguousarray(x), np.ascontiguousarray(y))
    train, held_out, test_split = (splits[part] for part in SPLITS)
    return Dataset(
        name,
        train,
        held_out,
        test_split,
        remarks=remarks,
        standardize=not time_ordered,
        time_ordered=time_ordered,
        split_by="time",
    )


def _numbers(name: str, columns: Mapping[str, Column], feature: str) -> np.ndarray:
    """A feature as float64 [T, C]. Raises UsageError if it is absent, not numeric, or has missing values."""
    if feature not in columns:
        raise UsageError(f"{name!r} has no feature {feature!r}; {nearest(feature, columns)}")
    values = columns[feature].values
    if not isinstance(values, np.ndarray) or values.ndim > 2 or values.dtype.kind not in "iuf":
        raise UsageError(f"feature {feature!r} of {name!r} is not a row of numbers per step; choose another")
    numbers = np.asarray(values, np.float64).reshape(len(values), -1)
    if not np.isfinite(numbers).all():
        raise UsageError(f"feature {feature!r} of {name!r} has missing values; fill them, from past steps only")
    return numbers


@dataclasses.dataclass(frozen=True)
class SeriesTable:
    """Several series at the same times. values: float64 [T, C] in order of time, none missing; names: [C]; remarks."""

    values: np.ndarray
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def read_series(path: str, *, index: str = "") -> SeriesTable:
    """A CSV, Parquet or JSON table with a row per time. index: the column of times; by default the dates.

    Rows are sorted. A missing value is replaced by the last known one; rows before the first known value are dropped.
    Raises UsageError for duplicate or missing times, and for tables without numbers.
    """
    from dlm.data.readers.files import checked_path, error_context, listed
    from dlm.data.readers.tables import columns_of_table, read_table

    with error_context(path):
        table, read_remarks = read_table(checked_path(path))
        index = _index(table, index)
        columns, _, dropped = columns_of_table(table, index)
        order, time_remarks = np.arange(table.num_rows), ["There is no column of times; rows are used in file order."]
        if index:
            order, time_remarks = _order(index, columns.pop(index))
            time_remarks = [f"The time is column {index}; data.index sets another.", *time_remarks]
        numbers = [name for name, column in columns.items() if column.kind == "number" and column.is_scalar]
        if not numbers:
            raise UsageError("the table has no numeric column that varies; add one to predict")
        values = np.stack([np.asarray(columns[name].array, np.float64)[order] for name in numbers], axis=1)
        others = [name for name in columns if name not in numbers]
        unused = (f"Dropped columns that are not numeric: {listed(others)}.",) if others else ()
        names, values, filled = _filled(tuple(numbers), values)
    return SeriesTable(values, names, (*read_remarks, *dropped, *unused, *time_remarks, *filled))


def _index(table: pa.Table, index: str) -> str:
    """The column of times: the given one, else the first of dates, else integers with a usual name, or none."""
    import pyarrow as pa

    if index and index not in table.column_names:
        raise UsageError(f"the table has no column {index!r}; {nearest(index, table.column_names)[:400]}")
    types = {name: table.schema.field(name).type for name in table.column_names}
    dates = [name for name, kind in types.items() if pa.types.is_temporal(kind) and not pa.types.is_time(kind)]
    times = [name for name in types if _is_time(table.column(name))]
    usual = [name for name in times if name.casefold() in TIME_NAMES]
    epochs = [name for name in times if _is_epoch(table.column(name))]
    return index or next(iter([*dates, *usual, *epochs]), "")


def _is_epoch(array: pa.ChunkedArray) -> bool:
    """Whether numbers increase from row to row and are times since 1970."""
    values = array.to_numpy()
    return bool(np.all(np.diff(values) > 0)) and any(low <= values[0] and values[-1] <= high for low, high in EPOCHS)


def _is_time(array: pa.ChunkedArray) -> bool:
    """Whether numbers may be times: all are known and distinct."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    return is_number and not array.null_count and pc.count_distinct(array).as_py() == len(array)


def _order(name: str, column: Column) -> tuple[np.ndarray, list[str]]:
    """The rows in order of time, int64 [T]; and remarks on their order and gaps."""
    if column.kind not in ("date", "number") or not column.is_scalar:
        raise UsageError(
            f"column {name!r} has kind {column.kind}, not times; write them like 2024-12-31, or as numbers"
        )
    times = np.asarray(column.values, np.float64)
    if np.isnan(times).any():
        raise UsageError(f"{int(np.isnan(times).sum()):,} rows have no {name}; give each row a time, or remove it")
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    steps = np.diff(ordered)
    if not steps.all():
        repeated = ordered[1:][steps == 0]
        raise UsageError(
            f"{len(repeated):,} rows repeat the {name} of another row, for example {_formatted(repeated[0], column)}; "
            "use one row per time, with a column per series"
        )
    remarks = [f"Rows are sorted by {name}."] if np.any(np.diff(times) < 0) else []
    # Months and years of calendars differ by less than this.
    gaps = np.flatnonzero(steps > 1.5 * np.median(steps)) if len(steps) else steps
    if len(gaps):
        longest = int(gaps[np.argmax(steps[gaps])])
        start, end = (_formatted(ordered[k], column) for k in (longest, longest + 1))
        remarks.append(
            f"Column {name} has {len(gaps):,} gaps, the longest from {start} to {end}; rows on both sides are treated "
            "as consecutive."
        )
    return order, remarks


def _filled(names: tuple[str, ...], values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, tuple[str, ...]]:
    """Missing values filled forward, without columns that begin in the second half and rows before all have begun."""
    begins = np.argmin(np.isnan(values), axis=0)
    late = begins > len(values) // 2
    if late.all():
        raise UsageError("every numeric column begins in the second half of the rows; remove the rows before")
    remarks = []
    if late.any():
        remarks.append(f"Dropped columns that begin in the second half: {', '.join(np.array(names)[late][:12])}.")
    values, start = values[:, ~late], int(begins[~late].max())
    if start:
        remarks.append(f"Dropped {start:,} rows before all columns have begun.")
    missing = np.isnan(values)
    if missing[start:].any():
        remarks.append(f"Filled {int(missing[start:].sum()):,} missing values with the last known one.")
    last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(values))[:, None]), axis=0)
    remaining = tuple(name for name, is_late in zip(names, late) if not is_late)
    return remaining, np.take_along_axis(values, last, axis=0)[start:], tuple(remarks)


def _formatted(time: float, column: Column) -> str:
    if column.kind == "number":
        return f"{time:g}"
    return str(np.datetime64(round(time), "s")).replace("T00:00:00", "")

"""Columns: the named, typed arrays that every reader returns, before they are encoded as inputs and targets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from dlm.utils.errors import UsageError, nearest

Kind = Literal["number", "class", "text", "image", "audio", "date"]
FileKind = Literal["auto", "table", "images", "sounds", "texts", "arrays"]
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of varying shape, stored one after another.

    Row i is `values[starts[i] : starts[i + 1]]`, reshaped to `shapes[i]`. values: [total]; starts: int64 [N + 1];
    shapes: int32 [N, R].
    """

    values: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.starts[row] : self.starts[row + 1]].reshape(self.shapes[row])

    def take(self, rows: np.ndarray) -> Ragged:
        """The given rows, in that order."""
        return ragged([self[int(row)] for row in rows], self.values.dtype, self.shapes.shape[1])


def ragged(rows: list[np.ndarray], dtype: np.typing.DTypeLike, rank: int) -> Ragged:
    """Arrays of `rank` axes as Ragged rows."""
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([row.size for row in rows], out=starts[1:])
    values = np.concatenate([np.zeros(0, dtype), *(np.asarray(row, dtype).ravel() for row in rows)])
    shapes = np.array([row.shape for row in rows], np.int32).reshape(len(rows), rank)
    return Ragged(values, starts, shapes)


def text_values(rows: list[str] | list[bytes]) -> Ragged:
    """Texts as Ragged UTF-8 bytes."""
    encoded = [row if isinstance(row, bytes) else row.encode() for row in rows]
    return ragged([np.frombuffer(row, np.uint8) for row in encoded], np.uint8, 1)


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of N rows.

    `kind` number: numeric array [N, ...] or Ragged, NaN where missing. class: int32 [N], indices into `names`, −1 where
    missing. text: Ragged uint8, UTF-8. image: uint8 [N, H, W, C] or Ragged. audio: int16 or float32 samples [N, T] or
    Ragged, `rate` samples per second. date: float64 [N], seconds since 1970, NaN where missing.
    """

    values: np.ndarray | Ragged
    kind: Kind
    names: tuple[str, ...] = ()
    rate: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_array(self) -> bool:
        """Whether all rows have one shape."""
        return isinstance(self.values, np.ndarray)

    @property
    def array(self) -> np.ndarray:
        """Values of rows that have one shape."""
        assert isinstance(self.values, np.ndarray)
        return self.values

    @property
    def ragged(self) -> Ragged:
        """Values of rows of varying shape."""
        assert isinstance(self.values, Ragged)
        return self.values

    @property
    def is_scalar(self) -> bool:
        """Whether a row is a single number, class or date."""
        return isinstance(self.values, np.ndarray) and self.values.ndim == 1

    @property
    def is_tabular(self) -> bool:
        """Whether the column can be part of a table: one or a few numbers, a category, a date."""
        if isinstance(self.values, Ragged):
            return False
        return self.kind in ("class", "date") or (self.kind == "number" and self.values.ndim <= 2)

    def take(self, rows: np.ndarray) -> Column:
        """The given rows, in that order."""
        values = self.values.take(rows) if isinstance(self.values, Ragged) else self.values[rows]
        return dataclasses.replace(self, values=values)

    def row_bytes(self) -> list[bytes]:
        """The rows of a text, as UTF-8."""
        return [self.ragged[row].tobytes() for row in range(len(self))]

    def texts(self) -> list[str]:
        """The rows of a text; invalid UTF-8 is replaced."""
        return [row.decode(errors="replace") for row in self.row_bytes()]

    def is_known(self) -> np.ndarray:
        """Where a class or number is not missing. bool [N]."""
        if self.kind == "class":
            return self.array >= 0
        return ~np.isnan(self.array.reshape(len(self), -1)).any(axis=1)


Columns = Mapping[str, Column]


def num_rows(columns: Columns) -> int:
    """Number of rows. Raises UsageError if there is no column or lengths differ."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(f"a data set needs at least one column, and columns of equal length; lengths are {lengths}")
    return next(iter(lengths.values()))


def sliced(columns: Columns, start: int, stop: int) -> dict[str, Column]:
    """Rows start … stop − 1, as views."""
    return {name: dataclasses.replace(each, values=_slice(each.values, start, stop)) for name, each in columns.items()}


def concatenated(parts: Sequence[Column]) -> Column:
    """Columns of one kind, one after another; Ragged if one of them is or row shapes differ."""
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part.values, Ragged) for part in parts) or len({row_shape(part) for part in parts}) > 1:
        return dataclasses.replace(parts[0], values=_concatenated([as_ragged(part).ragged for part in parts]))
    return dataclasses.replace(parts[0], values=np.concatenate([part.array for part in parts]))


def uniform(column: Column) -> Column:
    """The column as an array if all rows have one shape; texts stay Ragged."""
    shape = row_shape(column)
    if isinstance(column.values, np.ndarray) or shape is None or column.kind == "text":
        return column
    return dataclasses.replace(column, values=column.values.values.reshape(len(column), *shape))


def consistent(splits: Mapping[str, Columns]) -> dict[str, dict[str, Column]]:
    """The splits with each column either Ragged in all of them, or an array of one row shape in all."""
    result = {split: dict(columns) for split, columns in splits.items()}
    for name in {name for columns in result.values() for name in columns}:
        columns = [each[name] for each in result.values()]
        if not all(column.is_array for column in columns) or len({row_shape(column) for column in columns}) > 1:
            for each in result.values():
                each[name] = as_ragged(each[name])
    return result


def as_ragged(column: Column) -> Column:
    """The same rows as Ragged."""
    values = column.values
    if isinstance(values, Ragged):
        return column
    rows, shape = len(values), values.shape[1:]
    starts = np.arange(rows + 1, dtype=np.int64) * int(np.prod(shape, dtype=np.int64))
    shapes = np.tile(np.array(shape, np.int32), (rows, 1))
    return dataclasses.replace(column, values=Ragged(values.reshape(-1), starts, shapes))


def row_shape(column: Column) -> tuple[int, ...] | None:
    """The shape of all rows; None if shapes differ or there are no rows."""
    values = column.values
    if isinstance(values, np.ndarray):
        return values.shape[1:]
    shapes = values.shapes
    return tuple(int(size) for size in shapes[0]) if len(shapes) and not np.any(shapes != shapes[0]) else None


def _slice(values: np.ndarray | Ragged, start: int, stop: int) -> np.ndarray | Ragged:
    if isinstance(values, np.ndarray):
        return values[start:stop]
    starts = values.starts[start : stop + 1]
    return Ragged(values.values[starts[0] : starts[-1]], starts - starts[0], values.shapes[start:stop])


def _concatenated(parts: Sequence[Ragged]) -> Ragged:
    ends = np.cumsum([0, *(len(part.values) for part in parts)])
    starts = np.concatenate([ends[:1], *(part.starts[1:] + end for part, end in zip(parts, ends))])
    values, shapes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "shapes"))
    return Ragged(values, starts.astype(np.int64), shapes)


def element(columns: Columns, name: str, option: str) -> Column | None:
    """The column that `codes[3]` names: element 3 of each row of `codes`. None for any other name.

    Raises UsageError if the rows of the column have no such element; `option` names the setting in the message.
    """
    match = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if match is None or match[1] not in columns:
        return None
    values = columns[match[1]].values
    if isinstance(values, Ragged) or values.ndim != 2 or int(match[2]) >= values.shape[1]:
        shape = "rows of varying length" if isinstance(values, Ragged) else f"rows of shape {values.shape[1:]}"
        raise UsageError(f"{option}={name!r}: column {match[1]!r} has {shape}; choose an existing element")
    return Column(values[:, int(match[2])], "number")


def expanded_inputs(columns: Columns, inputs: Sequence[str], categories: Sequence[str]) -> tuple[str, ...]:
    """The inputs, with categorical columns of several elements replaced by their elements."""
    return tuple(each for name in inputs for each in (_elements(columns, name) if name in categories else (name,)))


def with_categories(columns: Columns, inputs: Sequence[str], categories: Sequence[str]) -> Columns:
    """The columns, with categories as class columns and inputs such as `codes[3]` as columns of their own."""
    result = {name: column for name, column in columns.items() if name not in categories}
    for name in categories:
        if name not in columns and element(columns, name, "data.categories") is None:
            raise UsageError(f"data.categories={name!r} is not a column of the data; {nearest(name, columns)}")
        for each in _elements(columns, name):
            result[each] = _as_category(each, columns.get(each) or element(columns, each, "data.categories"))
    for name in inputs:
        if name not in result and (column := element(columns, name, "data.inputs")) is not None:
            result[name] = column
    return result


def _elements(columns: Columns, name: str) -> tuple[str, ...]:
    """Names of the elements of a column of several numbers; the name itself for any other column."""
    column = columns.get(name)
    if column is None or not column.is_array or column.array.ndim != 2:
        return (name,)
    return tuple(f"{name}[{index}]" for index in range(column.array.shape[1]))


def _as_category(name: str, column: Column | None) -> Column:
    """A column of integer codes as classes; classes and texts are unchanged. Raises UsageError for other values."""
    assert column is not None
    if column.kind in ("class", "text"):
        return column
    if column.kind != "number" or not column.is_scalar:
        raise UsageError(f"data.categories={name!r} has kind {column.kind}, not integer codes; remove it")
    values = column.array
    known = np.isfinite(values)
    if np.any(values[known] < 0) or np.any(values[known] % 1):
        raise UsageError(f"data.categories={name!r} has values that are not non-negative integers; remove it")
    return dataclasses.replace(column, values=np.where(known, values, -1).astype(np.int32), kind="class")

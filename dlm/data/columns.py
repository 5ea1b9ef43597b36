"""A data set as named columns: what every reader makes of its files, before inputs and targets are chosen from it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from dlm.utils.errors import UsageError, nearest

Kind = Literal["number", "class", "text", "image", "audio", "date"]
KINDS: tuple[str, ...] = get_args(Kind)
NOT_OFFERED = -1e9  # logit of an item that is not recommended: an item of the history, or padding


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of different shapes, one after another.

    Row i is `values[starts[i] : starts[i + 1]]` in the shape `shapes[i]`. values: [total]; starts: int64 [N + 1];
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
        """The rows asked for, in that order."""
        return ragged([self[int(row)] for row in rows], self.values.dtype, self.shapes.shape[1])


def ragged(rows: list[np.ndarray], dtype: np.typing.DTypeLike, rank: int) -> Ragged:
    """Arrays of `rank` axes as one column."""
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([row.size for row in rows], out=starts[1:])
    values = np.concatenate([np.zeros(0, dtype), *(np.asarray(row, dtype).ravel() for row in rows)])
    shapes = np.array([row.shape for row in rows], np.int32).reshape(len(rows), rank)
    return Ragged(values, starts, shapes)


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of N rows.

    `kind` number: any numeric array [N, ...], or Ragged; a number that is missing is NaN. class: int32 [N], places in
    `names`, −1 where missing. text: Ragged uint8, UTF-8. image: uint8 [N, H, W, C], or Ragged. audio: int16 or float32
    samples [N, T], or Ragged, `rate` of them a second. date: float64 [N], seconds since 1970, NaN where missing.
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
        """The values of rows of one shape."""
        assert isinstance(self.values, np.ndarray)
        return self.values

    @property
    def ragged(self) -> Ragged:
        """The values of rows of any shape."""
        assert isinstance(self.values, Ragged)
        return self.values

    def take(self, rows: np.ndarray) -> Column:
        """The rows asked for, in that order."""
        values = self.values.take(rows) if isinstance(self.values, Ragged) else self.values[rows]
        return dataclasses.replace(self, values=values)


Columns = Mapping[str, Column]


def num_rows(columns: Columns) -> int:
    """Rows of a data set. UsageError if there is no column, or they do not agree."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(f"columns must be at least one and equally long; they are {lengths}")
    return next(iter(lengths.values()))


def texts(rows: list[str] | list[bytes]) -> Ragged:
    """Texts as a column's values: their UTF-8 bytes."""
    coded = [row if isinstance(row, bytes) else row.encode() for row in rows]
    return ragged([np.frombuffer(row, np.uint8) for row in coded], np.uint8, 1)


def cut(columns: Columns, start: int, stop: int) -> dict[str, Column]:
    """The rows start … stop-1; their values are not copied."""
    return {name: dataclasses.replace(each, values=_rows(each.values, start, stop)) for name, each in columns.items()}


def joined(parts: Sequence[Column]) -> Column:
    """Columns of one kind, one after another; Ragged where one of them is, or their rows differ in shape."""
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part.values, Ragged) for part in parts) or len({row_shape(part) for part in parts}) > 1:
        columns = [as_ragged(part).values for part in parts]
        values = _ragged([column for column in columns if isinstance(column, Ragged)])
        return dataclasses.replace(parts[0], values=values)
    return dataclasses.replace(parts[0], values=np.concatenate([np.asarray(part.values) for part in parts]))


def settled(column: Column) -> Column:
    """A plain array where all rows have one shape; a text stays Ragged."""
    shape = row_shape(column)
    if isinstance(column.values, np.ndarray) or shape is None or column.kind == "text":
        return column
    values = column.values.values
    return dataclasses.replace(column, values=values.reshape(len(column), *shape))


def agreed(splits: Mapping[str, Columns]) -> dict[str, dict[str, Column]]:
    """The splits of one set such that a column is Ragged in all of them, or a plain array of one row shape in all."""
    made = {split: dict(columns) for split, columns in splits.items()}
    for name in {name for columns in made.values() for name in columns}:
        columns = [each[name] for each in made.values()]
        plain = all(isinstance(column.values, np.ndarray) for column in columns)
        if not plain or len({row_shape(column) for column in columns}) > 1:
            for each in made.values():
                each[name] = as_ragged(each[name])
    return made


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
    """The shape that all rows have, None where they differ or there are none."""
    values = column.values
    if isinstance(values, np.ndarray):
        return values.shape[1:]
    shapes = values.shapes
    return tuple(int(size) for size in shapes[0]) if len(shapes) and not np.any(shapes != shapes[0]) else None


def _rows(values: np.ndarray | Ragged, start: int, stop: int) -> np.ndarray | Ragged:
    if isinstance(values, np.ndarray):
        return values[start:stop]
    starts = values.starts[start : stop + 1]
    return Ragged(values.values[starts[0] : starts[-1]], starts - starts[0], values.shapes[start:stop])


def _ragged(parts: Sequence[Ragged]) -> Ragged:
    ends = np.cumsum([0, *(len(part.values) for part in parts)])
    starts = np.concatenate([ends[:1], *(part.starts[1:] + end for part, end in zip(parts, ends))])
    values, shapes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "shapes"))
    return Ragged(values, starts.astype(np.int64), shapes)


def place_of(columns: Columns, wanted: str, asked_by: str) -> Column | None:
    """The column that `codes[3]` means; None for another name. UsageError for a place that there is not."""
    part = re.fullmatch(r"(.+)\[(\d+)\]", wanted)
    if part is None or part[1] not in columns:
        return None
    column = columns[part[1]]
    values = column.values
    if isinstance(values, Ragged) or values.ndim != 2 or int(part[2]) >= values.shape[1]:
        shape = "rows of several lengths" if isinstance(values, Ragged) else f"shape {values.shape[1:]}"
        raise UsageError(f"{asked_by}={wanted!r}: column {part[1]!r} has {shape}; choose a place that it has")
    return Column(values[:, int(part[2])], "number")


def places_of(columns: Columns, inputs: Sequence[str], categories: Sequence[str]) -> tuple[str, ...]:
    """The inputs, each place of those that are several categories for itself."""
    return tuple(place for name in inputs for place in (_places(columns, name) if name in categories else (name,)))


def with_places(columns: Columns, inputs: Sequence[str], categories: Sequence[str]) -> Columns:
    """The columns with inputs such as `codes[3]` as columns of their own, and categories as classes."""
    found = {name: column for name, column in columns.items() if name not in categories}
    for name in categories:
        if name not in columns and place_of(columns, name, "data.categories") is None:
            raise UsageError(f"data.categories={name!r} is no column of the data; {nearest(name, columns)}")
        for place in _places(columns, name):
            found[place] = _as_category(place, columns.get(place) or place_of(columns, place, "data.categories"))
    for name in inputs:
        if name not in found and (column := place_of(columns, name, "data.inputs")) is not None:
            found[name] = column
    return found


def _places(columns: Columns, name: str) -> tuple[str, ...]:
    """A name for each place of a column of several numbers; of any other its own."""
    column = columns.get(name)
    if column is None or not column.is_array or column.array.ndim != 2:
        return (name,)
    return tuple(f"{name}[{place}]" for place in range(column.array.shape[1]))


def _as_category(name: str, column: Column | None) -> Column:
    """A column of codes as one of classes. UsageError for what is no code; texts and classes are categories already."""
    assert column is not None
    if column.kind in ("class", "text"):
        return column
    if column.kind != "number" or not column.is_array or column.array.ndim != 1:
        raise UsageError(f"data.categories={name!r} holds {column.kind}, which is no code of a category; leave it out")
    values = column.array
    known = np.isfinite(values)
    if np.any(values[known] < 0) or np.any(values[known] % 1):
        raise UsageError(f"data.categories={name!r} holds numbers that are no codes from 0 on; leave it out")
    return dataclasses.replace(column, values=np.where(known, values, -1).astype(np.int32), kind="class")

"""Columns cut and joined: slices of a split, several splits as one, blocks as they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dlm.data.columns import Column, Columns, Ragged


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

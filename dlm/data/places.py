"""Places of columns that hold several numbers a row: `codes[3]` is a column too; and codes that are categories."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from dlm.data.columns import Column, Columns, Ragged
from dlm.errors import UsageError, nearest


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

"""What the readers hand over: columns of all rows with their splits, and a person's data set made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from dlm.data.columns import Column, Columns, Ragged

Kind = Literal["auto", "table", "images", "sounds", "texts", "arrays"]
Task = Literal["auto", "classes", "numbers"]
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Found:
    """What a reader found: all rows as columns, split after split; how many rows each split has; what was assumed.

    `target` is the column that the files themselves tell to be the target, empty where they do not. One split is
    called all; several are train, test and perhaps validation.
    """

    columns: Columns
    counts: Mapping[str, int]
    target: str
    remarks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Own:
    """A person's own data set.

    name: stem of the path. splits: {"all": …}, or train, test and perhaps validation. kind: table, images, sounds,
    texts or arrays. target: the column to predict, of kind class or number; empty for texts without labels. remarks:
    in sentences, what was assumed and what was left out.
    """

    name: str
    splits: Mapping[str, Columns]
    kind: str
    target: str
    remarks: tuple[str, ...]


def split(columns: Columns, counts: Mapping[str, int]) -> dict[str, Columns]:
    """The columns of each split, which share memory with those of all rows."""
    splits: dict[str, Columns] = {}
    start = 0
    for name, count in counts.items():
        splits[name] = {key: _between(column, start, start + count) for key, column in columns.items()}
        start += count
    return splits


def keep(found: Found, kept: np.ndarray) -> Found:
    """Only the rows where `kept` (bool [N]) holds."""
    if kept.all():
        return found
    ends = np.cumsum([0, *found.counts.values()])
    counts = {name: int(kept[a:b].sum()) for name, a, b in zip(found.counts, ends, ends[1:])}
    rows = np.flatnonzero(kept)
    columns = {name: column.take(rows) for name, column in found.columns.items()}
    return dataclasses.replace(found, columns=columns, counts=counts)


def _between(column: Column, start: int, end: int) -> Column:
    values = column.values
    if isinstance(values, Ragged):
        values = Ragged(values.values, values.starts[start : end + 1], values.shapes[start:end])
        return dataclasses.replace(column, values=values)
    return dataclasses.replace(column, values=values[start:end])

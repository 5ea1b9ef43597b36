"""A data set as named columns: what every reader makes of its files, before inputs and targets are chosen from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from dlm.errors import UsageError

Kind = Literal["number", "class", "text", "image", "audio", "date"]
KINDS: tuple[str, ...] = get_args(Kind)


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

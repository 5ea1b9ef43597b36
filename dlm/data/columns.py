"""Columns: the named, typed arrays that every reader returns, before they are encoded as inputs and targets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from dlm.utils.errors import UsageError, nearest

Kind = Literal["number", "class", "text", "image", "audio", "date"]
FileKind = Literal["auto", "table", "images", "sounds", "texts", "arrays"]
Size = tuple[int, int]  # height and width of images
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of varying shape, one after another in `values` [total]; `shapes`: int32 [N, R], the shape of each row."""

    values: np.ndarray
    shapes: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each row starts in `values`, and where the last one ends. int64 [N + 1]."""
        return np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1, dtype=np.int64))])

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, rows: Any) -> Any:
        """One row by its number; several rows, as Ragged, by a slice of step 1 or an array of numbers."""
        starts = self.starts
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return Ragged(self.values[starts[start] : starts[stop]], self.shapes[rows])
        if isinstance(rows, np.ndarray):
            parts = [self.values[starts[row] : starts[row + 1]] for row in rows.tolist()]
            return Ragged(np.concatenate([self.values[:0], *parts]), self.shapes[rows])
        return self.values[starts[rows] : starts[rows + 1]].reshape(self.shapes[rows])


def ragged(rows: list[np.ndarray], dtype: np.typing.DTypeLike, rank: int) -> Ragged:
    """Arrays of `rank` axes as Ragged rows."""
    values = np.concatenate([np.zeros(0, dtype), *(np.asarray(row, dtype).ravel() for row in rows)])
    return Ragged(values, np.array([row.shape for row in rows], np.int32).reshape(len(rows), rank))


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
        return dataclasses.replace(self, values=self.values[rows])

    def row_bytes(self) -> list[bytes]:
        """The rows of a text, as UTF-8."""
        return [self.ragged[row].tobytes() for row in range(len(self))]

    def texts(self) -> list[str]:
        """The rows of a text; invalid UTF-8 is replaced."""
        return [row.decode(errors="replace") for row in self.row_bytes()]

    def is_known(self) -> np.ndarray:
        """Where a class or number is not missing, or a text not empty. bool [N]."""
        if self.kind == "text":
            return self.ragged.shapes[:, 0] > 0
        if self.kind == "class":
            return self.array >= 0
        return ~np.isnan(self.array.reshape(len(self), -1)).any(axis=1)


Columns = Mapping[str, Column]

FLOAT32_SPACING = 1e-3  # largest tolerable distance of neighbouring float32 numbers, relative to the spread
SMALLEST, LARGEST = 1e-12, 1e15  # numbers whose squares and sums float32 represents


@dataclasses.dataclass(frozen=True)
class Centring:
    """x ↦ (x − reference) / scale, after which float32 represents the numbers [N, K]; the identity for usual ones.

    reference, scale: float64 [K]. The reference is a value of the column near its median, so the difference is exact.
    """

    reference: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Centring:
        """The map for numbers [N, K], NaN where missing."""
        pairs = [_centring(np.asarray(column, np.float64)) for column in values.T]
        reference, scale = np.array(pairs, np.float64).reshape(len(pairs), 2).T
        return cls(reference, scale)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """float32 [N, K]."""
        if self.is_identity:
            return np.asarray(values).astype(np.float32)
        with np.errstate(over="ignore"):
            return ((np.asarray(values, np.float64) - self.reference) / self.scale).astype(np.float32)

    @property
    def is_identity(self) -> bool:
        """Whether numbers are only cast."""
        return not self.reference.any() and bool(np.all(self.scale == 1))

    def check(self, what: str) -> Centring:
        """Raises UsageError for numbers whose squared errors exceed the range of float32; `what` names them."""
        wrong = np.flatnonzero(self.scale != 1)
        if len(wrong):
            unit = self.scale[wrong[0]]
            raise UsageError(
                f"{what} has numbers of the order of {unit:g}, whose squared errors exceed the range of float32 "
                f"({SMALLEST:g} to {LARGEST:g} are supported); divide them by {unit:g}, or take their logarithm"
            )
        return self

    def names(self, names: Sequence[str]) -> list[str]:
        """Names of the K columns with what is subtracted from them and what they are divided by."""
        offsets = [f"{name} − {value:.17g}" if value else name for name, value in zip(names, self.reference)]
        return [f"({name}) / {scale:g}" if scale != 1 else name for name, scale in zip(offsets, self.scale)]


def _centring(values: np.ndarray) -> tuple[float, float]:
    """(reference, scale) of one column: (0, 1) where float32 represents its differences."""
    known = np.sort(values[np.isfinite(values)])
    top = float(np.abs(known).max(initial=0.0))
    if not top:
        return 0.0, 1.0
    low, middle, high = (float(known[len(known) * k // 4]) for k in (1, 2, 3))
    spread = (high / top - low / top) or float((known / top).std())
    reference = middle if np.finfo(np.float32).eps * abs(middle / top) > FLOAT32_SPACING * spread > 0 else 0.0
    with np.errstate(over="ignore"):
        top = float(np.abs(known - reference).max())
    scale = 1.0 if SMALLEST <= top <= LARGEST else float(10.0 ** max(-300.0, np.floor(np.log10(min(top, 1e300)))))
    return reference, scale


def num_rows(columns: Columns) -> int:
    """Number of rows. Raises UsageError if there is no column or lengths differ."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(f"a data set needs at least one column, and columns of equal length; lengths are {lengths}")
    return next(iter(lengths.values()))


def sliced(columns: Columns, start: int, stop: int) -> dict[str, Column]:
    """Rows start … stop − 1, as views."""
    return {name: dataclasses.replace(each, values=each.values[start:stop]) for name, each in columns.items()}


def concatenated(parts: Sequence[Column]) -> Column:
    """Columns of one kind, one after another; Ragged if one of them is or row shapes differ."""
    if len(parts) == 1:
        return parts[0]
    if all(part.is_array for part in parts) and len({row_shape(part) for part in parts}) == 1:
        return dataclasses.replace(parts[0], values=np.concatenate([part.array for part in parts]))
    rows = [as_ragged(part).ragged for part in parts]
    joined = (np.concatenate([getattr(part, name) for part in rows]) for name in ("values", "shapes"))
    return dataclasses.replace(parts[0], values=Ragged(*joined))


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
    shapes = np.tile(np.array(values.shape[1:], np.int32), (len(values), 1))
    return dataclasses.replace(column, values=Ragged(values.reshape(-1), shapes))


def row_shape(column: Column) -> tuple[int, ...] | None:
    """The shape of all rows; None if shapes differ or there are no rows."""
    values = column.values
    if isinstance(values, np.ndarray):
        return values.shape[1:]
    shapes = values.shapes
    return tuple(int(size) for size in shapes[0]) if len(shapes) and not np.any(shapes != shapes[0]) else None


def find_column(columns: Columns, name: str, option: str) -> Column:
    """The column of this name, or the one that `codes[3]` names: element 3 of each row of `codes`.

    Raises UsageError if there is no such column or element; `option` names the setting in the message.
    """
    if name in columns:
        return columns[name]
    match = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if match is None or match[1] not in columns:
        raise UsageError(f"{option}={name!r} is not a column of the data; {nearest(name, columns)}")
    values = columns[match[1]].values
    if isinstance(values, Ragged) or values.ndim != 2 or int(match[2]) >= values.shape[1]:
        shape = "rows of varying length" if isinstance(values, Ragged) else f"rows of shape {values.shape[1:]}"
        raise UsageError(f"{option}={name!r}: column {match[1]!r} has {shape}; choose an existing element")
    return Column(values[:, int(match[2])], "number")


def with_categories(
    columns: Columns, inputs: Sequence[str], categories: Sequence[str]
) -> tuple[Columns, tuple[str, ...]]:
    """The columns, with categories as class columns and inputs such as `codes[3]` as columns of their own.

    Also returns the inputs, with categorical columns of several numbers replaced by their elements.
    """
    elements = {}
    for name in categories:
        column = find_column(columns, name, "data.categories")
        width = column.array.shape[1] if column.is_array and column.array.ndim == 2 else 0
        elements[name] = [f"{name}[{index}]" for index in range(width)] or [name]
    result = {name: column for name, column in columns.items() if name not in categories}
    for name in (each for names in elements.values() for each in names):
        result[name] = _as_category(name, find_column(columns, name, "data.categories"))
    for name in inputs:
        if name not in result and name not in elements:
            result[name] = find_column(columns, name, "data.inputs")
    return result, tuple(each for name in inputs for each in elements.get(name, (name,)))


def _as_category(name: str, column: Column) -> Column:
    """A column of integer codes as classes; classes and texts are unchanged. Raises UsageError for other values."""
    if column.kind in ("class", "text"):
        return column
    if column.kind != "number" or not column.is_scalar:
        raise UsageError(f"data.categories={name!r} has kind {column.kind}, not integer codes; remove it")
    values = column.array
    known = np.isfinite(values)
    if np.any(values[known] < 0) or np.any(values[known] % 1):
        raise UsageError(f"data.categories={name!r} has values that are not non-negative integers; remove it")
    if np.any(values[known] > np.iinfo(np.int32).max):  # such as 64-bit identifiers
        codes = np.unique(values[known])
        index = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
        names = tuple(str(int(code)) for code in codes)
        return Column(np.where(known, index, -1).astype(np.int32), "class", names)
    return dataclasses.replace(column, values=np.where(known, values, -1).astype(np.int32), kind="class")

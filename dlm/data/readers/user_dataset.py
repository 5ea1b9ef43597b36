"""What the readers hand over: columns of all rows with their splits, and a person's data set made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from dlm.data.columns import Column, Columns, Ragged
from dlm.utils.errors import UsageError, nearest

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


MOST_CLASSES = 20  # whole numbers of fewer different values are classes
ROWS_A_CLASS = 5  # where there are at least that many rows for each


def with_target(columns: Columns, target: str, task: Task = "auto") -> tuple[dict[str, Column], str]:
    """The columns with the target as classes (kind class) or numbers (float), and in a sentence which and why.

    Texts and truth values are classes. So are whole numbers of at most MOST_CLASSES values which have ROWS_A_CLASS
    rows each; and integers of arrays that are 0 … k-1 with as many rows each, however many. All others are numbers.
    UsageError for an unknown column, and for one that cannot be what `task` asks for.
    """
    if target not in columns:
        raise UsageError(f"there is no column {target!r} to predict; {nearest(target, columns)[:400]}")
    column = columns[target]
    if column.kind in ("class", "number") and not isinstance(column.values, Ragged) and not known(column).any():
        raise UsageError(f"column {target!r} has no value in any row; choose another to predict")
    if column.kind == "class":
        chosen, told = _of_classes(target, column, task)
    elif column.kind == "number" and isinstance(column.values, np.ndarray):
        chosen, told = _of_numbers(target, column, task)
    else:
        raise UsageError(f"column {target!r} is of kind {column.kind}; choose a target of numbers or classes")
    return {**columns, target: chosen}, f"Column {target}: {told}"


def known(column: Column) -> np.ndarray:
    """Where a target is not missing. bool [N]."""
    values = np.asarray(column.values)
    if column.kind == "class":
        return values >= 0
    return ~np.isnan(values.reshape(len(values), -1)).any(axis=1)


def used_classes(column: Column) -> Column:
    """A column of classes without the names that no row has."""
    values = np.asarray(column.values)
    places, renumbered = np.unique(values, return_inverse=True)
    names = tuple(column.names[place] for place in places)
    return dataclasses.replace(column, values=renumbered.astype(np.int32), names=names)


def _of_classes(name: str, column: Column, task: Task) -> tuple[Column, str]:
    if task != "numbers":
        return column, f"taken for {len(column.names):,} classes{_some(column.names)}."
    values = np.asarray(column.values)
    try:
        numbers = np.array([float(label) for label in column.names] + [np.nan])
    except ValueError:
        wrong = next(label for label in column.names if not _is_number(label))
        raise UsageError(
            f"column {name!r} holds texts such as {wrong[:40]!r}, no numbers; choose task=classes, or another column"
        ) from None
    return Column(numbers[values], "number"), "taken for numbers to predict, as asked for."


def _of_numbers(name: str, column: Column, task: Task) -> tuple[Column, str]:
    values = np.asarray(column.values)
    if values.ndim > 1:
        if task == "classes" or values.ndim > 2:
            raise UsageError(f"targets {name!r} are {values.shape}; classes want one for each row, numbers one or k")
        return _floats(column), f"taken for {values.shape[1]} numbers to predict in each row."
    different = np.unique(values[~np.isnan(values)])
    marked = _marks_missing(different)
    different = different[different >= 0] if marked else different
    whole = bool(np.all(different % 1 == 0))
    few = whole and len(different) <= MOST_CLASSES and ROWS_A_CLASS * len(different) <= len(values)
    labels = values.dtype.kind in "iu" and _counted(different) and ROWS_A_CLASS * len(different) <= len(values)
    if task == "classes" or (task == "auto" and (few or labels)):
        names = tuple(f"{number:.0f}" if whole else f"{number:g}" for number in different)
        if len(set(names)) < len(names):
            raise UsageError(f"column {name!r} holds {len(names):,} different numbers, no classes; choose task=numbers")
        told = f"taken for {len(names):,} classes{_some(names)}; task=numbers says otherwise."
        told += " −1 is taken as missing." if marked else ""
        return Column(_places(values, different), "class", names), told
    otherwise = "; task=classes says otherwise" if task == "auto" else ", as asked for"
    return _floats(column), f"taken for numbers to predict ({len(different):,} distinct values){otherwise}."


def _places(values: np.ndarray, different: np.ndarray) -> np.ndarray:
    """Which of the values each is, −1 for what is missing. int32 [N]."""
    places = np.searchsorted(different, values).astype(np.int32)
    inside = np.minimum(places, len(different) - 1)
    return np.where(different[inside] == values, inside, -1).astype(np.int32)


def _floats(column: Column) -> Column:
    values = np.asarray(column.values)
    return column if values.dtype.kind == "f" else dataclasses.replace(column, values=values.astype(np.float64))


def _counted(different: np.ndarray) -> bool:
    return bool(len(different)) and np.array_equal(different, np.arange(len(different)))


def _marks_missing(different: np.ndarray) -> bool:
    """Whether −1 stands for no class: beside 0 … k-1, k at least 3. −1, 0 and 1 are three classes."""
    integers = different.dtype.kind == "i"
    return integers and len(different) > 3 and different[0] == -1 and _counted(different[1:])


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:30] for name in names[:4])
    return f" ({shown}{' …' if len(names) > 4 else ''})"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

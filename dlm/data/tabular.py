"""Columns of a table side by side as numbers: [N, D], NaN where missing, scaled by nobody yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlm.data.columns import Column, Columns, Ragged
from dlm.errors import UsageError

MOST_CATEGORIES = 64  # of a column, by frequency; rarer ones share one place
YEAR, DAY = 365.2425 * 86_400, 86_400.0
CALENDAR = (
    "year",
    "season (sine)",
    "season (cosine)",
    "weekday (sine)",
    "weekday (cosine)",
    "hour (sine)",
    "hour (cosine)",
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How each column is written: the categories that have a place of their own, and whether numbers go missing."""

    names: tuple[str, ...]
    categories: dict[str, np.ndarray]
    missing: frozenset[str]


def plan(columns: Columns, names: Sequence[str]) -> Plan:
    """From the training pool: only which columns there will be. What a subset does not hold stays 0 for its learner."""
    categories, missing = {}, set()
    for name in names:
        column = columns[name]
        if column.kind in ("class", "text"):
            found, counts = np.unique(_known(column), return_counts=True)
            categories[name] = np.sort(found[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])
        elif column.kind in ("number", "date"):
            if np.isnan(np.asarray(column.values, np.float64)).any():
                missing.add(name)
        else:
            raise UsageError(f"data.inputs: column {name!r} holds {column.kind}, which is no part of a table")
    return Plan(tuple(names), categories, frozenset(missing))


def table(columns: Columns, plan: Plan) -> np.ndarray:
    """The inputs float32 [N, D]: numbers; a place a category, 1 for its own; dates as year, season, weekday, hour."""
    parts: list[np.ndarray] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            parts.append(_places(column, plan.categories[name]))
            continue
        if isinstance(column.values, Ragged):
            raise UsageError(f"data.inputs: column {name!r} holds sequences of several lengths; name it alone")
        numbers = np.asarray(column.values, np.float64).reshape(len(column), -1)
        parts.append(_calendar(numbers) if column.kind == "date" else numbers.astype(np.float32))
        if name in plan.missing:
            parts.append(np.isnan(numbers).astype(np.float32))
    return np.concatenate(parts, axis=1)


def feature_names(columns: Columns, plan: Plan) -> tuple[str, ...]:
    """What each of the D numbers of `table` is: `age`, `sex=male`, `date: year`, `age is missing`."""
    names: list[str] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            names += [f"{name}={_category(column, value)}" for value in plan.categories[name]] + [f"{name}: others"]
            continue
        width = int(np.prod(np.asarray(column.values).shape[1:], dtype=int))
        own = [name] if width == 1 else [f"{name}[{place}]" for place in range(width)]
        names += [f"{name}: {part}" for part in CALENDAR] if column.kind == "date" else own
        if name in plan.missing:
            names += [f"{one} is missing" for one in own]
    return tuple(names)


def fields(columns: Columns, plan: Plan) -> tuple[int, ...]:
    """How many of the D numbers of `table` each field has: 1 a number, k a category; dates are numbers, too."""
    widths: list[int] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            widths.append(len(plan.categories[name]) + 1)
            continue
        width = int(np.prod(np.asarray(column.values).shape[1:], dtype=int))
        own = len(CALENDAR) if column.kind == "date" else width
        widths += [1] * (own + (width if name in plan.missing else 0))
    return tuple(widths)


def _category(column: Column, value: Any) -> str:
    if column.kind == "text":
        return bytes(value).decode(errors="replace")
    return column.names[int(value)] if column.names else str(int(value))


def _places(column: Column, kept: np.ndarray) -> np.ndarray:
    """One-hot by `kept`, with a last place for any other category; none for a missing one. float32 [N, K + 1]."""
    values = _values(column)
    place = np.where(np.isin(values, kept), np.searchsorted(kept, values), len(kept))
    is_known = np.ones(len(column), bool) if column.kind == "text" else values >= 0
    return (place[:, None] == np.arange(len(kept) + 1)).astype(np.float32) * is_known[:, None]


def _values(column: Column) -> np.ndarray:
    """Categories [N]: codes of classes, or texts as bytes."""
    if column.kind == "class":
        return column.array
    return np.array([column.ragged[row].tobytes() for row in range(len(column))])


def _known(column: Column) -> np.ndarray:
    values = _values(column)
    return values if column.kind == "text" else values[values >= 0]


def _calendar(seconds: np.ndarray) -> np.ndarray:
    """Dates [N, 1] as numbers: the year with its fraction, and places on the circles of year, week and day. [N, 7]."""
    turns = [seconds / YEAR, seconds / (7 * DAY), seconds / DAY]
    circles = [of(2 * np.pi * turn) for turn in turns for of in (np.sin, np.cos)]
    return np.concatenate([1970 + seconds / YEAR, *circles], axis=1).astype(np.float32)


def is_tabular(column: Column) -> bool:
    """Whether a column can be part of a table: a number or a few, a category, a date."""
    if isinstance(column.values, Ragged):
        return False
    return column.kind in ("class", "date") or (column.kind == "number" and column.values.ndim <= 2)

"""Assigns examples to groups by the values of columns, so that errors can be compared between groups."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import numpy as np

from dlm.data.columns import Column, Columns, find_column
from dlm.data.dataset import Groups
from dlm.utils.errors import UsageError

MAX_VALUES = 12  # a column of numbers with more distinct values is divided at the pool's quartiles
MAX_NAMES = 20  # groups of a column of texts; rarer values form one group
OTHERS = "others"

Coded = tuple[tuple[str, ...], dict[str, np.ndarray]]  # names of the groups; group of each row by split, −1 unknown


def groups_of(splits: Mapping[str, Columns], wanted: tuple[str, ...]) -> tuple[Groups, dict[str, np.ndarray]]:
    """Names of each column's groups, and the groups of each split's rows, int32 [N, G], −1 where unknown.

    wanted: column names, `name[3]` for one element of a column, or `age<=25` for two groups of a numeric column. Raises
    UsageError for columns that do not define groups.
    """
    names, codes = [], {part: [] for part in splits}  # type: ignore[var-annotated]
    for column in wanted:
        name, threshold = _parsed(column, splits["train"])
        by_split = {part: find_column(columns, name, "groups") for part, columns in splits.items()}
        labels, coded = _coded(name, by_split) if threshold is None else _divided(name, by_split, threshold)
        names.append((name, labels))
        for part in splits:
            codes[part].append(coded[part])
    return tuple(names), {part: np.stack(each, axis=1).astype(np.int32) for part, each in codes.items()}


def _parsed(wanted: str, columns: Columns) -> tuple[str, float | None]:
    """(column, threshold) of `age<=25`; threshold None for any other name."""
    match = re.fullmatch(r"(.+?)\s*<=\s*(-?\d+(?:\.\d+)?)", wanted)
    return (match[1], float(match[2])) if match and wanted not in columns else (wanted, None)


def _divided(name: str, splits: Mapping[str, Column], threshold: float) -> Coded:
    """Two groups of a column of numbers: up to the threshold, and above."""
    if any(column.kind != "number" or not column.is_scalar for column in splits.values()):
        raise UsageError(f"groups={name!r} with a threshold needs a column of single numbers; choose another column")
    codes = {part: np.where(np.isfinite(x := column.array), x > threshold, -1) for part, column in splits.items()}
    return (f"{_short(name)} ≤ {threshold:g}", f"{_short(name)} > {threshold:g}"), codes


def _coded(name: str, splits: Mapping[str, Column]) -> Coded:
    column = splits["train"]
    if column.kind == "class":
        number = max(int(each.array.max(initial=0)) for each in splits.values()) + 1
        return column.names or tuple(map(str, range(number))), {part: each.array for part, each in splits.items()}
    if column.kind == "text":
        return _by_name({part: np.array(each.texts()) for part, each in splits.items()})
    if column.kind == "number" and column.is_scalar:
        return _by_value(name, {part: each.array.astype(np.float64) for part, each in splits.items()})
    raise UsageError(f"groups={name!r} has kind {column.kind}; choose a column of classes, texts or single numbers")


def _by_name(splits: Mapping[str, np.ndarray]) -> Coded:
    """One group per text that is frequent in the pool, and one for all others."""
    values, counts = np.unique(splits["train"], return_counts=True)
    frequent = np.sort(values[np.argsort(-counts, kind="stable")[:MAX_NAMES]])
    codes = {
        part: np.where(np.isin(x, frequent), np.searchsorted(frequent, x), len(frequent)) for part, x in splits.items()
    }
    others = [OTHERS] if any((x == len(frequent)).any() for x in codes.values()) else []
    return (*map(str, frequent), *others), codes


def _by_value(name: str, splits: Mapping[str, np.ndarray]) -> Coded:
    """One group per value if there are few, else the quarters of the pool."""
    known = {part: np.isfinite(x) for part, x in splits.items()}
    values = np.unique(np.concatenate([x[known[part]] for part, x in splits.items()]))
    if len(values) <= MAX_VALUES:
        labels = tuple(f"{value:g}" for value in values)
        codes = {part: np.searchsorted(values, x) for part, x in splits.items()}
    else:
        pool = splits["train"][known["train"]]
        cuts = np.unique(np.quantile(pool, [0.25, 0.5, 0.75], method="inverted_cdf"))
        ends = ["", *(f"{cut:g}" for cut in cuts), ""]
        short = _short(name)
        labels = tuple(
            f"{short} ≤ {high}" if not low else f"{short} > {low}" if not high else f"{low} < {short} ≤ {high}"
            for low, high in itertools.pairwise(ends)
        )
        codes = {part: np.searchsorted(cuts, x, side="left") for part, x in splits.items()}
    return labels, {part: np.where(known[part], x, -1) for part, x in codes.items()}


def _short(name: str) -> str:
    return name if len(name) <= 12 else "value"

"""Who an example is of: groups that a column tells apart, so that errors can be compared between them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import numpy as np

from dlm.data.columns import Column, Columns, place_of
from dlm.utils.errors import UsageError, nearest

MOST_VALUES = 12  # of a column of numbers that are groups each; more are cut at the pool's quartiles
MOST_NAMES = 20  # groups of a column, by frequency in the pool; rarer ones are one group
OTHERS = "others"

Groups = tuple[tuple[str, tuple[str, ...]], ...]


def groups_of(splits: Mapping[str, Columns], wanted: tuple[str, ...]) -> tuple[Groups, dict[str, np.ndarray]]:
    """Names of each wanted column's groups, and int32 [N, G] for each split: which group, −1 where not known.

    A wanted column is a name, or `name[3]` for one number of several; `age<=25` parts numbers in two. UsageError if it
    tells no groups apart.
    """
    names, codes = [], {part: [] for part in splits}  # type: ignore[var-annotated]
    for column in wanted:
        name, most = _parted(column, splits["train"])
        found = {part: _column(columns, name) for part, columns in splits.items()}
        labels, coded = _coded(name, found) if most is None else _halves(name, found, most)
        names.append((name, labels))
        for part in splits:
            codes[part].append(coded[part])
    return tuple(names), {part: np.stack(each, axis=1).astype(np.int32) for part, each in codes.items()}


def _column(columns: Columns, wanted: str) -> Column:
    found = columns.get(wanted) or place_of(columns, wanted, "groups")
    if found is None:
        raise UsageError(f"groups={wanted!r} is no column of the data; {nearest(wanted, columns)}")
    return found


def _parted(wanted: str, columns: Columns) -> tuple[str, float | None]:
    """(a column, the most that its first group has) of `age<=25`; of any other column None is said."""
    parted = re.fullmatch(r"(.+?)\s*<=\s*(-?\d+(?:\.\d+)?)", wanted)
    return (parted[1], float(parted[2])) if parted and wanted not in columns else (wanted, None)


def _halves(wanted: str, splits: Mapping[str, Column], most: float) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Two groups of a column of numbers: up to `most`, and above."""
    if any(one.kind != "number" or not one.is_array or one.array.ndim != 1 for one in splits.values()):
        raise UsageError(f"groups={wanted!r} parts a column that holds no single numbers; choose one that does")
    place = {part: np.where(np.isfinite(of := one.array), of > most, -1) for part, one in splits.items()}
    return (f"{_short(wanted)} ≤ {most:g}", f"{_short(wanted)} > {most:g}"), place


def _coded(name: str, splits: Mapping[str, Column]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """(names of the groups, group of each row by split)."""
    column = splits["train"]
    if column.kind == "class":
        return column.names or _numbered(splits), {part: one.array for part, one in splits.items()}
    if column.kind == "text":
        return _named({part: _texts(one) for part, one in splits.items()})
    if column.kind == "number" and column.is_array and column.array.ndim == 1:
        return _ranges(name, {part: one.array.astype(np.float64) for part, one in splits.items()})
    raise UsageError(f"groups={name!r} holds {column.kind}, which tells no groups apart; choose classes or numbers")


def _numbered(splits: Mapping[str, Column]) -> tuple[str, ...]:
    return tuple(map(str, range(max(int(one.array.max(initial=0)) for one in splits.values()) + 1)))


def _texts(column: Column) -> np.ndarray:
    return np.array([column.ragged[row].tobytes().decode(errors="replace") for row in range(len(column))])


def _named(splits: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    found, counts = np.unique(splits["train"], return_counts=True)
    kept = np.sort(found[np.argsort(-counts, kind="stable")[:MOST_NAMES]])
    place = {part: np.where(np.isin(of, kept), np.searchsorted(kept, of), len(kept)) for part, of in splits.items()}
    others = [OTHERS] if any((of == len(kept)).any() for of in place.values()) else []
    return (*map(str, kept), *others), place


def _ranges(name: str, splits: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """A group a value where there are few, or else a quarter of the pool each."""
    known = {part: np.isfinite(of) for part, of in splits.items()}
    values = np.unique(np.concatenate([of[known[part]] for part, of in splits.items()]))
    if len(values) <= MOST_VALUES:
        labels = tuple(f"{value:g}" for value in values)
        place = {part: np.searchsorted(values, of) for part, of in splits.items()}
    else:
        pool = splits["train"][known["train"]]
        cuts = np.unique(np.quantile(pool, [0.25, 0.5, 0.75], method="inverted_cdf"))
        ends = ["", *(f"{cut:g}" for cut in cuts), ""]
        short = _short(name)
        labels = tuple(
            f"{short} ≤ {high}" if not low else f"{short} > {low}" if not high else f"{low} < {short} ≤ {high}"
            for low, high in itertools.pairwise(ends)
        )
        place = {part: np.searchsorted(cuts, of, side="left") for part, of in splits.items()}
    return labels, {part: np.where(known[part], of, -1) for part, of in place.items()}


def _short(name: str) -> str:
    return name if len(name) <= 12 else "value"

"""The user's data as columns with splits, target and remarks; and the checks that make it suitable for a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from dlm.data.columns import Columns, sliced
from dlm.data.readers.files import listed
from dlm.utils.errors import UsageError

MIN_ROWS = 30
MIN_CLASS_ROWS = 3  # one for each split
MAX_RARE_SHARE = 0.1  # of rows in rare classes; with more, the target is not suitable


@dataclasses.dataclass(frozen=True)
class UserDataset:
    """What a reader returns: the columns of all rows, split after split, and how they were read.

    counts: rows of each split; a single one is "all", several are train, test and perhaps validation. target: the
    column to predict; empty for unlabelled texts, or if it is not known yet. remarks: what was assumed and dropped, in
    sentences. name: stem of the path.
    """

    columns: Columns
    counts: Mapping[str, int]
    target: str
    remarks: tuple[str, ...] = ()
    name: str = ""

    def splits(self) -> dict[str, Columns]:
        """The columns of each split, as views."""
        splits: dict[str, Columns] = {}
        start = 0
        for name, count in self.counts.items():
            splits[name] = sliced(self.columns, start, start + count)
            start += count
        return splits

    def where(self, mask: np.ndarray) -> UserDataset:
        """Only the rows where `mask` (bool [N]) is true."""
        if mask.all():
            return self
        ends = np.cumsum([0, *self.counts.values()])
        counts = {name: int(mask[a:b].sum()) for name, a, b in zip(self.counts, ends, ends[1:])}
        rows = np.flatnonzero(mask)
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return dataclasses.replace(self, columns=columns, counts=counts)

    def with_remarks(self, *remarks: str) -> UserDataset:
        """The same data with remarks added."""
        return dataclasses.replace(self, remarks=(*self.remarks, *remarks))


def labelled(data: UserDataset) -> UserDataset:
    """Without rows that have no target, and without classes too rare for every split; with remarks.

    Raises UsageError if more than MAX_RARE_SHARE of the rows are in such classes.
    """
    known = data.columns[data.target].is_known()
    if not known.all():
        data = data.where(known).with_remarks(f"Dropped {int((~known).sum()):,} rows without a target.")
    column = data.columns[data.target]
    if column.kind != "class" or not len(column):
        return data
    values, pool = column.array, next(iter(data.counts.values()))
    counts, in_pool = (np.bincount(rows, minlength=len(column.names)) for rows in (values, values[:pool]))
    is_rare = (counts < MIN_CLASS_ROWS) | (in_pool == 0)
    rows, rule = is_rare[values], f"fewer than {MIN_CLASS_ROWS} rows or without training rows"
    rare = [name for name, count, drop in zip(column.names, counts, is_rare) if drop and count]
    if rows.mean() > MAX_RARE_SHARE:
        raise UsageError(
            f"{int(rows.sum()):,} of {len(rows):,} rows are in classes with {rule}, for example {rare[0]!r}; choose "
            "another target, or merge classes"
        )
    if rare:
        data = data.where(~rows).with_remarks(f"Classes with {rule} are left out: {listed(rare)}.")
    used, renumbered = np.unique(data.columns[data.target].array, return_inverse=True)
    names = tuple(column.names[index] for index in used)
    target = dataclasses.replace(column, values=renumbered.astype(np.int32), names=names)
    return dataclasses.replace(data, columns={**data.columns, data.target: target})


def check(data: UserDataset) -> None:
    """Raises UsageError for data that no study can use: too few rows, a constant target, no inputs."""
    total = sum(data.counts.values())
    if total < MIN_ROWS:
        raise UsageError(
            f"{total} rows are too few; give at least {MIN_ROWS}, since some are held out for validation and test"
        )
    for split, count in data.counts.items():
        if count < MIN_CLASS_ROWS:
            raise UsageError(f"split {split} has only {count} rows; add rows to it, or give all rows as one split")
    if data.target:
        target = data.columns[data.target]
        first = target.array[0]
        if (target.array == first).all():
            constant = target.names[first] if target.kind == "class" else f"{first.flat[0]:g}"
            raise UsageError(f"target {data.target!r} is {constant} in every row; choose a target that varies")
    if not set(data.columns) - {data.target}:
        dropped = "".join(f" ({remark})" for remark in data.remarks if remark.startswith("Dropped columns"))
        raise UsageError(f"there is no column except the target {data.target!r}{dropped}; add input columns")

"""The user's data as columns with splits, target and remarks; and the checks that make it suitable for a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from dlm.data.columns import Columns, num_rows, sliced
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
    """Without rows that have no target, and without classes too rare for every split; with remarks."""
    column = data.columns[data.target]
    known = column.is_known()
    remarks = () if known.all() else (f"Dropped {int((~known).sum()):,} rows without a target.",)
    data = data.where(known)
    rare_remarks: tuple[str, ...] = ()
    if column.kind == "class" and num_rows(data.columns):
        data, rare_remarks = _without_rare_classes(data)
    return data.with_remarks(*remarks, *rare_remarks)


def _without_rare_classes(data: UserDataset) -> tuple[UserDataset, tuple[str, ...]]:
    """Without classes of too few rows, and without those that do not occur in the first (training) split."""
    column = data.columns[data.target]
    values = column.array
    classes = np.arange(len(column.names))
    training = values[: next(iter(data.counts.values()))]
    rare = classes[np.bincount(values, minlength=len(classes)) < MIN_CLASS_ROWS]
    absent = np.setdiff1d(classes[np.bincount(training, minlength=len(classes)) == 0], rare)
    dropped = np.isin(values, [*rare, *absent])
    if dropped.mean() > MAX_RARE_SHARE:
        raise UsageError(
            f"{int(dropped.sum()):,} of {len(values):,} rows are in classes with fewer than {MIN_CLASS_ROWS} rows or "
            f"without training rows, for example {column.names[int(values[dropped][0])]!r}; choose another target, or "
            "merge classes"
        )
    remarks = []
    if len(present := rare[np.isin(rare, values)]):
        listed_names = listed([column.names[index] for index in present])
        remarks.append(
            f"Dropped classes of fewer than {MIN_CLASS_ROWS} rows, which cannot be in every split: {listed_names}."
        )
    if len(absent):
        remarks.append(f"Dropped classes without training rows: {listed([column.names[k] for k in absent])}.")
    data = data.where(~dropped)
    target = data.columns[data.target]
    used, renumbered = np.unique(target.array, return_inverse=True)
    names = tuple(target.names[index] for index in used)
    target = dataclasses.replace(target, values=renumbered.astype(np.int32), names=names)
    return dataclasses.replace(data, columns={**data.columns, data.target: target}), tuple(remarks)


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
        raise UsageError(f"there is no column except the target {data.target!r}; add input columns")

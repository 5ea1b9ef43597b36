"""Ratings as events: who met which item when, from TFDS or a table, and whose events come first and last."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.columns import Column, Ragged
from dlm.errors import UsageError, nearest

FEWEST = 3  # events of a user, of whom one can be tested, one validated by, and one learnt from


@dataclasses.dataclass(frozen=True)
class Events:
    """Events in the order of their rows: `user` int32 [N] below `num_users`, `item` likewise, `time` [N] or None."""

    name: str
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None
    num_users: int
    num_items: int
    rating: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)


def read_events(
    name: str,
    names: dict[str, str],
    *,
    version: str = "",
    data_dir: Path | None = None,
    download: bool = False,
) -> Events:
    """All events of a TFDS set's split `train`, or of a CSV or Parquet file.

    names: the columns that are "user", "item", "time" and "rating"; an empty one is not read. UsageError for a column
    that is not there, for ratings and times that are no numbers, and for values that are missing.
    """
    full_name, columns = _table(name) if _is_path(name) else _tfds(name, version, data_dir, download)
    read: dict[str, np.ndarray] = {}
    for what, column in names.items():
        if not column:
            continue
        if column not in columns:
            raise UsageError(f"data.{what}={column!r} is no column of {full_name!r}; {nearest(column, columns)}")
        values = _values(columns[column], f"data.{what}={column!r}")
        read[what] = _numbers(values, f"data.{what}={column!r}") if what in ("time", "rating") else values
    (users, user), (items, item) = (np.unique(read[what], return_inverse=True) for what in ("user", "item"))
    user, item = user.astype(np.int32), item.astype(np.int32)
    return Events(full_name, user, item, read.get("time"), len(users), len(items), read.get("rating"))


def in_time(events: Events) -> np.ndarray:
    """Rows by user, and each user's by time; those of one time stay in the order of their rows. int [N]."""
    assert events.time is not None
    return np.lexsort((events.time, events.user))  # stable


def left_out_last(user: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the pool, of validation and of test in events sorted by user and time, user int [N].

    Of each user the last event is for test, the one before for validation; users of fewer than FEWEST events have all
    of theirs in the pool. UsageError if there are no others.
    """
    counts = np.bincount(user)
    before_end = np.cumsum(counts)[user] - 1 - np.arange(len(user))
    enough = counts[user] >= FEWEST
    if not enough.any():
        raise UsageError(
            f"no user has {FEWEST} events or more, of which the last are held out; use Ratings(split='random')"
        )
    test, validation = enough & (before_end == 0), enough & (before_end == 1)
    return np.flatnonzero(~(test | validation)), np.flatnonzero(validation), np.flatnonzero(test)


def _is_path(name: str) -> bool:
    from dlm.data.own.tables import ENDINGS

    return Path(name).suffix.casefold() in ENDINGS


def _table(path: str) -> tuple[str, dict[str, Any]]:
    from dlm.data.own.tables import read_table

    if not Path(path).is_file():
        raise UsageError(f"data.name={path!r} is no file; give the path of a table, or the name of a TFDS data set")
    table, _ = read_table(Path(path))
    return Path(path).stem, {name: table.column(name) for name in table.column_names}


def _tfds(name: str, version: str, data_dir: Path | None, download: bool) -> tuple[str, dict[str, Any]]:
    from dlm.data.tfds_reader import read

    full_name, splits = read(name, {"train": "train"}, version=version, data_dir=data_dir, download=download)
    return full_name, dict(splits["train"])


def _values(column: Any, where: str) -> np.ndarray:
    """A column's values [N], texts as bytes. UsageError for what is missing, and for several values a row."""
    if not isinstance(column, Column):  # Arrow's
        if column.null_count:
            raise UsageError(f"{where} has {column.null_count:,} rows without a value; leave those rows out")
        values = column.to_numpy()
        return values.astype(str) if values.dtype == object else values
    if isinstance(column.values, Ragged):
        if column.kind != "text":
            raise UsageError(f"{where} holds several values a row; name a column of one")
        return np.array([column.ragged[row].tobytes() for row in range(len(column))])
    if column.array.ndim != 1:
        raise UsageError(f"{where} holds values of shape {column.array.shape[1:]} a row; name a column of one")
    return column.array


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind == "M":
        values = values.astype(np.int64)
    if values.dtype.kind not in "iuf":
        raise UsageError(f"{where} holds {values.dtype}, and numbers are needed; name another column")
    if not np.isfinite(values).all():
        raise UsageError(f"{where} has rows without a number; leave those rows out")
    return values

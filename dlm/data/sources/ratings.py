"""Ratings of items by users: datasets for rating prediction and next-item recommendation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dlm.data.columns import Column, Ragged
from dlm.data.dataset import Dataset, Split, hold_out_both
from dlm.utils.errors import UsageError, at_least, choose, nearest

MIN_EVENTS = 3  # of a user whose last events are held out: one each for test, validation and training
EXPECTED_OVERLAP = "the histories of one user overlap by design, so leaks were not searched"


@dataclasses.dataclass(frozen=True)
class Events:
    """Events in file order: `user` int32 [N] below `num_users`, `item` likewise; `time` and `rating` [N] or None."""

    name: str
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None
    num_users: int
    num_items: int
    rating: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)

    def by_user_and_time(self) -> np.ndarray:
        """Rows sorted by user and time; rows of equal time stay in file order. int [N]."""
        assert self.time is not None
        return np.lexsort((self.time, self.user))


def read_events(
    name: str, names: dict[str, str], *, version: str = "", data_dir: Path | None = None, download: bool = False
) -> Events:
    """All events of a CSV or Parquet file, or of the split `train` of a TFDS data set.

    names: the columns of "user", "item", "time" and "rating"; an empty one is not read. Raises UsageError for unknown
    columns, ratings and times that are not numbers, and missing values.
    """
    full_name, columns = _table(name) if _is_path(name) else _tfds(name, version, data_dir, download)
    read: dict[str, np.ndarray] = {}
    for role, column in names.items():
        if not column:
            continue
        option = f"data.{role}={column!r}"
        if column not in columns:
            raise UsageError(f"{option} is not a column of {full_name!r}; {nearest(column, columns)}")
        values = _values(columns[column], option)
        read[role] = _numbers(values, option) if role in ("time", "rating") else values
    (users, user), (items, item) = (np.unique(read[role], return_inverse=True) for role in ("user", "item"))
    user, item = user.astype(np.int32), item.astype(np.int32)
    return Events(full_name, user, item, read.get("time"), len(users), len(items), read.get("rating"))


def leave_last_out(user: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row indices of pool, validation and test, for events sorted by user and time. user: int [N].

    The last event of each user is for test, the one before for validation; users with fewer than MIN_EVENTS events are
    in the pool only. Raises UsageError if all users are.
    """
    counts = np.bincount(user)
    before_end = np.cumsum(counts)[user] - 1 - np.arange(len(user))
    enough = counts[user] >= MIN_EVENTS
    if not enough.any():
        raise UsageError(f"no user has at least {MIN_EVENTS} events to hold out the last; use Ratings(split='random')")
    test, validation = enough & (before_end == 0), enough & (before_end == 1)
    return np.flatnonzero(~(test | validation)), np.flatnonzero(validation), np.flatnonzero(test)


def _is_path(name: str) -> bool:
    from dlm.data.readers.tables import SUFFIXES

    return Path(name).suffix.casefold() in SUFFIXES


def _table(path: str) -> tuple[str, dict[str, Any]]:
    from dlm.data.readers.tables import read_table

    if not Path(path).is_file():
        raise UsageError(f"data.name={path!r} is not a file; give the path of a table, or the name of a TFDS data set")
    table, _ = read_table(Path(path))
    return Path(path).stem, {name: table.column(name) for name in table.column_names}


def _tfds(name: str, version: str, data_dir: Path | None, download: bool) -> tuple[str, dict[str, Any]]:
    from dlm.data.tfds.reader import read

    full_name, splits = read(name, {"train": "train"}, version=version, data_dir=data_dir, download=download)
    return full_name, dict(splits["train"])


def _values(column: Any, option: str) -> np.ndarray:
    """A column's values [N], texts as bytes. Raises UsageError for missing values, and for several values per row."""
    if not isinstance(column, Column):  # an Arrow array
        if column.null_count:
            raise UsageError(f"{option} has {column.null_count:,} rows without a value; remove those rows")
        values = column.to_numpy()
        return values.astype(str) if values.dtype == object else values
    if isinstance(column.values, Ragged):
        if column.kind != "text":
            raise UsageError(f"{option} has several values per row; choose a column with one")
        return np.array(column.row_bytes())
    if column.array.ndim != 1:
        raise UsageError(f"{option} has values of shape {column.array.shape[1:]} per row; choose a column with one")
    return column.array


def _numbers(values: np.ndarray, option: str) -> np.ndarray:
    if values.dtype.kind == "M":
        values = values.astype(np.int64)
    if values.dtype.kind not in "iuf":
        raise UsageError(f"{option} has values of type {values.dtype}, not numbers; choose another column")
    if not np.isfinite(values).all():
        raise UsageError(f"{option} has rows without a number; remove those rows")
    return values


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Predicts ratings. x: int32 [N, 2], (user, number of users + item), tokens of one vocabulary; y: float32 [N].

    name: a TFDS data set, or the path of a CSV or Parquet file; user, item, rating, time: its columns. split="random"
    holds out `test` and `validation` of all ratings (numbers or shares), by content, as in most published RMSEs; later
    ratings of a user then help to predict earlier ones. split="last" holds out each user's last rating for test and the
    one before for validation, as in deployment.
    """

    name: str
    user: str = "user_id"
    item: str = "item_id"
    rating: str = "rating"
    time: str = ""
    split: Literal["random", "last"] = "random"
    validation: float = 0.1
    test: float = 0.1
    version: str = ""

    def __post_init__(self) -> None:
        choose("data.split", self.split, ("random", "last"))
        if self.split == "last" and not self.time:
            raise UsageError("data.split='last' needs the column of times; set data.time, for example time='timestamp'")

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """Raises UsageError if the data is absent or unsuitable."""
        names = {"user": self.user, "item": self.item, "rating": self.rating}
        names |= {"time": self.time} if self.split == "last" else {}
        events = read_events(self.name, names, version=self.version, data_dir=data_dir, download=download)
        x = np.stack([events.user, events.num_users + events.item], axis=1).astype(np.int32)
        examples = Split(x, np.asarray(events.rating, np.float32))
        if self.split == "last":
            order = events.by_user_and_time()
            pool, validation, test = (examples.take(order[rows]) for rows in leave_last_out(events.user[order]))
        else:
            counts = (_count(share, len(examples)) for share in (self.validation, self.test))
            pool, validation, test = hold_out_both(examples, *counts)
        return Dataset(events.name, pool, validation, test, vocabulary=events.num_users + events.num_items)


def _count(held_out: float, total: int) -> int:
    """Number of events to hold out, of a number or a share."""
    return max(1, round(held_out * total if held_out < 1 else held_out))


@dataclasses.dataclass(frozen=True)
class NextItems:
    """Predicts the next item. x: int32 [N, length], the user's items before it, latest last, 0 is padding; y: int32
    [N, 1], the item. Items are 1 … `vocabulary` − 1.

    An example is one event; its input is the user's whole history before it, whether those events are in the training
    subset or not, as in deployment. The last event of each user is for test and the one before for validation; events
    of equal time stay in file order. Items of the input history are never recommended (`EXCLUDED_LOGIT`); earlier items
    than the last `length` are not part of the input.
    """

    name: str
    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    length: int = 20
    version: str = ""

    def __post_init__(self) -> None:
        at_least(1, length=self.length)
        if not self.time:
            raise UsageError("data.time must be the column of times, for example time='timestamp'")

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """Raises UsageError if the data is absent or unsuitable."""
        names = {"user": self.user, "item": self.item, "time": self.time}
        events = read_events(self.name, names, version=self.version, data_dir=data_dir, download=download)
        order = events.by_user_and_time()
        user, item = events.user[order], events.item[order]
        examples = Split(histories(user, item + 1, self.length), (item + 1)[:, None].astype(np.int32))
        pool, validation, test = (examples.take(rows) for rows in leave_last_out(user))
        vocabulary = events.num_items + 1
        return Dataset(events.name, pool, validation, test, vocabulary=vocabulary, expected_overlap=EXPECTED_OVERLAP)


def histories(user: np.ndarray, item: np.ndarray, length: int) -> np.ndarray:
    """The items of the same user before each event, latest last, padded with 0. int32 [N, length].

    user, item: int [N], sorted by user and time.
    """
    result = np.zeros((len(item), length), np.int32)
    for back in range(1, min(length, len(item) - 1) + 1):
        same_user = user[back:] == user[:-back]
        result[back:, length - back] = np.where(same_user, item[:-back], 0)
    return result

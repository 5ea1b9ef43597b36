"""Ratings of items by users: datasets for rating prediction and next-item recommendation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from dlm.data.columns import Column
from dlm.data.dataset import Dataset, Split, hold_out_both
from dlm.data.tfds.reader import read
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
    from dlm.data.readers.tables import SUFFIXES

    if Path(name).suffix.casefold() in SUFFIXES:
        full_name, columns = _table(name)
    else:
        splits = {"train": "train"}
        full_name, by_split = read(name, splits, version=version, data_dir=data_dir, download=download)
        columns = by_split["train"]
    values: dict[str, np.ndarray] = {}
    for role, column in names.items():
        if not column:
            continue
        option = f"data.{role}={column!r}"
        if column not in columns:
            raise UsageError(f"{option} is not a column of {full_name!r}; {nearest(column, columns)}")
        values[role] = _values(columns[column], option, numbers=role in ("time", "rating"))
    (users, user), (items, item) = (np.unique(values[role], return_inverse=True) for role in ("user", "item"))
    user, item = user.astype(np.int32), item.astype(np.int32)
    return Events(full_name, user, item, values.get("time"), len(users), len(items), values.get("rating"))


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


def _table(path: str) -> tuple[str, Mapping[str, Column | None]]:
    """The name and columns of a table."""
    import pyarrow as pa

    from dlm.data.readers import arrow
    from dlm.data.readers.tables import read_table

    if not Path(path).is_file():
        raise UsageError(f"data.name={path!r} is not a file; give the path of a table, or the name of a TFDS data set")
    table, _ = read_table(Path(path))
    columns: dict[str, Column | None] = {}
    for name in table.column_names:
        array = table.column(name)
        if pa.types.is_integer(array.type) and not array.null_count:  # as floats, large numbers would become equal
            columns[name] = Column(array.to_numpy(), "number")
        else:
            columns[name] = arrow.column(name, array)
    return Path(path).stem, columns


def _values(column: Column | None, option: str, *, numbers: bool) -> np.ndarray:
    """A column's values [N], texts as bytes. Raises UsageError if they do not suit `option` or are missing."""
    if column is None or not (column.is_scalar or column.kind == "text"):
        raise UsageError(f"{option} does not have one number or text per row; choose another column")
    if numbers and column.kind not in ("number", "date"):
        raise UsageError(f"{option} has values of kind {column.kind}, not numbers; choose another column")
    if missing := int(np.sum(~column.is_known())):
        raise UsageError(f"{option} has {missing:,} rows without a value; remove those rows")
    return np.array(column.row_bytes()) if column.kind == "text" else column.array


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
        by = "time" if self.split == "last" else ""
        vocabulary = events.num_users + events.num_items
        return Dataset(events.name, pool, validation, test, vocabulary=vocabulary, split_by=by)


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
        return Dataset(
            events.name,
            pool,
            validation,
            test,
            vocabulary=events.num_items + 1,
            expected_overlap=EXPECTED_OVERLAP,
            split_by="time",
        )


def histories(user: np.ndarray, item: np.ndarray, length: int) -> np.ndarray:
    """The items of the same user before each event, latest last, padded with 0. int32 [N, length].

    user, item: int [N], sorted by user and time.
    """
    result = np.zeros((len(item), length), np.int32)
    for back in range(1, min(length, len(item) - 1) + 1):
        same_user = user[back:] == user[:-back]
        result[back:, length - back] = np.where(same_user, item[:-back], 0)
    return result

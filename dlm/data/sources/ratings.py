"""Ratings of items by users, to predict how an item is rated, or which item is next."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dlm.data.columns import NOT_OFFERED, Column, Ragged
from dlm.data.dataset import Dataset, Split, hold_out
from dlm.utils.errors import UsageError, at_least, choose, nearest

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
    from dlm.data.readers.tables import ENDINGS

    return Path(name).suffix.casefold() in ENDINGS


def _table(path: str) -> tuple[str, dict[str, Any]]:
    from dlm.data.readers.tables import read_table

    if not Path(path).is_file():
        raise UsageError(f"data.name={path!r} is no file; give the path of a table, or the name of a TFDS data set")
    table, _ = read_table(Path(path))
    return Path(path).stem, {name: table.column(name) for name in table.column_names}


def _tfds(name: str, version: str, data_dir: Path | None, download: bool) -> tuple[str, dict[str, Any]]:
    from dlm.data.tfds.reader import read

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


OVERLAP = "events of one user share most of their histories by design, so nothing was looked for"


@dataclasses.dataclass(frozen=True)
class Ratings:
    """How a user rates an item: x int32 [N, 2], (user, number of users + item) as tokens of one vocabulary; y float32.

    `name`: of a TFDS set, or the path of a CSV or Parquet file; `user`, `item`, `rating`, `time`: its columns.
    `split="random"` holds out `test` and `validation` of all ratings (how many, or which share), by content: what most
    tables of RMSE do, though a user's later ratings then help to tell earlier ones. `split="last"`: of each user the
    last rating in time is for test and the one before for validation, which is what a recommender meets.
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
            raise UsageError("data.split='last' needs the column of times; give data.time, such as time='timestamp'")

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """UsageError for data that are absent or do not suit."""
        names = {"user": self.user, "item": self.item, "rating": self.rating}
        names |= {"time": self.time} if self.split == "last" else {}
        events = read_events(self.name, names, version=self.version, data_dir=data_dir, download=download)
        x = np.stack([events.user, events.num_users + events.item], axis=1).astype(np.int32)
        every = Split(x, np.asarray(events.rating, np.float32))
        if self.split == "last":
            order = in_time(events)
            pool, validation, test = (every.take(order[rows]) for rows in left_out_last(events.user[order]))
        else:
            number = {part: share * len(every) if share < 1 else share for part, share in self._held_out.items()}
            test, pool = hold_out(every, max(1, round(number["test"])), "data.test")
            validation, pool = hold_out(pool, max(1, round(number["validation"])), "data.validation")
        return Dataset(events.name, pool, validation, test, vocabulary=events.num_users + events.num_items)

    @property
    def _held_out(self) -> dict[str, float]:
        return {"test": self.test, "validation": self.validation}


@dataclasses.dataclass(frozen=True)
class NextItems:
    """Which item is next: x int32 [N, length], a user's items before it, the latest last, 0 where there is none; y
    int32 [N, 1], the item. Items are 1 … `vocabulary` − 1.

    An example is one event, and n examples are n events to learn from. An event's input is the user's history before
    it, whether the events of that history are among the n or not: what a recommender may look at when it is asked. Of
    each user the last event is for test and the one before for validation; events of one time follow each other as
    their rows do. Nobody recommends items of the input's history (their logit is NOT_OFFERED); those before the last
    `length` are not known to anyone.
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
            raise UsageError("data.time must name the column of times, such as time='timestamp'")

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """UsageError for data that are absent or do not suit."""
        names = {"user": self.user, "item": self.item, "time": self.time}
        events = read_events(self.name, names, version=self.version, data_dir=data_dir, download=download)
        user, item = (each[in_time(events)] for each in (events.user, events.item))
        every = Split(histories(user, item + 1, self.length), (item + 1)[:, None].astype(np.int32))
        pool, validation, test = (every.take(rows) for rows in left_out_last(user))
        return Dataset(events.name, pool, validation, test, vocabulary=events.num_items + 1, overlap=OVERLAP)


def histories(user: np.ndarray, item: np.ndarray, length: int) -> np.ndarray:
    """The items of the same user before each event, the latest last, 0 where there is none. int32 [N, length].

    user, item: int [N], sorted by user and time.
    """
    found = np.zeros((len(item), length), np.int32)
    for back in range(1, min(length, len(item) - 1) + 1):
        same = user[back:] == user[:-back]
        found[back:, length - back] = np.where(same, item[:-back], 0)
    return found


def withhold(scores: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Scores [B, vocabulary] with NOT_OFFERED for the items of the histories x [B, L], and for padding; in place."""
    np.put_along_axis(scores, x, NOT_OFFERED, axis=1)
    scores[:, 0] = NOT_OFFERED
    return scores

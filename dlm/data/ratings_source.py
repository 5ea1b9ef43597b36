"""Ratings of items by users, to predict how an item is rated, or which item is next."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from dlm.data.arrays import Arrays, Split, hold_out
from dlm.data.events import in_time, left_out_last, read_events
from dlm.errors import UsageError, at_least, choose

NOT_OFFERED = -1e9  # the logit of an item that is not recommended: those of the input's history, and padding
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

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Arrays:
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
        return Arrays(events.name, pool, validation, test, vocabulary=events.num_users + events.num_items)

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

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Arrays:
        """UsageError for data that are absent or do not suit."""
        names = {"user": self.user, "item": self.item, "time": self.time}
        events = read_events(self.name, names, version=self.version, data_dir=data_dir, download=download)
        user, item = (each[in_time(events)] for each in (events.user, events.item))
        every = Split(histories(user, item + 1, self.length), (item + 1)[:, None].astype(np.int32))
        pool, validation, test = (every.take(rows) for rows in left_out_last(user))
        return Arrays(events.name, pool, validation, test, vocabulary=events.num_items + 1, overlap=OVERLAP)


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

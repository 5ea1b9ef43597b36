"""Leaks: rows that are in the test set and in the pool, or in the pool twice, found before anything is trained.

Rows are the same if their inputs are, whatever their labels. Exact duplicates are found by a hash of their content and
confirmed; near ones by signatures and confirmed (`neighbours`, `alike_numbers`, `alike_tokens`), in time near linear in
the number of rows. Which contents are alike does not depend on the order of the rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from dlm.data.dataset import Dataset
from dlm.data.near_duplicates import MIN_NUMBERS, Likeness, Pictures, Table, Tokens, blocks, in_blocks, near_pairs
from dlm.data.subsets import row_digests
from dlm.storage.artifacts import LeakCounts
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import replacing, user_cache


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs of rows that hold the same thing, sorted. `exact`: equal as numbers; else nearly the same."""

    first: np.ndarray  # int64 [P]
    second: np.ndarray  # int64 [P]
    exact: np.ndarray  # bool [P]

    def __len__(self) -> int:
        return len(self.first)


@dataclasses.dataclass(frozen=True)
class Leaks:
    """What is in two places. `near_searched` False: `note` says why near duplicates could not be looked for.

    `across`: (pool row, test row); of equal rows, each of one side is paired with the first of the other.
    `within`: (pool row, a later pool row); of equal rows, each later one is paired with the first.
    """

    across: Pairs
    within: Pairs
    near_searched: bool
    note: str

    @property
    def test_rows(self) -> np.ndarray:
        """Test rows that are in the pool, sorted. int64."""
        return np.unique(self.across.second)

    @property
    def pool_rows(self) -> np.ndarray:
        """Pool rows that are in the test set, sorted: without them the test set is clean. int64."""
        return np.unique(self.across.first)

    @property
    def repeated_rows(self) -> np.ndarray:
        """Pool rows that hold what an earlier one holds, sorted: without them the pool repeats nothing. int64."""
        return np.unique(self.within.second)


def find_leaks(pool: np.ndarray, test: np.ndarray, *, kind: Literal["numbers", "tokens"] = "numbers") -> Leaks:
    """Exact and near duplicates between a pool and a test set, and within the pool.

    pool [N, ...], test [M, ...]: inputs of any numeric type. `numbers`: tables [N, D], where NaN is missing, or
    pictures and spectrograms [N, H, W, ...]; `tokens`: sequences [N, L], 0 is padding. UsageError for rows of different
    shapes, or that hold no numbers.
    """
    choose("kind", kind, ("numbers", "tokens"))
    x, content = _joined(pool, test, kind), np.zeros(0, np.int64)
    if len(x):
        content = _contents(x)
    number = int(content.max(initial=-1)) + 1
    ours, theirs = _Holders.of(content[: len(pool)], number), _Holders.of(content[len(pool) :], number)
    near, note = np.zeros((0, 2), np.int64), "there is no pool" if not len(pool) else ""
    if not note:
        rows = np.where(ours.counts > 0, ours.first, len(pool) + theirs.first)
        likeness, note = _likeness(x, rows[ours.counts > 0], kind)
        near = near_pairs(likeness, x, rows, ours.counts > 0) if likeness else near
    return Leaks(_across(ours, theirs, near), _within(ours, near), near_searched=not note, note=note)


@dataclasses.dataclass(frozen=True)
class _Holders:
    """Which rows of one split hold each content: rows[starts[c] : starts[c] + counts[c]], sorted."""

    rows: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, content: np.ndarray, number: int) -> _Holders:
        counts = np.bincount(content, minlength=number)
        return cls(np.argsort(content, kind="stable"), np.cumsum(counts) - counts, counts)

    @property
    def first(self) -> np.ndarray:
        """The first row of each content; of one that is not here, any number."""
        return np.append(self.rows, 0)[self.starts]

    def all_of(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in `contents`, row) of every row that holds one of them."""
        counts = self.counts[contents]
        place = np.repeat(np.arange(len(contents)), counts)
        nth = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self.rows[self.starts[contents][place] + nth]


def _across(ours: _Holders, theirs: _Holders, near: np.ndarray) -> Pairs:
    """Pairs of contents as pairs of rows: all rows of either with the first of the other, for all with all are many."""
    equal = np.flatnonzero((ours.counts > 0) & (theirs.counts > 0))
    near = near[theirs.counts[near[:, 1]] > 0]
    in_pool, in_test = np.concatenate([near, np.stack([equal, equal], axis=1)]).T
    place, rows = theirs.all_of(in_test)
    other_place, other_rows = ours.all_of(in_pool)
    first = np.concatenate([ours.first[in_pool][place], other_rows])
    second = np.concatenate([rows, theirs.first[in_test][other_place]])
    exact = (in_pool == in_test)[np.concatenate([place, other_place])]
    return Pairs(*_distinct(first, second, exact))


def _within(ours: _Holders, near: np.ndarray) -> Pairs:
    """Every row but the first of its content with that one, and first rows of contents that are nearly the same."""
    contents, rows = ours.all_of(np.arange(len(ours.counts)))
    firsts = ours.first[contents]
    pairs = np.sort(ours.first[near[ours.counts[near[:, 1]] > 0]], axis=1)
    first, second = np.concatenate([np.stack([firsts, rows], axis=1)[rows != firsts], pairs]).T
    return Pairs(*_distinct(first, second, np.arange(len(first)) < np.sum(rows != firsts)))


def _distinct(first: np.ndarray, second: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pairs, at = np.unique(np.stack([first, second], axis=1), axis=0, return_index=True)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64), exact[at]


def _joined(pool: np.ndarray, test: np.ndarray, kind: str) -> np.ndarray:
    """Pool and test in one array: integers as they are, other numbers as a learner sees them, float32."""
    pool, test = np.asarray(pool), np.asarray(test)
    if pool.shape[1:] != test.shape[1:]:
        raise UsageError(f"rows of shape {pool.shape[1:]} and {test.shape[1:]} cannot be compared; give both one shape")
    dtype = np.result_type(pool, test)
    if dtype.kind not in "buif" or 0 in pool.shape[1:]:
        raise UsageError(f"rows of {dtype} in shape {pool.shape[1:]} hold no numbers; give an array of numbers")
    if kind == "tokens" and (pool.ndim != 2 or dtype.kind == "f"):
        raise UsageError(f"rows of {dtype} in shape {pool.shape[1:]} are no tokens; give integers [rows, length]")
    x = np.empty((len(pool) + len(test), *(pool.shape[1:] or (1,))), np.float32 if dtype.kind == "f" else dtype)
    with np.errstate(over="ignore"):
        x[: len(pool)], x[len(pool) :] = pool.reshape(-1, *x.shape[1:]), test.reshape(-1, *x.shape[1:])
    if x.dtype.kind == "f":
        for part in blocks(len(x), x[0].size):  # one NaN and one zero, in bytes
            x[part] = np.where(np.isnan(x[part]), np.float32(np.nan), x[part] + np.float32(0))
    return x


def _contents(x: np.ndarray) -> np.ndarray:
    """A number for each row, the same for rows that hold the same, from 0 in an order of content. int64 [N]."""
    digests = np.concatenate([row_digests(x[part]) for part in blocks(len(x), x[0].size)])
    _, first, content = np.unique(digests, return_index=True, return_inverse=True)
    later = np.flatnonzero(first[content] != np.arange(len(x)))
    equal = in_blocks(lambda one, two: (_bytes(one) == _bytes(two)).all(1), x, later, first[content[later]])
    if equal.all():
        return content
    # Integers beyond 2^24 may share a hash of float32: all rows of such hashes are compared.
    doubted = np.flatnonzero(np.isin(content, content[later[~equal]]))
    whole = _bytes(x[doubted])
    finer = np.zeros(len(x), np.int64)
    finer[doubted] = np.unique(whole.view(f"V{whole.shape[1]}")[:, 0], return_inverse=True)[1]
    return np.unique(np.stack([content, finer], axis=1), axis=0, return_inverse=True)[1]


def _bytes(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)


def _likeness(x: np.ndarray, rows: np.ndarray, kind: str) -> tuple[Likeness | None, str]:
    """What would make rows of x nearly the same, learnt from the pool's `rows`; or None, and why there is nothing."""
    if kind == "tokens":
        tokens = Tokens.of(x, rows)
        least = tokens.length + tokens.MIN_SHINGLES - 1
        short = f"only exact duplicates were looked for: rows have {x.shape[1]} tokens, near ones need {least}"
        return (None, short) if x.shape[1] < least else (tokens, "")
    size = x[0].size
    table = None if x.ndim > 2 or size < MIN_NUMBERS else Table.of(x, rows)
    varying = size if table is None else int((table.scale > 0).sum())
    if varying < MIN_NUMBERS:
        return None, (
            f"only exact duplicates were looked for: rows have {varying} numbers that vary, and with fewer than "
            f"{MIN_NUMBERS} many honest rows nearly agree"
        )
    return table or Pictures.of(x, rows), ""


VERSION = 1  # of the search: a changed one looks again
MEMORY_FACTOR = 8  # bytes that the search takes for each of the data


def searched(dataset: Dataset) -> tuple[Dataset, LeakCounts]:
    """The data with its leaked test rows known, and the counts; found once for the same rows, and kept in a cache."""
    counts = LeakCounts(len(dataset.train), len(dataset.test), 0, 0, 0, 0)
    if dataset.in_time:
        return dataset, dataclasses.replace(counts, note="windows of one history overlap, as they are meant to")
    if dataset.overlap:
        return dataset, dataclasses.replace(counts, note=dataset.overlap)
    if MEMORY_FACTOR * dataset.train.nbytes > psutil.virtual_memory().available:
        return dataset, dataclasses.replace(counts, note="the data are too large to look for leaks in memory")
    path = user_cache() / "leaks" / f"{dataset.fingerprint}-{_order_of_test(dataset)}-{VERSION}.npz"
    found = _kept(path)
    if found is None:
        found = _search(dataset)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs the time of the search, no more
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **found)  # type: ignore[arg-type]
    near, rows = found["near"], found["test_rows"]
    counts = dataclasses.replace(
        counts,
        leaked=len(rows),
        leaked_near=int(near[0]),
        repeated=int(near[1]),
        repeated_near=int(near[2]),
        note=str(found["note"]),
    )
    return dataset.with_leaked(rows if len(rows) else None), counts


def _search(dataset: Dataset) -> dict[str, np.ndarray]:
    kind = "tokens" if dataset.vocabulary else "numbers"
    leaks = find_leaks(np.asarray(dataset.train.x), np.asarray(dataset.test.x), kind=kind)  # type: ignore[arg-type]
    exact = [np.unique(pairs.second[pairs.exact]) for pairs in (leaks.across, leaks.within)]
    rows, repeated = leaks.test_rows, leaks.repeated_rows
    near = np.array([len(rows) - len(exact[0]), len(repeated), len(repeated) - len(exact[1])])
    return {"test_rows": rows, "near": near, "note": np.array("" if leaks.near_searched else leaks.note)}


def _order_of_test(dataset: Dataset) -> str:
    """The fingerprint does not tell the order of the rows, which the answer is in."""
    return hashlib.sha256(row_digests(dataset.test.x).tobytes()).hexdigest()[:16]


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("test_rows", "near", "note")}
    except Exception:  # absent or damaged, in whatever way: it is made again
        return None

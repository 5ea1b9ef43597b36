"""Finds leaks: test rows that are also in the training pool, and repeated pool rows, exact and near duplicates.

Rows are duplicates if their inputs are, whatever their labels. Candidates come from hashes of the content and are then
compared; near duplicates are found by `dlm.data.near_duplicates`. The result does not depend on the order of the rows.
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
from dlm.data.near_duplicates import (
    MIN_NUMBERS,
    ImageSimilarity,
    RowSimilarity,
    TableSimilarity,
    TokenSimilarity,
    blocks,
    in_blocks,
    near_pairs,
)
from dlm.data.subsets import row_digests
from dlm.storage.artifacts import LeakCounts
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import replacing, user_cache


@dataclasses.dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of duplicate rows, sorted. `exact`: equal numbers; else near-duplicates."""

    first: np.ndarray  # int64 [P]
    second: np.ndarray  # int64 [P]
    exact: np.ndarray  # bool [P]

    def __len__(self) -> int:
        return len(self.first)


@dataclasses.dataclass(frozen=True)
class Leaks:
    """Duplicates between pool and test set, and within the pool.

    across: (pool row, test row); equal rows are paired with the first one of the other side. within: (pool row, later
    pool row); equal rows are paired with the first one. note: why near duplicates could not be searched, if so.
    """

    across: DuplicatePairs
    within: DuplicatePairs
    note: str

    @property
    def test_rows(self) -> np.ndarray:
        """Test rows that are in the pool, sorted. int64 [K]."""
        return np.unique(self.across.second)

    @property
    def repeated_rows(self) -> np.ndarray:
        """Pool rows that repeat an earlier pool row, sorted. int64 [K]."""
        return np.unique(self.within.second)


def find_leaks(pool: np.ndarray, test: np.ndarray, *, kind: Literal["numbers", "tokens"] = "numbers") -> Leaks:
    """Exact and near duplicates between a pool and a test set, and within the pool.

    pool [N, ...], test [M, ...]: inputs of any numeric type. kind "numbers": tables [N, D], NaN is missing, or images
    and spectrograms [N, H, W, ...]; "tokens": sequences [N, L], 0 is padding. Raises UsageError for different row
    shapes, and for rows without numbers.
    """
    choose("kind", kind, ("numbers", "tokens"))
    x, content = _joined(pool, test, kind), np.zeros(0, np.int64)
    if len(x):
        content = _contents(x)
    number = int(content.max(initial=-1)) + 1
    ours, theirs = _RowIndex.of(content[: len(pool)], number), _RowIndex.of(content[len(pool) :], number)
    near, note = np.zeros((0, 2), np.int64), "the training pool is empty" if not len(pool) else ""
    if not note:
        rows = np.where(ours.counts > 0, ours.first, len(pool) + theirs.first)
        similarity, note = _similarity(x, rows[ours.counts > 0], kind)
        near = near_pairs(similarity, x, rows, ours.counts > 0) if similarity else near
    return Leaks(_across(ours, theirs, near), _within(ours, near), note)


@dataclasses.dataclass(frozen=True)
class _RowIndex:
    """The rows of one split by content: rows[starts[c] : starts[c] + counts[c]], sorted, have content c."""

    rows: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, content: np.ndarray, number: int) -> _RowIndex:
        counts = np.bincount(content, minlength=number)
        return cls(np.argsort(content, kind="stable"), np.cumsum(counts) - counts, counts)

    @property
    def first(self) -> np.ndarray:
        """The first row of each content; arbitrary for a content that the split lacks."""
        return np.append(self.rows, 0)[self.starts]

    def all_of(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index in `contents`, row) of every row with one of these contents."""
        counts = self.counts[contents]
        index = np.repeat(np.arange(len(contents)), counts)
        nth = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
        return index, self.rows[self.starts[contents][index] + nth]


def _across(ours: _RowIndex, theirs: _RowIndex, near: np.ndarray) -> DuplicatePairs:
    """Pairs of contents as pairs of rows: the rows of each content with the first row of the other one."""
    equal = np.flatnonzero((ours.counts > 0) & (theirs.counts > 0))
    near = near[theirs.counts[near[:, 1]] > 0]
    in_pool, in_test = np.concatenate([near, np.stack([equal, equal], axis=1)]).T
    index, rows = theirs.all_of(in_test)
    other_index, other_rows = ours.all_of(in_pool)
    first = np.concatenate([ours.first[in_pool][index], other_rows])
    second = np.concatenate([rows, theirs.first[in_test][other_index]])
    exact = (in_pool == in_test)[np.concatenate([index, other_index])]
    return DuplicatePairs(*_distinct(first, second, exact))


def _within(ours: _RowIndex, near: np.ndarray) -> DuplicatePairs:
    """Each repeated row with the first row of its content, and the first rows of near-duplicate contents."""
    contents, rows = ours.all_of(np.arange(len(ours.counts)))
    firsts = ours.first[contents]
    pairs = np.sort(ours.first[near[ours.counts[near[:, 1]] > 0]], axis=1)
    first, second = np.concatenate([np.stack([firsts, rows], axis=1)[rows != firsts], pairs]).T
    return DuplicatePairs(*_distinct(first, second, np.arange(len(first)) < np.sum(rows != firsts)))


def _distinct(first: np.ndarray, second: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pairs, at = np.unique(np.stack([first, second], axis=1), axis=0, return_index=True)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64), exact[at]


def _joined(pool: np.ndarray, test: np.ndarray, kind: str) -> np.ndarray:
    """Pool and test in one array: integers unchanged, other numbers as float32."""
    pool, test = np.asarray(pool), np.asarray(test)
    if pool.shape[1:] != test.shape[1:]:
        raise UsageError(
            f"pool rows have shape {pool.shape[1:]} and test rows {test.shape[1:]}; give both the same shape"
        )
    dtype = np.result_type(pool, test)
    if dtype.kind not in "buif" or 0 in pool.shape[1:]:
        raise UsageError(f"rows of type {dtype} and shape {pool.shape[1:]} have no numbers; give numeric arrays")
    if kind == "tokens" and (pool.ndim != 2 or dtype.kind == "f"):
        raise UsageError(
            f"rows of type {dtype} and shape {pool.shape[1:]} are not tokens; give integers [rows, length]"
        )
    x = np.empty((len(pool) + len(test), *(pool.shape[1:] or (1,))), np.float32 if dtype.kind == "f" else dtype)
    with np.errstate(over="ignore"):
        x[: len(pool)], x[len(pool) :] = pool.reshape(-1, *x.shape[1:]), test.reshape(-1, *x.shape[1:])
    if x.dtype.kind == "f":
        for part in blocks(len(x), x[0].size):  # one representation of NaN and of zero
            x[part] = np.where(np.isnan(x[part]), np.float32(np.nan), x[part] + np.float32(0))
    return x


def _contents(x: np.ndarray) -> np.ndarray:
    """Content number of each row, equal for equal rows, from 0, ordered by hash. int64 [N]."""
    digests = np.concatenate([row_digests(x[part]) for part in blocks(len(x), x[0].size)])
    _, first, content = np.unique(digests, return_index=True, return_inverse=True)
    later = np.flatnonzero(first[content] != np.arange(len(x)))
    equal = in_blocks(lambda one, two: (_bytes(one) == _bytes(two)).all(1), x, later, first[content[later]])
    if equal.all():
        return content
    # Integers above 2^24 may share a float32 hash: compare all rows of such hashes exactly.
    doubted = np.flatnonzero(np.isin(content, content[later[~equal]]))
    whole = _bytes(x[doubted])
    finer = np.zeros(len(x), np.int64)
    finer[doubted] = np.unique(whole.view(f"V{whole.shape[1]}")[:, 0], return_inverse=True)[1]
    return np.unique(np.stack([content, finer], axis=1), axis=0, return_inverse=True)[1]


def _bytes(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)


def _similarity(x: np.ndarray, rows: np.ndarray, kind: str) -> tuple[RowSimilarity | None, str]:
    """The similarity for x, fitted to the pool's `rows`; or None and the reason."""
    if kind == "tokens":
        tokens = TokenSimilarity.of(x, rows)
        least = tokens.length + tokens.MIN_SHINGLES - 1
        short = f"only exact duplicates were searched: near duplicates need {least} tokens per row, not {x.shape[1]}"
        return (None, short) if x.shape[1] < least else (tokens, "")
    size = x[0].size
    table = None if x.ndim > 2 or size < MIN_NUMBERS else TableSimilarity.of(x, rows)
    varying = size if table is None else int((table.scale > 0).sum())
    if varying < MIN_NUMBERS:
        return None, (
            f"only exact duplicates were searched: near duplicates need {MIN_NUMBERS} columns that vary, not {varying}"
        )
    return table or ImageSimilarity.of(x, rows), ""


SEARCH_VERSION = 1  # part of the cache key; increase it when the search changes
MEMORY_FACTOR = 8  # memory of the search relative to the data


def check_leakage(dataset: Dataset) -> tuple[Dataset, LeakCounts]:
    """The dataset with `leaked_rows` set, and the counts of duplicates; the result is cached by content."""
    counts = LeakCounts(len(dataset.train), len(dataset.test), 0, 0, 0, 0)
    if dataset.time_ordered:
        return dataset, dataclasses.replace(counts, note="windows of one time series overlap by design")
    if dataset.expected_overlap:
        return dataset, dataclasses.replace(counts, note=dataset.expected_overlap)
    if MEMORY_FACTOR * dataset.train.nbytes > psutil.virtual_memory().available:
        return dataset, dataclasses.replace(counts, note="the data are too large for the search in memory")
    path = user_cache() / "leaks" / f"{dataset.fingerprint}-{_order_of_test(dataset)}-{SEARCH_VERSION}.npz"
    result = _cached(path)
    if result is None:
        result = _search(dataset)
        with contextlib.suppress(OSError):  # without a cache the search is repeated next time
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **result)  # type: ignore[arg-type]
    near, rows = result["near"], result["test_rows"]
    counts = dataclasses.replace(
        counts,
        leaked=len(rows),
        leaked_near=int(near[0]),
        repeated=int(near[1]),
        repeated_near=int(near[2]),
        note=str(result["note"]),
    )
    return dataset.with_leaked_rows(rows if len(rows) else None), counts


def _search(dataset: Dataset) -> dict[str, np.ndarray]:
    kind = "tokens" if dataset.vocabulary else "numbers"
    leaks = find_leaks(np.asarray(dataset.train.x), np.asarray(dataset.test.x), kind=kind)  # type: ignore[arg-type]
    exact = [np.unique(pairs.second[pairs.exact]) for pairs in (leaks.across, leaks.within)]
    rows, repeated = leaks.test_rows, leaks.repeated_rows
    near = np.array([len(rows) - len(exact[0]), len(repeated), len(repeated) - len(exact[1])])
    return {"test_rows": rows, "near": near, "note": np.array(leaks.note)}


def _order_of_test(dataset: Dataset) -> str:
    """Hash of the test rows in order; the fingerprint does not depend on the order, the row numbers do."""
    return hashlib.sha256(row_digests(dataset.test.x).tobytes()).hexdigest()[:16]


def _cached(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("test_rows", "near", "note")}
    except Exception:  # absent or damaged: searched again
        return None

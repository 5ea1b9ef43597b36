"""Finds leaks: test rows that are also in the training pool, and repeated pool rows, exact and near duplicates.

Rows are duplicates if their inputs are, whatever their labels. Equal rows have equal hashes; near duplicates are found
by `dlm.data.near_duplicates`. The result does not depend on the order of the rows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import psutil

from dlm.data import near_duplicates
from dlm.data.cache import cached
from dlm.data.columns import Column, Columns, text_values
from dlm.data.dataset import Dataset
from dlm.data.subsets import row_digests
from dlm.storage.artifacts import LeakCounts
from dlm.utils.errors import UsageError, choose


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """The first pool row that each row of a split duplicates. `of`: int64 [R], −1 for none.

    `exact`: bool [R], whether the numbers are equal; otherwise the rows are near-duplicates.
    """

    of: np.ndarray
    exact: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows(self) -> np.ndarray:
        """The rows that duplicate another one, sorted. int64 [K]."""
        return np.flatnonzero(self.of >= 0)


@dataclasses.dataclass(frozen=True)
class Leaks:
    """Duplicates of a pool and a test set.

    test: test rows that are in the pool. pool: pool rows that repeat an earlier pool row. note: why near duplicates
    were not searched; empty if they were.
    """

    test: Duplicates
    pool: Duplicates
    note: str


def find_leaks(pool: np.ndarray, test: np.ndarray, *, kind: Literal["numbers", "tokens"] = "numbers") -> Leaks:
    """Exact and near duplicates between a pool and a test set, and within the pool.

    pool [N, ...], test [M, ...]: inputs of any numeric type. kind "numbers": tables [N, D], NaN is missing, or images
    and spectrograms [N, H, W, ...]; "tokens": sequences [N, L], 0 is padding. Raises UsageError for different row
    shapes, and for rows without numbers.
    """
    choose("kind", kind, ("numbers", "tokens"))
    x, size = _joined(pool, test, kind), len(pool)
    # The first row of each content; `size` and more if the pool does not have it.
    _, first, content = np.unique(_contents(x), return_index=True, return_inverse=True)
    near = np.full(len(first), size)
    similarity, note = _similarity(x, first[first < size], kind) if size else (None, "the training pool is empty")
    if similarity:
        pairs = near_duplicates.near_pairs(similarity, x, first, first < size)
        for ours, theirs in (pairs.T, pairs.T[::-1]):
            np.minimum.at(near, theirs, first[ours])
    return Leaks(
        test=_duplicates(first[content[size:]], near[content[size:]], np.full(len(test), size)),
        pool=_duplicates(first[content[:size]], near[content[:size]], np.arange(size)),
        note=note,
    )


def _duplicates(first: np.ndarray, near: np.ndarray, before: np.ndarray) -> Duplicates:
    """The first pool rows with equal or, if there are none, similar content; those below `before` count. int [R]."""
    exact = first < before
    of = np.where(exact, first, near)
    return Duplicates(np.where(of < before, of, -1), exact)


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
        for part in near_duplicates.blocks(len(x), x[0].size):  # one representation of NaN and of zero
            x[part] = np.where(np.isnan(x[part]), np.float32(np.nan), x[part] + np.float32(0))
    return x


def _contents(x: np.ndarray) -> np.ndarray:
    """A hash of each row's values: its digest in subsets, which integers above 2^24 may share, and 128 bits. [N]."""
    rows = np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:])).view(np.uint8)
    digests = zip(row_digests(x).astype(">u8"), rows)
    hashes = [digest.tobytes() + hashlib.blake2b(row.tobytes(), digest_size=16).digest() for digest, row in digests]
    return np.frombuffer(b"".join(hashes), "V24")


def _similarity(x: np.ndarray, rows: np.ndarray, kind: str) -> tuple[near_duplicates.RowSimilarity | None, str]:
    """The similarity for x, fitted to the pool's `rows`; or None and the reason."""
    unsearched = "only exact duplicates were searched: near duplicates need"
    if kind == "tokens":
        tokens = near_duplicates.TokenSimilarity.of(x, rows)
        least = tokens.length + tokens.MIN_SHINGLES - 1
        return (None, f"{unsearched} {least} tokens per row, not {x.shape[1]}") if x.shape[1] < least else (tokens, "")
    size, least = x[0].size, near_duplicates.MIN_NUMBERS
    table = near_duplicates.TableSimilarity.of(x, rows) if x.ndim == 2 and size >= least else None
    varying = size if table is None else int((table.scale > 0).sum())
    if varying < least:
        return None, f"{unsearched} {least} columns that vary, not {varying}"
    return table or near_duplicates.ImageSimilarity.of(x, rows), ""


SEARCH_VERSION = 2  # part of the cache key; increase it when the search changes
MEMORY_FACTOR = 8  # memory of the search relative to the data
NONE, EXACT, NEAR = range(3)  # kinds of duplicates in the cache


def check_leakage(dataset: Dataset) -> tuple[Dataset, LeakCounts]:
    """The dataset with `leaked_rows` set, and the counts of duplicates; the result is cached by content."""
    counts = LeakCounts(len(dataset.train), len(dataset.test), 0, 0, 0, 0)
    if dataset.time_ordered:
        return dataset, dataclasses.replace(counts, note="windows of one time series overlap by design")
    if dataset.expected_overlap:
        return dataset, dataclasses.replace(counts, note=dataset.expected_overlap)
    if MEMORY_FACTOR * dataset.train.nbytes > psutil.virtual_memory().available:
        return dataset, dataclasses.replace(counts, note="the data are too large for the search in memory")
    # The fingerprint does not depend on the order of test rows; the row numbers do.
    order = hashlib.sha256(row_digests(dataset.test.x).tobytes()).hexdigest()[:16]
    result = cached(f"leaks-{SEARCH_VERSION}-{dataset.fingerprint}-{order}", partial(_search, dataset))
    test, pool = result["test"].array, result["pool"].array
    rows = np.flatnonzero(test)
    counts = dataclasses.replace(
        counts,
        leaked=len(rows),
        leaked_near=int(np.sum(test == NEAR)),
        repeated=int(np.count_nonzero(pool)),
        repeated_near=int(np.sum(pool == NEAR)),
        note=result["note"].texts()[0],
    )
    return dataset.with_leaked_rows(rows if len(rows) else None), counts


def _search(dataset: Dataset) -> Iterator[Columns]:
    """The kind of duplicate of each test and pool row, and the note, as columns for the cache."""
    kind: Literal["numbers", "tokens"] = "tokens" if dataset.vocabulary else "numbers"
    leaks = find_leaks(np.asarray(dataset.train.x), np.asarray(dataset.test.x), kind=kind)
    columns = {"note": Column(text_values([leaks.note]), "text")}
    for name, rows in (("test", leaks.test), ("pool", leaks.pool)):
        kinds = np.where(rows.of < 0, NONE, np.where(rows.exact, EXACT, NEAR))
        columns[name] = Column(kinds.astype(np.int8), "number")
    yield columns

"""Pairs of rows that are nearly the same, found by sorted signatures in time near linear in the number of rows.

A likeness gives each row a signature of TABLES words. For each word the rows are sorted, and a row is compared with the
WINDOW rows on either side of its place: those with the longest common beginning (Bawa, Condie & Ganesan 2005, "LSH
Forest"). So the number of comparisons is fixed, however many rows agree, and a word is as selective as the rows ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

TABLES = 8  # words of a signature
WINDOW = 4  # rows compared on either side, in each table
BLOCK = 2**21  # numbers held as floats at once


class Likeness(Protocol):
    """What makes two rows nearly the same. A view is a way to look at a row, such as without its first line."""

    @property
    def views(self) -> tuple[tuple[int, int], ...]:
        """Views of two rows in which they may be the same, each pair of views once: a shift pairs two views."""

    def able(self, x: np.ndarray) -> np.ndarray:
        """Which rows [n, ...] can be judged at all. bool [n]."""

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        """Signatures of rows [n, ...], the first bits of a word on top. uint64 [n, TABLES]."""

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether pairs of signatures [n, TABLES] are worth a look at the rows. bool [n]."""

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        """Whether pairs of rows [n, ...] are nearly the same, seen in these views. bool [n]."""


def near_pairs(likeness: Likeness, x: np.ndarray, rows: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Pairs of `rows` that are nearly the same, of which the first is in the base. int64 [P, 2]: positions in `rows`.

    x [N, ...]; rows: int [n], no two the same; base: bool [n]. A pair of which both are in the base is there once or
    twice. In a crowd of more than 2 · WINDOW rows that are all alike, not every pair is found.
    """
    able = np.flatnonzero(in_blocks(likeness.able, x, rows))
    rows, base = rows[able], np.flatnonzero(base[able])
    found = [np.zeros((0, 2), np.int64)]
    for views in likeness.views:
        words = {view: in_blocks(lambda part, v=view: likeness.words(part, v), x, rows) for view in views}
        for sides in sorted({views, views[::-1]}):
            pairs = _candidates(words[sides[0]][base], words[sides[1]], likeness.close)
            pairs = np.stack([base[pairs[:, 0]], pairs[:, 1]], axis=1)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            same = in_blocks(lambda one, two, s=sides: likeness.same(one, two, s), x, *rows[pairs.T])
            found.append(pairs[same])
    return able[np.unique(np.concatenate(found), axis=0)]


def blocks(number: int, row_size: int) -> Iterator[slice]:
    """Slices of 0 … number-1 of which each holds about BLOCK numbers."""
    step = max(1, BLOCK // max(1, row_size))
    return (slice(start, min(start + step, number)) for start in range(0, number, step))


def in_blocks(look: Callable[..., np.ndarray], x: np.ndarray, *rows: np.ndarray) -> np.ndarray:
    """`look` at x[rows], joined, with few rows copied at once. x [N, ...]; rows: int [n] each; returns [n, ...]."""
    parts = [look(*(x[index[part]] for index in rows)) for part in blocks(len(rows[0]), x[0].size)]
    return np.concatenate(parts) if parts else look(*(x[:1] for _ in rows))[:0]


def _candidates(base: np.ndarray, queries: np.ndarray, close: Callable[..., np.ndarray]) -> np.ndarray:
    """Neighbours in any table whose signatures are close, each pair once: (base, query). int64 [P, 2]."""
    codes = [np.zeros(0, np.int64)]
    for table in range(TABLES):
        order = np.argsort(base[:, table], kind="stable")
        asked = np.argsort(queries[:, table], kind="stable")  # in order, so that memory is read in order
        ordered, sought = base[order], queries[asked]
        places = np.searchsorted(ordered[:, table], sought[:, table])
        for offset in range(-WINDOW, WINDOW):
            inside = np.flatnonzero((places + offset >= 0) & (places + offset < len(order)))
            near = places[inside] + offset
            likely = close(ordered[near], sought[inside])
            codes.append(order[near[likely]] * len(queries) + asked[inside[likely]])
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), max(1, len(queries))), axis=1)

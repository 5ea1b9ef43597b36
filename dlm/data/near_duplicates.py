"""Pairs of rows that are nearly the same, found by sorted signatures in time near linear in the number of rows.

A likeness gives each row a signature of TABLES words. For each word the rows are sorted, and a row is compared with the
WINDOW rows on either side of its place: those with the longest common beginning (Bawa, Condie & Ganesan 2005, "LSH
Forest"). So the number of comparisons is fixed, however many rows agree, and a word is as selective as the rows ask.
"""

from __future__ import annotations

import dataclasses
import math
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


MIN_NUMBERS = 16  # with fewer, many honest rows nearly agree
MOST_BITS = 24  # of 512: an angle of 8 degrees; a pair that just counts has 10, with a standard deviation of 3


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Rows [H, W] or [H, W, ...], alike up to brightness, contrast and a shift by one pixel.

    A picture is averaged over at most CELLS × CELLS cells, freed of its mean, scaled to length one, and freed of the
    pool's average, or a background that all have in common would make all alike; a pool of fewer than SAMPLE[0] says
    nothing of that. From a cosine of COSINE, two are the same. With fewer than SHIFT_FROM pixels a side a shift by one
    is not looked for.
    """

    averages: dict[int, np.ndarray]  # of each view, float32 [channels · cells]
    views: tuple[tuple[int, int], ...]

    CELLS = 14
    COSINE = 0.998
    SHIFT_FROM = 16
    SAMPLE = 64, 4096  # pictures that the average is taken of, at least and at most
    # The whole picture; without the top and the bottom line; without the left and the right one.
    LINES = (
        (slice(None), slice(None)),
        (slice(1, None), slice(None)),
        (slice(-1), slice(None)),
        (slice(None), slice(1, None)),
        (slice(None), slice(-1)),
    )

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> Pictures:
        """The likeness of x [N, H, W, ...], with the average of the first of `rows`."""
        views = ((0, 0), (1, 2), (3, 4)) if min(x.shape[1:3]) >= cls.SHIFT_FROM else ((0, 0),)
        least, most = cls.SAMPLE
        averages: dict[int, np.ndarray] = {}
        for pair in views:
            seen = [in_blocks(lambda part, v=view: cells(part, v), x, rows[:most]).mean(0) for view in pair]
            # One for both views, or the shift would show in them.
            averages |= dict.fromkeys(pair, np.mean(seen, axis=0) * np.float32(len(rows) >= least))
        return cls(averages, views)

    def able(self, x: np.ndarray) -> np.ndarray:
        """MIN_NUMBERS numbers, and not all cells the same."""
        return (np.isfinite(x).reshape(len(x), -1).sum(1) >= MIN_NUMBERS) & cells(x, 0).any(1)

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        return _signs(cells(x, view) - self.averages[view])

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return _few_bits_differ(first, second)

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        ours, theirs = (cells(x, view) - self.averages[view] for x, view in zip((first, second), views))
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        alike = np.einsum("ni,ni->n", ours, theirs) >= self.COSINE * lengths
        return alike & (lengths > 0) & _same_gaps(first, second)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows [D] of columns in different units: each column is standardised, and a missing number is its mean.

    Two rows are the same if they miss the same numbers and their distance is at most DISTANCE of the longer one.
    """

    mean: np.ndarray  # float64 [D]
    scale: np.ndarray  # float64 [D]: one over the standard deviation, 0 for a constant column

    DISTANCE = 0.025
    views = ((0, 0),)

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> Table:
        """The likeness of x [N, D], with the mean and standard deviation of `rows`."""
        parts = [rows[part] for part in blocks(len(rows), x[0].size)]
        number = np.maximum(sum(np.isfinite(x[part]).sum(0) for part in parts), 1)
        mean = sum(_filled(x[part]).sum(0, np.float64) for part in parts) / number
        deviation = np.sqrt(sum((_filled(x[part] - mean) ** 2).sum(0) for part in parts) / number)
        varies = deviation > 1e-6 * np.abs(mean)
        return cls(mean, np.divide(1, deviation, out=np.zeros_like(deviation), where=varies))

    def able(self, x: np.ndarray) -> np.ndarray:
        """MIN_NUMBERS numbers in columns that vary."""
        return (np.isfinite(x) & (self.scale > 0)).sum(1) >= MIN_NUMBERS

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        return _signs(self._seen(x))

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return _few_bits_differ(first, second)

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        ours, theirs = self._seen(first), self._seen(second)
        longer = np.maximum(np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1))
        return (np.linalg.norm(ours - theirs, axis=1) <= self.DISTANCE * longer) & _same_gaps(first, second)

    def _seen(self, x: np.ndarray) -> np.ndarray:
        return _filled((x - self.mean) * self.scale).astype(np.float32)


def cells(x: np.ndarray, view: int) -> np.ndarray:
    """Averages of cells of pictures [n, H, W, ...], less their mean, at length one. float32 [n, channels · cells].

    A missing number is the mean of the picture. Zero where all cells are the same, up to rounding.
    """
    x = x.reshape(*x.shape[:3], -1)[:, *Pictures.LINES[view]]
    x = np.moveaxis(x, 3, 1).astype(np.float32)
    if not np.isfinite(x).all():
        known = np.isfinite(x)
        mean = np.where(known, x, 0).sum((1, 2, 3)) / np.maximum(known.sum((1, 2, 3)), 1)
        x = np.where(known, x, mean[:, None, None, None])
    down, right = (_averages(size, Pictures.CELLS) for size in x.shape[2:])
    averaged = (down @ (x @ right.T)).reshape(len(x), -1)
    largest = np.abs(averaged).max(1)
    averaged -= averaged.mean(1, keepdims=True)
    length = np.linalg.norm(averaged, axis=1)
    varies = length > 1e-6 * np.sqrt(averaged.shape[1]) * largest
    return averaged * np.divide(1, length, out=np.zeros_like(length), where=varies)[:, None]


def _averages(size: int, cells: int) -> np.ndarray:
    """Averages over equal stretches of `size` pixels, a pixel on a border shared. float32 [min(cells, size), size]."""
    edges = np.linspace(0, size, min(cells, size) + 1)
    pixels = np.arange(size)
    overlap = (np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)).clip(0)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def _signs(features: np.ndarray) -> np.ndarray:
    """Signs of random projections of [n, d], packed. uint64 [n, TABLES]."""
    directions = np.random.default_rng(0).standard_normal((features.shape[1], 64 * TABLES), np.float32)
    return np.packbits(features @ directions > 0, axis=1).view(">u8").astype(np.uint64)


def _few_bits_differ(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(first ^ second).sum(1) <= MOST_BITS


def _filled(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0)


def _same_gaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether two rows miss the same numbers."""
    return (np.isfinite(first) == np.isfinite(second)).reshape(len(first), -1).all(1)


PADDING = 0
NOTHING = np.uint64(2**64 - 1)  # stands where there is no shingle; sorts last
HASHES = 4 * TABLES  # four fill a word


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Rows [L] of tokens, 0 where there is none, alike if the Jaccard index of their shingles is RESEMBLANCE or more.

    A shingle is as many tokens as hold SHINGLE_BITS by the entropy of single tokens, so that two sequences hardly share
    one by chance: about five bytes of English, three words, eleven nucleotides. Rows with fewer than MIN_SHINGLES
    different ones are not judged: in so short a text few words are left when one changes.
    """

    length: int  # tokens in a shingle

    SHINGLE_BITS = 20
    LENGTHS = (2, 16)
    MIN_SHINGLES = 16
    RESEMBLANCE = 0.7
    MIN_EQUAL = 14  # hashes of 32; at 0.7 there are 22, with a standard deviation of 2.6
    SAMPLE = 4096  # rows that the entropy is taken of
    views = ((0, 0),)

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> Tokens:
        """The likeness of x [N, L], with the entropy of the first of `rows`."""
        sample = x[rows[: cls.SAMPLE]]
        _, counts = np.unique(sample[sample != PADDING], return_counts=True)
        shares = counts / max(1, counts.sum())
        bits = -np.sum(shares * np.log2(shares))
        return cls(int(np.clip(math.ceil(cls.SHINGLE_BITS / max(bits, 0.1)), *cls.LENGTHS)))

    def able(self, x: np.ndarray) -> np.ndarray:
        return (self.shingles(x) != NOTHING).sum(1) >= self.MIN_SHINGLES

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        mine = self.shingles(x)
        odd = np.random.default_rng(0).integers(0, 2**63, HASHES, np.uint64) * np.uint64(2) + np.uint64(1)
        absent = mine == NOTHING
        minima = np.empty((len(x), HASHES), np.uint16)
        for number, factor in enumerate(odd):
            hashes = mine * factor
            hashes[absent] = NOTHING
            minima[:, number] = _mixed(hashes.min(1)) & np.uint64(0xFFFF)
        return minima.view(np.uint64)

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        equal = first.view(np.uint16) == second.view(np.uint16)
        return equal.sum(1) >= self.MIN_EQUAL

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        ours, theirs = self.shingles(first), self.shingles(second)
        both = np.sort(np.concatenate([ours, theirs], axis=1), axis=1)
        shared = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] != NOTHING)).sum(1)
        united = (ours != NOTHING).sum(1) + (theirs != NOTHING).sum(1) - shared
        return shared >= self.RESEMBLANCE * united

    def shingles(self, x: np.ndarray) -> np.ndarray:
        """Hashes of the different shingles of each row, sorted, then NOTHING. uint64 [n, L - length + 1]."""
        number = x.shape[1] - self.length + 1
        if number < 1:
            return np.full((len(x), 1), NOTHING)
        tokens = _mixed(x.astype(np.uint64))
        hashes = np.zeros((len(x), number), np.uint64)
        whole = np.ones((len(x), number), bool)
        for place in range(self.length):
            hashes = _mixed(hashes + tokens[:, place : place + number])
            whole &= x[:, place : place + number] != PADDING
        hashes[~whole] = NOTHING
        hashes.sort(axis=1)
        hashes[:, 1:][hashes[:, 1:] == hashes[:, :-1]] = NOTHING
        hashes.sort(axis=1)
        return hashes


def _mixed(words: np.ndarray) -> np.ndarray:
    """The 64-bit finalizer of MurmurHash3 (Appleby): a bijection in which each bit moves every other."""
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return words ^ (words >> np.uint64(33))

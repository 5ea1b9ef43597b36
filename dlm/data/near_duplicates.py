"""Finds near-duplicate rows by locality-sensitive hashing, in time near linear in the number of rows.

A similarity gives each row a signature of TABLES words. For each word the rows are sorted, and a row is compared with
the WINDOW rows on either side: those with the longest common prefix (Bawa, Condie & Ganesan 2005, "LSH Forest"). The
number of comparisons is therefore fixed, however many rows agree.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

TABLES = 8  # words of a signature
WINDOW = 4  # rows compared on either side, in each table
BLOCK = 2**21  # numbers processed at once


class RowSimilarity(abc.ABC):
    """Decides whether two rows are near-duplicates. A view is a part of a row, for example all but the first line."""

    views: tuple[tuple[int, int], ...] = ((0, 0),)  # pairs to compare; a shift by one pixel pairs two views

    @abc.abstractmethod
    def comparable(self, x: np.ndarray) -> np.ndarray:
        """Which rows [n, ...] hold enough to be compared. bool [n]."""

    @abc.abstractmethod
    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        """Signatures of rows [n, ...], most significant bits first. uint64 [n, TABLES]."""

    @abc.abstractmethod
    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether the rows of pairs of signatures [n, TABLES] should be compared. bool [n]."""

    @abc.abstractmethod
    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        """Whether pairs of rows [n, ...] are near-duplicates in these views. bool [n]."""


def near_pairs(similarity: RowSimilarity, x: np.ndarray, rows: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Near-duplicate pairs of `rows` whose first row is in the base. int64 [P, 2]: positions in `rows`.

    x [N, ...]; rows: int [n], distinct contents; base: bool [n]. A pair with both rows in the base occurs once or
    twice. Among more than 2 · WINDOW rows that are all similar, some pairs are missed.
    """
    comparable = np.flatnonzero(in_blocks(similarity.comparable, x, rows))
    rows, base = rows[comparable], np.flatnonzero(base[comparable])
    result = [np.zeros((0, 2), np.int64)]
    for views in similarity.views:
        words = {view: in_blocks(lambda part, v=view: similarity.words(part, v), x, rows) for view in views}
        for sides in sorted({views, views[::-1]}):
            pairs = _candidates(words[sides[0]][base], words[sides[1]], similarity.close)
            pairs = np.stack([base[pairs[:, 0]], pairs[:, 1]], axis=1)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            same = in_blocks(lambda one, two, s=sides: similarity.same(one, two, s), x, *rows[pairs.T])
            result.append(pairs[same])
    return comparable[np.unique(np.concatenate(result), axis=0)]


def blocks(number: int, row_size: int) -> Iterator[slice]:
    """Slices of 0 … number−1, each of about BLOCK numbers."""
    step = max(1, BLOCK // max(1, row_size))
    return (slice(start, min(start + step, number)) for start in range(0, number, step))


def in_blocks(function: Callable[..., np.ndarray], x: np.ndarray, *rows: np.ndarray) -> np.ndarray:
    """`function(x[rows], ...)` computed block by block. x [N, ...]; rows: int [n] each; returns [n, ...]."""
    parts = [function(*(x[index[part]] for index in rows)) for part in blocks(len(rows[0]), x[0].size)]
    return np.concatenate(parts) if parts else function(*(x[:1] for _ in rows))[:0]


def _candidates(base: np.ndarray, queries: np.ndarray, close: Callable[..., np.ndarray]) -> np.ndarray:
    """Neighbours in any table with close signatures, each pair once: (base, query). int64 [P, 2]."""
    codes = [np.zeros(0, np.int64)]
    for table in range(TABLES):
        order = np.argsort(base[:, table], kind="stable")
        query_order = np.argsort(queries[:, table], kind="stable")  # sorted, so that memory is read in order
        ordered, sought = base[order], queries[query_order]
        positions = np.searchsorted(ordered[:, table], sought[:, table])
        for offset in range(-WINDOW, WINDOW):
            inside = np.flatnonzero((positions + offset >= 0) & (positions + offset < len(order)))
            near = positions[inside] + offset
            likely = close(ordered[near], sought[inside])
            codes.append(order[near[likely]] * len(queries) + query_order[inside[likely]])
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), max(1, len(queries))), axis=1)


MIN_NUMBERS = 16  # with fewer, many distinct rows nearly agree
MAX_BITS = 24  # of 512: an angle of 8 degrees; a pair at the threshold has 10, with a standard deviation of 3


class VectorSimilarity(RowSimilarity):
    """Rows as vectors; a signature has the signs of their random projections."""

    @abc.abstractmethod
    def vectors(self, x: np.ndarray, view: int) -> np.ndarray:
        """Vectors of rows [n, ...]. float32 [n, d]."""

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        vectors = self.vectors(x, view)
        directions = np.random.default_rng(0).standard_normal((vectors.shape[1], 64 * TABLES), np.float32)
        return np.packbits(vectors @ directions > 0, axis=1).view(">u8").astype(np.uint64)

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.bitwise_count(first ^ second).sum(1) <= MAX_BITS

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        missing = (np.isfinite(first) == np.isfinite(second)).reshape(len(first), -1).all(1)
        return missing & self.similar(*(self.vectors(x, view) for x, view in zip((first, second), views)))

    @abc.abstractmethod
    def similar(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether pairs of vectors [n, d] belong to near-duplicates, if the same numbers are missing. bool [n]."""


@dataclasses.dataclass(frozen=True)
class ImageSimilarity(VectorSimilarity):
    """Rows [H, W] or [H, W, ...] that agree up to brightness, contrast and a shift by one pixel.

    An image is averaged over at most CELLS × CELLS cells, centred, scaled to length one, and the average of the pool is
    subtracted, since a common background would make all images similar (not for pools below SAMPLE[0] images). Two
    images are near-duplicates from a cosine of COSINE. Shifts are compared from SHIFT_FROM pixels a side.
    """

    averages: dict[int, np.ndarray]  # by view, float32 [channels · cells]
    views: tuple[tuple[int, int], ...]

    CELLS = 14
    COSINE = 0.998
    SHIFT_FROM = 16
    SAMPLE = 64, 4096  # minimum and maximum number of images for the average
    # The whole image; without the top or bottom row; without the left or right column.
    LINES = (
        (slice(None), slice(None)),
        (slice(1, None), slice(None)),
        (slice(-1), slice(None)),
        (slice(None), slice(1, None)),
        (slice(None), slice(-1)),
    )

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> ImageSimilarity:
        """The similarity for x [N, H, W, ...], with the average of the first `rows`."""
        views = ((0, 0), (1, 2), (3, 4)) if min(x.shape[1:3]) >= cls.SHIFT_FROM else ((0, 0),)
        least, most = cls.SAMPLE
        averages: dict[int, np.ndarray] = {}
        for pair in views:
            means = [in_blocks(lambda part, v=view: cells(part, v), x, rows[:most]).mean(0) for view in pair]
            # One average for both views, since two would differ by the shift.
            averages |= dict.fromkeys(pair, np.mean(means, axis=0) * np.float32(len(rows) >= least))
        return cls(averages, views)

    def comparable(self, x: np.ndarray) -> np.ndarray:
        """At least MIN_NUMBERS finite numbers, and cells that differ."""
        return (np.isfinite(x).reshape(len(x), -1).sum(1) >= MIN_NUMBERS) & cells(x, 0).any(1)

    def vectors(self, x: np.ndarray, view: int) -> np.ndarray:
        return cells(x, view) - self.averages[view]

    def similar(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return (np.einsum("ni,ni->n", first, second) >= self.COSINE * lengths) & (lengths > 0)


@dataclasses.dataclass(frozen=True)
class TableSimilarity(VectorSimilarity):
    """Rows [D] of columns in different units: columns are standardized, and a missing number is the column's mean.

    Two rows are near-duplicates if the same numbers are missing and their distance is at most DISTANCE times the norm
    of the longer one.
    """

    mean: np.ndarray  # float64 [D]
    scale: np.ndarray  # float64 [D]: one over the standard deviation, 0 for a constant column

    DISTANCE = 0.025

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> TableSimilarity:
        """The similarity for x [N, D], with the mean and standard deviation of `rows`."""
        parts = [rows[part] for part in blocks(len(rows), x[0].size)]
        number = np.maximum(sum(np.isfinite(x[part]).sum(0) for part in parts), 1)
        mean = sum(_filled(x[part]).sum(0, np.float64) for part in parts) / number
        deviation = np.sqrt(sum((_filled(x[part] - mean) ** 2).sum(0) for part in parts) / number)
        varies = deviation > 1e-6 * np.abs(mean)
        return cls(mean, np.divide(1, deviation, out=np.zeros_like(deviation), where=varies))

    def comparable(self, x: np.ndarray) -> np.ndarray:
        """At least MIN_NUMBERS finite numbers in columns that vary."""
        return (np.isfinite(x) & (self.scale > 0)).sum(1) >= MIN_NUMBERS

    def vectors(self, x: np.ndarray, view: int) -> np.ndarray:
        return _filled((x - self.mean) * self.scale).astype(np.float32)

    def similar(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        longer = np.maximum(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
        return np.linalg.norm(first - second, axis=1) <= self.DISTANCE * longer


def cells(x: np.ndarray, view: int) -> np.ndarray:
    """Cell averages of images [n, H, W, ...], centred and of length one. float32 [n, channels · cells].

    A missing number is the mean of its image. Zero if all cells are equal up to rounding.
    """
    x = x.reshape(*x.shape[:3], -1)[:, *ImageSimilarity.LINES[view]]
    x = np.moveaxis(x, 3, 1).astype(np.float32)
    if not np.isfinite(x).all():
        known = np.isfinite(x)
        mean = np.where(known, x, 0).sum((1, 2, 3)) / np.maximum(known.sum((1, 2, 3)), 1)
        x = np.where(known, x, mean[:, None, None, None])
    down, right = (_averages(size, ImageSimilarity.CELLS) for size in x.shape[2:])
    averaged = (down @ (x @ right.T)).reshape(len(x), -1)
    largest = np.abs(averaged).max(1)
    averaged -= averaged.mean(1, keepdims=True)
    length = np.linalg.norm(averaged, axis=1)
    varies = length > 1e-6 * np.sqrt(averaged.shape[1]) * largest
    return averaged * np.divide(1, length, out=np.zeros_like(length), where=varies)[:, None]


def _averages(size: int, cells: int) -> np.ndarray:
    """Weights that average `size` pixels over equal cells. float32 [min(cells, size), size]."""
    edges = np.linspace(0, size, min(cells, size) + 1)
    pixels = np.arange(size)
    overlap = (np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)).clip(0)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def _filled(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0)


PADDING = 0
NO_SHINGLE = np.uint64(2**64 - 1)  # sorts last
HASHES = 4 * TABLES  # four per word


@dataclasses.dataclass(frozen=True)
class TokenSimilarity(RowSimilarity):
    """Rows [L] of tokens, 0 is padding, whose shingles have a Jaccard index of at least RESEMBLANCE.

    A shingle is as many tokens as carry SHINGLE_BITS at the entropy of single tokens, so that two sequences rarely
    share one by chance: about five bytes of English, three words, eleven nucleotides. Rows with fewer than MIN_SHINGLES
    distinct shingles are not compared, since one changed word changes most of them.
    """

    length: int  # tokens in a shingle

    SHINGLE_BITS = 20
    LENGTHS = (2, 16)
    MIN_SHINGLES = 16
    RESEMBLANCE = 0.7
    MIN_EQUAL = 14  # of 32 hashes; at 0.7 the mean is 22, with a standard deviation of 2.6
    SAMPLE = 4096  # rows for the entropy

    @classmethod
    def of(cls, x: np.ndarray, rows: np.ndarray) -> TokenSimilarity:
        """The similarity for x [N, L], with the entropy of the first `rows`."""
        sample = x[rows[: cls.SAMPLE]]
        _, counts = np.unique(sample[sample != PADDING], return_counts=True)
        shares = counts / max(1, counts.sum())
        bits = -np.sum(shares * np.log2(shares))
        return cls(int(np.clip(math.ceil(cls.SHINGLE_BITS / max(bits, 0.1)), *cls.LENGTHS)))

    def comparable(self, x: np.ndarray) -> np.ndarray:
        return (self.shingles(x) != NO_SHINGLE).sum(1) >= self.MIN_SHINGLES

    def words(self, x: np.ndarray, view: int) -> np.ndarray:
        shingles = self.shingles(x)
        odd = np.random.default_rng(0).integers(0, 2**63, HASHES, np.uint64) * np.uint64(2) + np.uint64(1)
        absent = shingles == NO_SHINGLE
        minima = np.empty((len(x), HASHES), np.uint16)
        for number, factor in enumerate(odd):
            hashes = shingles * factor
            hashes[absent] = NO_SHINGLE
            minima[:, number] = _mixed(hashes.min(1)) & np.uint64(0xFFFF)
        return minima.view(np.uint64)

    def close(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        equal = first.view(np.uint16) == second.view(np.uint16)
        return equal.sum(1) >= self.MIN_EQUAL

    def same(self, first: np.ndarray, second: np.ndarray, views: tuple[int, int]) -> np.ndarray:
        ours, theirs = self.shingles(first), self.shingles(second)
        both = np.sort(np.concatenate([ours, theirs], axis=1), axis=1)
        shared = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] != NO_SHINGLE)).sum(1)
        united = (ours != NO_SHINGLE).sum(1) + (theirs != NO_SHINGLE).sum(1) - shared
        return shared >= self.RESEMBLANCE * united

    def shingles(self, x: np.ndarray) -> np.ndarray:
        """Sorted hashes of the distinct shingles of each row, then NO_SHINGLE. uint64 [n, L − length + 1]."""
        number = x.shape[1] - self.length + 1
        if number < 1:
            return np.full((len(x), 1), NO_SHINGLE)
        tokens = _mixed(x.astype(np.uint64))
        hashes = np.zeros((len(x), number), np.uint64)
        whole = np.ones((len(x), number), bool)
        for offset in range(self.length):
            hashes = _mixed(hashes + tokens[:, offset : offset + number])
            whole &= x[:, offset : offset + number] != PADDING
        hashes[~whole] = NO_SHINGLE
        hashes.sort(axis=1)
        hashes[:, 1:][hashes[:, 1:] == hashes[:, :-1]] = NO_SHINGLE
        hashes.sort(axis=1)
        return hashes


def _mixed(words: np.ndarray) -> np.ndarray:
    """The 64-bit finalizer of MurmurHash3 (Appleby), a bijection with full avalanche."""
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return words ^ (words >> np.uint64(33))

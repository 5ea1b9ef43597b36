"""When pictures, spectrograms and tables of numbers are nearly the same. See `neighbours.Likeness` for the methods.

Signatures are signs of random projections, whose bits differ in proportion to the angle between two rows
(Charikar 2002, "Similarity estimation techniques from rounding algorithms").
"""

from __future__ import annotations

import dataclasses

import numpy as np

from dlm.data.neighbours import TABLES, blocks, in_blocks

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

"""Orders the training pool so that the first n rows are a stratified subset of size n, for each subset seed.

The order depends on the content of the rows, not on their position, so a seed gives the same subset for every source,
host and file order.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

HASH_ROWS = 8192  # at once, so that a pool on disk need not fit into memory


def row_digests(*columns: Any) -> np.ndarray:
    """64-bit content hash of each row. columns: arrays [N, ...] or LazyRows; returns uint64 [N].

    Numbers are hashed as little-endian float32, so a pixel has the same hash as uint8 and as float64.
    """
    hashes: list[bytes] = []
    for start in range(0, len(columns[0]), HASH_ROWS):
        parts = [_canonical_bytes(np.asarray(column[start : start + HASH_ROWS])) for column in columns]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        hashes += [hashlib.blake2b(row, digest_size=8).digest() for row in np.ascontiguousarray(joined)]
    return np.frombuffer(b"".join(hashes), dtype="<u8")


def _canonical_bytes(block: np.ndarray) -> np.ndarray:
    """Rows as float32 [B, D], with one representation of each number."""
    # Adding zero turns -0.0 into 0.0.
    numbers = block.astype("<f4").reshape(len(block), -1) + np.float32(0)
    numbers[np.isnan(numbers)] = np.float32(np.nan)
    return numbers


def stratified_order(digests: np.ndarray, strata: np.ndarray, seed: int) -> np.ndarray:
    """Order of all rows in which every prefix has each stratum's share within one example.

    digests uint64 [N]; strata int [N] (classes, or all zero); returns int32 [N], row indices. Within a stratum rows are
    sorted by a hash of (seed, content); `interleave` gives the stratum of each position.
    """
    keys = _splitmix(digests ^ _splitmix(np.full(1, seed, np.uint64)))
    names, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    by_stratum = np.lexsort((digests, keys, inverse))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    turns = interleave(tuple(int(count) for count in counts))
    order = np.empty(len(digests), np.int32)
    for stratum in range(len(names)):
        order[turns == stratum] = by_stratum[starts[stratum] : starts[stratum] + counts[stratum]]
    return order


def interleave(counts: Sequence[int]) -> np.ndarray:
    """The stratum of each position such that every prefix of length n has n·count/N rows of each, within one.

    Tijdeman (1980), "The chairman assignment problem": of the strata that are eligible for a position, the one with
    the earliest deadline gets it. counts: positive ints [C]; returns int32 [sum of counts].
    """
    total, number = sum(counts), len(counts)
    turns = np.zeros(total, np.int32)
    if number == 1:
        return turns
    slack = Fraction(1, 2 * number - 2)
    waiting = [(_first_turn(1, count, total, slack), stratum, 1) for stratum, count in enumerate(counts)]
    heapq.heapify(waiting)
    ready: list[tuple[int, int, int]] = []
    for turn in range(1, total + 1):
        while waiting and waiting[0][0] <= turn:
            _, stratum, item = heapq.heappop(waiting)
            heapq.heappush(ready, (_last_turn(item, counts[stratum], total, slack), stratum, item))
        _, stratum, item = heapq.heappop(ready)
        turns[turn - 1] = stratum
        if item < counts[stratum]:
            heapq.heappush(waiting, (_first_turn(item + 1, counts[stratum], total, slack), stratum, item + 1))
    return turns


def subset_hash(digests_in_order: np.ndarray, train_size: int) -> str:
    """Hash of the content of the first `train_size` rows. digests_in_order: uint64 [>= train_size]."""
    return hashlib.sha256(digests_in_order[:train_size].astype("<u8").tobytes()).hexdigest()[:16]


def _first_turn(item: int, count: int, total: int, slack: Fraction) -> int:
    """Smallest n with n·count/total >= item − 1 + slack; earlier, the stratum would be a full example ahead."""
    return -((-(item - 1) * slack.denominator - slack.numerator) * total // (slack.denominator * count))


def _last_turn(item: int, count: int, total: int, slack: Fraction) -> int:
    """Largest n for the item; later, the stratum would be a full example behind."""
    return (item * slack.denominator - slack.numerator) * total // (slack.denominator * count) + 1


def _splitmix(words: np.ndarray) -> np.ndarray:
    """Steele et al. (2014), "Fast splittable pseudorandom number generators": a bijective 64-bit mix."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))

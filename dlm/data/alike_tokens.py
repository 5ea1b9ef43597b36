"""When sequences of tokens are nearly the same. See `neighbours.Likeness` for the methods.

A sequence is the set of its shingles, runs of a few tokens; two are the same if most of their shingles are shared
(Broder 1997, "On the resemblance and containment of documents"). Signatures are minima of hashes of the shingles, of
which each is shared with the probability of a shared shingle; sixteen bits are kept of each (Li & König 2010, "b-bit
minwise hashing").
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from dlm.data.neighbours import TABLES

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

"""Classical learners of texts: Kneser–Ney n-grams of bytes, and logistic regression on TF-IDF features."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dlm.baselines.base import FittedBaseline, check_positive, fitted_classifier, require_classes, target_kind
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least, choose

MAX_ORDER = 8  # a context of seven bytes and the next byte fit into one uint64
MIN_DISCOUNT = 0.05  # so that every context reserves some probability for unseen next bytes
NGRAMS_PER_BLOCK = 2**23  # bounds memory while counting
ROWS_PER_BLOCK = 16  # whose probabilities fit into the CPU cache


@dataclasses.dataclass(frozen=True)
class KneserNey:
    """Byte n-grams up to `order` with interpolated modified Kneser–Ney smoothing (Chen & Goodman 1999).

    A byte is predicted from the `order` − 1 preceding bytes, or fewer at the beginning of a block. There the model of
    that lower order is used, which takes counts instead of continuation counts for its longest context.
    """

    order: int = 5

    def __post_init__(self) -> None:
        at_least(1, order=self.order)
        if self.order > MAX_ORDER:
            raise UsageError(f"order={self.order} must be at most {MAX_ORDER}")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are the next byte at each position."""
        if not 0 < dataset.vocabulary <= 256 or dataset.train.x.shape != dataset.train.y.shape:
            raise UsageError(
                f"KneserNey() predicts the next byte of a text, but the targets of {dataset.name!r} are "
                f"{target_kind(dataset)}; remove the learner, or use LanguageModelling() on a text in bytes"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_classes: int, seed: int) -> FittedBaseline:
        """Count n-grams of bytes x and next bytes y, integers [N, L] below `num_classes` (at most 256).

        The outputs are log-probabilities float32 [N, L, num_classes]. `seed` has no effect.
        """
        counted, continued = [], []
        for context in range(self.order):
            grams, counts = _count(x, y, context)
            counted.append(_level(grams, counts))
            if context:  # continuation counts: the number of distinct bytes before the n-gram without its first byte
                shorter = grams & np.uint64(2 ** (8 * context) - 1)
                continued.append(_level(*np.unique(shorter, return_counts=True)))
        return FittedBaseline(1, lambda inputs: _log_probabilities(inputs, counted, continued, num_classes))


def discounts(counts: np.ndarray) -> np.ndarray:
    """Discounts float64 [3] of counts of 1, of 2, and of 3 or more. counts: int [G], of distinct n-grams.

    Chen & Goodman (1999): k − (k + 1)·Y·n[k+1] / n[k] with Y = n[1] / (n[1] + 2·n[2]) and n[k] n-grams with count k.
    Y is the discount where n[k] is 0, and Y is 1/2 where n[1] is 0; all are clipped to MIN_DISCOUNT … k.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=5).astype(np.float64)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
    estimates = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else y for k in (1, 2, 3)]
    return np.clip(estimates, MIN_DISCOUNT, (1, 2, 3))


@dataclasses.dataclass(frozen=True)
class _Level:
    """P(byte | context) = value + backoff · P(byte | context without its first byte), for contexts of one length.

    The bytes observed after context i are `symbols[starts[i] : starts[i + 1]]`, with their `values` float32; `backoff`
    is float32 [C], `contexts` uint64 [C], sorted.
    """

    contexts: np.ndarray
    starts: np.ndarray
    backoff: np.ndarray
    symbols: np.ndarray
    values: np.ndarray


def _level(grams: np.ndarray, counts: np.ndarray) -> _Level:
    """Discounted relative frequencies. grams: uint64 [G], context and next byte, sorted; counts: int [G]."""
    if not len(grams):
        empty = np.zeros(0, np.float32)
        return _Level(grams, np.zeros(1, np.int64), empty, grams.astype(np.uint8), empty)
    contexts, starts = np.unique(grams >> np.uint64(8), return_index=True)
    ends = np.append(starts, len(grams))
    totals = np.add.reduceat(counts, starts)
    discount = discounts(counts)[np.minimum(counts, 3) - 1]
    values = (counts - discount) / np.repeat(totals, np.diff(ends))
    backoff = np.add.reduceat(discount, starts) / totals
    symbols = (grams & np.uint64(255)).astype(np.uint8)
    return _Level(contexts, ends, backoff.astype(np.float32), symbols, values.astype(np.float32))


def _contexts(x: np.ndarray, length: int) -> np.ndarray:
    """The last `length` bytes at each position that has so many, packed: [N, L] -> uint64 [N, L − length + 1].

    Length 0 gives zeros [N, L].
    """
    count = x.shape[1] - max(length, 1) + 1
    packed = np.zeros((len(x), max(count, 0)), np.uint64)
    for start in range(length if count > 0 else 0):
        packed = packed << np.uint64(8) | x[:, start : start + count].astype(np.uint64)
    return packed


def _count(x: np.ndarray, y: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct n-grams of `context` bytes and the next byte, sorted, with their counts."""
    parts = []
    for rows in _row_blocks(len(x), max(1, NGRAMS_PER_BLOCK // x.shape[1])):
        grams = _contexts(x[rows], context) << np.uint64(8) | y[rows, max(context, 1) - 1 :].astype(np.uint64)
        parts.append(np.unique(grams, return_counts=True))
    if len(parts) == 1:
        return parts[0]
    grams, indices = np.unique(np.concatenate([grams for grams, _ in parts]), return_inverse=True)
    counts = np.bincount(indices, np.concatenate([counts for _, counts in parts]), len(grams))
    return grams, counts.astype(np.int64)


def _row_blocks(number: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, number, size))


def _log_probabilities(x: np.ndarray, counted: list[_Level], continued: list[_Level], num_classes: int) -> np.ndarray:
    """Log-probabilities of the next byte at each position, float32 [N, L, num_classes]."""
    out = np.zeros((*x.shape, num_classes), np.float32)
    first, later = _bigram_tables(counted, continued, num_classes)
    for rows in _row_blocks(len(x), ROWS_PER_BLOCK):
        block = out[rows]
        remaining = np.ones((*block.shape[:2], 1), np.float32)
        for level, positions, contexts in _longest_first(x[rows], counted, continued):
            _add_level(block.reshape(-1, num_classes), remaining.reshape(-1), level, positions, contexts)
        block[:, :1] += remaining[:, :1] * first[x[rows, :1]]
        block[:, 1:] += remaining[:, 1:] * later[x[rows, 1:]]
        np.log(block, out=block)
    return out


def _bigram_tables(counted: list[_Level], continued: list[_Level], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities after each byte, float32 [256, num_classes]: at the first position of a block, and later."""
    shortest = (continued or counted)[0]
    unigram = np.full(num_classes, shortest.backoff[0] / num_classes, np.float32)
    unigram[shortest.symbols] += shortest.values
    tables = []
    for levels in (counted, continued):
        table = np.repeat(unigram[None], 256, axis=0)
        for level in levels[1:2]:
            table[level.contexts] *= level.backoff[:, None]
            table[np.repeat(level.contexts, np.diff(level.starts)), level.symbols] += level.values
        tables.append(table)
    return tables[0], tables[1] if len(continued) > 1 else tables[0]


def _longest_first(
    x: np.ndarray, counted: list[_Level], continued: list[_Level]
) -> Iterator[tuple[_Level, np.ndarray, np.ndarray]]:
    """Each level of at least two bytes, its positions (in x, flattened) int [P], and their contexts uint64 [P]."""
    positions, longest = np.arange(x.size).reshape(x.shape), len(counted) - 1
    for length in range(min(longest, x.shape[1]), 1, -1):
        at, contexts = positions[:, length - 1 :], _contexts(x, length)
        last = at.shape[1] if length == longest else 1  # positions without a longer context
        yield counted[length], at[:, :last].ravel(), contexts[:, :last].ravel()
        if length < longest:
            yield continued[length], at[:, 1:].ravel(), contexts[:, 1:].ravel()


def _add_level(
    probabilities: np.ndarray, remaining: np.ndarray, level: _Level, positions: np.ndarray, contexts: np.ndarray
) -> None:
    """Add a level's share of the `remaining` probability where its context is known, and reduce the rest; in place.

    probabilities: [all positions, num_classes]; remaining: [all positions]; positions: int [P], contexts: uint64 [P].
    """
    if not len(level.contexts):
        return
    at = np.minimum(np.searchsorted(level.contexts, contexts), len(level.contexts) - 1)
    known = level.contexts[at] == contexts
    at, positions = at[known], positions[known]
    count = level.starts[at + 1] - level.starts[at]
    gram = np.repeat(level.starts[at] - np.cumsum(count) + count, count) + np.arange(count.sum())
    flat_index = np.repeat(positions * probabilities.shape[1], count) + level.symbols[gram]
    probabilities.reshape(-1)[flat_index] += np.repeat(remaining[positions], count) * level.values[gram]
    remaining[positions] *= level.backoff[at]


@dataclasses.dataclass(frozen=True)
class TfidfLogisticRegression:
    """Logistic regression on TF-IDF weights of n-grams (scikit-learn's TfidfVectorizer and LogisticRegression).

    analyzer: n-grams of words, or of characters within words ("char_wb"). ngram_range: smallest and largest n. The
    vocabulary is learned from the training subset only. C, max_iter: as in `LogisticRegression`.
    """

    analyzer: Literal["word", "char_wb"] = "word"
    ngram_range: tuple[int, int] = (1, 2)
    C: float = 10.0
    max_iter: int = 1000

    def __post_init__(self) -> None:
        choose("analyzer", self.analyzer, ("word", "char_wb"))
        at_least(1, ngram_range=self.ngram_range, max_iter=self.max_iter)
        if self.ngram_range[0] > self.ngram_range[1]:
            raise UsageError(f"ngram_range={self.ngram_range} must not decrease, for example (1, 2)")
        check_positive(C=self.C)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are texts and each example has one class."""
        require_classes(self, dataset)
        if not dataset.vocabulary or dataset.train.x.ndim != 2:
            raise UsageError(
                f"TfidfLogisticRegression() needs texts in bytes, but {dataset.name!r} has other inputs; remove the "
                "learner, or use LogisticRegression()"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to texts x int [N, L], UTF-8 bytes padded with 0, and y int [N]. `seed` has no effect."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        features = TfidfVectorizer(
            analyzer=self.analyzer,
            ngram_range=self.ngram_range,
            sublinear_tf=True,
            token_pattern=r"(?u)\b\w+\b|[^\w\s]",
        )
        model = make_pipeline(features, LogisticRegression(C=self.C, max_iter=self.max_iter))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(decode_texts(x), y)
        return fitted_classifier(model, num_outputs, int(np.max(model[-1].n_iter_)), decode_texts)


def decode_texts(x: np.ndarray) -> list[str]:
    """Rows of UTF-8 bytes as texts; a character that is cut at the end becomes a replacement character."""
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in x.astype(np.uint8)]

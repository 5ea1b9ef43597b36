"""Texts as bags of words, by scikit-learn."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dlm.baselines.base import Fitted, log_probabilities, needs_classes, targets_of
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least, choose

MOST_ORDER = 8  # a context of seven bytes and the byte after it are one uint64
LEAST_DISCOUNT = 0.05  # so that every context leaves something for bytes that were not seen after it
COUNTED_AT_ONCE = 2**23  # n-grams
ROWS_AT_ONCE = 16  # whose probabilities stay in the cache


@dataclasses.dataclass(frozen=True)
class KneserNey:
    """Interpolated modified Kneser–Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999) of n-grams up to `order`.

    A byte is predicted from the `order` − 1 bytes before it, at the beginning of a block from as many as the block
    holds: there the model of that lower order speaks, whose longest context is counted, not its continuations.
    """

    order: int = 5

    def __post_init__(self) -> None:
        at_least(1, order=self.order)
        if self.order > MOST_ORDER:
            raise UsageError(f"order={self.order} must be at most {MOST_ORDER}")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are the bytes after those of the inputs."""
        if not 0 < dataset.vocabulary <= 256 or dataset.train.x.shape != dataset.train.y.shape:
            raise UsageError(
                f"KneserNey() predicts the byte after each byte of a text, and the targets of {dataset.name!r} are "
                f"{targets_of(dataset)}; leave it out, or use LanguageModelling() on a text in bytes"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_classes: int, seed: int) -> Fitted:
        """Count x and y, whole numbers below `num_classes` (at most 256) [N, L]; y is the byte after x.

        Nothing is drawn, so `seed` changes nothing. The outputs are log-probabilities float32 [N, L, num_classes].
        """
        if x.ndim != 2 or x.shape != y.shape or num_classes > 256:
            raise UsageError(
                f"KneserNey() predicts the byte after each byte of x, and x is {x.shape}, y {y.shape}, with "
                f"{num_classes} classes; use it with LanguageModelling() on a text in bytes"
            )
        counted, continued = [], []
        for context in range(self.order):
            grams, counts = _count(x, y, context)
            counted.append(_level(grams, counts))
            if context:  # how many bytes were seen before an n-gram that is one shorter
                shorter = grams & np.uint64(2 ** (8 * context) - 1)
                continued.append(_level(*np.unique(shorter, return_counts=True)))
        return Fitted(1, lambda inputs: _log_probabilities(inputs, counted, continued, num_classes))


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 1, of 2, and of 3 or more: float64 [3]. counts: int [G], of distinct n-grams.

    Chen & Goodman (1999): k − (k + 1)·Y·n[k+1] / n[k] with Y = n[1] / (n[1] + 2·n[2]), n[k] n-grams being seen k times.
    Y stands in where n[k] is 0, and 1/2 for Y where n[1] is; all lie between LEAST_DISCOUNT and k.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=5).astype(np.float64)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
    wanted = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else y for k in (1, 2, 3)]
    return np.clip(wanted, LEAST_DISCOUNT, (1, 2, 3))


@dataclasses.dataclass(frozen=True)
class _Level:
    """P(byte | context) = value + rest · P(byte | the context without its first byte), for contexts of one length.

    The bytes seen after context i are `symbols[starts[i] : starts[i + 1]]`, with their `values` float32; `rest` is
    float32 [C], `contexts` uint64 [C], sorted.
    """

    contexts: np.ndarray
    starts: np.ndarray
    rest: np.ndarray
    symbols: np.ndarray
    values: np.ndarray


def _level(grams: np.ndarray, counts: np.ndarray) -> _Level:
    """Discounted relative frequencies. grams: uint64 [G], context and byte, sorted; counts: int [G]."""
    if not len(grams):
        nothing = np.zeros(0, np.float32)
        return _Level(grams, np.zeros(1, np.int64), nothing, grams.astype(np.uint8), nothing)
    contexts, starts = np.unique(grams >> np.uint64(8), return_index=True)
    ends = np.append(starts, len(grams))
    totals = np.add.reduceat(counts, starts)
    taken = discounts(counts)[np.minimum(counts, 3) - 1]
    values = (counts - taken) / np.repeat(totals, np.diff(ends))
    rest = np.add.reduceat(taken, starts) / totals
    symbols = (grams & np.uint64(255)).astype(np.uint8)
    return _Level(contexts, ends, rest.astype(np.float32), symbols, values.astype(np.float32))


def _contexts(x: np.ndarray, length: int) -> np.ndarray:
    """The last `length` bytes up to each place that has so many, as one number. [N, L] -> uint64 [N, L − length + 1].

    Of length 0: zeros [N, L].
    """
    count = x.shape[1] - max(length, 1) + 1
    packed = np.zeros((len(x), max(count, 0)), np.uint64)
    for start in range(length if count > 0 else 0):
        packed = packed << np.uint64(8) | x[:, start : start + count].astype(np.uint64)
    return packed


def _count(x: np.ndarray, y: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct n-grams of `context` bytes and the one after them, sorted, and how often each stands there."""
    parts = []
    for rows in _row_blocks(len(x), max(1, COUNTED_AT_ONCE // x.shape[1])):
        grams = _contexts(x[rows], context) << np.uint64(8) | y[rows, max(context, 1) - 1 :].astype(np.uint64)
        parts.append(np.unique(grams, return_counts=True))
    if len(parts) == 1:
        return parts[0]
    grams, places = np.unique(np.concatenate([grams for grams, _ in parts]), return_inverse=True)
    counts = np.bincount(places, np.concatenate([counts for _, counts in parts]), len(grams))
    return grams, counts.astype(np.int64)


def _row_blocks(number: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, number, size))


def _log_probabilities(x: np.ndarray, counted: list[_Level], continued: list[_Level], num_classes: int) -> np.ndarray:
    """The logarithms of the next byte's probabilities at each place, float32 [N, L, num_classes]."""
    out = np.zeros((*x.shape, num_classes), np.float32)
    first, later = _after_one_byte(counted, continued, num_classes)
    for rows in _row_blocks(len(x), ROWS_AT_ONCE):
        part = out[rows]
        left = np.ones((*part.shape[:2], 1), np.float32)
        for level, places, contexts in _longest_first(x[rows], counted, continued):
            _add(part.reshape(-1, num_classes), left.reshape(-1), level, places, contexts)
        part[:, :1] += left[:, :1] * first[x[rows, :1]]
        part[:, 1:] += left[:, 1:] * later[x[rows, 1:]]
        np.log(part, out=part)
    return out


def _after_one_byte(counted: list[_Level], continued: list[_Level], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities after each byte, float32 [256, num_classes]: at the first place of a block, and at the others."""
    shortest = (continued or counted)[0]
    alone = np.full(num_classes, shortest.rest[0] / num_classes, np.float32)
    alone[shortest.symbols] += shortest.values
    tables = []
    for levels in (counted, continued):
        table = np.repeat(alone[None], 256, axis=0)
        for level in levels[1:2]:
            table[level.contexts] *= level.rest[:, None]
            table[np.repeat(level.contexts, np.diff(level.starts)), level.symbols] += level.values
        tables.append(table)
    return tables[0], tables[1] if len(continued) > 1 else tables[0]


def _longest_first(
    x: np.ndarray, counted: list[_Level], continued: list[_Level]
) -> Iterator[tuple[_Level, np.ndarray, np.ndarray]]:
    """Each level of two bytes and more, its places (in x, flattened) int [P], and their contexts uint64 [P]."""
    places, longest = np.arange(x.size).reshape(x.shape), len(counted) - 1
    for length in range(min(longest, x.shape[1]), 1, -1):
        at, contexts = places[:, length - 1 :], _contexts(x, length)
        last = at.shape[1] if length == longest else 1  # places where no context is longer
        yield counted[length], at[:, :last].ravel(), contexts[:, :last].ravel()
        if length < longest:
            yield continued[length], at[:, 1:].ravel(), contexts[:, 1:].ravel()


def _add(probabilities: np.ndarray, left: np.ndarray, level: _Level, places: np.ndarray, contexts: np.ndarray) -> None:
    """Where a context was seen, add its share of the probability that is `left`, and leave the rest; in place.

    probabilities: [places, num_classes]; left: [places]; places: int [P], of contexts uint64 [P].
    """
    if not len(level.contexts):
        return
    at = np.minimum(np.searchsorted(level.contexts, contexts), len(level.contexts) - 1)
    seen = level.contexts[at] == contexts
    at, places = at[seen], places[seen]
    number = level.starts[at + 1] - level.starts[at]
    gram = np.repeat(level.starts[at] - np.cumsum(number) + number, number) + np.arange(number.sum())
    cells = np.repeat(places * probabilities.shape[1], number) + level.symbols[gram]
    probabilities.reshape(-1)[cells] += np.repeat(left[places], number) * level.values[gram]
    left[places] *= level.rest[at]


@dataclasses.dataclass(frozen=True)
class BagOfWords:
    """Logistic regression on TF-IDF weights of n-grams (scikit-learn's TfidfVectorizer and LogisticRegression).

    `grams` n-grams at most, of words or of characters within words (`char_wb`); which there are is learnt from the
    training subset alone. `c` is the inverse strength of the penalty.
    """

    unit: Literal["word", "char_wb"] = "word"
    grams: int = 2
    c: float = 10.0
    max_iter: int = 1000

    def __post_init__(self) -> None:
        choose("unit", self.unit, ("word", "char_wb"))
        at_least(1, grams=self.grams, max_iter=self.max_iter)
        if self.c <= 0:
            raise UsageError(f"c={self.c} must be above 0; it is the inverse of the penalty's strength")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are texts, and there is one class an example."""
        needs_classes(self, dataset)
        if not dataset.vocabulary or dataset.train.x.ndim != 2:
            raise UsageError(
                f"BagOfWords() reads texts in bytes, and {dataset.name!r} has other inputs; leave it out, or use "
                "LogisticRegression()"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to texts x int [N, L], UTF-8 bytes with 0 behind the end, and y int [N]. `seed` changes nothing."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression as Model
        from sklearn.pipeline import make_pipeline

        weights = TfidfVectorizer(
            analyzer=self.unit, ngram_range=(1, self.grams), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[^\w\s]"
        )
        model = make_pipeline(weights, Model(C=self.c, max_iter=self.max_iter))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(texts_of(x), y)
        return Fitted(
            iterations=int(np.max(model[-1].n_iter_)),
            outputs=lambda inputs: log_probabilities(
                model.predict_proba(texts_of(inputs)), model[-1].classes_, num_outputs
            ),
        )


def texts_of(x: np.ndarray) -> list[str]:
    """Rows of bytes as texts; a character that the end cut in two becomes a replacement sign."""
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in x.astype(np.uint8)]

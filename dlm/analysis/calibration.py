"""Whether a classifier is as sure as it is right: reliability, calibration error, and who is taken for whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_BINS = 15  # of equal width, as in Guo et al. 2017, "On calibration of modern neural networks"
MOST_DRAWS, DRAWN_EXAMPLES = 100, 50_000  # a large test set needs few: what is by chance hardly differs between draws


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How sure a learner was and how often it was right, of some seeds' predictions of one test set.

    `confidence`, `accuracy`, `count` [K]: of the bins that hold examples, all seeds together. `errors`: the expected
    calibration error of each seed; `by_chance`: the mean of what a perfectly calibrated learner that is as sure would
    show, for the test set is finite. `brier`: the mean squared distance of probabilities from the truth, per seed.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    errors: tuple[float, ...]
    by_chance: float
    brier: tuple[float, ...]


def reliability(probabilities: Sequence[Array], y: NDArray[np.int64]) -> Reliability:
    """probabilities: one [N, C] a seed; y [N] classes. Top-label confidence (Naeini et al. 2015)."""
    rng = np.random.default_rng(0)
    sure = [each.max(axis=1) for each in probabilities]
    right = [(each.argmax(axis=1) == y).astype(float) for each in probabilities]
    place = [_bins(one) for one in sure]
    draws = max(1, min(MOST_DRAWS, DRAWN_EXAMPLES // len(y)))
    by_chance = [
        calibration_error(one, (rng.random(len(one)) < one).astype(float), where)
        for one, where in zip(sure, place)
        for _ in range(draws)
    ]
    counts, confidence, accuracy = _binned(*(np.concatenate(each) for each in (sure, right, place)))
    held = counts > 0
    return Reliability(
        confidence=tuple(map(float, confidence[held])),
        accuracy=tuple(map(float, accuracy[held])),
        count=tuple(map(int, counts[held])),
        errors=tuple(calibration_error(*of) for of in zip(sure, right, place)),
        by_chance=float(np.mean(by_chance)),
        brier=tuple(_brier(each, y) for each in probabilities),
    )


def calibration_error(sure: Array, right: Array, place: NDArray[np.int64]) -> float:
    """The mean distance of confidence and accuracy over bins, by the examples that each holds."""
    counts, confidence, accuracy = _binned(sure, right, place)
    return float((counts * np.abs(confidence - accuracy)).sum() / counts.sum())


def confusion(probabilities: Sequence[Array], y: NDArray[np.int64], num_classes: int) -> Array:
    """Share of the examples of each class [C] that are taken for each class [C], mean over seeds; rows add up to 1."""
    counts = np.zeros((num_classes, num_classes))
    for each in probabilities:
        np.add.at(counts, (y, each.argmax(axis=1)), 1.0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def _bins(sure: Array) -> NDArray[np.int64]:
    return np.minimum((sure * NUM_BINS).astype(np.int64), NUM_BINS - 1)


def _binned(sure: Array, right: Array, place: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """(examples, mean confidence, mean accuracy) of each bin [K]."""
    counts = np.bincount(place, minlength=NUM_BINS).astype(float)
    each = np.maximum(counts, 1.0)
    sums = [np.bincount(place, weights=of, minlength=NUM_BINS) / each for of in (sure, right)]
    return counts, sums[0], sums[1]


def _brier(probabilities: Array, y: NDArray[np.int64]) -> float:
    wanted = np.eye(probabilities.shape[1])[y]
    return float(np.square(probabilities - wanted).sum(axis=1).mean())

"""Calibration and confusion of a classifier: reliability diagram, expected calibration error, confusion matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_BINS = 15  # of equal width, as in Guo et al. 2017, "On calibration of modern neural networks"
MOST_REPEATS, MOST_DRAWN = 100, 50_000  # a large test set needs few repeats: its expected error hardly varies


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of the seeds' predictions of their test sets.

    `confidence`, `accuracy`, `count` [K]: of the non-empty bins, all seeds together. `errors`: the expected calibration
    error of each seed; `expected_error`: what a perfectly calibrated classifier with the same confidences would have on
    average, which is above zero as the test set is finite. `brier`: the Brier score of each seed.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    errors: tuple[float, ...]
    expected_error: float
    brier: tuple[float, ...]

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy."""
        counts = np.array(self.count)
        return float(((np.array(self.confidence) - np.array(self.accuracy)) * counts).sum() / counts.sum())


def reliability(probabilities: Sequence[Array], labels: Sequence[NDArray[np.int64]]) -> Reliability:
    """probabilities: one [N, C] a seed; labels: their classes [N]. Confidence of the top label (Naeini et al. 2015)."""
    rng = np.random.default_rng(0)
    confidences = [each.max(axis=1) for each in probabilities]
    correct = [(each.argmax(axis=1) == y).astype(float) for each, y in zip(probabilities, labels)]
    bins = [np.minimum((each * NUM_BINS).astype(np.int64), NUM_BINS - 1) for each in confidences]
    repeats = max(1, min(MOST_REPEATS, MOST_DRAWN // len(labels[0])))
    expected = [
        calibration_error(confidence, (rng.random(len(confidence)) < confidence).astype(float), bin_of)
        for confidence, bin_of in zip(confidences, bins)
        for _ in range(repeats)
    ]
    counts, confidence, accuracy = _binned(*(np.concatenate(each) for each in (confidences, correct, bins)))
    filled = counts > 0
    return Reliability(
        confidence=tuple(map(float, confidence[filled])),
        accuracy=tuple(map(float, accuracy[filled])),
        count=tuple(map(int, counts[filled])),
        errors=tuple(calibration_error(*parts) for parts in zip(confidences, correct, bins)),
        expected_error=float(np.mean(expected)),
        brier=tuple(
            float(np.square(each - np.eye(each.shape[1])[y]).sum(axis=1).mean())
            for each, y in zip(probabilities, labels)
        ),
    )


def calibration_error(confidence: Array, correct: Array, bins: NDArray[np.int64]) -> float:
    """The mean distance of confidence and accuracy over bins, weighted by the examples in each."""
    counts, mean_confidence, accuracy = _binned(confidence, correct, bins)
    return float((counts * np.abs(mean_confidence - accuracy)).sum() / counts.sum())


def confusion(probabilities: Sequence[Array], labels: Sequence[NDArray[np.int64]], num_classes: int) -> Array:
    """Confusion matrix [C, C]: share of each true class (row) by predicted class, over all seeds; rows sum to 1."""
    counts = np.zeros((num_classes, num_classes))
    for each, y in zip(probabilities, labels):
        np.add.at(counts, (y, each.argmax(axis=1)), 1.0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def _binned(confidence: Array, correct: Array, bins: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """(examples, mean confidence, accuracy) of each bin [K]."""
    counts = np.bincount(bins, minlength=NUM_BINS).astype(float)
    sizes = np.maximum(counts, 1.0)
    means = [np.bincount(bins, weights=values, minlength=NUM_BINS) / sizes for values in (confidence, correct)]
    return counts, means[0], means[1]

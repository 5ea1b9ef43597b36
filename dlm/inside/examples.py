"""Which examples a survey is made of: the same for every network of a study."""

from __future__ import annotations

import numpy as np

from dlm.data.arrays import Arrays, Split

MOST_PROBED = MOST_CHOSEN_BY = 2000  # that readers learn from, and are chosen by
MOST_TESTED = 5000
NUM_MAPPED, NUM_MISTAKES = 12, 4


def splits(arrays: Arrays, order: np.ndarray) -> tuple[Split, Split, Split]:
    """The examples that readers learn from, are chosen by, and are measured on.

    They learn from the end of the pool's order, which only the largest training subsets reach.
    """
    return (
        arrays.train.take(order[-MOST_PROBED:]),
        arrays.validation.take(spread(len(arrays.validation), MOST_CHOSEN_BY)),
        arrays.test.take(spread(len(arrays.test), MOST_TESTED)),
    )


def spread(number: int, most: int) -> np.ndarray:
    """Up to `most` of so many rows, evenly. int [min(number, most)]."""
    return np.linspace(0, number - 1, min(number, most)).astype(np.int64)


def share_seen(train_size: int, pool: int) -> float:
    """Which share of the examples that readers learn from a network has learnt from itself."""
    probed = min(MOST_PROBED, pool)
    return max(0, train_size - (pool - probed)) / probed


def mapped(predicted: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """Rows of examples to make maps of. int [at most NUM_MAPPED].

    Of classes: a few that the network gets wrong, then the first of each class in turn; otherwise the first ones.
    """
    if not num_classes or y.ndim > 1:
        return np.arange(min(NUM_MAPPED, len(y)))
    wrong, right = np.flatnonzero(predicted != y)[:NUM_MISTAKES], np.flatnonzero(predicted == y)
    turns = np.zeros(len(right), np.int64)
    for label in np.unique(y[right]):
        of_label = y[right] == label
        turns[of_label] = np.arange(of_label.sum())
    return np.concatenate([wrong, right[np.lexsort((y[right], turns))]])[:NUM_MAPPED]

"""How much the examples of each class count, so that rare classes count more."""

from __future__ import annotations

import numpy as np


def class_weights(y: np.ndarray, num_classes: int, balance: float) -> np.ndarray:
    """A weight for each class, its share among the labels `y` to the power of −`balance`. float32 [C].

    The mean over examples is 1, so that a learning rate keeps its meaning. 0 weighs all alike, 1 makes each class that
    occurs count the same in all; a class that does not occur has the weight 1.
    """
    shares = np.bincount(y, minlength=num_classes) / len(y)
    occurs = shares > 0
    weights = np.where(occurs, shares, 1.0) ** -balance
    return np.where(occurs, weights / (shares * weights).sum(), 1.0).astype(np.float32)

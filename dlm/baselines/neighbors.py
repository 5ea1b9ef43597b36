"""Nearest neighbours, by scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from dlm.baselines.base import Fitted, log_probabilities, needs_classes_or_numbers, rows_of
from dlm.data.dataset import Dataset
from dlm.utils.errors import at_least, choose


@dataclasses.dataclass(frozen=True)
class NearestNeighbours:
    """The vote, or the mean, of the nearest training examples by Euclidean distance (Cover & Hart 1967).

    scikit-learn's KNeighborsClassifier and KNeighborsRegressor. `neighbours` are all examples where a subset has fewer;
    with `weights="distance"` each counts by the inverse of its distance.
    """

    neighbours: int = 5
    weights: Literal["uniform", "distance"] = "uniform"

    def __post_init__(self) -> None:
        at_least(1, neighbours=self.neighbours)
        choose("weights", self.weights, ("uniform", "distance"))

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Keep x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K]. `seed` changes nothing."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        rows, options = rows_of(x), {"n_neighbors": min(self.neighbours, len(x)), "weights": self.weights}
        if y.dtype.kind in "iu":
            model = KNeighborsClassifier(**options).fit(rows, y)
            return Fitted(
                0, lambda inputs: log_probabilities(model.predict_proba(rows_of(inputs)), model.classes_, num_outputs)
            )
        numbers = KNeighborsRegressor(**options).fit(rows, y.reshape(len(y), -1))
        return Fitted(0, lambda inputs: numbers.predict(rows_of(inputs)))

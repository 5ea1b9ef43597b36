"""Gradient boosting of decision trees on binned inputs, by scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dlm.baselines.checks import needs_classes_or_numbers
from dlm.baselines.fitted import Fitted, log_probabilities
from dlm.config import unsaid
from dlm.data.arrays import Arrays
from dlm.data.class_weights import class_weights
from dlm.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class GradientBoosting:
    """scikit-learn's HistGradientBoosting, of classes or of numbers (Ke et al. 2017, "LightGBM", is its model).

    `trees` are grown one after another, each of at most `leaves` leaves with `least_in_leaf` examples:
    fewer than scikit-learn's 20, of which a subset of 32 could not be split. `balance` weighs each class by its
    share in the subset to the power of −`balance`, see `class_weights`.
    """

    trees: int = 100
    learning_rate: float = 0.1
    leaves: int = 31
    least_in_leaf: int = 5
    balance: float = unsaid(0.0)

    def __post_init__(self) -> None:
        at_least(1, trees=self.trees, least_in_leaf=self.least_in_leaf)
        at_least(2, leaves=self.leaves)
        at_least(0, balance=self.balance)
        if self.learning_rate <= 0:
            raise UsageError(f"learning_rate={self.learning_rate} must be above 0, such as 0.1")

    def check(self, arrays: Arrays) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, arrays)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K], of which each has its trees."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        rows, options = x.reshape(len(x), -1), self._options(seed)
        if y.dtype.kind in "iu":
            weights = dict(enumerate(class_weights(y, num_outputs, self.balance).tolist())) if self.balance else None
            model = HistGradientBoostingClassifier(class_weight=weights, **options).fit(rows, y)
            return Fitted(
                model.n_iter_,
                lambda inputs: log_probabilities(
                    model.predict_proba(inputs.reshape(len(inputs), -1)), model.classes_, num_outputs
                ),
            )
        models = [HistGradientBoostingRegressor(**options).fit(rows, each) for each in y.reshape(len(y), -1).T]
        return Fitted(
            sum(model.n_iter_ for model in models),
            lambda inputs: np.stack([model.predict(inputs.reshape(len(inputs), -1)) for model in models], axis=1),
        )

    def _options(self, seed: int) -> dict[str, Any]:
        return {
            "max_iter": self.trees,
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.leaves,
            "min_samples_leaf": self.least_in_leaf,
            "early_stopping": False,  # it would hold examples out of the subset
            "random_state": seed,
        }

"""Random forests, by scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dlm.baselines.checks import needs_classes_or_numbers
from dlm.baselines.fitted import Fitted, log_probabilities, rows_of
from dlm.data.arrays import Arrays
from dlm.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class RandomForest:
    """The mean of trees, each grown on its own resample of the subset (Breiman 2001).

    scikit-learn's RandomForestClassifier and RandomForestRegressor. A split looks at a share of the `columns` drawn
    anew; 0 is scikit-learn's choice, the root of their number for classes and all for numbers.
    """

    trees: int = 100
    least_in_leaf: int = 1
    columns: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, trees=self.trees, least_in_leaf=self.least_in_leaf)
        if not 0 <= self.columns <= 1:
            raise UsageError(f"columns={self.columns} is a share, from 0 (scikit-learn's choice) to 1")

    def check(self, arrays: Arrays) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, arrays)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K], of which trees predict all K."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        rows, options = rows_of(x), self._options(seed)
        if y.dtype.kind in "iu":
            model = RandomForestClassifier(**options).fit(rows, y)
            return Fitted(
                self.trees,
                lambda inputs: log_probabilities(model.predict_proba(rows_of(inputs)), model.classes_, num_outputs),
            )
        wanted = y.reshape(len(y), -1)
        numbers = RandomForestRegressor(**options).fit(rows, wanted[:, 0] if wanted.shape[1] == 1 else wanted)
        return Fitted(self.trees, lambda inputs: numbers.predict(rows_of(inputs)).reshape(len(inputs), num_outputs))

    def _options(self, seed: int) -> dict[str, Any]:
        options = {"n_estimators": self.trees, "min_samples_leaf": self.least_in_leaf, "random_state": seed}
        return options | ({"max_features": self.columns} if self.columns else {})

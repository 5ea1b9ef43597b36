"""Gradient boosting of decision trees by LightGBM, which is not installed with dlm."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from dlm.baselines.checks import needs_classes_or_numbers
from dlm.baselines.fitted import Fitted, log_probabilities, rows_of
from dlm.data.arrays import Arrays
from dlm.errors import UsageError, at_least
from dlm.optional import needed, require


@dataclasses.dataclass(frozen=True)
class LightGBM:
    """LightGBM's boosted trees, of classes or of numbers (Ke et al. 2017); `python -m pip install lightgbm`.

    The fields are `GradientBoosting`'s; each tree looks at a share of the `columns`, drawn by the seed, which changes
    nothing where that is all. One thread, and the order of sums fixed: a fit is the same bits every time.
    """

    packages: ClassVar[tuple[str, ...]] = ("lightgbm",)  # whose versions its numbers rest on

    trees: int = 100
    learning_rate: float = 0.1
    leaves: int = 31
    least_in_leaf: int = 5
    columns: float = 1.0

    def __post_init__(self) -> None:
        at_least(1, trees=self.trees, least_in_leaf=self.least_in_leaf)
        at_least(2, leaves=self.leaves)
        if self.learning_rate <= 0:
            raise UsageError(f"learning_rate={self.learning_rate} must be above 0, such as 0.1")
        if not 0 < self.columns <= 1:
            raise UsageError(f"columns={self.columns} is a share, above 0 and at most 1")

    def check(self, arrays: Arrays) -> None:
        """UsageError unless LightGBM is installed and targets are one class or numbers."""
        require("lightgbm", "lightgbm", "LightGBM()")
        needs_classes_or_numbers(self, arrays)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K], of which each has its trees."""
        library = needed("lightgbm", "lightgbm", "LightGBM()")
        rows, options = rows_of(x), self._options(seed)
        if y.dtype.kind in "iu":
            model = library.LGBMClassifier(**options).fit(rows, y)
            return Fitted(
                model.n_estimators_,
                lambda inputs: log_probabilities(model.predict_proba(rows_of(inputs)), model.classes_, num_outputs),
            )
        models = [library.LGBMRegressor(**options).fit(rows, each) for each in y.reshape(len(y), -1).T]
        return Fitted(
            sum(model.n_estimators_ for model in models),
            lambda inputs: np.stack([model.predict(rows_of(inputs)) for model in models], axis=1),
        )

    def _options(self, seed: int) -> dict[str, Any]:
        return {
            "n_estimators": self.trees,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_child_samples": self.least_in_leaf,
            "colsample_bytree": self.columns,
            "random_state": seed,
            "n_jobs": 1,
            "deterministic": True,
            "force_row_wise": True,  # else the faster of two layouts is timed, whose sums differ
            "verbose": -1,
        }

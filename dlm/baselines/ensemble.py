"""Random forests, by scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from dlm.baselines.base import Fitted, log_probabilities, needs_classes_or_numbers, rows_of
from dlm.data.dataset import Dataset, class_weights
from dlm.utils.errors import UsageError, at_least
from dlm.utils.optional_imports import import_optional, require


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

    def check(self, dataset: Dataset) -> None:
        """UsageError unless LightGBM is installed and targets are one class or numbers."""
        require("lightgbm", "LightGBM()")
        needs_classes_or_numbers(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K], of which each has its trees."""
        library = import_optional("lightgbm", "LightGBM()")
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
    balance: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, trees=self.trees, least_in_leaf=self.least_in_leaf)
        at_least(2, leaves=self.leaves)
        at_least(0, balance=self.balance)
        if self.learning_rate <= 0:
            raise UsageError(f"learning_rate={self.learning_rate} must be above 0, such as 0.1")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, dataset)

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

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, dataset)

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

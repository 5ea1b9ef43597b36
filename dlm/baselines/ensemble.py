"""Tree ensembles: gradient boosting by LightGBM and scikit-learn, and random forests by scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

from dlm.baselines.base import (
    FittedBaseline,
    check_positive,
    fitted_classifier,
    fitted_regressors,
    flatten,
    is_classification,
    require_classes_or_numbers,
)
from dlm.baselines.simple import ClassWeight, check_class_weight, class_weight_dict
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least, choose
from dlm.utils.optional_imports import import_optional, require


@dataclasses.dataclass(frozen=True)
class LightGBM:
    """Gradient-boosted trees by LightGBM, for classes or numbers (Ke et al. 2017); `python -m pip install lightgbm`.

    The fields are those of LightGBM's LGBMClassifier and LGBMRegressor. Each tree uses a random fraction
    `colsample_bytree` of the columns. One thread and a fixed order of summation make every fit bit-identical.
    """

    packages: ClassVar[tuple[str, ...]] = ("lightgbm",)  # versions to record

    n_estimators: int = 100
    learning_rate: float = 0.1
    num_leaves: int = 31
    min_child_samples: int = 5
    colsample_bytree: float = 1.0

    def __post_init__(self) -> None:
        at_least(1, n_estimators=self.n_estimators, min_child_samples=self.min_child_samples)
        at_least(2, num_leaves=self.num_leaves)
        check_positive(learning_rate=self.learning_rate)
        if not 0 < self.colsample_bytree <= 1:
            raise UsageError(f"colsample_bytree={self.colsample_bytree} must be above 0 and at most 1")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless LightGBM is installed and each example has one class or numeric targets."""
        require("lightgbm", "LightGBM()")
        require_classes_or_numbers(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y, int [N] or float32 [N] or [N, K]; each of K targets has its own trees."""
        library = import_optional("lightgbm", "LightGBM()")
        options: dict[str, Any] = {
            **dataclasses.asdict(self),
            "random_state": seed,
            "n_jobs": 1,
            "deterministic": True,
            "force_row_wise": True,  # otherwise LightGBM times two layouts, whose sums differ, and takes the faster
            "verbose": -1,
        }
        if is_classification(y):
            model = library.LGBMClassifier(**options).fit(flatten(x), y)
            return fitted_classifier(model, num_outputs, model.n_estimators_)
        models = [library.LGBMRegressor(**options).fit(flatten(x), column) for column in flatten(y).T]
        return fitted_regressors(models, sum(model.n_estimators_ for model in models))


@dataclasses.dataclass(frozen=True)
class HistGradientBoosting:
    """Gradient-boosted trees on binned inputs, for classes or numbers (the algorithm of Ke et al. 2017).

    The fields are those of scikit-learn's HistGradientBoostingClassifier and HistGradientBoostingRegressor.
    `min_samples_leaf` defaults to 5 instead of 20, with which a subset of 32 examples could not be split. For
    `class_weight` see `LogisticRegression`.
    """

    max_iter: int = 100
    learning_rate: float = 0.1
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 5
    l2_regularization: float = 0.0
    class_weight: ClassWeight = None

    def __post_init__(self) -> None:
        at_least(1, max_iter=self.max_iter, min_samples_leaf=self.min_samples_leaf)
        at_least(2, max_leaf_nodes=self.max_leaf_nodes)
        at_least(0, l2_regularization=self.l2_regularization)
        check_positive(learning_rate=self.learning_rate)
        check_class_weight(self.class_weight)

    check = require_classes_or_numbers

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y, int [N] or float32 [N] or [N, K]; each of K targets has its own trees."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        options = dataclasses.asdict(self)
        del options["class_weight"]
        options |= {"random_state": seed, "early_stopping": False}  # it would hold out examples of the subset
        if is_classification(y):
            weights = class_weight_dict(self.class_weight, y, num_outputs)
            model = HistGradientBoostingClassifier(class_weight=weights, **options).fit(flatten(x), y)
            return fitted_classifier(model, num_outputs, model.n_iter_)
        models = [HistGradientBoostingRegressor(**options).fit(flatten(x), column) for column in flatten(y).T]
        return fitted_regressors(models, sum(model.n_iter_ for model in models))


@dataclasses.dataclass(frozen=True)
class RandomForest:
    """Random forest for classes or numbers (Breiman 2001).

    The fields are those of scikit-learn's RandomForestClassifier and RandomForestRegressor; `max_features="auto"` is
    scikit-learn's default, "sqrt" for classes and all columns for numbers. For `class_weight` see `LogisticRegression`.
    """

    n_estimators: int = 100
    max_depth: int | None = None
    min_samples_leaf: int = 1
    max_features: float | Literal["auto", "sqrt", "log2"] = "auto"
    class_weight: ClassWeight = None

    def __post_init__(self) -> None:
        at_least(1, n_estimators=self.n_estimators, min_samples_leaf=self.min_samples_leaf)
        if self.max_depth is not None:
            at_least(1, max_depth=self.max_depth)
        if isinstance(self.max_features, str):
            choose("max_features", self.max_features, ("auto", "sqrt", "log2"))
        elif not 0 < self.max_features <= 1:
            raise UsageError(
                f"max_features={self.max_features} must be above 0 and at most 1, or one of auto, sqrt, log2"
            )
        check_class_weight(self.class_weight)

    check = require_classes_or_numbers

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y, int [N] or float32 [N] or [N, K]; each tree predicts all K targets."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        options: dict[str, Any] = {
            "n_estimators": self.n_estimators,
            "max_depth": self.max_depth,
            "min_samples_leaf": self.min_samples_leaf,
            "random_state": seed,
        }
        if self.max_features != "auto":
            # scikit-learn reads the integer 1 as one column.
            is_name = isinstance(self.max_features, str)
            options["max_features"] = self.max_features if is_name else float(self.max_features)
        if is_classification(y):
            weights = class_weight_dict(self.class_weight, y, num_outputs)
            model = RandomForestClassifier(class_weight=weights, **options).fit(flatten(x), y)
            return fitted_classifier(model, num_outputs, self.n_estimators)
        targets = flatten(y)
        regressor = RandomForestRegressor(**options).fit(
            flatten(x), targets[:, 0] if targets.shape[1] == 1 else targets
        )
        return FittedBaseline(
            self.n_estimators, lambda inputs: regressor.predict(flatten(inputs)).reshape(len(inputs), num_outputs)
        )

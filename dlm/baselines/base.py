"""The interface of classical learners: data checks, and the fitted learner that a task evaluates like a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError

MIN_PROBABILITY = 1e-12  # of classes that a subset does not contain


@dataclasses.dataclass(frozen=True)
class FittedBaseline:
    """`outputs(x [N, ...]) -> [N, num_outputs]`, for example log-probabilities, and the `iterations` of the fit.

    Numeric outputs have the standardized unit of the targets passed to `fit`; with `in_target_unit` the original one.
    """

    iterations: int
    outputs: Callable[[np.ndarray], np.ndarray]
    in_target_unit: bool = False


def check_positive(**values: float) -> None:
    """UsageError unless all values are positive. Keywords are the names in the message."""
    for name, value in values.items():
        if value <= 0:
            raise UsageError(f"{name}={value} must be positive")


def flatten(x: np.ndarray) -> np.ndarray:
    """Inputs [N, ...] as a table [N, D]."""
    return x.reshape(len(x), -1)


def is_classification(y: np.ndarray) -> bool:
    """Whether targets are class indices, not numbers."""
    return y.dtype.kind in "iu"


def fitted_classifier(
    model: Any, num_outputs: int, iterations: int, transform: Callable[[np.ndarray], Any] = flatten
) -> FittedBaseline:
    """Wrap a fitted scikit-learn classifier; `transform` maps inputs [N, ...] to what the model reads."""
    return FittedBaseline(
        iterations, lambda x: log_probabilities(model.predict_proba(transform(x)), model.classes_, num_outputs)
    )


def fitted_regressors(models: Sequence[Any], iterations: int) -> FittedBaseline:
    """Wrap fitted scikit-learn regressors, one for each output."""
    return FittedBaseline(iterations, lambda x: np.stack([model.predict(flatten(x)) for model in models], axis=1))


def constant_classifier(label: int, num_classes: int) -> FittedBaseline:
    """Predicts one class; for subsets with a single class, which scikit-learn's classifiers reject."""
    classes = np.array([label])
    return FittedBaseline(0, lambda x: log_probabilities(np.ones((len(x), 1)), classes, num_classes))


def log_probabilities(probabilities: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Log-probabilities float32 [N, C] of all classes from the probabilities [N, K] of the subset's `classes` [K]."""
    out = np.full((len(probabilities), num_classes), MIN_PROBABILITY)
    out[:, classes] = np.maximum(probabilities, MIN_PROBABILITY)
    return np.log(out).astype(np.float32)


def require_classes(learner: Any, dataset: Dataset) -> None:
    """UsageError unless each example has one class."""
    _require(learner, "classes", dataset, "classes")


def require_numbers(learner: Any, dataset: Dataset) -> None:
    """UsageError unless targets are numeric."""
    _require(learner, "numbers", dataset, "numbers")


def require_classes_or_numbers(learner: Any, dataset: Dataset) -> None:
    """UsageError unless each example has one class or numeric targets."""
    _require(learner, "one class or numbers per example", dataset, "classes", "numbers")


def require_ratings(learner: Any, dataset: Dataset) -> None:
    """UsageError unless inputs are (user, item) pairs and targets are numeric."""
    if not dataset.vocabulary or dataset.train.x.shape[1:] != (2,) or not dataset.has_numeric_targets:
        raise UsageError(
            f"{type(learner).__name__}() predicts ratings, and {dataset.name!r} does not contain ratings; remove the "
            "learner, or use the source Ratings()"
        )


def require_next_items(learner: Any, dataset: Dataset) -> None:
    """UsageError unless inputs are histories of items and targets are the next items."""
    y = dataset.train.y
    if not dataset.vocabulary or dataset.train.x.ndim != 2 or y.shape[1:] != (1,) or y.dtype.kind == "f":
        raise UsageError(
            f"{type(learner).__name__}() recommends the next item, and {dataset.name!r} does not contain item "
            "histories; remove the learner, or use the source NextItems()"
        )


def target_kind(dataset: Dataset) -> str:
    """The kind of targets of a dataset, for messages."""
    if dataset.has_numeric_targets:
        return "numbers"
    if not dataset.num_classes:
        return "tokens"
    return "classes" if dataset.train.y.ndim == 1 else "dense class labels"


def _require(learner: Any, purpose: str, dataset: Dataset, *kinds: str) -> None:
    kind = target_kind(dataset)
    if kind not in kinds:
        remedies = {"numbers": "a regressor such as Ridge()", "classes": "a classifier such as LogisticRegression()"}
        raise UsageError(
            f"{type(learner).__name__}() predicts {purpose}, but the targets of {dataset.name!r} are {kind}; "
            f"remove the learner{f', or use {remedies[kind]}' if kind in remedies else ''}"
        )

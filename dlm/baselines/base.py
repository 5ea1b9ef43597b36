"""What fitting a classical learner gives: the same kind of outputs as a model's, to be measured by the same task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError


def needs_classes(learner: Any, dataset: Dataset) -> None:
    """UsageError unless there is one class an example."""
    if not _has_classes(dataset):
        raise UsageError(
            f"{_name(learner)} tells classes apart, and the targets of {dataset.name!r} are {targets_of(dataset)}; "
            f"leave it out{_instead(dataset)}"
        )


def needs_numbers(learner: Any, dataset: Dataset) -> None:
    """UsageError unless targets are numbers."""
    if not dataset.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} comes near to numbers, and the targets of {dataset.name!r} are {targets_of(dataset)}; "
            f"leave it out{_instead(dataset)}"
        )


def needs_classes_or_numbers(learner: Any, dataset: Dataset) -> None:
    """UsageError for targets that are tokens, or a class at each place."""
    if not _has_classes(dataset) and not dataset.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} learns one class or numbers of an example, and the targets of {dataset.name!r} are "
            f"{targets_of(dataset)}; leave it out{_instead(dataset)}"
        )


def needs_ratings(learner: Any, dataset: Dataset) -> None:
    """UsageError unless inputs are a user and an item, and targets numbers."""
    if not dataset.vocabulary or dataset.train.x.shape[1:] != (2,) or not dataset.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} tells ratings of users and items, and {dataset.name!r} has other data; leave it out, or "
            "use the source Ratings()"
        )


def needs_next_items(learner: Any, dataset: Dataset) -> None:
    """UsageError unless inputs are histories of items, and targets the items that came next."""
    y = dataset.train.y
    if not dataset.vocabulary or dataset.train.x.ndim != 2 or y.shape[1:] != (1,) or y.dtype.kind == "f":
        raise UsageError(
            f"{_name(learner)} recommends the next item, and {dataset.name!r} has other data; leave it out, or use the "
            "source NextItems()"
        )


def targets_of(dataset: Dataset) -> str:
    """The kind of a data set's targets, in words."""
    if dataset.has_numeric_targets:
        return "numbers"
    if _has_classes(dataset):
        return "classes"
    return "a class at each place" if dataset.num_classes else "tokens"


def _name(learner: Any) -> str:
    return f"{type(learner).__name__}()"


def _has_classes(dataset: Dataset) -> bool:
    return dataset.num_classes > 0 and dataset.train.y.ndim == 1


def _instead(dataset: Dataset) -> str:
    if dataset.has_numeric_targets:
        return ", or use one of numbers, such as Ridge()"
    return ", or use one of classes, such as LogisticRegression()" if _has_classes(dataset) else ""


LEAST_PROBABILITY = 1e-12  # for classes that a subset did not hold


@dataclasses.dataclass(frozen=True)
class Fitted:
    """`outputs(x [N, ...]) -> [N, num_outputs]`, such as log-probabilities; `iterations` the fit took.

    Outputs are numbers in the unit of the targets that `fit` was given, which are standardized; with `own_unit` in the
    unit that targets had before.
    """

    iterations: int
    outputs: Callable[[np.ndarray], np.ndarray]
    own_unit: bool = False


def rows_of(x: np.ndarray) -> np.ndarray:
    """Inputs [N, ...] as rows of a table [N, D]."""
    return x.reshape(len(x), -1)


def constant(label: int, num_classes: int) -> Fitted:
    """What there is to learn from a subset of one class, which scikit-learn's classifiers refuse."""
    sure = np.array([label])
    return Fitted(0, lambda x: log_probabilities(np.ones((len(x), 1)), sure, num_classes))


def log_probabilities(probabilities: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Log-probabilities of all classes from those [N, K] of the `classes` [K] that were seen. float32 [N, C]."""
    out = np.full((len(probabilities), num_classes), LEAST_PROBABILITY)
    out[:, classes] = np.maximum(probabilities, LEAST_PROBABILITY)
    return np.log(out).astype(np.float32)

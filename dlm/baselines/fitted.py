"""What fitting a classical learner gives: the same kind of outputs as a model's, to be measured by the same task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

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

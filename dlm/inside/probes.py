"""What a linear reader makes of a layer: probes, fitted to activations, chosen on validation, measured on test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from dlm.baselines import LogisticRegression, Ridge
from dlm.tasks import LanguageModelling

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of C, the inverse of logistic regression's penalty on standardized features
PENALTIES = (1.0, 30.0, 1000.0)  # of ridge regression
MAX_ITER = 200


class Examples(NamedTuple):
    """Features [N, F] and what they should tell [N, ...]."""

    x: np.ndarray
    y: np.ndarray


def probe(task: Any, train: Examples, validation: Examples, test: Examples, num_outputs: int) -> tuple[float, Any]:
    """(test error in the task's unit, the chosen reader): logistic regression of classes and tokens, ridge of numbers.

    Alain & Bengio (2017), "Understanding intermediate layers using linear classifier probes". Features are standardized
    by the training rows; the strength of the penalty is the one with the least validation loss, which is less coarse
    than the error.
    """
    train, validation, test = standardized([train, validation, test])
    readers: Sequence[Any] = [LogisticRegression(c, MAX_ITER) for c in STRENGTHS]
    if train.y.dtype.kind == "f":
        readers = [Ridge(penalty) for penalty in PENALTIES]
    found = []
    with threadpoolctl.threadpool_limits(1):
        for reader in readers:
            fitted = reader.fit(train.x, train.y, num_outputs, 0)
            chosen_by, reported = (measured(task, fitted.outputs(part.x), part.y) for part in (validation, test))
            found.append((chosen_by["loss"], reported["error"], reader))
    _, error, reader = min(found, key=lambda each: each[0])
    return error, reader


def standardized(parts: Sequence[Examples]) -> list[Examples]:
    """All parts by the first one's mean and standard deviation; what is constant there is 0."""
    mean, spread = parts[0].x.mean(axis=0, dtype=np.float64), parts[0].x.std(axis=0, dtype=np.float64)
    rate = np.where(spread > 1e-6 * np.abs(mean) + 1e-12, 1 / np.maximum(spread, 1e-12), 0.0)
    return [Examples(((part.x - mean) * rate).astype(np.float32), part.y) for part in parts]


def measured(task: Any, outputs: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The task's measures over all examples, of outputs in the targets' own unit."""
    if isinstance(task, LanguageModelling) and y.ndim == 1:
        outputs, y = outputs[:, None], y[:, None]  # each place a text of its own
    means = {
        name: float(np.mean(np.asarray(each), dtype=np.float64)) for name, each in task.measures(outputs, y).items()
    }
    return {name: float(value) for name, value in task.finish(means).items()}

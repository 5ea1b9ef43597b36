"""What a linear reader makes of a layer: probes, fitted to activations, chosen on validation, measured on test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from dlm.baselines import LogisticRegression, Ridge
from dlm.tasks import LanguageModelling

FEWEST = 4  # examples that the estimator needs


def centred_gram(features: np.ndarray) -> np.ndarray:
    """Products of all pairs of examples, centred so that their product with another's is unbiased. [N, D] -> [N, N].

    U-centring: of independent features the expected product is 0 for any N, where the usual centring gives wide layers
    at few examples a similarity near 1. Székely & Rizzo (2014); Song et al. (2012), "Feature selection via dependence
    maximization".
    """
    number = len(features)
    if number < FEWEST:
        raise ValueError(f"{number} examples are too few for CKA; give at least {FEWEST}")
    x = features.reshape(number, -1).astype(np.float64)
    x = x - x.mean(axis=0, keepdims=True)  # which changes nothing but the rounding
    gram = x @ x.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=1) / (number - 2)
    total = gram.sum() / ((number - 1) * (number - 2))
    gram = gram - rows[:, None] - rows[None, :] + total
    np.fill_diagonal(gram, 0.0)
    return gram


def of_grams(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of two centred Grams [N, N] of the same examples; NaN where a layer is constant.

    1: the same but for rotation and scale; near 0: independent, and by chance a little below 0. Kornblith et al.
    (2019), "Similarity of neural network representations revisited", with the estimator of Nguyen et al. (2021), "Do
    wide and deep networks learn the same things?".
    """
    size = np.sqrt(np.vdot(first, first) * np.vdot(second, second))
    return float(np.vdot(first, second) / size) if size > 0 else float("nan")


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of features [N, D] and [N, E] of the same examples."""
    return of_grams(centred_gram(first), centred_gram(second))


def pairwise(grams: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """(CKA of all pairs [K, K], control): the control is the first's with the others' examples in another order."""
    values = np.array([[of_grams(one, other) for other in grams] for one in grams])
    shuffled = np.random.default_rng(0).permutation(len(grams[0]))
    others = [of_grams(grams[0], gram[np.ix_(shuffled, shuffled)]) for gram in grams]
    return values, float(np.mean(others))


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
        name: float(np.mean(np.asarray(values), dtype=np.float64))
        for name, values in task.example_metrics(outputs, y).items()
    }
    return {name: float(value) for name, value in task.aggregate(means).items()}

"""Compares layer representations: linear probes of activations, and linear CKA between networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from dlm.baselines import LogisticRegression, Ridge
from dlm.tasks import LanguageModelling

FEWEST = 4  # examples for the unbiased estimator of CKA


def centered_gram(features: np.ndarray) -> np.ndarray:
    """U-centred Gram matrix, with which the CKA estimate is unbiased. [N, D] -> [N, N].

    For independent features the expected product is 0 at any N; the usual centring gives wide layers a similarity near
    1 at few examples. Székely & Rizzo (2014); Song et al. (2012), "Feature selection via dependence
    maximization".
    """
    number = len(features)
    if number < FEWEST:
        raise ValueError(f"{number} examples are too few for CKA; give at least {FEWEST}")
    x = features.reshape(number, -1).astype(np.float64)
    x = x - x.mean(axis=0, keepdims=True)  # affects only rounding
    gram = x @ x.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=1) / (number - 2)
    total = gram.sum() / ((number - 1) * (number - 2))
    gram = gram - rows[:, None] - rows[None, :] + total
    np.fill_diagonal(gram, 0.0)
    return gram


def cka_of_grams(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of two centred Gram matrices [N, N] of the same examples; NaN where a layer is constant.

    1: equal up to rotation and scale; near 0 (possibly below): independent. Kornblith et al.
    (2019), "Similarity of neural network representations revisited", with the estimator of Nguyen et al. (2021), "Do
    wide and deep networks learn the same things?".
    """
    size = np.sqrt(np.vdot(first, first) * np.vdot(second, second))
    return float(np.vdot(first, second) / size) if size > 0 else float("nan")


def pairwise(grams: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """(CKA of all pairs [K, K], control); the control is the mean CKA of the first with permuted examples."""
    values = np.array([[cka_of_grams(one, other) for other in grams] for one in grams])
    shuffled = np.random.default_rng(0).permutation(len(grams[0]))
    others = [cka_of_grams(grams[0], gram[np.ix_(shuffled, shuffled)]) for gram in grams]
    return values, float(np.mean(others))


STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of C, the inverse of logistic regression's penalty on standardized features
PENALTIES = (1.0, 30.0, 1000.0)  # of ridge regression
MAX_ITER = 200


class Examples(NamedTuple):
    """Features [N, F] and targets [N, ...]."""

    x: np.ndarray
    y: np.ndarray


def fit_probe(task: Any, train: Examples, validation: Examples, test: Examples, num_outputs: int) -> tuple[float, Any]:
    """(test error in the task's unit, the selected estimator) of a linear probe.

    Logistic regression for classes and tokens, ridge regression for numbers. Alain & Bengio (2017), "Understanding
    intermediate layers using linear classifier probes". Features are standardized by the training rows. The validation
    loss, which is less coarse than the error, selects the penalty.
    """
    train, validation, test = standardized([train, validation, test])
    estimators: Sequence[Any] = [LogisticRegression(c, MAX_ITER) for c in STRENGTHS]
    if train.y.dtype.kind == "f":
        estimators = [Ridge(penalty) for penalty in PENALTIES]
    candidates = []
    with threadpoolctl.threadpool_limits(1):
        for estimator in estimators:
            fitted = estimator.fit(train.x, train.y, num_outputs, 0)
            on_validation, on_test = (
                evaluate_outputs(task, fitted.outputs(part.x), part.y) for part in (validation, test)
            )
            candidates.append((on_validation["loss"], on_test["error"], estimator))
    _, error, estimator = min(candidates, key=lambda each: each[0])
    return error, estimator


def standardized(parts: Sequence[Examples]) -> list[Examples]:
    """All parts standardized by the first one's mean and standard deviation; constant features become 0."""
    mean, spread = parts[0].x.mean(axis=0, dtype=np.float64), parts[0].x.std(axis=0, dtype=np.float64)
    rate = np.where(spread > 1e-6 * np.abs(mean) + 1e-12, 1 / np.maximum(spread, 1e-12), 0.0)
    return [Examples(((part.x - mean) * rate).astype(np.float32), part.y) for part in parts]


def evaluate_outputs(task: Any, outputs: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The task's measures over all examples, of outputs in the targets' unit."""
    if isinstance(task, LanguageModelling) and y.ndim == 1:
        outputs, y = outputs[:, None], y[:, None]  # each position is a text
    metrics = task.example_metrics(outputs, y)
    means = {name: float(np.mean(np.asarray(values), dtype=np.float64)) for name, values in metrics.items()}
    return {name: float(value) for name, value in task.aggregate(means).items()}

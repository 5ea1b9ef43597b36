"""The chance level of a study: the error of the best prediction that ignores the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dlm.baselines.base import MIN_PROBABILITY, FittedBaseline
from dlm.baselines.evaluation import SubsetView, choose_on_validation, evaluate_split
from dlm.baselines.time_series import SeasonalNaive
from dlm.data.dataset import Dataset
from dlm.data.normalization import normalization_stats
from dlm.study.names import ERROR, ChanceLevel
from dlm.study.noise import Noise
from dlm.train.types import TEST_SEED

if TYPE_CHECKING:
    from dlm.tasks import Task

Outputs = Callable[[np.ndarray], np.ndarray]


def chance_level(task: Task, dataset: Dataset, test_noise: Noise) -> ChanceLevel | None:
    """Test error of the best constant prediction, which is estimated on the whole training pool.

    It is the majority class (by class frequencies, for errors of probabilities), the mean of numbers, the last value of
    a time series, the frequencies of tokens, or the most frequent items. None for other targets, and for an undefined
    error.
    """
    prediction = _constant(dataset)
    if prediction is None:
        return None
    outputs, name = prediction
    view = SubsetView(dataset, normalization_stats(dataset, np.arange(len(dataset.train))))
    fitted = FittedBaseline(0, outputs, in_target_unit=True)
    chosen = choose_on_validation(task, fitted, view)
    error = evaluate_split(task, fitted, view, dataset.test, test_noise, TEST_SEED, None, chosen).values[ERROR]
    return ChanceLevel(error, name) if np.isfinite(error) else None


def _constant(dataset: Dataset) -> tuple[Outputs, str] | None:
    """The constant prediction for a dataset: a function of inputs [N, ...], and its name."""
    y = dataset.train.y
    if dataset.num_classes and y.ndim == 1:
        return _repeated(_log_shares(y, dataset.num_classes)), "the majority class"
    if dataset.vocabulary and y.ndim == 2:
        shares = _log_shares(y, dataset.vocabulary)
        if y.shape[1] == 1 and dataset.train.x.shape != y.shape:
            return _repeated(shares), "the most frequent items"
        return _repeated(np.tile(shares, (y.shape[1], 1))), "token frequencies"
    if not dataset.has_numeric_targets:
        return None
    if dataset.time_ordered and dataset.train.x.ndim == 3 and y.ndim == 3:
        naive = SeasonalNaive().fit(dataset.train.x[:1], y[:1], int(np.prod(y.shape[1:])), 0)
        return naive.outputs, "the last value"
    return _repeated(y.reshape(len(y), -1).mean(axis=0, dtype=np.float64).astype(np.float32)), "the mean"


def _repeated(row: np.ndarray) -> Outputs:
    return lambda x: np.broadcast_to(row, (len(x), *row.shape))


def _log_shares(y: np.ndarray, num_classes: int) -> np.ndarray:
    """Log-frequencies [C] of the classes of the training pool."""
    counts = np.bincount(y.ravel(), minlength=num_classes)
    return np.log(np.maximum(counts / counts.sum(), MIN_PROBABILITY)).astype(np.float32)

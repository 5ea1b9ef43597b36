"""Mean and standard deviation of a training subset, by which its learner sees inputs and targets."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dlm.data.dataset import Dataset

Array = Any  # numpy.ndarray or jax.Array
MOST_DEVIATIONS = 8.0  # of an input: by the spread of a few rows any other value may look extreme


class NormalizationStats(NamedTuple):
    """Statistics of one training subset: of inputs [D] (or [...]), and of targets [] or [K]; float32.

    `rate` is 1 / standard deviation, and 0 for a column that is constant in the subset, such as a category that it does
    not hold: that column is 0 for the learner in every split. Columns of inputs that are not standardized have mean 0
    and rate 1, and so have targets that are no numbers.
    """

    mean: Array
    rate: Array
    target_mean: Array
    target_spread: Array

    def inputs(self, x: Array, xp: ModuleType = np) -> Array:
        """Inputs standardized; what is missing (NaN) becomes 0, the mean."""
        seen = xp.clip((x - self.mean[None]) * self.rate[None], -MOST_DEVIATIONS, MOST_DEVIATIONS)
        return xp.where(xp.isnan(x), xp.zeros_like(seen), seen)

    def targets(self, y: Array) -> Array:
        """Numbers to predict as the learner meets them."""
        return (y - _row(self.target_mean)) / _row(self.target_spread)

    def outputs(self, outputs: Array) -> Array:
        """What a learner predicts, in the targets' own unit."""
        return outputs * _row(self.target_spread) + _row(self.target_mean)


def _row(statistic: Array) -> Array:
    """A statistic as one row of examples; of a single number, the number."""
    return statistic[None] if statistic.ndim else statistic


def normalization_stats(dataset: Dataset, rows: np.ndarray) -> NormalizationStats | None:
    """Statistics of the rows of the pool given; None where a learner sees everything as it is."""
    of_targets = dataset.has_numeric_targets and not dataset.in_time
    if not dataset.standardize and not of_targets:
        return None
    mean, rate, target_mean, target_spread = (np.asarray(number, np.float64) for number in (0, 1, 0, 1))
    if dataset.standardize:
        mean, rate = _of_inputs(np.asarray(dataset.train.x[rows]))
    if of_targets:
        y = np.asarray(dataset.train.y[rows], np.float64)
        target_mean, spread = np.asarray(y.mean(axis=0)), np.asarray(y.std(axis=0))
        target_spread = np.where(spread > 0, spread, 1.0)
    return NormalizationStats(*(np.asarray(part, np.float32) for part in (mean, rate, target_mean, target_spread)))


def _of_inputs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1 / standard deviation [...] of x [n, ...] by scikit-learn, which passes missing values over."""
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value
        fitted = StandardScaler().fit(np.asarray(x, np.float64).reshape(len(x), -1))
    varies = np.nan_to_num(fitted.var_) > 0
    rate = np.where(varies, 1 / np.where(varies, fitted.scale_, 1), 0)
    return np.nan_to_num(fitted.mean_).reshape(x.shape[1:]), rate.reshape(x.shape[1:])

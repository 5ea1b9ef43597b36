"""Normalizes inputs and targets by the mean and standard deviation of a trial's training subset."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dlm.data.dataset import Dataset

Array = Any  # numpy.ndarray or jax.Array
MAX_DEVIATIONS = 8.0  # standardized inputs are clipped here; a subset of few rows may have a very small deviation


class NormalizationStats(NamedTuple):
    """Statistics of one training subset: of inputs [D] (or [...]), and of targets [] or [K]; float32.

    `inv_std` is 1 / standard deviation, and 0 for a column that is constant in the subset, for example a category that
    does not occur in it; the learner then gets 0 in every split. Inputs and targets that are not standardized have mean
    0 and standard deviation 1.
    """

    mean: Array
    inv_std: Array
    target_mean: Array
    target_std: Array

    def inputs(self, x: Array, xp: ModuleType = np) -> Array:
        """Standardized inputs; a missing value (NaN) becomes 0, the mean."""
        scaled = xp.clip((x - self.mean[None]) * self.inv_std[None], -MAX_DEVIATIONS, MAX_DEVIATIONS)
        return xp.where(xp.isnan(x), xp.zeros_like(scaled), scaled)

    def targets(self, y: Array) -> Array:
        """Standardized numeric targets."""
        return (y - _row(self.target_mean)) / _row(self.target_std)

    def outputs(self, outputs: Array) -> Array:
        """Predictions in the unit of the targets."""
        return outputs * _row(self.target_std) + _row(self.target_mean)


def _row(statistic: Array) -> Array:
    """A statistic with a leading axis for the examples, unless it is a scalar."""
    return statistic[None] if statistic.ndim else statistic


def normalization_stats(dataset: Dataset, rows: np.ndarray) -> NormalizationStats | None:
    """Statistics of the given rows of the pool; None if neither inputs nor targets are standardized."""
    standardize_targets = dataset.has_numeric_targets and not dataset.time_ordered
    if not dataset.standardize and not standardize_targets:
        return None
    mean, inv_std, target_mean, target_std = (np.asarray(number, np.float64) for number in (0, 1, 0, 1))
    if dataset.standardize:
        mean, inv_std = _input_stats(np.asarray(dataset.train.x[rows]))
    if standardize_targets:
        y = np.asarray(dataset.train.y[rows], np.float64)
        target_mean, std = np.asarray(y.mean(axis=0)), np.asarray(y.std(axis=0))
        target_std = np.where(std > 0, std, 1.0)
    return NormalizationStats(*(np.asarray(each, np.float32) for each in (mean, inv_std, target_mean, target_std)))


def _input_stats(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1 / standard deviation [...] of x [n, ...] by scikit-learn, which skips missing values."""
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without any value
        fitted = StandardScaler().fit(np.asarray(x, np.float64).reshape(len(x), -1))
    varies = np.nan_to_num(fitted.var_) > 0
    inv_std = np.where(varies, 1 / np.where(varies, fitted.scale_, 1), 0)
    return np.nan_to_num(fitted.mean_).reshape(x.shape[1:]), inv_std.reshape(x.shape[1:])

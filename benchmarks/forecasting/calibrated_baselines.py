"""Calibrated intervals of two baselines: a widened power law, and the last value with a spread.

Both are as wide as the selection half of the datasets requires at each ratio, so that the comparison measures
sharpness and evenness only.
"""

from __future__ import annotations

import collections
import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.scores import log_miss, smallest_error
from benchmarks.forecasting.single_laws import clipped

Array = NDArray[np.float64]

NORMAL_95 = 1.959964
_LEAST_WIDTH = 2e-4  # an exact fit is chance, and the archives give four digits
_LEAST_ERROR = 1e-3  # standard error, in the unit of the errors, that every mean has for its misfit to the law
_EXPONENTS = (0.3, 1.0)  # starts
_MAX_EVALUATIONS = 2000


@dataclasses.dataclass(frozen=True)
class Told:
    """A rival's median and the half-width, before it is widened, of its interval: in the errors' unit, or in logs."""

    task: Task
    median: float
    spread: float
    in_logs: bool = False

    def interval(self, factor: float) -> tuple[float, float]:
        """Ends of the interval, inside the bound."""
        width = factor * self.spread * np.array([-1.0, 1.0])
        low, high = clipped(self.median * np.exp(width) if self.in_logs else self.median + width, self.task)
        return float(low), float(high)

    def factor_needed(self) -> float:
        """The least factor with which the interval holds the measured value."""
        target = float(self.task.targets[-1])
        gap = (
            float(log_miss(target, self.median, smallest_error(self.task.bound)))
            if self.in_logs
            else abs(target - self.median)
        )
        return gap / self.spread


def spread_last_value(task: Task) -> Told:
    """The last value; in log error, so that its factor is a quantile of |log error ratio|."""
    return Told(task, max(float(task.means[-1]), smallest_error(task.bound)), 1.0, in_logs=True)


def power_law(task: Task) -> Told:
    """A power law with limit, by weighted least squares on errors, and the half-width of its textbook 95 % interval.

    The delta method: the covariance of the parameters, times the gradient of the prediction; scaled by the
    residuals where they are larger than the standard errors say.
    """
    largest, weights = task.train_sizes[-1], standard_errors(task)
    fits = [one for alpha in _EXPONENTS if (one := _least_squares(task, largest, weights, alpha)) is not None]
    if not fits:
        return Told(task, float(task.means[-1]), float(NORMAL_95 * weights[-1]))
    misfit, parameters, covariance = min(fits, key=lambda one: one[0])
    _, factor, alpha = parameters
    x = task.at[-1] / largest
    gradient = np.array([1.0, x**-alpha, -factor * x**-alpha * np.log(x)])
    variance = float(gradient @ covariance @ gradient) * max(misfit / max(len(task.train_sizes) - 3, 1), 1.0)
    median = float(clipped(np.array([_power(x, *parameters)]), task)[0])
    spread = NORMAL_95 * np.sqrt(variance) if np.isfinite(variance) and variance >= 0 else abs(median)
    return Told(task, median, float(max(spread, _LEAST_WIDTH * unit(task))))


def _power(x: Array, limit: float, factor: float, alpha: float) -> Array:
    return np.asarray(limit + factor * x**-alpha)


def _least_squares(task: Task, largest: float, sd: Array, alpha: float) -> tuple[float, Array, Array] | None:
    """Sum of squares, parameters and their covariance, from one start; None where it does not converge."""
    from scipy.optimize import OptimizeWarning, curve_fit

    last = float(max(task.means[-1], smallest_error(task.bound)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            found, covariance = curve_fit(
                _power,
                task.train_sizes / largest,
                task.means,
                p0=[0.7 * last, 0.3 * last, alpha],
                sigma=sd,
                absolute_sigma=True,
                bounds=([0.0, -np.inf, 0.01], [np.inf, np.inf, 3.0]),
                max_nfev=_MAX_EVALUATIONS,
            )
    except (RuntimeError, ValueError):
        return None
    residuals = (task.means - _power(task.train_sizes / largest, *found)) / sd
    return float(residuals @ residuals), found, covariance


def standard_errors(task: Task) -> Array:
    """Standard errors of the means [K]: given, or from the repeats, or a share of the error; never nothing."""
    if task.stderr is not None:
        known = task.stderr
    elif task.errors.ndim == 2 and task.errors.shape[1] > 1:
        count = np.isfinite(task.errors).sum(axis=1)
        deviation = task.errors - task.means[:, None]
        pooled = np.nansum(deviation**2) / max(float((count - 1).sum()), 1.0)
        known = np.sqrt(pooled / count)
    else:
        known = np.zeros(len(task.train_sizes))
    return np.asarray(np.maximum(known, _LEAST_ERROR * unit(task)))


def unit(task: Task) -> float:
    """1 for an error rate, else the largest error shown: what the least widths are shares of."""
    return 1.0 if task.bound[1] == 1.0 else max(float(np.abs(task.means).max()), smallest_error(task.bound))


def factors(told: Sequence[Told], level: float = 0.95) -> dict[float, float]:
    """By ratio: the factor with which intervals hold `level` of the measured values."""
    needed = collections.defaultdict(list)
    for one in told:
        needed[one.task.ratio].append(one.factor_needed())
    return {ratio: float(np.quantile(values, level, method="higher")) for ratio, values in needed.items()}

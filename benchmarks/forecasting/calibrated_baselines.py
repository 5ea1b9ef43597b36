"""Calibrated intervals of two baselines: a widened power law, and the last value with a spread.

Their widths are calibrated to nominal coverage on the selection half of the datasets at each ratio, so that the
comparison measures sharpness and uniformity of coverage only.
"""

from __future__ import annotations

import collections
import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.scores import abs_log_error, smallest_error
from benchmarks.forecasting.single_laws import clipped

Array = NDArray[np.float64]

NORMAL_95 = 1.959964
_LEAST_WIDTH = 2e-4  # an exact fit is accidental, and the archives have four digits
_LEAST_ERROR = 1e-3  # minimum standard error of a mean, for the misfit of the law
_EXPONENTS = (0.3, 1.0)  # starts
_MAX_EVALUATIONS = 2000


@dataclasses.dataclass(frozen=True)
class BaselineForecast:
    """Median and half-width of a baseline's interval before calibration, in the unit of the errors or in logs."""

    task: Task
    median: float
    spread: float
    in_logs: bool = False

    def interval(self, factor: float) -> tuple[float, float]:
        """Ends of the interval, clipped to the bound."""
        width = factor * self.spread * np.array([-1.0, 1.0])
        low, high = clipped(self.median * np.exp(width) if self.in_logs else self.median + width, self.task)
        return float(low), float(high)

    def factor_needed(self) -> float:
        """The smallest factor with which the interval contains the measured value."""
        target = float(self.task.targets[-1])
        gap = (
            float(abs_log_error(target, self.median, smallest_error(self.task.bound)))
            if self.in_logs
            else abs(target - self.median)
        )
        return gap / self.spread


def spread_last_value(task: Task) -> BaselineForecast:
    """The last value with a spread in log error; its factor is a quantile of |log error ratio|."""
    return BaselineForecast(task, max(float(task.means[-1]), smallest_error(task.bound)), 1.0, in_logs=True)


def power_law(task: Task) -> BaselineForecast:
    """A power law with a limit by weighted least squares, and the half-width of its 95 % interval (delta method).

    The variance is the covariance of the parameters projected on the gradient of the prediction, multiplied by the
    reduced chi-square if that is above 1.
    """
    largest, weights = task.train_sizes[-1], standard_errors(task)
    fits = [one for alpha in _EXPONENTS if (one := _least_squares(task, largest, weights, alpha)) is not None]
    if not fits:
        return BaselineForecast(task, float(task.means[-1]), float(NORMAL_95 * weights[-1]))
    misfit, parameters, covariance = min(fits, key=lambda one: one[0])
    _, factor, alpha = parameters
    x = task.at[-1] / largest
    gradient = np.array([1.0, x**-alpha, -factor * x**-alpha * np.log(x)])
    variance = float(gradient @ covariance @ gradient) * max(misfit / max(len(task.train_sizes) - 3, 1), 1.0)
    median = float(clipped(np.array([_power(x, *parameters)]), task)[0])
    spread = NORMAL_95 * np.sqrt(variance) if np.isfinite(variance) and variance >= 0 else abs(median)
    return BaselineForecast(task, median, float(max(spread, _LEAST_WIDTH * unit(task))))


def _power(x: Array, limit: float, factor: float, alpha: float) -> Array:
    return np.asarray(limit + factor * x**-alpha)


def _least_squares(task: Task, largest: float, sd: Array, alpha: float) -> tuple[float, Array, Array] | None:
    """Sum of squares, parameters and their covariance, from one start; None if it does not converge."""
    from scipy.optimize import OptimizeWarning, curve_fit

    last = float(max(task.means[-1], smallest_error(task.bound)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            solution, covariance = curve_fit(
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
    residuals = (task.means - _power(task.train_sizes / largest, *solution)) / sd
    return float(residuals @ residuals), solution, covariance


def standard_errors(task: Task) -> Array:
    """Standard errors of the means [K]: given, otherwise from the repeats; never below a share of the error."""
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
    """1 for an error rate, otherwise the largest visible error; minimum widths are shares of it."""
    return 1.0 if task.bound[1] == 1.0 else max(float(np.abs(task.means).max()), smallest_error(task.bound))


def factors(forecasts: Sequence[BaselineForecast], level: float = 0.95) -> dict[float, float]:
    """By ratio: the factor with which intervals contain a share `level` of the measured values."""
    needed = collections.defaultdict(list)
    for one in forecasts:
        needed[one.task.ratio].append(one.factor_needed())
    return {ratio: float(np.quantile(values, level, method="higher")) for ratio, values in needed.items()}

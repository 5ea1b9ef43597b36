"""Fits single laws by least squares, as baselines of the forecaster: pow2, pow3, pow4, mmf4, wbl4, exp3.

Every law is error(n) = c + a · g(n/N; θ), N the largest visible size. Over a grid of θ the linear parameters have a
closed-form solution; the best grid points are refined by robust least squares on log error (formulas: Viering and Loog
2022, arXiv 2103.10948; fitting log error: Hoffmann et al. 2022, arXiv 2203.15556).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.scores import smallest_error

Array = NDArray[np.float64]

SPREAD = 0.03  # of log error, from which the loss is linear, so that outliers have little influence
NUM_STARTS = 3  # grid points that are refined
_APART = 0.7  # minimum distance between these, in log θ
_FLOORS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.96, 0.99)  # candidate limits c, as shares of the smallest error
_TINY = 1e-12
_FARTHEST = 200.0  # bound of an exponent: larger values are far from any data and overflow when squared
_MAX_EVALUATIONS = 200


@dataclasses.dataclass(frozen=True)
class Form:
    """One family: `decay(x, *θ)` is g, `axes` the grid of each θ, which are positive; `limit`: whether c is free."""

    name: str
    axes: tuple[tuple[float, float, int], ...]
    decay: Callable[..., Array]
    limit: bool = True

    @functools.cached_property
    def grid(self) -> Array:
        """Starts [G, P], natural units, for relative sizes."""
        mesh = np.meshgrid(*(np.geomspace(*axis) for axis in self.axes), indexing="ij")
        return np.stack([axis.ravel() for axis in mesh], axis=1)

    def shape(self, theta: Array, x: Array) -> Array:
        """g [G, K] for parameters [G, P] at relative sizes [K]."""
        return np.clip(self.decay(x[None, :], *theta.T[:, :, None]), 1e-90, 1e90)

    def curve(self, free: Array, x: Array) -> Array:
        """c + a·g [K] of free parameters (c, a, log θ), at least _TINY."""
        return np.maximum(free[0] + free[1] * self.shape(np.exp(free[None, 2:]), x)[0], _TINY)


POW2 = Form("pow2", ((0.01, 3, 30),), lambda x, alpha: x**-alpha, limit=False)
POW3 = Form("pow3", ((0.01, 3, 30),), lambda x, alpha: x**-alpha)
POW4 = Form("pow4", ((0.03, 5, 16), (1e-3, 3, 10)), lambda x, alpha, shift: ((x + shift) / (1 + shift)) ** -alpha)
MMF4 = Form("mmf4", ((0.1, 5, 14), (1e-3, 10, 12)), lambda x, alpha, knee: 1 / (1 + (x / knee) ** alpha))
WBL4 = Form(
    "wbl4",
    ((0.05, 2, 14), (1e-5, 10, 14)),
    lambda x, alpha, knee: np.exp(np.clip(knee**-alpha - (x / knee) ** alpha, -_FARTHEST, _FARTHEST)),
)
EXP3 = Form("exp3", ((0.05, 60, 30),), lambda x, rate: np.exp(np.minimum(rate * (1 - x), _FARTHEST)))
FORMS = (POW2, POW3, POW4, MMF4, WBL4, EXP3)
FOUR = ("pow3", "pow4", "mmf4", "wbl4")  # their median is a further baseline


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted law: `free` is (c, a, log θ) in relative sizes; `jacobian` [K, F] of the residuals, `residuals` [K]."""

    form: Form
    free: Array
    largest: float
    scale: float
    jacobian: Array
    residuals: Array

    def at(self, train_sizes: Array) -> Array:
        """Errors [A] at sizes [A]."""
        return self.scale * self.form.curve(self.free, np.asarray(train_sizes, dtype=float) / self.largest)


def fit(form: Form, train_sizes: Array, errors: Array, spread: Array | float = SPREAD, loss: str = "soft_l1") -> Fitted:
    """The best fit of a law to positive errors [K].

    Args:
      form: the law.
      train_sizes, errors: [K].
      spread: s.d. of log error, a number or [K], in which residuals are counted.
      loss: of `scipy.optimize.least_squares`; "linear" for squares.
    """
    from scipy.optimize import least_squares  # slow to import

    x, scale = train_sizes / train_sizes[-1], float(np.exp(np.log(errors).mean()))
    target, sd = np.log(errors / scale), np.broadcast_to(np.asarray(spread, dtype=float), errors.shape)
    least = float(np.exp(target.min()))
    low = np.array([0.0, -np.inf, *(np.log(axis[0]) for axis in form.axes)])
    high = np.array([least if form.limit else 1e-9 * least, np.inf, *(np.log(axis[1]) for axis in form.axes)])

    def residuals(free: Array) -> Array:
        return np.asarray((np.log(form.curve(free, x)) - target) / sd)

    best = None
    for start in _starts(form, x, target, sd):
        inside = np.clip(start, low + 1e-3 * np.minimum(high - low, 1), high - 1e-3 * np.minimum(high - low, 1))
        solution = least_squares(
            residuals, inside, bounds=(low, high), loss=loss, x_scale="jac", max_nfev=_MAX_EVALUATIONS
        )
        if best is None or solution.cost < best.cost:
            best = solution
    assert best is not None
    return Fitted(form, best.x, float(train_sizes[-1]), scale, best.jac, residuals(best.x))


def _starts(form: Form, x: Array, target: Array, sd: Array) -> list[Array]:
    """Start parameters: the best grid points with a minimum distance from each other."""
    shape = form.shape(form.grid, x)
    error = np.exp(target)
    weight = 1 / (error * sd) ** 2  # relative squared errors approximate squared log errors
    floors = np.array(_FLOORS if form.limit else _FLOORS[:1]) * error.min()
    gap = error[None, :] - floors[:, None]
    factor = np.einsum("k,gk,fk->gf", weight, shape, gap) / (weight * shape**2).sum(axis=1)[:, None]
    curve = np.maximum(floors[None, :, None] + factor[:, :, None] * shape[:, None, :], _TINY)
    misfit = np.sqrt(1 + ((np.log(curve) - target) / sd) ** 2).sum(axis=2)
    starts: list[Array] = []
    for flat in np.argsort(misfit, axis=None):
        row, column = np.unravel_index(flat, misfit.shape)
        logs = np.log(form.grid[row])
        if all(np.abs(logs - other[2:]).max() > _APART for other in starts):
            starts.append(np.concatenate([[floors[column], factor[row, column]], logs]))
        if len(starts) == NUM_STARTS:
            break
    return starts


def positive(task: Task) -> Array:
    """Mean errors [K] with zeros replaced by half the least positive one, or by `smallest_error`."""
    errors = task.means
    least = float(errors[errors > 0].min()) if (errors > 0).any() else 2 * smallest_error(task.bound)
    return np.where(errors > 0, errors, 0.5 * least)


def clipped(predicted: Array, task: Task) -> Array:
    """Predictions clipped to the bound, finite and positive."""
    high = np.inf if task.bound[1] is None else task.bound[1]
    return np.clip(np.nan_to_num(predicted, nan=float(task.means[-1])), max(task.bound[0], _TINY), high)


def last_value(task: Task) -> Array:
    """The error at the largest visible size, repeated for all requested sizes [A]."""
    return np.full(len(task.at), task.means[-1])


def single_laws(task: Task, forms: Sequence[Form] = FORMS) -> dict[str, Array]:
    """Predictions [A] of the best fit of each law, the last value, and the median of four laws."""
    errors = positive(task)
    predictions = {"last value": last_value(task)}
    for form in forms:
        predictions[form.name] = clipped(fit(form, task.train_sizes, errors).at(task.at), task)
    if set(FOUR) <= set(predictions):
        predictions["median of four"] = np.median([predictions[name] for name in FOUR], axis=0)
    return predictions

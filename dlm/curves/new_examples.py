"""Turns drawn errors on one test set into errors on new examples, by adding the sampling error of the test set.

All sizes and learners of a study are measured on the same test examples, so their sampling errors come from one draw
per study: standard normal numbers, correlated between learners, and the same at all sizes of a learner. An error rate
gets the posterior of a binomial proportion under Jeffreys' prior (Brown, Cai & DasGupta 2001), with the number of
independent examples that has the standard error of the saved predictions. Other errors get a factor: log-normal with
Student's t instead of normal numbers, because the standard error is estimated, and above 1 at least that of Hall's
transformation (1992, JRSS B 54), because a few large errors that the test set may lack raise the mean.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlm.curves.points import Array
from dlm.curves.predictive import Draws
from dlm.curves.types import Curve, Tails

ON_NEW_EXAMPLES = "expected error on new examples"
ON_TEST_SET = "expected error on the given test set"
DEFAULT_CORRELATION = 0.5  # of the sampling errors of two learners without saved predictions
_RATE = (0.0, 1.0)
_MOST_NORMAL, _COARSE, _FINE = 5.0, 65, 257  # range and grids of the table of posterior quantiles


@dataclasses.dataclass(frozen=True)
class SamplingError:
    """Sampling error of a test set: `num_examples` independent ones (error rates), or a `relative` standard error."""

    num_examples: float = 0.0
    relative: float = 0.0
    tails: Tails = Tails()

    def apply(self, errors: Array, normal: Array) -> Array:
        """Errors on new examples [D, A], given errors on the test set [D, A] and standard normal numbers [D]."""
        if not self.num_examples:
            return errors * self._factor(normal)[:, None]
        table = _posterior_table(self.num_examples)
        wrong = np.clip(errors, 0.0, 1.0) * self.num_examples
        place = (np.log((wrong + 0.5) / (self.num_examples - wrong + 0.5)) / table.end + 1) / 2 * (_FINE - 1)
        column = np.minimum(place.astype(int), _FINE - 2)
        row, row_share = _place(normal[:, None])
        flat, first = table.logits.ravel(), row * _FINE + column
        below = flat[first] * (1 - row_share) + flat[first + _FINE] * row_share
        above = flat[first + 1] * (1 - row_share) + flat[first + _FINE + 1] * row_share
        share = place - column
        return np.asarray(1 / (1 + np.exp(-(below * (1 - share) + above * share))))

    def inverse(self, target: Array, normal: Array) -> Array:
        """Errors on the test set [D] that give the error `target` (scalar or [D]) on new examples; -1 below all."""
        if not self.num_examples:
            return np.asarray(target / self._factor(normal))
        table = _posterior_table(self.num_examples)
        level = np.clip(np.broadcast_to(target, normal.shape), 1e-300, 1 - 1e-16)
        logit = np.log(level / (1 - level))[:, None]
        row, row_share = _place(normal)
        curve = table.logits[row] * (1 - row_share[:, None]) + table.logits[row + 1] * row_share[:, None]
        after = np.clip((curve < logit).sum(axis=1), 1, _FINE - 1)
        rows = np.arange(len(normal))
        low, high = curve[rows, after - 1], curve[rows, after]
        share = np.clip((logit[:, 0] - low) / (high - low), 0.0, 1.0)
        odds = np.exp((2 * (after - 1 + share) / (_FINE - 1) - 1) * table.end)
        wrong = (odds * (self.num_examples + 0.5) - 0.5) / (1 + odds)
        return np.where(logit[:, 0] < curve[:, 0], -1.0, wrong / self.num_examples)

    def _factor(self, normal: Array) -> Array:
        """Error on new examples relative to that on the test set [D]."""
        from scipy.special import ndtr, stdtrit  # slow to import

        power, freedom, skewness = dataclasses.astuple(self.tails)
        number = normal if freedom is None else stdtrit(freedom, ndtr(normal))
        spread = self.relative / power  # of the mean
        factor = np.exp(spread * number)
        if skewness > 0:
            hall = 3 / skewness * (1 - np.cbrt(1 - skewness * (number + skewness / 6)))
            factor = np.where(number > 0, np.maximum(factor, 1 + spread * hall), factor)
        return np.asarray(factor**power)


class _PosteriorTable(NamedTuple):
    """Logits [Z, X] of posterior quantiles, at uniform normal numbers, and at log odds of the error to ±`end`."""

    end: float
    logits: Array


def _place(normal: Array) -> tuple[Array, Array]:
    """Row of the table before each normal number, and the share of the next row."""
    place = (np.clip(normal, -_MOST_NORMAL, _MOST_NORMAL) / _MOST_NORMAL + 1) / 2 * (_FINE - 1)
    row = np.minimum(place.astype(int), _FINE - 2)
    return row, place - row


@functools.lru_cache(maxsize=64)
def _posterior_table(num_examples: float) -> _PosteriorTable:
    """Quantiles of a binomial proportion's posterior: few by the incomplete beta function, more by cubic splines.

    An interpolated quantile is within a thousandth of the posterior's standard deviation (tests/curves).
    """
    from scipy.interpolate import RectBivariateSpline  # slow to import, as scipy.special
    from scipy.special import betaincinv, logit, ndtr

    end = float(np.log(2 * num_examples + 1))
    normal, odds = np.linspace(-_MOST_NORMAL, _MOST_NORMAL, _COARSE), np.linspace(-end, end, _COARSE)
    wrong = (np.exp(odds) * (num_examples + 0.5) - 0.5) / (1 + np.exp(odds))
    quantiles = betaincinv(wrong + 0.5, num_examples - wrong + 0.5, ndtr(normal)[:, None])
    logits = logit(np.clip(quantiles, 1e-300, 1 - 1e-16))
    spline = RectBivariateSpline(normal, odds, logits)
    fine = np.linspace(-1, 1, _FINE)
    return _PosteriorTable(end, spline(fine * _MOST_NORMAL, fine * end))


def sampling_error(curve: Curve) -> SamplingError | None:
    """The sampling error of a curve's test set; None if it is unknown."""
    if not curve.errors:
        return None
    error = float(np.mean(curve.errors[-1]))
    if curve.bound == _RATE and curve.num_test > 0:
        least = 0.5 / curve.num_test
        rate = min(max(error, least), 1 - least)
        if not curve.test_stderr:
            return SamplingError(num_examples=curve.num_test)
        return SamplingError(num_examples=max(1.0, rate * (1 - rate) / curve.test_stderr**2))
    if curve.test_stderr is None or error <= 0:
        return None
    return SamplingError(relative=curve.test_stderr / error, tails=curve.test_tails)


def joint_normals(num_curves: int, num_draws: int, seed: int, correlation: Sequence[Sequence[float]] = ()) -> Array:
    """Standard normal numbers [D, L] of the test set's sampling errors, one draw of the test set in each row."""
    matrix = np.full((num_curves, num_curves), DEFAULT_CORRELATION)
    if len(correlation):
        matrix = np.array(correlation, dtype=float)
    np.fill_diagonal(matrix, 1.0)
    values, vectors = np.linalg.eigh(matrix)  # a matrix of estimated correlations may not be positive definite
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    return np.random.default_rng([seed, num_draws, 1]).standard_normal((num_draws, num_curves)) @ root.T


@dataclasses.dataclass(frozen=True, eq=False)
class NewExampleDraws:
    """Drawn curves of the error on new examples: those on the test set `draws`, moved by `normal` [D]."""

    draws: Draws
    sampling: SamplingError
    normal: Array

    @property
    def smallest(self) -> float:
        """The smallest measured size."""
        return self.draws.smallest

    @property
    def largest(self) -> float:
        """The largest measured size."""
        return self.draws.largest

    def first(self, num_draws: int) -> NewExampleDraws:
        """The first draws."""
        return NewExampleDraws(self.draws.first(num_draws), self.sampling, self.normal[:num_draws])

    def at(self, train_sizes: Array) -> Array:
        """Errors [D, A] of every drawn curve at sizes [A]."""
        return self.sampling.apply(self.draws.at(train_sizes), self.normal)

    def on_test_set(self, target: Array) -> Array:
        """Errors on the test set [D] that give the error `target` (scalar or [D]) on new examples."""
        return self.sampling.inverse(target, self.normal)

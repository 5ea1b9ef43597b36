"""Distributions of the error at some sizes, as mixtures of normals in log error with a share of exact zeros."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_KNOTS = np.concatenate([np.linspace(-8, -3, 6)[:-1], np.linspace(-3, 3, 25), np.linspace(3, 8, 6)[1:]])


@dataclasses.dataclass(frozen=True, eq=False)
class Marginals:
    """Of A sizes: M components each of log error, `weight`, `mean`, `sd` [A, M], and `zero` [A], the chance of error 0.

    Logs are of the error in the unit of the measurements.
    """

    weight: Array
    mean: Array
    sd: Array
    zero: Array

    def log_cdf_table(self) -> tuple[Array, Array]:
        """Ascending log errors [A, T] and the distribution function there, without the zeros."""
        from scipy.special import ndtr  # slow to import

        knots = np.sort((self.mean[..., None] + self.sd[..., None] * _KNOTS).reshape(len(self.mean), -1), axis=1)
        below = np.zeros_like(knots)
        for weight, mean, sd in zip(self.weight.T, self.mean.T, self.sd.T):
            below += weight[:, None] * ndtr((knots - mean[:, None]) / sd[:, None])
        return knots, np.minimum(below, 1.0)

    def quantiles(self, share: ArrayLike) -> Array:
        """Errors [A, S] below which a share of the probability lies."""
        shares = np.atleast_1d(np.asarray(share, dtype=float))
        out = np.empty((len(self.mean), len(shares)))
        for row, zero, knots, below in zip(out, self.zero, *self.log_cdf_table()):
            left = (shares - zero) / max(1.0 - zero, 1e-12)
            row[:] = np.where(left > 0, np.exp(np.interp(left, below, knots)), 0.0)
        return out

    def log_density(self, error: ArrayLike) -> Array:
        """Log density [A] at errors [A] or one for all; of an error of 0, the log of its probability."""
        value = np.broadcast_to(np.asarray(error, dtype=float), self.zero.shape)
        logs = np.log(np.maximum(value, np.finfo(float).tiny))[:, None]
        with np.errstate(divide="ignore"):
            terms = (
                np.log(self.weight) - 0.5 * ((logs - self.mean) / self.sd) ** 2 - np.log(self.sd * np.sqrt(2 * np.pi))
            )
            density = np.logaddexp.reduce(terms, axis=1) + np.log1p(-self.zero) - logs[:, 0]
            return np.where(value > 0, density, np.where(value == 0, np.log(self.zero), -np.inf))


Bound = tuple[float | None, float | None]

PERSISTENCE = 3.0  # e-folds of size over which a draw's rank is forgotten by 1/e
_WAVES = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """D drawn curves; `at` gives their errors in the unit of the measurements, within `bound`.

    A Gaussian copula: `waves` [D, 2·W] are the coefficients of a stationary process in log size (random Fourier
    features of an exponential covariance), whose ranks are turned into errors by `marginals`.
    """

    largest: float
    smallest: float
    marginals: Callable[[Array], Marginals]
    waves: Array
    bound: Bound

    def at(self, train_sizes: Array) -> Array:
        """Errors [D, A] of every drawn curve at sizes [A]."""
        train_sizes = np.asarray(train_sizes, dtype=float)
        num = len(self.waves)
        ranks = np.argsort(np.argsort(self.waves @ _features(np.log(train_sizes / self.largest)), axis=0), axis=0)
        values = self.marginals(train_sizes).quantiles((np.arange(num) + 0.5) / num)
        return np.clip(np.take_along_axis(values.T, ranks, axis=0), *self.bound)


def draw(marginals: Callable[[Array], Marginals], train_sizes: Array, bound: Bound, num: int, seed: int) -> Draws:
    """`num` curves measured at ascending `train_sizes`; equal seeds give equal draws."""
    waves = np.random.default_rng(seed).standard_normal((num, 2 * _WAVES))
    return Draws(float(train_sizes[-1]), float(train_sizes[0]), marginals, waves, bound)


def _features(log_size: Array) -> Array:
    """[2·W, A]: cosines and sines at frequencies that are quantiles of a Cauchy distribution."""
    share = (np.arange(_WAVES) + 0.5) / _WAVES
    angle = np.tan(0.5 * np.pi * share)[:, None] / PERSISTENCE * log_size
    return np.concatenate([np.cos(angle), np.sin(angle)])

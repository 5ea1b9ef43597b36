"""Distributions of the error at some sizes, as mixtures of normals in log error with a share of exact zeros."""

from __future__ import annotations

import dataclasses

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

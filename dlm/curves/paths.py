"""Joint draws of a curve: at every size its own distribution, and draws that stay near their rank from size to size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlm.curves.marginals import Marginals

Array = NDArray[np.float64]
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

    def at(self, sizes: Array) -> Array:
        """Errors [D, A] of every drawn curve at sizes [A]."""
        sizes = np.asarray(sizes, dtype=float)
        num = len(self.waves)
        ranks = np.argsort(np.argsort(self.waves @ _features(np.log(sizes / self.largest)), axis=0), axis=0)
        values = self.marginals(sizes).quantiles((np.arange(num) + 0.5) / num)
        return np.clip(np.take_along_axis(values.T, ranks, axis=0), *self.bound)


def draw(marginals: Callable[[Array], Marginals], sizes: Array, bound: Bound, num: int, seed: int) -> Draws:
    """`num` curves measured at ascending `sizes`; equal seeds give equal draws."""
    waves = np.random.default_rng(seed).standard_normal((num, 2 * _WAVES))
    return Draws(float(sizes[-1]), float(sizes[0]), marginals, waves, bound)


def _features(log_size: Array) -> Array:
    """[2·W, A]: cosines and sines at frequencies that are quantiles of a Cauchy distribution."""
    share = (np.arange(_WAVES) + 0.5) / _WAVES
    angle = np.tan(0.5 * np.pi * share)[:, None] / PERSISTENCE * log_size
    return np.concatenate([np.cos(angle), np.sin(angle)])

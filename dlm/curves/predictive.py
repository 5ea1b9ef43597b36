"""Predictive distributions of the error of one curve, and joint draws of curves.

The error at a size is a mixture of normals in log error with a probability of exactly zero, averaged over the networks
of the ensemble. `Draws` couples the sizes by a Gaussian copula.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dlm.curves.network import CurveBatch, apply, network_inputs
from dlm.curves.points import Array, Bound, Points

_KNOTS = np.concatenate([np.linspace(-8, -3, 6)[:-1], np.linspace(-3, 3, 25), np.linspace(3, 8, 6)[1:]])


@dataclasses.dataclass(frozen=True, eq=False)
class Marginals:
    """Mixtures at A sizes: components of log error `weight`, `mean`, `sd` [A, M], and `zero` [A], P(error = 0).

    Logarithms are of the error in the unit of the measurements.
    """

    weight: Array
    mean: Array
    sd: Array
    zero: Array

    def quantiles(self, share: ArrayLike) -> Array:
        """Errors [A, S] below which a share of the probability lies."""
        from scipy.special import ndtr  # slow to import

        # Ascending log errors [A, T] and their distribution function, given that the error is not zero.
        knots = np.sort((self.mean[..., None] + self.sd[..., None] * _KNOTS).reshape(len(self.mean), -1), axis=1)
        below = np.zeros_like(knots)
        for weight, mean, sd in zip(self.weight.T, self.mean.T, self.sd.T):
            below += weight[:, None] * ndtr((knots - mean[:, None]) / sd[:, None])
        below = np.minimum(below, 1.0)
        shares = np.atleast_1d(np.asarray(share, dtype=float))
        out = np.empty((len(self.mean), len(shares)))
        for row, zero, logs, shares_below in zip(out, self.zero, knots, below):
            left = (shares - zero) / max(1.0 - zero, 1e-12)
            row[:] = np.where(left > 0, np.exp(np.interp(left, shares_below, logs)), 0.0)
        return out


PERSISTENCE = 3.0  # correlation length of a draw's rank, in e-folds of size
_FREQUENCIES = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """D drawn curves; `at` gives their errors in the unit of the measurements, within `bound`.

    A Gaussian copula: `coefficients` [D, 2·F] are those of a stationary process in log size (random Fourier
    features of an exponential covariance), whose ranks are turned into errors by `marginals`.
    """

    largest: float
    smallest: float
    marginals: Callable[[Array], Marginals]
    coefficients: Array
    bound: Bound

    def first(self, num_draws: int) -> Draws:
        """The first draws."""
        return dataclasses.replace(self, coefficients=self.coefficients[:num_draws])

    def at(self, train_sizes: Array) -> Array:
        """Errors [D, A] of every drawn curve at sizes [A]."""
        train_sizes = np.asarray(train_sizes, dtype=float)
        num = len(self.coefficients)
        process = self.coefficients @ _features(np.log(train_sizes / self.largest))
        ranks = np.argsort(np.argsort(process, axis=0), axis=0)
        values = self.marginals(train_sizes).quantiles((np.arange(num) + 0.5) / num)
        return np.clip(np.take_along_axis(values.T, ranks, axis=0), *self.bound)


def draw(marginals: Callable[[Array], Marginals], train_sizes: Array, bound: Bound, num: int, seed: int) -> Draws:
    """`num` draws of a curve measured at ascending `train_sizes`; equal seeds give equal draws."""
    coefficients = np.random.default_rng(seed).standard_normal((num, 2 * _FREQUENCIES))
    return Draws(float(train_sizes[-1]), float(train_sizes[0]), marginals, coefficients, bound)


def _features(log_size: Array) -> Array:
    """[2·F, A]: cosines and sines at frequencies that are quantiles of a Cauchy distribution."""
    share = (np.arange(_FREQUENCIES) + 0.5) / _FREQUENCIES
    angle = np.tan(0.5 * np.pi * share)[:, None] / PERSISTENCE * log_size
    return np.concatenate([np.cos(angle), np.sin(angle)])


WEIGHTS = "network.npz"
# On datasets outside the training set, the error sometimes decreases more than predicted: with probability SURPRISE it
# is LOWER standard deviations lower. Selected by cross-validation on the training half.
SURPRISE, LOWER = 0.01, 2.0
# Constants for curves with only zero errors, from such curves of LCDB in half of its datasets.
_ALL_ZERO = 0.9  # probability that the next error is zero
_NEAR_ZERO = np.log(1e-3), 1.5  # otherwise: mean and s.d. of the log error relative to the largest possible one


def predictive(points: Points, bound: Bound) -> Callable[[Array], Marginals]:
    """Sizes [A] -> `Marginals`, for the points of one curve."""
    if not np.isfinite(points.base):
        return functools.partial(_all_zero, bound)
    context = context_of(points, bound)

    def at(train_sizes: Array) -> Marginals:
        place = np.log(np.asarray(train_sizes, dtype=float) / points.train_sizes[-1])[None]
        reading = network_inputs(context, place)
        return blend([apply(member, reading) for member in weights()], points.base)

    return at


def blend(predictions: list[Any], base: float) -> Marginals:
    """Equal mixture of the networks' predictions, with a small probability of a larger decrease."""
    weight = np.concatenate([np.exp(each.log_weight[0]) for each in predictions], axis=-1) / len(predictions)
    mean = np.concatenate([each.mean[0] for each in predictions], axis=-1) + base
    sd = np.concatenate([each.sd[0] for each in predictions], axis=-1)
    zero = np.mean([1 / (1 + np.exp(-each.zero[0])) for each in predictions], axis=0)
    centre = (weight * mean).sum(axis=-1, keepdims=True)
    spread = np.sqrt((weight * (sd**2 + (mean - centre) ** 2)).sum(axis=-1, keepdims=True))
    return Marginals(
        np.concatenate([(1 - SURPRISE) * weight, np.full_like(spread, SURPRISE)], axis=-1),
        np.concatenate([mean, centre - LOWER * spread], axis=-1),
        np.concatenate([sd, spread], axis=-1),
        zero,
    )


def context_of(points: Points, bound: Bound) -> CurveBatch:
    """The points as a batch of one curve."""
    largest = bound[1]
    row = np.ones((1, len(points.train_sizes)))
    return CurveBatch(
        log_size=np.log(points.x)[None],
        log_error=points.log_error[None],
        noise=points.noise[None],
        zero=points.zero[None],
        there=row,
        level=np.array([points.base - np.log(largest) if largest else 0.0]),
        bounded=np.array([1.0 if largest else 0.0]),
    )


@functools.cache
def weights() -> list[Any]:
    """Parameters of the networks, one tree each, written by `python -m benchmarks.forecasting.train`."""
    with (
        resources.files("dlm.curves").joinpath(WEIGHTS).open("rb") as file,
        np.load(file, allow_pickle=False) as saved,
    ):
        return unflatten({name: leaf.astype(np.float32) for name, leaf in saved.items()})


def unflatten(named: dict[str, Any]) -> Any:
    """The tree of parameters with names such as `0/trunk/2/in/kernel`; names that are numbers are lists."""
    children: dict[str, dict[str, Any]] = {}
    for name, leaf in named.items():
        first, _, rest = name.partition("/")
        children.setdefault(first, {})[rest] = leaf
    tree = {name: child[""] if "" in child else unflatten(child) for name, child in children.items()}
    return [tree[name] for name in sorted(tree, key=int)] if all(map(str.isdigit, tree)) else tree


def _all_zero(bound: Bound, train_sizes: Array) -> Marginals:
    one = np.ones((len(train_sizes), 1))
    largest = bound[1]
    zero = np.full(len(train_sizes), _ALL_ZERO if largest else 1.0)
    return Marginals(one, (_NEAR_ZERO[0] + np.log(largest or 1.0)) * one, _NEAR_ZERO[1] * one, zero)

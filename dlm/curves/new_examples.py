"""Turns drawn errors on one test set into errors on new examples, by adding the sampling error of the test set.

All sizes and learners of a study are measured on the same test examples, so their sampling errors come from one draw
per study: standard normal numbers, correlated between learners, and the same at all sizes of a learner. An error rate
gets the posterior of a binomial proportion under Jeffreys' prior (Brown, Cai & DasGupta 2001), with the number of
independent examples that has the standard error of the saved predictions. Other errors get a log-normal factor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dlm.curves.points import Array
from dlm.curves.predictive import Draws
from dlm.curves.types import Curve

ON_NEW_EXAMPLES = "expected error on new examples"
ON_TEST_SET = "expected error on the given test set"
DEFAULT_CORRELATION = 0.5  # of the sampling errors of two learners without saved predictions
_RATE = (0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class SamplingError:
    """Sampling error of a test set: `num_examples` independent ones (error rates), or a `relative` standard error."""

    num_examples: float = 0.0
    relative: float = 0.0

    def apply(self, errors: Array, normal: Array) -> Array:
        """Errors on new examples [D, A], given errors on the test set [D, A] and standard normal numbers [D]."""
        if not self.num_examples:
            return errors * np.exp(self.relative * normal[:, None])
        from scipy.special import betaincinv, ndtr  # slow to import

        wrong = np.clip(errors, 0.0, 1.0) * self.num_examples
        share = np.broadcast_to(ndtr(normal)[:, None], wrong.shape)
        return np.asarray(betaincinv(wrong + 0.5, self.num_examples - wrong + 0.5, share))


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
    return SamplingError(relative=curve.test_stderr / error)


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

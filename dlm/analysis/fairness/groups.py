"""Groups of test examples, and confidence limits of their errors and of differences of errors.

An error is the mean of its examples' errors, or for RMSE the root of that. The limits are valid for few examples or few
mistakes; each is exceeded with probability `tail`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dlm.curves.types import Curve

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LEAST_EXAMPLES = 10  # of a group, and of all other examples, to compare them

# Mistakes shared by all seeds, added to the observed ones: a few mistakes do not show how much seeds agree.
_SHARED = 1.0
_MOST_LOG = 50.0  # bounds a factor, so that no limit is infinite


@dataclasses.dataclass(frozen=True, eq=False)
class GroupComparison:
    """A group of a column: indices of its test examples, and of all other test examples whose group is known."""

    column: str
    group: str
    own: Indices
    others: Indices


@dataclasses.dataclass(frozen=True, eq=False)
class GroupColumn:
    """A column that defines groups: `codes` [N] of the test examples, -1 where unknown; `pool`: examples of each group
    in the training pool, empty where unknown."""

    name: str
    groups: tuple[str, ...]
    codes: NDArray[np.integer]
    pool: tuple[int, ...] = ()

    def known(self) -> NDArray[np.bool_]:
        """Examples whose group is known [N]."""
        return self.codes >= 0

    def comparisons(self) -> list[GroupComparison]:
        """The groups with enough test examples and enough other examples; none for a single group."""
        known, comparisons = self.known(), []
        for code, group in enumerate(self.groups):
            own = self.codes == code
            if own.sum() >= LEAST_EXAMPLES and (known & ~own).sum() >= LEAST_EXAMPLES:
                comparisons.append(GroupComparison(self.name, group, np.flatnonzero(own), np.flatnonzero(known & ~own)))
        return comparisons


@dataclasses.dataclass(frozen=True)
class Measure:
    """How an error follows from the examples' errors: `is_rate` if these are 0 or 1; `is_root` if the error is the root
    of their mean."""

    is_rate: bool
    is_root: bool = False

    @classmethod
    def of(cls, unit: str) -> Measure:
        """The measure of a recorded unit."""
        return cls(is_rate=unit == "error rate", is_root=unit == "RMSE")

    def finish(self, mean: Array) -> Array:
        """Errors from means over examples."""
        return np.sqrt(mean) if self.is_root else mean

    def slope(self, mean: Array) -> Array:
        """Derivative of the error with respect to the mean over examples."""
        return 0.5 / np.sqrt(np.maximum(mean, 1e-300)) if self.is_root else np.ones_like(mean)

    def variance_scale(self, error: Array) -> Array:
        """Assumed proportional to the variance between seeds, among groups of different errors."""
        return error * (1 - error) if self.is_rate else error**2


@dataclasses.dataclass(frozen=True, eq=False)
class LearnerErrors:
    """A learner's errors [S, N] of each test example, by size; the curve shows their mean, or its root for RMSE.

    For a binary target, `truth` [N] and `predicted` [S, N] at the largest size are classes, 1 for `positive`.
    """

    learner: str
    errors: Mapping[int, Array]
    unit: str = "error rate"
    bound: tuple[float, float | None] = (0.0, 1.0)
    truth: NDArray[np.integer] | None = None
    predicted: NDArray[np.integer] | None = None
    positive: str = ""

    @property
    def last(self) -> Array:
        """The errors [S, N] at the largest size."""
        return self.errors[max(self.errors)]

    def curve(self, column: str, group: str, indices: Indices) -> Curve:
        """The curve of some test examples."""
        measure, train_sizes = Measure.of(self.unit), sorted(self.errors)
        rows = [measure.finish(self.errors[size][:, indices].mean(axis=1, dtype=np.float64)) for size in train_sizes]
        return Curve(
            f"{self.learner}, {column}={group}",
            tuple(train_sizes),
            tuple(tuple(map(float, row)) for row in rows),
            self.unit,
            self.bound,
            len(indices),
        )


def design_effect(means: Array, codes: NDArray[np.integer]) -> float:
    """Variance of the examples' mean rates [N] within groups [N], relative to that of one seed's: 1/seeds to 1.

    It is 1 if all seeds misclassify the same examples. One value for all groups, as small ones cannot estimate it.
    """
    within = scale = 0.0
    for group in np.unique(codes):
        own = means[codes == group]
        rate = own.mean()
        within += float(((own - rate) ** 2).sum())
        scale += float(len(own) * rate * (1 - rate))
    return min((within + _SHARED) / (scale + _SHARED), 1.0)


def rate_limits(rate: float, examples: float, tail: float) -> tuple[float, float]:
    """Clopper-Pearson limits of a rate, for a number of examples that need not be an integer.

    `examples` are divided by the design effect: Korn and Graubard 1998, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data".
    """
    wrong = rate * examples
    low = float(special.betaincinv(wrong, examples - wrong + 1, tail)) if wrong > 0 else 0.0
    high = float(special.betainccinv(wrong + 1, examples - wrong, tail)) if wrong < examples else 1.0
    return low, high


def mean_limits(values: Array, tail: float) -> tuple[float, float]:
    """Limits of the mean of non-negative numbers [N]: Student's t of the logarithm, as errors are skewed."""
    mean, count = float(values.mean()), len(values)
    if mean == 0:
        return 0.0, 0.0
    factor = np.exp(min(-special.stdtrit(count - 1, tail) * values.std(ddof=1) / np.sqrt(count) / mean, _MOST_LOG))
    return float(mean / factor), float(mean * factor)


def difference_limits(
    first: tuple[float, float, float], second: tuple[float, float, float], more: float
) -> tuple[float, float]:
    """Limits of first minus second, each (estimate, low, high) and independent; `more` is an additional half width.

    Newcombe 1998, method 10; Zou and Donner 2008, "Construction of confidence limits about effect measures".
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    difference = a - b
    below = np.sqrt((a - a_low) ** 2 + (b_high - b) ** 2 + more**2)
    above = np.sqrt((a_high - a) ** 2 + (b - b_low) ** 2 + more**2)
    return float(difference - below), float(difference + above)

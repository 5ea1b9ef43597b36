"""Groups of test examples, and confidence limits of their errors and of differences of errors.

An error is the mean of its examples' errors, or for RMSE the root of that. The limits are valid for few examples or few
mistakes; each is exceeded with probability `tail`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LEAST_EXAMPLES = 10  # of a group, and of all other examples, to compare them

_SHARED = (
    1.0  # mistakes shared by all seeds, added to the observed ones, as few mistakes do not show how much seeds agree
)
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
    (one, one_low, one_high), (two, two_low, two_high) = first, second
    difference = one - two
    below = np.sqrt((one - one_low) ** 2 + (two_high - two) ** 2 + more**2)
    above = np.sqrt((one_high - one) ** 2 + (two - two_low) ** 2 + more**2)
    return float(difference - below), float(difference + above)

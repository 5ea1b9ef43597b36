"""Confidence limits of one group's error, and of the difference of two, that hold where examples or mistakes are few.

An error is the mean of its examples' errors; of RMSE, the root of that. Each limit is passed with a chance of `tail`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

_SHARED = 1.0  # mistakes that all seeds share, added to those seen: few mistakes do not show how much seeds agree
_MOST_LOG = 50.0  # of a factor, so that no limit is infinite


@dataclasses.dataclass(frozen=True)
class Measure:
    """What the examples' errors are: shares of 1 (`is_rate`), or numbers from 0 on; `is_root`: the error is the root of
    their mean."""

    is_rate: bool
    is_root: bool = False

    @classmethod
    def of(cls, unit: str) -> Measure:
        """Of the unit that records state."""
        return cls(is_rate=unit == "error rate", is_root=unit == "RMSE")

    def finish(self, mean: Array) -> Array:
        """Errors from means over examples."""
        return np.sqrt(mean) if self.is_root else mean

    def slope(self, mean: Array) -> Array:
        """How the error grows with the mean over examples."""
        return 0.5 / np.sqrt(np.maximum(mean, 1e-300)) if self.is_root else np.ones_like(mean)

    def variance_scale(self, error: Array) -> Array:
        """What the variance between seeds is taken to be proportional to, among groups of different errors."""
        return error * (1 - error) if self.is_rate else error**2


def design_effect(means: Array, codes: NDArray[np.integer]) -> float:
    """Variance of the examples' mean rates [N] within groups [N], relative to that of one seed's: 1/seeds to 1.

    It is 1 where all seeds miss the same examples. One for all groups, since a small one cannot tell its own.
    """
    within = scale = 0.0
    for group in np.unique(codes):
        own = means[codes == group]
        rate = own.mean()
        within += float(((own - rate) ** 2).sum())
        scale += float(len(own) * rate * (1 - rate))
    return min((within + _SHARED) / (scale + _SHARED), 1.0)


def rate_limits(rate: float, examples: float, tail: float) -> tuple[float, float]:
    """Clopper and Pearson's limits of a rate, for a number of examples that need not be whole.

    With examples divided by the design effect: Korn and Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data".
    """
    wrong = rate * examples
    low = float(special.betaincinv(wrong, examples - wrong + 1, tail)) if wrong > 0 else 0.0
    high = float(special.betainccinv(wrong + 1, examples - wrong, tail)) if wrong < examples else 1.0
    return low, high


def mean_limits(values: Array, tail: float) -> tuple[float, float]:
    """Limits of the mean of numbers from 0 on [N]: Student's t on the logarithm, since errors are skewed."""
    mean, count = float(values.mean()), len(values)
    if mean == 0:
        return 0.0, 0.0
    factor = np.exp(min(-special.stdtrit(count - 1, tail) * values.std(ddof=1) / np.sqrt(count) / mean, _MOST_LOG))
    return float(mean / factor), float(mean * factor)


def difference_limits(
    first: tuple[float, float, float], second: tuple[float, float, float], more: float
) -> tuple[float, float]:
    """Limits of first minus second, each (estimate, low, high) and independent; `more` is a half width beside theirs.

    Newcombe 1998, method 10; Zou and Donner 2008, "Construction of confidence limits about effect measures".
    """
    (one, one_low, one_high), (two, two_low, two_high) = first, second
    difference = one - two
    below = np.sqrt((one - one_low) ** 2 + (two_high - two) ** 2 + more**2)
    above = np.sqrt((one_high - one) ** 2 + (two - two_low) ** 2 + more**2)
    return float(difference - below), float(difference + above)

"""How fast an error falls with data: the power of n, on average over the measured sizes, with an interval.

The slope of log error in log size, by least squares over sizes alike: no law is assumed. Its noise is told in two ways,
and the wider one is believed. Seeds, whose slopes differ, show what a training does; they do not show what moves all of
them at once: a test set, a law that is no straight line, and which hyperparameters were chosen at a size. What scatters
around the line shows that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dlm.curves.types import Curve

Array = NDArray[np.float64]

MIN_SIZES_FOR_EXPONENT = 3


@dataclasses.dataclass(frozen=True)
class Exponent:
    """The error falls as n to the power of −`power`, which lies in `low` to `high`."""

    power: float
    low: float
    high: float


def error_exponent(curve: Curve, level: float = 0.95) -> Exponent | None:
    """Of a curve; None for fewer than three sizes, or no error above zero."""
    if len(curve.train_sizes) < MIN_SIZES_FOR_EXPONENT:
        return None
    means = np.array([np.mean(errors) for errors in curve.errors])
    if not (means > 0).any():
        return None
    # No mistake at all is taken for half a mistake.
    least = 0.5 / curve.num_test if curve.num_test else means[means > 0].min() / 2
    means = np.maximum(means, min(least, means[means > 0].min()))
    weight = slope_weights(curve.train_sizes)
    logs = np.log(means)
    slope = float(weight @ logs)
    half = max(_by_seeds(curve, means, weight, level), slope_half_width(curve.train_sizes, logs, level))
    return Exponent(-slope, -slope - half, -slope + half)


def slope_weights(train_sizes: Sequence[int]) -> Array:
    """Weights [K] whose sum over numbers at the sizes is their least-squares slope in log size."""
    x = np.log(np.array(train_sizes, dtype=float))
    x -= x.mean()
    return x / float(x @ x)


def slope_half_width(train_sizes: Sequence[int], values: Array, level: float, least: float = 0.0) -> float:
    """Half the interval of the slope of values [K] by their scatter around the line, an s.d. of `least` or more."""
    from scipy.special import stdtrit  # slow to import

    weight, x = slope_weights(train_sizes), np.log(np.array(train_sizes, dtype=float))
    off = values - values.mean() - float(weight @ values) * (x - x.mean())
    freedom = len(train_sizes) - 2
    spread = max(float(off @ off) / freedom, least**2)
    return float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(spread * float(weight @ weight))


def _by_seeds(curve: Curve, means: Array, weight: Array, level: float) -> float:
    """Half the interval by what single seeds add to the slope; 0 for one seed.

    Equal places are equal seeds where all sizes have as many; else the sizes' seeds count as independent.
    """
    from scipy.special import stdtrit

    parts = [w * np.array(errors) / mean for w, errors, mean in zip(weight, curve.errors, means)]
    if len({len(part) for part in parts}) == 1:
        parts = [np.sum(parts, axis=0)]
    several = [part for part in parts if len(part) > 1]
    if not several:
        return 0.0
    variance = sum(float(part.var(ddof=1)) / len(part) for part in several)
    return float(stdtrit(min(map(len, several)) - 1, (1 + level) / 2)) * math.sqrt(variance)


MIN_SIZES_FOR_DRIFT = 4  # of three, what scatters around a line is hardly known
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class HyperparameterTrend:
    """The best value goes as n to the power of `power`, in `low` to `high`; `is_shown` where that leaves out zero."""

    power: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the value clearly moves."""
        return self.low > 0 or self.high < 0


def hyperparameter_trend(best: Mapping[int, Sequence[float]], values: Sequence[float]) -> HyperparameterTrend | None:
    """From the best value of each seed by size, of `values` tried; None below four sizes, or for values not above zero.

    The slope of the mean log best value in log size, with noise by how the sizes scatter around the line, at least by
    how far apart values were tried. Not by how seeds differ: they are judged by one validation set, which moves the
    best value of all of them at once, so that they agree on a drift that is none (docs/tuning.md).
    """
    train_sizes = sorted(best)
    if len(train_sizes) < MIN_SIZES_FOR_DRIFT or len(values) < 2 or min(values) <= 0:
        return None
    logs = np.array([np.mean(np.log(best[size])) for size in train_sizes])
    apart = np.log(max(values) / min(values)) / (len(values) - 1)
    seeds = min(len(best[size]) for size in train_sizes)
    # A value is known to the grid's step, as a number is to its rounding.
    half = slope_half_width(train_sizes, logs, LEVEL, least=float(apart / np.sqrt(12 * seeds)))
    power = float(slope_weights(train_sizes) @ logs)
    return HyperparameterTrend(power, power - half, power + half)

"""Estimates how fast the error decreases with data: the exponent of n over the measured sizes, with an interval.

The exponent is the unweighted least-squares slope of log error in log size, without an assumed law. The interval is the
wider of two: the variance of the slope over seeds, and the scatter of the sizes around the line. Seeds do not show
effects common to all of them (the test set, curvature, the hyperparameters selected at a size); the scatter does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from dlm.curves.points import Array
from dlm.curves.types import Curve

MIN_SIZES_FOR_EXPONENT = 3


@dataclasses.dataclass(frozen=True)
class Exponent:
    """Exponent of a power law, with its interval: an error decreases as n^-power, other values grow as n^power."""

    power: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def error_exponent(curve: Curve, level: float = 0.95) -> Exponent | None:
    """The exponent of a curve; None below three sizes or without an error above zero."""
    if len(curve.train_sizes) < MIN_SIZES_FOR_EXPONENT:
        return None
    means = np.array([np.mean(errors) for errors in curve.errors])
    if not (means > 0).any():
        return None
    # Zero errors count as half an error.
    least = 0.5 / curve.num_test if curve.num_test else means[means > 0].min() / 2
    means = np.maximum(means, min(least, means[means > 0].min()))
    slope, half = fitted_slope(curve.train_sizes, np.log(means), level)
    half = max(_by_seeds(curve, means, level), half)
    return Exponent(-slope, -slope - half, -slope + half)


def slope_weights(train_sizes: Sequence[int]) -> Array:
    """Weights [K]; the weighted sum of values at the sizes is their least-squares slope in log size."""
    x = np.log(np.array(train_sizes, dtype=float))
    x -= x.mean()
    return x / float(x @ x)


def fitted_slope(train_sizes: Sequence[int], values: Array, level: float, least: float = 0.0) -> tuple[float, float]:
    """Slope of values [K] in log size, and the half width of its interval, for a residual s.d. of at least `least`."""
    from scipy.special import stdtrit  # slow to import

    weight, x = slope_weights(train_sizes), np.log(np.array(train_sizes, dtype=float))
    slope = float(weight @ values)
    off = values - values.mean() - slope * (x - x.mean())
    freedom = len(train_sizes) - 2
    spread = max(float(off @ off) / freedom, least**2)
    return slope, float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(spread * float(weight @ weight))


def _by_seeds(curve: Curve, means: Array, level: float) -> float:
    """Half width from the variance over seeds; 0 for one seed.

    Seeds are paired by position if all sizes have equally many; otherwise sizes count as independent.
    """
    from scipy.special import stdtrit

    weights = slope_weights(curve.train_sizes)
    parts = [weight * np.array(errors) / mean for weight, errors, mean in zip(weights, curve.errors, means)]
    if len({len(part) for part in parts}) == 1:
        parts = [np.sum(parts, axis=0)]
    several = [part for part in parts if len(part) > 1]
    if not several:
        return 0.0
    variance = sum(float(part.var(ddof=1)) / len(part) for part in several)
    return float(stdtrit(min(map(len, several)) - 1, (1 + level) / 2)) * math.sqrt(variance)


MIN_SIZES_FOR_DRIFT = 4  # three sizes leave one degree of freedom for the scatter


def hyperparameter_trend(best: Mapping[int, Sequence[float]], values: Sequence[float]) -> Exponent | None:
    """How the best of `values` grows with the size, given that of each seed by size.

    None below four sizes or for non-positive values. The power is the slope of the mean log best value in log size. The
    interval uses the scatter around the line, with the spacing of the values as a minimum. It does not use the variance
    over seeds: all seeds share one validation set, which shifts their best values together and suggests a false trend
    (docs/method/tuning.md).
    """
    train_sizes = sorted(best)
    if len(train_sizes) < MIN_SIZES_FOR_DRIFT or len(values) < 2 or min(values) <= 0:
        return None
    logs = np.array([np.mean(np.log(best[size])) for size in train_sizes])
    apart = np.log(max(values) / min(values)) / (len(values) - 1)
    seeds = min(len(best[size]) for size in train_sizes)
    # The grid spacing acts as a rounding error.
    power, half = fitted_slope(train_sizes, logs, 0.95, least=float(apart / np.sqrt(12 * seeds)))
    return Exponent(power, power - half, power + half)

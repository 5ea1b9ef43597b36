"""Whether the best value of a hyperparameter moves with the size of the training set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dlm.curves.exponent import scatter, slope_weights

LEAST_SIZES = 4  # of three, what scatters around a line is hardly known
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Drift:
    """The best value goes as n to the power of `power`, in `low` to `high`; `is_shown` where that leaves out zero."""

    power: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the value clearly moves."""
        return self.low > 0 or self.high < 0


def drift(best: Mapping[int, Sequence[float]], values: Sequence[float]) -> Drift | None:
    """From the best value of each seed by size, of `values` tried; None below four sizes, or for values not above zero.

    The slope of the mean log best value in log size, with noise by how the sizes scatter around the line, at least by
    how far apart values were tried. Not by how seeds differ: they are judged by one validation set, which moves the
    best value of all of them at once, so that they agree on a drift that is none (docs/tuning.md).
    """
    sizes = sorted(best)
    if len(sizes) < LEAST_SIZES or len(values) < 2 or min(values) <= 0:
        return None
    logs = np.array([np.mean(np.log(best[size])) for size in sizes])
    apart = np.log(max(values) / min(values)) / (len(values) - 1)
    seeds = min(len(best[size]) for size in sizes)
    # A value is known to the grid's step, as a number is to its rounding.
    half = scatter(sizes, logs, LEVEL, least=float(apart / np.sqrt(12 * seeds)))
    power = float(slope_weights(sizes) @ logs)
    return Drift(power, power - half, power + half)

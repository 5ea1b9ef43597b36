"""Median and spread over seeds of the errors at one size, and which sizes to show of many."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from dlm.curves.types import Curve

# With more seeds than this, the extremes say more about the number of seeds than about the learner.
MOST_SEEDS_FOR_RANGE = 10
MOST_SHOWN = 40  # of more sizes a few are shown, spread over all


@dataclasses.dataclass(frozen=True)
class SeedSpread:
    """Median and spread of one cell. `low`..`high` is min–max, or the central 80 % when `central`."""

    median: float
    low: float
    high: float
    num_seeds: int
    central: bool


def seed_spread(errors: Sequence[float]) -> SeedSpread:
    """The summary of the errors of one size (at least one)."""
    num_seeds = len(errors)
    central = num_seeds > MOST_SEEDS_FOR_RANGE
    low, high = min(errors), max(errors)
    if central:
        tenths = statistics.quantiles(errors, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    return SeedSpread(statistics.median(errors), low, high, num_seeds, central)


def describe_spread(curves: Iterable[Curve]) -> str:
    """What the spreads of these curves are: "min–max", "central 80 %", or both; empty without any."""
    counts = [len(errors) for curve in curves for errors in curve.errors]
    words = []
    if any(1 < count <= MOST_SEEDS_FOR_RANGE for count in counts):
        words.append("min–max")
    if any(count > MOST_SEEDS_FOR_RANGE for count in counts):
        words.append("central 80 %" + (f" above {MOST_SEEDS_FOR_RANGE} seeds" if words else ""))
    return ", ".join(words)


def evenly_spaced(train_sizes: Sequence[int]) -> Sequence[int]:
    """All sizes, or of many some that lie evenly on a logarithmic axis, among them the first and the last."""
    if len(train_sizes) <= MOST_SHOWN:
        return train_sizes
    wanted = [train_sizes[0] * (train_sizes[-1] / train_sizes[0]) ** (k / (MOST_SHOWN - 1)) for k in range(MOST_SHOWN)]
    return sorted({min(train_sizes, key=lambda size: abs(math.log(size / near))) for near in wanted})

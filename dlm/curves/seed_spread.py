"""Mean and spread over seeds of the errors at one size, and a selection of sizes to display."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from dlm.curves.types import Curve

# With more seeds, the extremes depend mainly on the number of seeds.
MOST_SEEDS_FOR_RANGE = 10
MOST_SHOWN = 40  # maximum number of sizes that are displayed


@dataclasses.dataclass(frozen=True)
class SeedSpread:
    """Mean and spread over seeds at one size. `low`..`high`: min–max, or the central 80 % if `central`."""

    mean: float
    low: float
    high: float
    num_seeds: int
    central: bool


def seed_spread(errors: Sequence[float]) -> SeedSpread:
    """Mean and spread of the errors at one size; at least one error."""
    num_seeds = len(errors)
    central = num_seeds > MOST_SEEDS_FOR_RANGE
    low, high = min(errors), max(errors)
    if central:
        tenths = statistics.quantiles(errors, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    return SeedSpread(statistics.fmean(errors), low, high, num_seeds, central)


def describe_spread(curves: Iterable[Curve]) -> str:
    """Describes the spreads of the curves: "min–max", "central 80 %", or both; empty without repeats."""
    counts = [len(errors) for curve in curves for errors in curve.errors]
    words = []
    if any(1 < count <= MOST_SEEDS_FOR_RANGE for count in counts):
        words.append("min–max")
    if any(count > MOST_SEEDS_FOR_RANGE for count in counts):
        words.append("central 80 %" + (f" above {MOST_SEEDS_FOR_RANGE} seeds" if words else ""))
    return ", ".join(words)


def evenly_spaced(train_sizes: Sequence[int]) -> Sequence[int]:
    """Up to MOST_SHOWN sizes, evenly spaced on a logarithmic axis, with the first and the last."""
    if len(train_sizes) <= MOST_SHOWN:
        return train_sizes
    wanted = [train_sizes[0] * (train_sizes[-1] / train_sizes[0]) ** (k / (MOST_SHOWN - 1)) for k in range(MOST_SHOWN)]
    return sorted({min(train_sizes, key=lambda size: abs(math.log(size / near))) for near in wanted})

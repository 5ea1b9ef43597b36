"""Which of two learners is better, with which probability, and from which size on.

Everything is read from draws of `lead`, so that what is said of a pair is a rule on probabilities: a share of draws
must agree before a crossing is named or denied, else it cannot be told. How often that is right: docs/overtaking.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlm.curves.alarms import carried_reach
from dlm.curves.forecast import Forecast, check_level
from dlm.curves.lead import Lead, Side, common_range, lead, log_error, side
from dlm.curves.measured import curve_forecast, only_finite
from dlm.curves.results import Chance, Curve, Overtake

Array = NDArray[np.float64]

SURE = 0.9  # share of draws that must agree before an overtake inside the measured sizes, or "never", is said
LIKELY = 0.7  # share of draws that must cross before a size beyond the measured ones is named


def overtake(a: Curve, b: Curve, level: float = 0.95, seed: int = 0, *, as_given: bool = False) -> Overtake:
    """Where the learner that is worse at the smallest common size becomes better.

    Args:
      a, b: curves of the same unit, with a range of sizes in common; beyond it, each needs 3 sizes.
      level: of the interval low..high.
      seed: of the draws.
      as_given: `a` is the incumbent and `b` the challenger, whoever is better at the smallest size.
    """
    return overtake_with(a, b, _forecast_or_none(a, seed), _forecast_or_none(b, seed), level, seed, as_given=as_given)


def overtake_with(
    a: Curve,
    b: Curve,
    forecast_a: Forecast | None,
    forecast_b: Forecast | None,
    level: float,
    seed: int,
    *,
    as_given: bool = False,
) -> Overtake:
    """`overtake` with the forecasts already made; None for a curve that has none."""
    if not (only_finite(a).sizes and only_finite(b).sizes):
        check_level(level)
        return Overtake(a.learner, b.learner, "cannot tell", None, None, None)
    return overtake_of(side(a, forecast_a), side(b, forecast_b), level, seed, as_given=as_given)


def overtake_of(a: Side, b: Side, level: float, seed: int, *, as_given: bool = False) -> Overtake:
    """`overtake` of sides that were read already, so that a learner of many pairs is drawn once."""
    check_level(level)
    smallest, largest = common_range(a.curve, b.curve)
    if smallest > largest:
        return Overtake(a.curve.learner, b.curve.learner, "cannot tell", None, None, None)
    if not as_given:
        place = np.array([smallest])
        if log_error(b, place)[0] < log_error(a, place)[0]:
            a, b = b, a
    drawn = lead(a, b, seed)
    kind, sizes = conclude(drawn, level)
    chances = tuple(
        Chance(round(size), round(float(p), 4), bool(size <= largest))
        for size, p in zip(drawn.sizes, drawn.chances())
        if size in drawn.chance_sizes
    )
    return Overtake(a.curve.learner, b.curve.learner, kind, *sizes, chances)


def conclude(drawn: Lead, level: float) -> tuple[str, tuple[float | None, float | None, float | None]]:
    """The kind of an overtake, and the sizes low, median and high that belong to it."""
    crossing, largest = drawn.crossings(), float(drawn.sizes[drawn.num_measured - 1])
    # Where both always err alike neither is ahead, though none of them crosses.
    crosses = max(float(np.isfinite(crossing).mean()), float(drawn.chances()[-1]))
    nothing = (None, None, None)
    low, median, high = crossing_interval(crossing, level)
    inside = median <= largest
    if crosses >= SURE and median <= drawn.sizes[0]:
        return "already", nothing
    if np.isfinite(median) and crosses >= (SURE if inside else LIKELY):
        return "at" if inside else "forecast", (low, median, high if np.isfinite(high) else None)
    if drawn.carried and crosses <= 1 - SURE:
        return "never", nothing
    return "cannot tell", nothing


def crossing_interval(crossing: Array, level: float) -> tuple[float, float, float]:
    """Low, median and high of crossings [D]; inf where they lie beyond what is carried.

    The low end is of the draws that cross: whoever asks from which size on supposes that there is one, and where few
    draws cross, the first quantile of all of them lies after the sizes at which they do.
    """
    tail = (1 - level) / 2
    crossed = crossing[np.isfinite(crossing)]
    median, high = (float(q) for q in np.quantile(crossing, [0.5, 1 - tail], method="inverted_cdf"))
    low = float(np.quantile(crossed, tail, method="inverted_cdf")) if len(crossed) else np.inf
    return low, median, high


def _forecast_or_none(curve: Curve, seed: int) -> Forecast | None:
    curve = only_finite(curve)
    if carried_reach(np.unique(np.array(curve.sizes, dtype=float))) <= 1:
        return None
    return curve_forecast(curve, np.array([float(max(curve.sizes))]), 0.95, seed)

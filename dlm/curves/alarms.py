"""What is to be said beside a forecast: whether the points carry it, and alarms.

How often each alarm is right is measured by `python -m dlm.curves.backtest --only=alarms`; docs/forecasting.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.curves.mixture import Mixture
from dlm.curves.points import MIN_SIZES, Points

Array = NDArray[np.float64]

FEW = "too few sizes"
FAR = "beyond what was calibrated"
RISE = "not monotone"
PLATEAU = "plateau"
NOISE = "noise floor"
ZERO = "zero errors"

FEW_SIZES = 5  # fewer are too few
CALIBRATED_REACH = 16.0  # extrapolations further than this were not measured
PLATEAU_REACH, PLATEAU_FALL = 8.0, 0.05  # a plateau: so many times the data lower the error by less than this
_LEAST_RISE = 0.01  # of the error: twice the noise is exceeded by chance now and then, so a rise must be visible too
_REACH_OF = {3: 4.0, 4: 16.0}  # a curve of so few sizes carries at most this; more sizes carry _MOST_REACH
_MOST_REACH = 100.0


def carried_reach(sizes: Array) -> float:
    """How many times the largest of distinct ascending `sizes` a forecast is stood by; 1 for under 3."""
    if len(sizes) < MIN_SIZES:
        return 1.0
    return float(min(_REACH_OF.get(len(sizes), _MOST_REACH), (sizes[-1] / sizes[0]) ** 3))


def diagnose(mixture: Mixture, points: Points, farthest: float, flat: float) -> dict[str, Any]:
    """Weights per family, alarms in plain words, and whether the points carry a forecast of size `farthest`.

    `flat`: the chance that PLATEAU_REACH times the data lower the error by less than PLATEAU_FALL.
    """
    noise = float(np.hypot(mixture.sigma, np.median(points.noise)))
    reason = _reason(points, farthest / float(points.sizes[-1]), noise)
    return {
        "weights": {fit.law.name: float(weight) for fit, weight in zip(mixture.fits, mixture.weights)},
        "alarms": _alarms(points, farthest / float(points.sizes[-1]), noise, mixture.sigma, flat),
        "noise": noise,
        "carries": not reason,
        "reason": reason,
    }


def _reason(points: Points, reach: float, noise: float) -> str:
    """Why the points carry no forecast so many times beyond them; empty if they do."""
    num, span = len(points.sizes), float(points.sizes[-1] / points.sizes[0])
    if reach > carried_reach(points.sizes) * 1.0001:
        return f"{num} sizes over a span of {span:.3g}x cannot carry a {reach:.3g}x extrapolation: add sizes"
    if noise > 0.5:
        return f"the points scatter by {noise:.0%} around every law: add repeats or sizes"
    if points.num_zero > num / 2:
        return f"{points.num_zero} of {num} errors are zero: use a larger test set"
    return ""


def _alarms(points: Points, reach: float, noise: float, scatter: float, flat: float) -> list[str]:
    change = float(np.abs(points.log_error - points.log_error[-1]).max())
    of_steps = 2 * np.hypot(np.hypot(points.noise[1:], points.noise[:-1]), 1.4 * scatter)
    found = {
        FEW: len(points.sizes) < FEW_SIZES,
        FAR: reach > CALIBRATED_REACH,
        RISE: bool((np.diff(points.log_error) > np.maximum(of_steps, _LEAST_RISE)).any()),
        PLATEAU: flat > 0.5,
        NOISE: noise > 0.5 * max(change, 1e-12),
        ZERO: points.num_zero > 0,
    }
    return [name for name, on in found.items() if on]

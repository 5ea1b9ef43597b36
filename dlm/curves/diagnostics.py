"""What is to be said beside a forecast: whether the points carry it, and alarms.

How often each alarm is right is measured by
`python -m benchmarks.forecasting.backtest --only=alarms`; docs/forecasting.md.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.curves.law_posterior import LawMixture
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
_LEAST_RISE = 0.01  # of the error: a rise must be visible too
_BY_CHANCE = 0.05  # of curves that do not rise are called rising, were their noise known exactly
_REACH_OF = {3: 4.0, 4: 16.0}  # a curve of so few sizes carries at most this; more sizes carry _MOST_REACH
_MOST_REACH = 100.0


def carried_reach(train_sizes: Array) -> float:
    """How many times the largest of distinct ascending `train_sizes` a forecast is stood by; 1 for under 3."""
    if len(train_sizes) < MIN_SIZES:
        return 1.0
    return float(min(_REACH_OF.get(len(train_sizes), _MOST_REACH), (train_sizes[-1] / train_sizes[0]) ** 3))


def diagnose(mixture: LawMixture, points: Points, farthest: float, flat: float) -> dict[str, Any]:
    """Weights per family, alarms in plain words, and whether the points carry a forecast of size `farthest`.

    `flat`: the chance that PLATEAU_REACH times the data lower the error by less than PLATEAU_FALL.
    """
    noise = float(np.hypot(mixture.sigma, np.median(points.noise)))
    reason = _reason(points, farthest / float(points.train_sizes[-1]), noise)
    return {
        "weights": {fit.law.name: float(weight) for fit, weight in zip(mixture.fits, mixture.weights)},
        "warnings": _warnings(mixture, points, farthest / float(points.train_sizes[-1]), flat),
        "noise": noise,
        "carries": not reason,
        "reason": reason,
    }


def _reason(points: Points, reach: float, noise: float) -> str:
    """Why the points carry no forecast so many times beyond them; empty if they do."""
    num, span = len(points.train_sizes), float(points.train_sizes[-1] / points.train_sizes[0])
    if reach > carried_reach(points.train_sizes) * 1.0001:
        return f"{num} sizes over a span of {span:.3g}x cannot carry a {reach:.3g}x extrapolation: add sizes"
    if noise > 0.5:
        return f"the points scatter by {noise:.0%} around every law: add repeats or sizes"
    if points.num_zero > num / 2:
        return f"{points.num_zero} of {num} errors are zero: use a larger test set"
    return ""


def _warnings(mixture: LawMixture, points: Points, reach: float, flat: float) -> list[str]:
    noise = points.noise if points.noise_known else np.full(len(points.noise), mixture.sigma)
    found = {
        FEW: len(points.train_sizes) < FEW_SIZES,
        FAR: reach > CALIBRATED_REACH,
        RISE: _rises(points.log_error, noise),
        PLATEAU: flat > 0.5,
        NOISE: float(np.median(noise)) > 0.5 * _change(mixture, points),
        ZERO: points.num_zero > 0,
    }
    return [name for name, on in found.items() if on]


def _rises(log_error: Array, noise: Array) -> bool:
    """Whether an error lies above the least one before it by more than chance would have it at any of the sizes."""
    least = np.array([np.argmin(log_error[:place]) for place in range(1, len(log_error))])
    rise, spread = log_error[1:] - log_error[least], np.hypot(noise[1:], noise[least])
    critical = NormalDist().inv_cdf(1 - _BY_CHANCE / (2 * len(rise)))
    return bool((rise > np.maximum(critical * spread, _LEAST_RISE)).any())


def _change(mixture: LawMixture, points: Points) -> float:
    """How much the laws change in log error over the points, which do so by their noise alone."""
    told = [fit.law.log_shape(fit.theta[[np.argmax(fit.probability)]], points.x)[0] for fit in mixture.fits]
    return float(mixture.weights @ [np.ptp(shape) for shape in told])

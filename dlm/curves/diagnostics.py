"""Diagnostics of a forecast: whether the points support it, and warnings.

`python -m benchmarks.forecasting.backtest --only=warnings` measures the precision of each warning; results are in
docs/method/forecasting.md.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dlm.curves.laws import LawMixture
from dlm.curves.points import MIN_SIZES, Array, Points

FEW = "too few sizes"
FAR = "beyond what was calibrated"
RISE = "not monotone"
PLATEAU = "plateau"
NOISE = "noise floor"
ZERO = "zero errors"

FEW_SIZES = 5  # fewer are too few
CALIBRATED_REACH = 16.0  # coverage of farther extrapolations was not measured
PLATEAU_REACH, PLATEAU_FALL = 8.0, 0.05  # plateau: this multiple of the data reduces the error by less than this share
_LEAST_RISE = 0.01  # of the error: minimum relative size of a rise
_BY_CHANCE = 0.05  # false-positive rate of the test for a rise if the noise is known
_REACH_OF = {3: 4.0, 4: 16.0}  # maximum reach by number of sizes; _MOST_REACH for more sizes
_MOST_REACH = 100.0


def carried_reach(train_sizes: ArrayLike) -> float:
    """Supported multiple of the largest of `train_sizes`; 1 below 3 distinct sizes."""
    distinct = np.unique(np.asarray(train_sizes, dtype=float))
    if len(distinct) < MIN_SIZES:
        return 1.0
    return float(min(_REACH_OF.get(len(distinct), _MOST_REACH), (distinct[-1] / distinct[0]) ** 3))


def diagnose(mixture: LawMixture, points: Points, farthest: float, flat: float) -> dict[str, Any]:
    """Weights per family, warnings, and whether the points support a forecast at size `farthest`.

    `flat`: probability that PLATEAU_REACH times the data reduce the error by less than PLATEAU_FALL.
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
    """Why the points do not support a forecast at this multiple of the largest size; empty if they do."""
    num, span = len(points.train_sizes), float(points.train_sizes[-1] / points.train_sizes[0])
    if reach > carried_reach(points.train_sizes) * 1.0001:
        return f"{num} sizes over a span of {span:.3g}x do not support a {reach:.3g}x extrapolation; add sizes"
    if noise > 0.5:
        return f"the points deviate by {noise:.0%} from every law; add repeats or sizes"
    if points.num_zero > num / 2:
        return f"{points.num_zero} of {num} errors are zero; use a larger test set"
    return ""


def _warnings(mixture: LawMixture, points: Points, reach: float, flat: float) -> list[str]:
    noise = points.noise if points.noise_known else np.full(len(points.noise), mixture.sigma)
    raised = {
        FEW: len(points.train_sizes) < FEW_SIZES,
        FAR: reach > CALIBRATED_REACH,
        RISE: _rises(points.log_error, noise),
        PLATEAU: flat > 0.5,
        NOISE: float(np.median(noise)) > 0.5 * _change(mixture, points),
        ZERO: points.num_zero > 0,
    }
    return [name for name, on in raised.items() if on]


def _rises(log_error: Array, noise: Array) -> bool:
    """Whether an error exceeds the smallest earlier one significantly at any size (Bonferroni-corrected)."""
    least = np.array([np.argmin(log_error[:place]) for place in range(1, len(log_error))])
    rise, spread = log_error[1:] - log_error[least], np.hypot(noise[1:], noise[least])
    critical = NormalDist().inv_cdf(1 - _BY_CHANCE / (2 * len(rise)))
    return bool((rise > np.maximum(critical * spread, _LEAST_RISE)).any())


def _change(mixture: LawMixture, points: Points) -> float:
    """Range of the laws in log error over the points, without noise."""
    shapes = [fit.law.log_shape(fit.theta[[np.argmax(fit.probability)]], points.x)[0] for fit in mixture.fits]
    return float(mixture.weights @ [np.ptp(shape) for shape in shapes])

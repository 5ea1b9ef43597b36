"""Which of two learners is better, and from which size on.

Every draw is one possible truth: inside the measured sizes the mean errors shaken by the noise of the
seeds, beyond them the change of a drawn curve of each forecast. In a draw the challenger overtakes at the
last crossing inside the measured sizes if it is better at their end, else at the last crossing of the
forecasts if it is better at theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlm.curves.alarms import CALIBRATED_REACH, carried_reach
from dlm.curves.forecast import Forecast, check_level
from dlm.curves.measured import curve_forecast, curve_points, only_finite
from dlm.curves.points import Points
from dlm.curves.results import Curve, Overtake

Array = NDArray[np.float64]

NUM_DRAWS = 2000
LIKELY = 0.7  # share of draws that must cross before a size beyond the measured ones is named
SURE = 0.9  # share of draws in which the incumbent must stay ahead before "never" is said
DOUBT = 2.0  # laws bend towards single noisy points, so their residual understates the noise by about this
SMALLEST_LOG = -690.0  # log of the smallest error, where zero would be minus infinity
_GRID = 60


def overtake(a: Curve, b: Curve, level: float = 0.95, seed: int = 0) -> Overtake:
    """Where the learner that is worse at the smallest common size becomes better.

    Args:
      a, b: curves of the same unit, with a range of sizes in common; beyond it, each needs 3 sizes.
      level: of the interval low..high, and the share of draws that must cross before "at" is said.
      seed: of the draws.
    """
    return overtake_with(a, b, _forecast_or_none(a, seed), _forecast_or_none(b, seed), level, seed)


def overtake_with(
    a: Curve, b: Curve, forecast_a: Forecast | None, forecast_b: Forecast | None, level: float, seed: int
) -> Overtake:
    """`overtake` with the forecasts already made; None for a curve that has none."""
    check_level(level)
    a, b = only_finite(a), only_finite(b)
    if not a.sizes or not b.sizes or max(a.sizes[0], b.sizes[0]) > min(a.sizes[-1], b.sizes[-1]):
        return Overtake(a.learner, b.learner, "cannot tell", None, None, None)
    points_a, points_b = curve_points(a), curve_points(b)
    smallest = np.array([max(a.sizes[0], b.sizes[0])], dtype=float)
    if _log_error(points_b, smallest)[0] < _log_error(points_a, smallest)[0]:
        a, b, points_a, points_b, forecast_a, forecast_b = b, a, points_b, points_a, forecast_b, forecast_a
    crossing = _crossings(points_a, points_b, forecast_a, forecast_b, np.random.default_rng(seed))
    largest = min(points_a.sizes[-1], points_b.sizes[-1])
    return _conclude(a.learner, b.learner, crossing, float(largest), level)


def _forecast_or_none(curve: Curve, seed: int) -> Forecast | None:
    curve = only_finite(curve)
    if carried_reach(np.unique(np.array(curve.sizes, dtype=float))) <= 1:
        return None
    return curve_forecast(curve, np.array([float(max(curve.sizes))]), 0.95, seed)


def _log_error(points: Points, sizes: Array) -> Array:
    return max(points.base, SMALLEST_LOG) + np.interp(np.log(sizes), np.log(points.sizes), points.log_error)


def _crossings(
    incumbent: Points,
    challenger: Points,
    forecast_incumbent: Forecast | None,
    forecast_challenger: Forecast | None,
    rng: np.random.Generator,
) -> Array:
    """Size [D] from which the challenger is better: inf if not within range, NaN where unknown."""
    smallest = max(incumbent.sizes[0], challenger.sizes[0])
    largest = min(incumbent.sizes[-1], challenger.sizes[-1])
    knots = np.union1d(incumbent.sizes, challenger.sizes)
    knots = knots[(knots >= smallest) & (knots <= largest)]
    lead = _shaken(challenger, forecast_challenger, knots, rng) - _shaken(incumbent, forecast_incumbent, knots, rng)
    inside = _last_crossing(knots, lead)
    if forecast_incumbent is None or forecast_challenger is None:
        return np.where(np.isfinite(inside), inside, np.nan)
    reach = min(carried_reach(incumbent.sizes), carried_reach(challenger.sizes), CALIBRATED_REACH)
    sizes = np.geomspace(largest, largest * reach, _GRID)
    errors = (told.curves.at(sizes)[:NUM_DRAWS] for told in (forecast_challenger, forecast_incumbent))
    log_challenger, log_incumbent = (np.log(np.maximum(error, np.exp(SMALLEST_LOG))) for error in errors)
    ahead = log_challenger - log_incumbent
    # The forecast says how the lead changes from the last size, the measurements what it is there.
    ahead = ahead - ahead[:, :1] + lead[:, -1:]
    return np.where(np.isfinite(inside), inside, _last_crossing(sizes, ahead))


def _shaken(points: Points, forecast: Forecast | None, sizes: Array, rng: np.random.Generator) -> Array:
    """Measured log errors [D, X], each size's mean moved by its noise."""
    noise = points.noise
    if not points.noise_known and forecast is not None:
        # One seed and no test size: the scatter around the law is all that is known of the noise.
        noise = np.maximum(noise, DOUBT * float(forecast.diagnostics["noise"]))
    moved = points.log_error + noise * rng.standard_normal((NUM_DRAWS, len(noise)))
    place = np.clip(np.searchsorted(points.sizes, sizes, side="right") - 1, 0, max(len(noise) - 2, 0))
    after = np.minimum(place + 1, len(noise) - 1)
    logs = np.log(points.sizes)
    share = (np.log(sizes) - logs[place]) / np.where(after > place, logs[after] - logs[place], 1.0)
    return max(points.base, SMALLEST_LOG) + moved[:, place] + share * (moved[:, after] - moved[:, place])


def _last_crossing(sizes: Array, lead: Array) -> Array:
    """Size [D] after which lead [D, X] stays below zero, interpolated in log size; inf if it ends above."""
    behind = lead >= 0
    last = lead.shape[1] - 1 - np.argmax(behind[:, ::-1], axis=1)  # the last size at which the challenger is behind
    rows = np.arange(len(lead))
    after = np.minimum(last + 1, lead.shape[1] - 1)
    before_lead, after_lead = lead[rows, last], lead[rows, after]
    share = before_lead / np.where(before_lead > after_lead, before_lead - after_lead, 1.0)
    logs = np.log(sizes)
    size = np.exp(logs[last] + share * (logs[after] - logs[last]))
    size = np.where(behind.any(axis=1), size, sizes[0])
    return np.where(behind[:, -1], np.inf, size)


def _conclude(incumbent: str, challenger: str, crossing: Array, largest: float, level: float) -> Overtake:
    known = ~np.isnan(crossing)
    crossed = np.isfinite(crossing)
    if known.all() and (~crossed).mean() >= SURE:
        return Overtake(incumbent, challenger, "never", None, None, None)
    tail = (1 - level) / 2
    # A draw that says nothing beyond the measured sizes is no earlier than any of them.
    sizes = np.where(known, crossing, np.inf)
    low, median, high = (float(q) for q in np.quantile(sizes, [tail, 0.5, 1 - tail], method="inverted_cdf"))
    kind = "at" if median <= largest else "forecast"
    if crossed.mean() < (level if kind == "at" else LIKELY):
        return Overtake(incumbent, challenger, "cannot tell", None, None, None)
    return Overtake(incumbent, challenger, kind, low, median, high if np.isfinite(high) else None)

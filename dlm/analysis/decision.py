"""Decides whether to stop or to collect more examples, by expected cost.

The cost of k more examples is that of their labels, of training, and of the remaining error. Errors come from the joint
draws of the forecasts, so the expected cost, the best k and the probability that it pays off agree with each other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from dlm.curves.diagnostics import CALIBRATED_REACH, carried_reach
from dlm.curves.forecaster import NUM_DRAWS, Forecast, curve_forecast, on_new_examples
from dlm.curves.new_examples import joint_normals, sampling_error
from dlm.curves.points import Array
from dlm.curves.types import Curve
from dlm.study.study import Costs
from dlm.utils.errors import UsageError

MARGINS = (100, 1_000, 10_000)  # more labels, whose value is reported
_GRID = 48


@dataclasses.dataclass(frozen=True)
class Purchase:
    """Collecting `more` examples, 0 to stop now, and training `learner` on all.

    `error` and `cost` are expectations, `cost_low` and `cost_high` the ends of the cost's interval. `pays_off`:
    probability that the cost is below that of stopping now.
    """

    more: int
    learner: str
    error: float
    cost: float
    cost_low: float
    cost_high: float
    pays_off: float


@dataclasses.dataclass(frozen=True)
class MarginalValue:
    """Value of `more` labels: the fall of the error with its interval, and what it saves before the price of labels."""

    more: int
    fall: float
    low: float
    high: float
    saved: float


@dataclasses.dataclass(frozen=True)
class Decision:
    """The expected costs of stopping and of collecting more, the best purchase, and the value of more labels."""

    train_size: int
    unit: str
    level: float
    costs: Costs
    stop: Purchase
    best: Purchase
    purchases: tuple[Purchase, ...]
    values: tuple[MarginalValue, ...]


def decide(
    curves: Sequence[Curve],
    costs: Costs,
    seconds: Mapping[str, Mapping[int, float]],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Decision:
    """The decision for curves of one unit, measured on the same test set.

    Purchases are compared up to the supported reach of the forecasts, at most 16 times the largest size that all
    learners were measured at.

    Args:
      curves: the learners' curves; one with fewer than 3 sizes is left out.
      costs: prices.
      seconds: training time by learner and size, extrapolated by a power law.
      level: of intervals.
      seed: of the draws.

    Raises:
      UsageError: no curve supports a forecast.
    """
    usable = [curve for curve in curves if curve.train_sizes and carried_reach(curve.train_sizes) > 1]
    if not usable:
        raise UsageError("no learner has a forecast to decide by; measure at least 3 sizes of a learner")
    largest = min(curve.train_sizes[-1] for curve in usable)
    reach = min(CALIBRATED_REACH, *(carried_reach(curve.train_sizes) for curve in usable))
    more = np.unique(np.rint(np.geomspace(largest, largest * reach, _GRID) - largest))
    more = np.union1d(more, [margin for margin in MARGINS if margin <= more[-1]])
    normals = joint_normals(len(usable), NUM_DRAWS, seed).T
    forecasts = [
        on_new_examples(curve_forecast(curve, largest + more, level, seed), sampling_error(curve), normal)
        for curve, normal in zip(usable, normals)
    ]
    hours = np.stack([_hours(seconds.get(curve.learner, {}), largest + more) for curve in usable])
    prices = costs.per_example * more + costs.per_hour * hours
    return _decision(usable, forecasts, prices, more, largest, costs, level)


def _decision(
    curves: Sequence[Curve],
    forecasts: Sequence[Forecast],
    prices: Array,
    more: Array,
    largest: int,
    costs: Costs,
    level: float,
) -> Decision:
    """Compares the purchases; `prices` [L, K] are those of labels and training."""
    errors = np.stack([forecast.samples for forecast in forecasts])  # [L, D, K]
    total = prices[:, None, :] + costs.per_error * errors
    chosen = total.mean(axis=1).argmin(axis=0)  # the learner of the least expected cost at each size
    columns = np.arange(len(more))
    cost, error = total[chosen, :, columns].T, errors[chosen, :, columns].T  # [D, K]
    tail = (1 - level) / 2
    low, high = np.quantile(cost, [tail, 1 - tail], axis=0)
    pays_off = (cost < cost[:, :1]).mean(axis=0)
    purchases = tuple(
        Purchase(int(more[k]), curves[chosen[k]].learner, *map(float, row))
        for k, row in enumerate(zip(error.mean(axis=0), cost.mean(axis=0), low, high, pays_off))
    )
    falls = error[:, :1] - error
    values = tuple(
        MarginalValue(
            more=int(more[k]),
            fall=float(falls[:, k].mean()),
            low=float(np.quantile(falls[:, k], tail)),
            high=float(np.quantile(falls[:, k], 1 - tail)),
            saved=costs.per_error * float(falls[:, k].mean()),
        )
        for k in columns
        if more[k] in MARGINS
    )
    best = min(purchases, key=lambda purchase: purchase.cost)
    return Decision(largest, curves[0].unit, level, costs, purchases[0], best, purchases, values)


def _hours(measured: Mapping[int, float], train_sizes: Array) -> Array:
    """Training hours at sizes: a power law through the measured times, at least constant and at most quadratic."""
    points = [(math.log(size), math.log(value)) for size, value in sorted(measured.items()) if value > 0]
    if not points:
        return np.zeros(len(train_sizes))
    logs, values = np.array(points).T
    slope = float(np.clip(np.polyfit(logs, values, 1)[0], 0.0, 2.0)) if len(points) > 1 else 1.0
    return np.asarray(np.exp(values[-1] + slope * (np.log(train_sizes) - logs[-1])) / 3600)

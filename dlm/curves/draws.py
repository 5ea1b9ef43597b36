"""Joint draws of whole curves from a mixture of laws, widened with the distance from the data."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from dlm.curves.laws import Law
from dlm.curves.mixture import Mixture
from dlm.curves.points import Bound, Points

Array = NDArray[np.float64]

# A curve leaves its law by a rate in log error per e-fold of size beyond the data: a Student-t of scale
# DRIFT + DRIFT_STEEP·slope + DRIFT_NOISE·relative noise, and with some probability, larger when the sizes
# are few, a bend nobody could see coming: an exponential of mean BEND, down (a plateau that ends) or, less
# often, up. Chosen on one half of the data sets of LCDB 1.0 and 1.1; docs/forecasting.md has the table.
DRIFT = 0.003
DRIFT_STEEP = 0.08
DRIFT_NOISE = 0.6
DRIFT_TAIL = 4.0
BEND = 0.12
BEND_SHARE = 0.16  # with six sizes
BEND_POWER = 2.1  # odds of a bend fall as this power of the number of sizes
BEND_UP = 0.19
FARTHEST = 80.0  # of log error from the measured: further is rounding or overflow


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """D drawn curves; `at` gives their errors in the unit of the measurements, within `bound`."""

    sizes: Array
    base: float
    laws: tuple[tuple[Law, Array], ...]
    log_scale: Array
    order: NDArray[np.int64]
    drift: Array
    bound: Bound

    def at(self, sizes: Array) -> Array:
        """Errors [D, X] of every drawn curve at sizes [X]."""
        x = np.asarray(sizes, dtype=float) / self.sizes[-1]
        shape = np.concatenate([law.log_shape(theta, x) for law, theta in self.laws]) + self.log_scale[:, None]
        distance = np.log(np.maximum(x, 1.0))
        logs = np.maximum(shape, -FARTHEST)[self.order] + self.drift[:, None] * distance
        return np.clip(np.exp(self.base + np.clip(logs, -FARTHEST, FARTHEST)), *self.bound)


def draw(mixture: Mixture, points: Points, bound: Bound, num: int, rng: np.random.Generator) -> Draws:
    """`num` curves; laws are drawn systematically, so that each has its share of the draws."""
    probability = np.concatenate([w * fit.probability for fit, w in zip(mixture.fits, mixture.weights)])
    edges = np.cumsum(probability)
    picks = np.searchsorted(edges / edges[-1], (np.arange(num) + rng.uniform()) / num)
    laws, log_scale, start = [], [], 0
    for fit in mixture.fits:
        rows = picks[(picks >= start) & (picks < start + len(fit.theta))] - start
        start += len(fit.theta)
        if len(rows):
            laws.append((fit.law, fit.theta[rows]))
            log_scale.append(fit.log_scale[rows] + fit.scale_sd[rows] * rng.standard_normal(len(rows)))
    return Draws(
        sizes=points.sizes,
        base=points.base,
        laws=tuple(laws),
        log_scale=np.concatenate(log_scale),
        order=rng.permutation(num),
        drift=_drift(mixture, points, num, rng),
        bound=bound,
    )


def _drift(mixture: Mixture, points: Points, num: int, rng: np.random.Generator) -> Array:
    """Rates [num] at which drawn curves leave their law, in log error per e-fold of size."""
    rate = DRIFT + DRIFT_STEEP * mixture.slope + DRIFT_NOISE * mixture.noise
    odds = BEND_SHARE / (1 - BEND_SHARE) * (6 / len(points.sizes)) ** BEND_POWER
    bends = rng.uniform(size=num) < odds / (1 + odds)
    direction = np.where(rng.uniform(size=num) < BEND_UP, 1.0, -1.0)
    return rate * rng.standard_t(DRIFT_TAIL, num) + bends * direction * rng.exponential(BEND, num)

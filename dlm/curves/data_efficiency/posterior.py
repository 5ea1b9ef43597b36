"""The difference of two curves' log errors between any two sizes, with what is not known of it.

Each curve's log error is a straight line in log size plus a smooth deviation: a Gaussian process, either an integrated
random walk (a cubic smoothing spline; Wahba 1978, "Improper priors, spline smoothing") or a squared exponential. The
lines are unknown, so a power law of any slope is as likely as any other. How much the curves bend, and the noise of
`pair_noise`, is a grid of settings, each weighted by how well it explains the means; a probability is their average.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlm.curves.data_efficiency.paired_curves import Pair, noises, thin

Array = NDArray[np.float64]

_BENDS = np.geomspace(0.01, 0.35, 6)  # s.d. of a curve's second derivative in log-log
_REACH = 3.0  # log size over which the squared exponential forgets
_MOST = 200


def _rough(s: Array, t: Array) -> Array:
    least, apart = np.minimum(s, t), np.abs(s - t)
    return least**3 / 3 + least**2 * apart / 2


def _smooth(s: Array, t: Array) -> Array:
    return _REACH**4 / 3 * np.exp(-(((s - t) / _REACH) ** 2) / 2)


_KERNELS: tuple[Callable[[Array, Array], Array], ...] = (_rough, _smooth)


class PairPosterior:
    """What is believed of two curves after a pair with at least two sizes of the reference and one of the other.

    It answers about sums over j of weight·(log error of the other at size `of_other` - of the reference at size
    `of_reference`): arrays [Q, J], sizes as logs, for Q sums.
    """

    def __init__(self, pair: Pair):
        self._other, self._origin = pair.other, float(pair.x.min())
        self._places = pair.x - self._origin
        second = pair.other[:, None].astype(float)
        self._design = self._lines(self._places[:, None], 1 - second, second)
        noise, prior = noises(pair)
        same = pair.other[:, None] == pair.other
        grams = np.stack([np.where(same, kernel(self._places[:, None], self._places), 0.0) for kernel in _KERNELS])
        kinds, bends, levels = np.indices((len(_KERNELS), len(_BENDS), len(noise))).reshape(3, -1)
        total = noise[levels] + _BENDS[bends, None, None] ** 2 * grams[kinds]
        inverse = np.linalg.inv(total)
        precision = self._design.T @ inverse @ self._design
        spread = np.linalg.inv(precision)
        line = np.einsum("sab,bn,snm,m->sa", spread, self._design.T, inverse, pair.y, optimize=True)
        left = pair.y - line @ self._design.T
        pull = np.einsum("snm,sm->sn", inverse, left)
        # Likelihood of the means, with the lines integrated out (REML).
        misfit = (pull * left).sum(axis=1) + np.linalg.slogdet(total)[1] + np.linalg.slogdet(precision)[1]
        keep, self._weight = thin(np.log(prior)[levels] - misfit / 2, _MOST)
        self._kind, self._bend, self._inverse = kinds[keep], _BENDS[bends[keep], None] ** 2, inverse[keep]
        self._line, self._spread, self._pull = line[keep], spread[keep], pull[keep]

    def chance_above(self, of_other: Array, of_reference: Array, weight: Array) -> Array:
        """Probability [Q] that each sum is above zero."""
        from scipy.special import ndtr  # slow to import

        mean, sd = self._sums(of_other, of_reference, weight)
        return np.asarray(self._weight @ ndtr(mean / sd))

    def moments(self, of_other: Array, of_reference: Array, weight: Array) -> tuple[Array, Array]:
        """Mean and standard deviation [Q] of each sum."""
        mean, sd = self._sums(of_other, of_reference, weight)
        middle = self._weight @ mean
        return middle, np.sqrt(self._weight @ (sd**2 + (mean - middle) ** 2))

    def _sums(self, of_other: Array, of_reference: Array, weight: Array) -> tuple[Array, Array]:
        """Mean and standard deviation [S, Q] in each setting: kriging with unknown lines."""
        a, b = of_other - self._origin, of_reference - self._origin
        lines = self._lines(a, 0 * weight, weight) - self._lines(b, weight, 0 * weight)
        mean, variance = np.empty((2, len(self._weight), len(a)))
        for kind, kernel in enumerate(_KERNELS):
            mine = self._kind == kind
            bend = self._bend[mine]
            to_a, to_b = (np.einsum("qj,qjn->qn", weight, kernel(c[:, :, None], self._places)) for c in (a, b))
            near = np.where(self._other, to_a, -to_b)
            own_a, own_b = (
                np.einsum("qj,qk,qjk->q", weight, weight, kernel(c[:, :, None], c[:, None, :])) for c in (a, b)
            )
            drawn = bend[:, :, None] * (near @ self._inverse[mine])
            slack = lines - drawn @ self._design
            mean[mine] = self._line[mine] @ lines.T + bend * (self._pull[mine] @ near.T)
            variance[mine] = bend * (own_a + own_b - np.einsum("sqn,qn->sq", drawn, near))
            variance[mine] += np.einsum("sqa,sqa->sq", slack @ self._spread[mine], slack)
        return mean, np.sqrt(np.maximum(variance, 1e-14))

    def _lines(self, x: Array, reference: Array, other: Array) -> Array:
        """What each sum holds of levels and slopes: [Q, 4], less the slope of a curve with a single size."""
        usable = [True, True, (~self._other).sum() > 1, self._other.sum() > 1]
        columns = np.stack([(part * x**power).sum(axis=1) for power in (0, 1) for part in (reference, other)], axis=1)
        return columns[:, usable]

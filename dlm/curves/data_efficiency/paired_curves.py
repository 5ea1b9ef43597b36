"""Two measured curves: mean errors, noise that the seeds show, and the posterior of the difference of log errors.

Each curve's log error is a line in log size plus a smooth deviation: a Gaussian process, either an integrated random
walk (a cubic smoothing spline; Wahba 1978, "Improper priors, spline smoothing") or a squared exponential. The prior of
the lines is flat, so that every power law is equally likely. Curvature and noise are a grid of settings, weighted by
the likelihood of the means; a probability is an average over the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlm.curves.measurement_noise import only_finite
from dlm.curves.points import Array
from dlm.curves.types import Curve

Indices = NDArray[np.intp]  # positions among sizes or points

LEAST_NOISE = 1e-3  # minimum relative s.d. of the noise, also if all seeds agree
_STEPS = 12  # of the regression; 6 were enough in all simulations
# Prior s.d. of the regression's coefficients, in log variance: its level, the difference of the two curves, and each
# curve's slope per factor e of size.
_PRIOR_SD = np.array([1e5, 0.7, 0.5, 0.5])


class Block(NamedTuple):
    """Points with paired seeds: sums of products [B, B] of their relative deviations, and degrees of freedom."""

    points: Indices
    products: Array
    freedom: int


class Pair(NamedTuple):
    """N points, the reference first: log size, whether of the other curve, log mean error, number of seeds.

    `blocks` are disjoint; a point with one seed is in none. `paired`: both curves have the same number of seeds (at
    least two) at every size, so that seeds are paired by position.
    """

    x: Array
    other: NDArray[np.bool_]
    y: Array
    repeats: Array
    blocks: tuple[Block, ...]
    paired: bool

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the noise estimates."""
        return sum(block.freedom * len(block.points) for block in self.blocks)


def read_pair(reference: Curve, other: Curve) -> Pair:
    """The points of two curves; sizes with only zero errors are omitted."""
    sides = [only_finite(curve) for curve in (reference, other)]
    rows = [
        (size, is_other, np.array(errors))
        for is_other, side in enumerate(sides)
        for size, errors in zip(side.train_sizes, side.errors)
        if any(errors)
    ]
    errors = [row for _, _, row in rows]
    means, repeats = np.array([row.mean() for row in errors]), np.array([len(row) for row in errors], dtype=float)
    second = np.array([is_other for _, is_other, _ in rows], dtype=bool)
    paired = bool(len(rows) and repeats.min() == repeats.max() > 1)
    return Pair(
        x=np.log(np.array([size for size, _, _ in rows], dtype=float)),
        other=second,
        y=np.log(means),
        repeats=repeats,
        blocks=tuple(_blocks([row / mean - 1 for row, mean in zip(errors, means)], second, paired)),
        paired=paired,
    )


def variances(pair: Pair) -> Array:
    """Relative variance [N] of one seed's error, log-linear in size with a level for each curve; ones where unknown.

    A gamma regression of the seeds' variances, shrunk towards one variance for all: few seeds estimate it poorly.
    """
    if not pair.freedom:
        return np.ones(len(pair.x))
    squares, freedom = np.zeros((2, len(pair.x)))
    for block in pair.blocks:
        squares[block.points], freedom[block.points] = np.diag(block.products), block.freedom
    seen = np.maximum(squares / np.maximum(freedom, 1), LEAST_NOISE**2)
    centred = pair.x - pair.x.mean()
    design = np.stack([np.ones(len(centred)), pair.other - 0.5, centred * ~pair.other, centred * pair.other], axis=1)
    theta = np.array([np.log(seen @ freedom / freedom.sum()), 0.0, 0.0, 0.0])
    start, prior = theta, np.diag(_PRIOR_SD**-2)
    information = (design.T * freedom / 2) @ design + prior
    for _ in range(_STEPS):
        excess = seen / np.exp(design @ theta) - 1
        slope = design.T @ (freedom / 2 * excess) - prior @ (theta - start)
        theta = theta + np.clip(np.linalg.solve(information, slope), -1, 1)
    return np.exp(design @ theta)


def _blocks(deviations: Sequence[Array], second: NDArray[np.bool_], paired: bool) -> list[Block]:
    """One block of all points if paired, otherwise one per curve without missing seeds, otherwise one per point.

    Where a seed is missing it is not known which, so nothing says which of the others belong together.
    """
    groups: list[Indices] = []
    for points in map(np.flatnonzero, [second | True] if paired else [~second, second]):
        aligned = len({len(deviations[k]) for k in points.tolist()}) == 1
        groups += [points] if aligned else list(points[:, None])
    tables = [(points, np.stack([deviations[k] for k in points.tolist()])) for points in groups]
    return [Block(points, table @ table.T, table.shape[1] - 1) for points, table in tables if table.shape[1] > 1]


# Correlation of neighbours along a curve, the log size over which it falls by e, and its weight with and without seeds
# that show it.
_ALONG = (
    (0.0, 1.0, 1.0, 2.0),
    (0.4, 1.5, 1.0, 1.5),
    (0.4, 8.0, 1.0, 1.0),
    (0.75, 1.5, 1.0, 1.0),
    (0.75, 8.0, 1.5, 1.0),
    (0.92, 8.0, 1.5, 0.4),
    (0.98, 8.0, 1.0, 0.0),
)
_SHARED = ((0.4, 1.0), (0.7, 1.0), (0.9, 1.0), (0.98, 1.0))  # share of the variance that a pair has in common, weight
_NOT_SHARED_WEIGHT = 2.0
_NOISE_STEPS = np.linspace(-2, 4, 7)  # of the log noise from its estimate, in standard errors
_UNSEEN_SCALES = np.geomspace(0.005, 0.6, 9)  # relative s.d. of one seed's error, where no seed shows it
_MAX_NOISE_SETTINGS = 64


def noises(pair: Pair) -> tuple[Array, Array]:
    """Candidate covariances [S, N, N] of the noise of the log mean errors, at most 64, and their weights [S]."""
    matrices, weights = _correlations(pair)
    spread = np.sqrt(variances(pair))
    one = (matrices + 1e-6 * np.eye(len(spread))) * spread[:, None] * spread
    scales, fit = _scales(pair, one)
    keep, weight = thin(np.log(weights)[:, None] + fit, _MAX_NOISE_SETTINGS)
    shape, scale = one[keep // scales.shape[1]], scales.ravel()[keep]
    return shape * scale[:, None, None] ** 2 / np.sqrt(pair.repeats[:, None] * pair.repeats), weight


def thin(log_weight: Array, most: int) -> tuple[NDArray[np.intp], Array]:
    """At most `most` flat indices by systematic resampling of the weights, and their new weights."""
    weight = np.exp(log_weight - log_weight.max()).ravel()
    ticks = np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(most) + 0.5) / most)
    keep, times = np.unique(np.minimum(ticks, weight.size - 1), return_counts=True)
    return keep, times / most


def _correlations(pair: Pair) -> tuple[Array, Array]:
    """Correlations [C, N, N] of one seed's noise over the points, and prior weights [C].

    A share of the variance is common to a pair of seeds; both parts are correlated along the sizes.
    """
    seen = any(len(block.points) > 1 for block in pair.blocks)
    total = sum(with_seeds if seen else without for _, _, with_seeds, without in _ALONG)
    apart, same = np.abs(pair.x[:, None] - pair.x), pair.other[:, None] == pair.other
    along = [
        (np.where(apart < 1e-9, 1.0, near * np.exp(-apart / reach)), (with_seeds if seen else without) / total)
        for near, reach, with_seeds, without in _ALONG
        if seen or without
    ]
    made = [(np.where(same, own, 0.0), _NOT_SHARED_WEIGHT * weight) for own, weight in along]
    for (share, a), (common, b), (own, c) in itertools.product(_SHARED if pair.paired else (), along, along):
        made.append((share * common + np.where(same, (1 - share) * own, 0.0), a * b * c))
    return np.stack([matrix for matrix, _ in made]), np.array([weight for _, weight in made])


def _scales(pair: Pair, one: Array) -> tuple[Array, Array]:
    """Scales [C, G] of the noise under covariances `one` [C, N, N], and their log likelihood."""
    if not pair.freedom:
        return np.tile(_UNSEEN_SCALES, (len(one), 1)), np.zeros((len(one), len(_UNSEEN_SCALES)))
    misfit, volume = np.zeros((2, len(one)))
    for points, products, freedom in pair.blocks:
        part = one[:, points[:, None], points]
        floor = freedom * LEAST_NOISE**2 * np.eye(len(points))
        misfit += np.einsum("cij,ji->c", np.linalg.inv(part), products + floor)
        volume += freedom * np.linalg.slogdet(part)[1]
    best = np.sqrt(misfit / pair.freedom)[:, None]
    scales = best * np.exp(_NOISE_STEPS / np.sqrt(2 * pair.freedom))
    return scales, -(volume + misfit / scales.T**2).T / 2 - pair.freedom * np.log(scales)


_BENDS = np.geomspace(0.01, 0.35, 6)  # s.d. of a curve's second derivative in log-log
_REACH = 3.0  # log size over which the squared exponential forgets
_MAX_SETTINGS = 200


def _rough(s: Array, t: Array) -> Array:
    least, apart = np.minimum(s, t), np.abs(s - t)
    return least**3 / 3 + least**2 * apart / 2


def _smooth(s: Array, t: Array) -> Array:
    return _REACH**4 / 3 * np.exp(-(((s - t) / _REACH) ** 2) / 2)


_KERNELS: tuple[Callable[[Array, Array], Array], ...] = (_rough, _smooth)


class PairPosterior:
    """Posterior of two curves, from at least two sizes of the reference and one of the other.

    Queries are sums over j of weight·(log error of the other at size `of_other` - of the reference at size
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
        keep, self._weight = thin(np.log(prior)[levels] - misfit / 2, _MAX_SETTINGS)
        self._kind, self._bend, self._inverse = kinds[keep], _BENDS[bends[keep], None] ** 2, inverse[keep]
        self._line, self._spread, self._pull = line[keep], spread[keep], pull[keep]

    def probability_above(self, of_other: Array, of_reference: Array, weight: Array) -> Array:
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
            gain = bend[:, :, None] * (near @ self._inverse[mine])
            slack = lines - gain @ self._design
            mean[mine] = self._line[mine] @ lines.T + bend * (self._pull[mine] @ near.T)
            variance[mine] = bend * (own_a + own_b - np.einsum("sqn,qn->sq", gain, near))
            variance[mine] += np.einsum("sqa,sqa->sq", slack @ self._spread[mine], slack)
        return mean, np.sqrt(np.maximum(variance, 1e-14))

    def _lines(self, x: Array, reference: Array, other: Array) -> Array:
        """Coefficients of the lines in each sum: [Q, 4] levels and slopes, without slopes of single-size curves."""
        usable = [True, True, (~self._other).sum() > 1, self._other.sum() > 1]
        columns = np.stack([(part * x**power).sum(axis=1) for power in (0, 1) for part in (reference, other)], axis=1)
        return columns[:, usable]

"""The noise of two curves' mean errors: covariances that the seeds' deviations allow, with weights.

A seed's noise is correlated along a curve, since its subsets nest, and between the curves, where the seeds are paired.
Neither is known, so both are a grid, and each of its points is weighted by how well it explains the seeds (Wishart).
Correlation along a curve falls with the distance in log size: on LCDB 1.0's single splits it is 0.35 between neighbours
an octave apart and 0.14 three octaves apart, on average of learners, and up to 0.8; where the seeds cannot tell, the
prior weights are all there is.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlm.curves.paired import LEAST_NOISE, Pair, variances

Array = NDArray[np.float64]

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
_STEPS = np.linspace(-2, 4, 7)  # of the log noise from its estimate, in standard errors
_UNSEEN_SCALES = np.geomspace(0.005, 0.6, 9)  # relative s.d. of one seed's error, where no seed shows it
_MOST = 64


class Noises(NamedTuple):
    """Covariance [S, N, N] of the log mean errors' noise in each setting, and the settings' weights [S]."""

    covariance: Array
    weight: Array


def noises(pair: Pair) -> Noises:
    """At most 64 settings."""
    matrices, weights = _correlations(pair)
    spread = np.sqrt(variances(pair))
    one = (matrices + 1e-6 * np.eye(len(spread))) * spread[:, None] * spread
    scales, fit = _scales(pair, one)
    keep, weight = thin(np.log(weights)[:, None] + fit, _MOST)
    shape, scale = one[keep // scales.shape[1]], scales.ravel()[keep]
    return Noises(shape * scale[:, None, None] ** 2 / np.sqrt(pair.repeats[:, None] * pair.repeats), weight)


def thin(log_weight: Array, most: int) -> tuple[NDArray[np.intp], Array]:
    """At most so many places of a raveled table, taken evenly along its weights (systematic resampling); weights."""
    weight = np.exp(log_weight - log_weight.max()).ravel()
    ticks = np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(most) + 0.5) / most)
    keep, times = np.unique(np.minimum(ticks, weight.size - 1), return_counts=True)
    return keep, times / most


def _correlations(pair: Pair) -> tuple[Array, Array]:
    """Correlations [C, N, N] of one seed's noise over the cells, and prior weights [C].

    A share of the variance is common to a pair, and what is common is correlated along the curves in its own way.
    """
    seen = any(len(block.cells) > 1 for block in pair.blocks)
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
    """Scales [C, G] of the noise worth a thought under covariances `one` [C, N, N], and their log likelihood."""
    if not pair.freedom:
        return np.tile(_UNSEEN_SCALES, (len(one), 1)), np.zeros((len(one), len(_UNSEEN_SCALES)))
    misfit, volume = np.zeros((2, len(one)))
    for cells, products, freedom in pair.blocks:
        part = one[:, cells[:, None], cells]
        floor = freedom * LEAST_NOISE**2 * np.eye(len(cells))
        misfit += np.einsum("cij,ji->c", np.linalg.inv(part), products + floor)
        volume += freedom * np.linalg.slogdet(part)[1]
    best = np.sqrt(misfit / pair.freedom)[:, None]
    scales = best * np.exp(_STEPS / np.sqrt(2 * pair.freedom))
    return scales, -(volume + misfit / scales.T**2).T / 2 - pair.freedom * np.log(scales)

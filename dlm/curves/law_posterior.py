"""The posterior over laws given the points of one curve: a weight for every grid point of every family.

Each law's scale is found in closed form (a robust weighted mean on log error), the rest lies on a grid that
is evaluated at once, so there are no bad starts; the best grid point of each family is polished and joins the
grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlm.curves.laws import LAWS, Law
from dlm.curves.points import Points

Array = NDArray[np.float64]

_HUBER = 1.5  # standard deviations beyond which a residual counts linearly
_MAX_EVALUATIONS = 40


def polish(law: Law, theta: Array, log_scale: float, x: Array, log_error: Array, spread: Array) -> tuple[Array, float]:
    """Parameters [P] and log scale of `law`, near those given, with the least Huber loss on log error.

    Args:
      x: [K] relative sizes.
      log_error: [K].
      spread: [K] standard deviations of log_error.
    """
    from scipy.optimize import least_squares  # slow to import, and not needed to read an answer

    limits = [np.log(axis[[0, -1]]) for axis in law.axes.values()]
    rising = theta[0] > 1
    low = np.array([-np.inf, 1.0 if rising else 0.0, *(limit[0] for limit in limits)])
    high = np.array([np.inf, 3.0 if rising else 1.0, *(limit[1] for limit in limits)])

    def residuals(free: Array) -> Array:
        shape = law.log_shape(np.concatenate([free[1:2], np.exp(free[2:])])[None], x)[0]
        return (log_error - free[0] - np.maximum(shape, -50.0)) / spread

    # Strictly inside: least_squares asks for a feasible start and moves off the edge anyway.
    start = np.clip(np.concatenate([[log_scale, theta[0]], np.log(theta[1:])]), low + 1e-6, high - 1e-6)
    found = least_squares(
        residuals,
        start,
        bounds=(low, high),
        loss="huber",
        f_scale=_HUBER,
        max_nfev=_MAX_EVALUATIONS,
        x_scale="jac",
    )
    if not np.isfinite(found.x).all():
        return theta, log_scale
    return np.concatenate([found.x[1:2], np.exp(found.x[2:])]), float(found.x[0])


# Constants chosen on one half of the data sets of LCDB 1.0 and 1.1; docs/forecasting.md has the table.
TAIL = 4.0  # degrees of freedom of the residuals: a wild point costs a logarithm, not a square
SIGMA_PRIOR = 0.01  # residual of a law on log error before any is seen ...
SIGMA_UNKNOWN = 0.06  # ... the same where nothing says how noisy the points are
SIGMA_WEIGHT = 2.0  # ... worth this many points
SHARPEN = 2.0  # the likelihood to this power: the misfits of a law are not independent noise
BACK = 0.04  # further misfit per e-fold below the largest size: a transient may be explained or dropped
FIT_SHARE = 0.3  # weight of the marginal likelihood in a family's log weight
AHEAD_SHARE = 0.5  # weight of its extrapolation score
AHEAD_SCALE = 0.03  # scale of an extrapolation error per e-fold of distance
MAX_HOLDOUTS = 3
POLISH_FROM = 0.02  # weight from which a family is worth polishing


@dataclasses.dataclass(frozen=True)
class LawFit:
    """One family on one curve: parameters [G, P], log scale, its s.d. and probability [G] in the family."""

    law: Law
    theta: Array
    log_scale: Array
    scale_sd: Array
    probability: Array
    log_evidence: float


@dataclasses.dataclass(frozen=True)
class LawMixture:
    """All families on one curve; `weights` sum to 1.

    `sigma` is the residual of the best law on log error.
    """

    fits: tuple[LawFit, ...]
    weights: Array
    sigma: float

    @property
    def best(self) -> LawFit:
        """The family of the largest weight."""
        return self.fits[int(np.argmax(self.weights))]


def fit_mixture(points: Points, laws: Sequence[Law] = LAWS) -> LawMixture:
    """Fits every family; chooses weights by fit and by extrapolation from the smaller to the larger sizes."""
    shapes = [law.log_shape(law.grid, points.x) for law in laws]
    sigma = _residual(points, laws, shapes)
    ahead = AHEAD_SHARE * _ahead_scores(points, laws, shapes, sigma)
    fits = [_fit(law, law.grid, shape, points, sigma) for law, shape in zip(laws, shapes)]
    weights = _weights(fits, ahead)
    fits = [
        _with_polished(fit, shape, points, sigma) if weight > POLISH_FROM else fit
        for fit, shape, weight in zip(fits, shapes, weights)
    ]
    weights = _weights(fits, ahead)
    return LawMixture(tuple(fits), weights, sigma)


def _weights(fits: Sequence[LawFit], ahead: Array) -> Array:
    score = FIT_SHARE * np.array([fit.log_evidence for fit in fits]) + ahead
    weights = np.exp(score - score.max())
    return weights / weights.sum()


def _variance(points: Points, sigma: float) -> Array:
    # Where only the number of repeats is known, the residual is taken to be their noise.
    share = np.where(points.noise > 0, 1.0, points.repeats.mean() / points.repeats)
    return points.noise**2 + share * sigma**2 + (BACK * np.log(points.x)) ** 2


def _scales(shape: Array, points: Points, variance: Array) -> tuple[Array, Array, Array]:
    """Log scale, its s.d. and log likelihood [G] of shapes [G, K], by reweighted least squares."""
    finite = np.asarray(np.isfinite(shape).all(axis=1))
    gap = points.log_error - np.where(finite[:, None], shape, 0.0)
    centre = np.median(gap, axis=1)
    for _ in range(3):
        weight = (TAIL + 1) / (TAIL * variance + (gap - centre[:, None]) ** 2)
        total = weight.sum(axis=1)
        centre = (weight * gap).sum(axis=1) / total
    squares = (gap - centre[:, None]) ** 2 / variance
    log_likelihood = -0.5 * (TAIL + 1) * np.log1p(squares / TAIL).sum(axis=1) - 0.5 * np.log(variance).sum()
    return centre, 1 / np.sqrt(total), np.where(finite, log_likelihood, -np.inf)


def _residual(points: Points, laws: Sequence[Law], shapes: Sequence[Array]) -> float:
    """Residual s.d. of the best law on log error beyond the known noise, shrunk to what is usual."""
    usual = SIGMA_PRIOR if points.noise_known else SIGMA_UNKNOWN
    variance = _variance(points, usual)
    best = np.inf
    for law, shape in zip(laws, shapes):
        centre, _, log_likelihood = _scales(shape, points, variance)
        row = int(np.argmax(log_likelihood))
        gap = points.log_error - shape[row] - centre[row]
        # Winsorised, so that one wild point does not speak for the others.
        limit = 3 * 1.4826 * np.median(np.abs(gap)) + usual
        excess = np.minimum(gap**2, limit**2) - points.noise**2 - (BACK * np.log(points.x)) ** 2
        left = max(len(gap) - law.num_parameters, 1)
        candidate = (max(excess.sum(), 0.0) + SIGMA_WEIGHT * usual**2) / (left + SIGMA_WEIGHT)
        best = min(best, candidate)
    return float(np.sqrt(best))


def _fit(law: Law, theta: Array, shape: Array, points: Points, sigma: float) -> LawFit:
    scale, scale_sd, log_likelihood = _scales(shape, points, _variance(points, sigma))
    prior = law.log_prior(theta)
    prior = prior - np.logaddexp.reduce(prior)
    joint = SHARPEN * log_likelihood + prior
    evidence = float(np.logaddexp.reduce(joint))
    keep = joint > joint.max() - 14.0
    probability = np.exp(joint[keep] - evidence)
    return LawFit(law, theta[keep], scale[keep], scale_sd[keep], probability / probability.sum(), evidence)


def _with_polished(fit: LawFit, shape: Array, points: Points, sigma: float) -> LawFit:
    """The family fitted again with its best grid point polished and added to the grid."""
    if not fit.law.axes:
        return fit
    row = int(np.argmax(fit.probability))
    spread = np.sqrt(_variance(points, sigma))
    start = fit.theta[row], float(fit.log_scale[row])
    polished = polish(fit.law, *start, points.x, points.log_error, spread)[0][None]
    theta = np.concatenate([fit.law.grid, polished])
    wider = np.concatenate([shape, fit.law.log_shape(polished, points.x)])
    return _fit(fit.law, theta, wider, points, sigma)


def _ahead_scores(points: Points, laws: Sequence[Law], shapes: Sequence[Array], sigma: float) -> Array:
    """Log score per family: how well it foretells the larger sizes when fitted to the smaller ones."""
    num = len(points.train_sizes)
    total = np.zeros(len(laws))
    for left_out in range(1, min(MAX_HOLDOUTS, num - 3) + 1):
        part = points.first(num - left_out)
        ahead = slice(num - left_out, num)
        distance = np.log(points.train_sizes[ahead] / part.train_sizes[-1])
        variance = points.noise[ahead] ** 2 + sigma**2 + (AHEAD_SCALE * distance) ** 2
        for index, (law, shape) in enumerate(zip(laws, shapes)):
            scale, _, log_likelihood = _scales(
                shape[:, : num - left_out], part, _variance(points, sigma)[: num - left_out]
            )
            joint = log_likelihood + law.log_prior(law.grid)
            if not np.isfinite(joint).any():
                total[index] -= 50.0
                continue
            probability = np.exp(joint - joint.max())
            probability /= probability.sum()
            used = probability > 0
            expected = probability[used] @ (shape[used][:, ahead] + scale[used, None])
            squares = (points.log_error[ahead] - expected) ** 2 / variance
            total[index] -= 0.5 * (TAIL + 1) * np.log1p(squares / TAIL).mean()
    return total

"""Families of learning-curve laws, and their posterior given the points of one curve.

Every law is error(n) = E · (φ + (1 - φ) · g(n) / g(N)), where N is the largest measured size, E the error at N and φ
the share of E that remains with unlimited data; φ > 1 is a curve that rises towards its limit. A family is a choice of
the decay g. Relative sizes x = n/N make the parameters dimensionless, so that one grid serves every curve.

The posterior has a weight for each grid point of each family. The scale of a law has a closed form (a robust weighted
mean of log errors), and the grid is evaluated at once, so no optimizer needs a start; the best grid point of each
likely family is refined and added.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlm.curves.points import Array, Points

# Limits as shares of the error at N; dense near 1, for curves that have almost converged.
_SHARES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98, 0.99, 0.997, 0.9995])
_RISING = np.array([1.003, 1.02, 1.06, 1.15, 1.4, 2.0])
_RISING_PRIOR = 0.1  # about 15 % of real curves are not monotone, and far fewer keep rising
_LARGEST_EXPONENT = 600.0  # exp of more overflows; such a law is far from any data anyway


@dataclasses.dataclass(frozen=True)
class Law:
    """One family. `decay(x, *shape)` is log g; `axes` are the grid of each shape parameter, all positive.

    `typical`: (centre, spread) of the log of each shape parameter over real curves, a weak prior. `term(N, *shape)`:
    log g(N), and g as text, for g with a scale in examples.
    """

    name: str
    axes: Mapping[str, Array]
    typical: tuple[tuple[float, float], ...]
    decay: Callable[..., Array]
    term: Callable[..., tuple[float, str]]

    @functools.cached_property
    def grid(self) -> Array:
        """Start points [G, 1 + parameters]: the share φ, then the shape parameters."""
        shares = np.concatenate([_SHARES, _RISING]) if self.axes else np.array([1.0])
        mesh = np.meshgrid(shares, *self.axes.values(), indexing="ij")
        return np.stack([axis.ravel() for axis in mesh], axis=1)

    def log_prior(self, theta: Array) -> Array:
        """Unnormalised log prior [G] of parameters [G, 1 + parameters]."""
        total = np.where(theta[:, 0] > 1.0, np.log(_RISING_PRIOR), 0.0)
        for column, (centre, spread) in enumerate(self.typical, start=1):
            total = total - 0.5 * ((np.log(theta[:, column]) - centre) / spread) ** 2
        return total

    def log_shape(self, theta: Array, x: Array) -> Array:
        """log(error(n) / E) [G, X] at relative sizes x [X] for parameters [G, P]; -inf below 0."""
        share, shape = theta[:, :1], [theta[:, column, None] for column in range(1, theta.shape[1])]
        exponent = self.decay(x[None, :], *shape) - self.decay(np.ones((1, 1)), *shape)
        value = share + (1.0 - share) * np.exp(np.minimum(exponent, _LARGEST_EXPONENT))
        return np.log(value, where=value > 0, out=np.full(value.shape, -np.inf))

    def text(self, error: float, largest: float, share: float, *shape: float) -> str:
        """The formula of the law with this error at the largest size, for example "0.1 + 2·n^-0.5"."""
        if not shape:
            return f"{error:.3g}"
        log_decay, term = self.term(largest, *shape)
        factor = (1.0 - share) * error * float(np.exp(np.clip(-log_decay, -600, 600)))
        limit = f"{share * error:.3g} + " if abs(share) > 1e-6 else ""  # none for a rounding of zero
        return f"{limit}{factor:.3g}{term}"


POW3 = Law(  # c + a·n^-α (Cortes et al. 1993; Hestness et al. 2017)
    "pow3",
    {"alpha": np.geomspace(0.03, 3.0, 28)},
    ((np.log(0.5), 1.0),),
    lambda x, alpha: -alpha * np.log(x),
    lambda largest, alpha: (-alpha * np.log(largest), f"·n^-{alpha:.3g}"),
)
POW4 = Law(  # c + a·(n + b)^-α (Viering and Loog 2022, a power law that starts with a plateau)
    "pow4",
    {"alpha": np.geomspace(0.1, 4.0, 14), "shift": np.geomspace(0.003, 3.0, 8)},
    ((np.log(0.7), 1.0), (np.log(0.1), 2.0)),
    lambda x, alpha, shift: -alpha * np.log(x + shift),
    lambda largest, alpha, shift: (
        -alpha * np.log(largest * (1 + shift)),
        f"·(n + {shift * largest:.3g})^-{alpha:.3g}",
    ),
)
EXP3 = Law(  # c + a·exp(-n/b) (Viering and Loog 2022)
    "exp3",
    {"rate": np.geomspace(0.1, 60.0, 28)},
    ((np.log(3.0), 1.5),),
    lambda x, rate: -rate * x,
    lambda largest, rate: (-rate, f"·exp(-n/{largest / rate:.3g})"),
)
MMF4 = Law(  # c + a/(1 + (n/b)^α) (Morgan, Mercer and Flodin 1975)
    "mmf4",
    {"alpha": np.geomspace(0.2, 4.0, 12), "knee": np.geomspace(0.001, 4.0, 11)},
    ((np.log(0.8), 1.0), (np.log(0.1), 2.0)),
    lambda x, alpha, knee: -np.log1p((x / knee) ** alpha),
    lambda largest, alpha, knee: (-np.log1p(knee**-alpha), f"/(1 + (n/{knee * largest:.3g})^{alpha:.3g})"),
)
WBL4 = Law(  # c + a·exp(-(n/b)^α) (Weibull growth; Viering and Loog 2022)
    "wbl4",
    {"alpha": np.geomspace(0.08, 1.5, 12), "knee": np.geomspace(1e-5, 4.0, 13)},
    ((np.log(0.35), 0.8), (np.log(0.05), 3.0)),
    lambda x, alpha, knee: -((x / knee) ** alpha),
    lambda largest, alpha, knee: (-(knee**-alpha), f"·exp(-(n/{knee * largest:.3g})^{alpha:.3g})"),
)
FLAT = Law("flat", {}, (), lambda x: np.zeros_like(x), lambda largest: (0.0, ""))  # no change (the last value)

LAWS: tuple[Law, ...] = (POW3, POW4, EXP3, MMF4, WBL4, FLAT)

_HUBER = 1.5  # standard deviations beyond which a residual counts linearly
_MAX_EVALUATIONS = 40


# Constants selected on one half of the datasets of LCDB 1.0 and 1.1 (docs/method/forecasting.md).
TAIL = 4.0  # degrees of freedom of the residuals (Student's t, robust to outliers)
SIGMA_PRIOR = 0.01  # prior residual of a law on log error
SIGMA_UNKNOWN = 0.06  # the same if the noise is unknown
SIGMA_WEIGHT = 2.0  # weight of the prior, in points
SHARPEN = 2.0  # power of the likelihood: residuals of a law are not independent noise
BACK = 0.04  # additional misfit per e-fold below the largest size, which downweights transients
FIT_SHARE = 0.3  # weight of the marginal likelihood in a family's log weight
AHEAD_SHARE = 0.5  # weight of its extrapolation score
AHEAD_SCALE = 0.03  # scale of an extrapolation error per e-fold of distance
MAX_HOLDOUTS = 3
POLISH_FROM = 0.02  # weight from which a family is worth polishing


@dataclasses.dataclass(frozen=True)
class LawFit:
    """One family on one curve: parameters [G, P], log scale and probability [G] in the family."""

    law: Law
    theta: Array
    log_scale: Array
    probability: Array
    log_evidence: float


@dataclasses.dataclass(frozen=True)
class LawMixture:
    """All families on one curve; `weights` sum to 1; `sigma` is the residual of the best law on log error."""

    fits: tuple[LawFit, ...]
    weights: Array
    sigma: float

    @property
    def best(self) -> LawFit:
        """The family of the largest weight."""
        return self.fits[int(np.argmax(self.weights))]


def fit_mixture(points: Points) -> LawMixture:
    """Fits every family; chooses weights by fit and by extrapolation from the smaller to the larger sizes."""
    shapes = [law.log_shape(law.grid, points.x) for law in LAWS]
    sigma = _residual(points, shapes)
    ahead = AHEAD_SHARE * _ahead_scores(points, shapes, sigma)
    fits = [_fit(law, law.grid, shape, points, sigma) for law, shape in zip(LAWS, shapes)]
    weights = _weights(fits, ahead)
    fits = [
        _with_polished(fit, shape, points, sigma) if weight > POLISH_FROM else fit
        for fit, shape, weight in zip(fits, shapes, weights)
    ]
    return LawMixture(tuple(fits), _weights(fits, ahead), sigma)


def _weights(fits: Sequence[LawFit], ahead: Array) -> Array:
    score = FIT_SHARE * np.array([fit.log_evidence for fit in fits]) + ahead
    weights = np.exp(score - score.max())
    return weights / weights.sum()


def _variance(points: Points, sigma: float) -> Array:
    # If only the number of repeats is known, the residual scales with it.
    share = np.where(points.noise > 0, 1.0, points.repeats.mean() / points.repeats)
    return points.noise**2 + share * sigma**2 + (BACK * np.log(points.x)) ** 2


def _scales(shape: Array, points: Points, variance: Array) -> tuple[Array, Array]:
    """Log scale and log likelihood [G] of shapes [G, K], by reweighted least squares."""
    finite = np.asarray(np.isfinite(shape).all(axis=1))
    gap = points.log_error - np.where(finite[:, None], shape, 0.0)
    centre = np.median(gap, axis=1)
    for _ in range(3):
        weight = (TAIL + 1) / (TAIL * variance + (gap - centre[:, None]) ** 2)
        centre = (weight * gap).sum(axis=1) / weight.sum(axis=1)
    squares = (gap - centre[:, None]) ** 2 / variance
    log_likelihood = -0.5 * (TAIL + 1) * np.log1p(squares / TAIL).sum(axis=1) - 0.5 * np.log(variance).sum()
    return centre, np.where(finite, log_likelihood, -np.inf)


def _residual(points: Points, shapes: Sequence[Array]) -> float:
    """Residual s.d. of the best law on log error beyond the known noise, shrunk to its prior."""
    usual = SIGMA_PRIOR if points.noise_known else SIGMA_UNKNOWN
    variance = _variance(points, usual)
    best = np.inf
    for law, shape in zip(LAWS, shapes):
        centre, log_likelihood = _scales(shape, points, variance)
        row = int(np.argmax(log_likelihood))
        gap = points.log_error - shape[row] - centre[row]
        # Winsorized against outliers.
        limit = 3 * 1.4826 * np.median(np.abs(gap)) + usual
        excess = np.minimum(gap**2, limit**2) - points.noise**2 - (BACK * np.log(points.x)) ** 2
        num_parameters = 2 + len(law.axes) if law.axes else 1  # with the scale E and the share φ
        left = max(len(gap) - num_parameters, 1)
        candidate = (max(excess.sum(), 0.0) + SIGMA_WEIGHT * usual**2) / (left + SIGMA_WEIGHT)
        best = min(best, candidate)
    return float(np.sqrt(best))


def _fit(law: Law, theta: Array, shape: Array, points: Points, sigma: float) -> LawFit:
    scale, log_likelihood = _scales(shape, points, _variance(points, sigma))
    prior = law.log_prior(theta)
    prior = prior - np.logaddexp.reduce(prior)
    joint = SHARPEN * log_likelihood + prior
    evidence = float(np.logaddexp.reduce(joint))
    keep = joint > joint.max() - 14.0
    probability = np.exp(joint[keep] - evidence)
    return LawFit(law, theta[keep], scale[keep], probability / probability.sum(), evidence)


def _with_polished(fit: LawFit, shape: Array, points: Points, sigma: float) -> LawFit:
    """The family fitted again with its best grid point, moved to the least Huber loss on log error, in the grid."""
    from scipy.optimize import least_squares  # slow to import

    law, row = fit.law, int(np.argmax(fit.probability))
    if not law.axes:
        return fit
    theta, spread = fit.theta[row], np.sqrt(_variance(points, sigma))
    limits = [np.log(axis[[0, -1]]) for axis in law.axes.values()]
    rising = theta[0] > 1
    low = np.array([-np.inf, 1.0 if rising else 0.0, *(limit[0] for limit in limits)])
    high = np.array([np.inf, 3.0 if rising else 1.0, *(limit[1] for limit in limits)])

    def residuals(free: Array) -> Array:
        shape = law.log_shape(np.concatenate([free[1:2], np.exp(free[2:])])[None], points.x)[0]
        return (points.log_error - free[0] - np.maximum(shape, -50.0)) / spread

    # Strictly inside the bounds: least_squares needs a feasible start.
    start = np.concatenate([[float(fit.log_scale[row]), theta[0]], np.log(theta[1:])])
    options = {"loss": "huber", "f_scale": _HUBER, "max_nfev": _MAX_EVALUATIONS, "x_scale": "jac"}
    solution = least_squares(residuals, np.clip(start, low + 1e-6, high - 1e-6), bounds=(low, high), **options).x
    if not np.isfinite(solution).all():
        return fit
    polished = np.concatenate([solution[1:2], np.exp(solution[2:])])[None]
    grid = np.concatenate([law.grid, polished])
    return _fit(law, grid, np.concatenate([shape, law.log_shape(polished, points.x)]), points, sigma)


def _ahead_scores(points: Points, shapes: Sequence[Array], sigma: float) -> Array:
    """Log score per family: prediction of the larger sizes from a fit to the smaller ones."""
    num = len(points.train_sizes)
    total = np.zeros(len(LAWS))
    for num_held_out in range(1, min(MAX_HOLDOUTS, num - 3) + 1):
        split = num - num_held_out
        part = points.first(split)
        distance = np.log(points.train_sizes[split:] / part.train_sizes[-1])
        variance = points.noise[split:] ** 2 + sigma**2 + (AHEAD_SCALE * distance) ** 2
        for index, (law, shape) in enumerate(zip(LAWS, shapes)):
            scale, log_likelihood = _scales(shape[:, :split], part, _variance(points, sigma)[:split])
            joint = log_likelihood + law.log_prior(law.grid)
            if not np.isfinite(joint).any():
                total[index] -= 50.0
                continue
            probability = np.exp(joint - joint.max())
            probability /= probability.sum()
            used = probability > 0
            expected = probability[used] @ (shape[used][:, split:] + scale[used, None])
            squares = (points.log_error[split:] - expected) ** 2 / variance
            total[index] -= 0.5 * (TAIL + 1) * np.log1p(squares / TAIL).mean()
    return total

"""The families of laws a learning curve may follow, in one scale-free form.

Every law is error(n) = E · (φ + (1 - φ) · g(n) / g(N)), where N is the largest measured size, E the error
there and φ the share of E that no amount of data removes; φ > 1 is a curve that rises towards its limit.
A family is the choice of the decay g. In relative sizes x = n/N the parameters have no unit, so one grid
serves every curve.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Limits as shares of the error at N; dense near 1, where curves that have almost converged live.
_SHARES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98, 0.99, 0.997, 0.9995])
_RISING = np.array([1.003, 1.02, 1.06, 1.15, 1.4, 2.0])
_LARGEST_EXPONENT = 600.0  # exp of more overflows; such a law is far from any data anyway


@dataclasses.dataclass(frozen=True)
class Law:
    """One family. `decay(x, *shape)` is log g; `axes` are the grid of each shape parameter, all positive.

    `typical` holds (centre, spread) of the natural log of each shape parameter over real curves: a weak
    prior.
    """

    name: str
    source: str
    axes: Mapping[str, Array]
    typical: tuple[tuple[float, float], ...]
    decay: Callable[..., Array]
    text: Callable[..., str]

    @functools.cached_property
    def grid(self) -> Array:
        """Start points [G, 1 + parameters]: the share φ, then the shape parameters."""
        shares = np.concatenate([_SHARES, _RISING]) if self.axes else np.array([1.0])
        mesh = np.meshgrid(shares, *self.axes.values(), indexing="ij")
        return np.stack([axis.ravel() for axis in mesh], axis=1)

    @property
    def num_parameters(self) -> int:
        """Free parameters of the law, the scale E included."""
        return 2 + len(self.axes) if self.axes else 1

    def log_prior(self, theta: Array) -> Array:
        """Unnormalised log prior [G] of parameters [G, 1 + parameters]."""
        total = np.where(theta[:, 0] > 1.0, np.log(_RISING_PRIOR), 0.0)
        for column, (centre, spread) in enumerate(self.typical, start=1):
            total = total - 0.5 * ((np.log(theta[:, column]) - centre) / spread) ** 2
        return total

    def log_shape(self, theta: Array, x: Array) -> Array:
        """log(error(n) / E) [G, X] at relative sizes x [X] for parameters [G, P]; -inf below 0."""
        share, shape = theta[:, :1], [theta[:, column, None] for column in range(1, theta.shape[1])]
        if not shape:
            return np.zeros((len(theta), len(x)))
        exponent = self.decay(x[None, :], *shape) - self.decay(np.ones((1, 1)), *shape)
        value = share + (1.0 - share) * np.exp(np.minimum(exponent, _LARGEST_EXPONENT))
        return np.log(value, where=value > 0, out=np.full(value.shape, -np.inf))


_RISING_PRIOR = 0.1  # about 15 % of real curves are not monotone, and far fewer keep rising


def _scaled(share: float, error: float, log_ratio: float) -> tuple[float, float]:
    """Limit c and factor a of error = c + a·g(n), given log g(N)."""
    return share * error, (1.0 - share) * error * float(np.exp(np.clip(-log_ratio, -600, 600)))


def _plus(limit: float, share: float) -> str:
    """The limit as the law's first term; none where it is but a rounding of zero."""
    return f"{limit:.3g} + " if abs(share) > 1e-6 else ""


def _pow3_text(error: float, largest: float, share: float, alpha: float) -> str:
    limit, factor = _scaled(share, error, -alpha * np.log(largest))
    return f"{_plus(limit, share)}{factor:.3g}·n^-{alpha:.3g}"


def _pow4_text(error: float, largest: float, share: float, alpha: float, shift: float) -> str:
    limit, factor = _scaled(share, error, -alpha * np.log(largest * (1 + shift)))
    return f"{_plus(limit, share)}{factor:.3g}·(n + {shift * largest:.3g})^-{alpha:.3g}"


def _exp3_text(error: float, largest: float, share: float, rate: float) -> str:
    limit, factor = _scaled(share, error, -rate)
    return f"{_plus(limit, share)}{factor:.3g}·exp(-n/{largest / rate:.3g})"


def _mmf4_text(error: float, largest: float, share: float, alpha: float, knee: float) -> str:
    limit, factor = _scaled(share, error, -np.log1p(knee**-alpha))
    return f"{_plus(limit, share)}{factor:.3g}/(1 + (n/{knee * largest:.3g})^{alpha:.3g})"


def _wbl4_text(error: float, largest: float, share: float, alpha: float, knee: float) -> str:
    limit, factor = _scaled(share, error, -(knee**-alpha))
    return f"{_plus(limit, share)}{factor:.3g}·exp(-(n/{knee * largest:.3g})^{alpha:.3g})"


def _log_axis(low: float, high: float, num: int) -> Array:
    return np.geomspace(low, high, num)


POW3 = Law(
    "pow3",
    "c + a·n^-α (Cortes et al. 1993; Hestness et al. 2017)",
    {"alpha": _log_axis(0.03, 3.0, 28)},
    ((np.log(0.5), 1.0),),
    lambda x, alpha: -alpha * np.log(x),
    _pow3_text,
)
POW4 = Law(
    "pow4",
    "c + a·(n + b)^-α (Viering and Loog 2022, a power law that starts with a plateau)",
    {"alpha": _log_axis(0.1, 4.0, 14), "shift": _log_axis(0.003, 3.0, 8)},
    ((np.log(0.7), 1.0), (np.log(0.1), 2.0)),
    lambda x, alpha, shift: -alpha * np.log(x + shift),
    _pow4_text,
)
EXP3 = Law(
    "exp3",
    "c + a·exp(-n/b) (Viering and Loog 2022)",
    {"rate": _log_axis(0.1, 60.0, 28)},
    ((np.log(3.0), 1.5),),
    lambda x, rate: -rate * x,
    _exp3_text,
)
MMF4 = Law(
    "mmf4",
    "c + a/(1 + (n/b)^α) (Morgan, Mercer and Flodin 1975)",
    {"alpha": _log_axis(0.2, 4.0, 12), "knee": _log_axis(0.001, 4.0, 11)},
    ((np.log(0.8), 1.0), (np.log(0.1), 2.0)),
    lambda x, alpha, knee: -np.log1p((x / knee) ** alpha),
    _mmf4_text,
)
WBL4 = Law(
    "wbl4",
    "c + a·exp(-(n/b)^α) (Weibull growth; Viering and Loog 2022)",
    {"alpha": _log_axis(0.08, 1.5, 12), "knee": _log_axis(1e-5, 4.0, 13)},
    ((np.log(0.35), 0.8), (np.log(0.05), 3.0)),
    lambda x, alpha, knee: -((x / knee) ** alpha),
    _wbl4_text,
)
FLAT = Law(
    "flat",
    "no change (the last value)",
    {},
    (),
    lambda x: np.zeros_like(x),
    lambda error, largest, share: f"{error:.3g}",
)

LAWS: tuple[Law, ...] = (POW3, POW4, EXP3, MMF4, WBL4, FLAT)

"""The best point of a grid, polished by least squares: the grid decides where, scipy decides how far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlm.curves.laws import Law

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

"""Fits 265 laws to a curve in closed form, as inputs of the network.

A law is error = a + b·g(n), with g from a grid of decays in relative size; a and b are linear least squares of the
relative error. The laws of a family are averaged by their fit. Written for NumPy and JAX (`xp`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray or jax.Array

# Additional misfit per e-fold below the largest size: equal weights for all sizes, or more for the last ones.
FADES = (0.02, 0.15)
_LEAST_NOISE = 0.015  # of log error
_LEAST_MISFIT = 0.003
_MOST_EVIDENCE = 12.0  # maximum number of points that count: residuals of neighbouring sizes are correlated
_MOST_LOG = 12.0  # from the last point
_TINY = 1e-12


class ClosedFormFits(NamedTuple):
    """Fits of F families to B curves for each fade: log errors at A sizes, relative to the last point.

    `mean`, `sd` [B, A, 2·F]: averages over a family's laws. `all_mean` [B, A, 2]: over every law. `misfit` [B, 2·F]:
    the least root mean square relative residual.
    """

    mean: Array
    sd: Array
    all_mean: Array
    misfit: Array


def _mesh(*axes: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    return tuple(axis.ravel().astype(np.float32) for axis in np.meshgrid(*map(np.array, axes), indexing="ij"))


_RATES = (0.2, 0.35, 0.5, 0.75, 1.1, 1.6, 2.4)
_KNEES = (-7.0, -5.5, -4.0, -3.0, -2.0, -1.0, 0.0, 1.5)
(_POWER,) = _mesh((0.05, 0.08, 0.12, 0.17, 0.23, 0.3, 0.38, 0.48, 0.6, 0.75, 0.95, 1.2, 1.6, 2.2, 3.0))
_SHIFTED = _mesh((0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.2, 3.2), (-5.5, -4.0, -3.0, -2.0, -1.0, 0.0, 1.5))
_KNEED = _mesh(_RATES, _KNEES)  # of wbl4 and of mmf4
_BROKEN = _mesh((-0.2, 0.05, 0.25), (0.1, 0.3, 0.6, 1.0, 1.8), (-5.0, -3.5, -2.2, -1.2, -0.4))
_BREAK = 0.35  # width, in log size


def _softplus(value: Array, xp: Any) -> Array:
    return xp.maximum(value, 0.0) + xp.log1p(xp.exp(-xp.abs(value)))


def _log_decays(t: Array, xp: Any) -> tuple[Array, ...]:
    """Log g [B, X, G] at log sizes t [B, X], of each family: pow3, pow4, wbl4, mmf4 and a power law with a break."""
    t = t[..., None]
    power, knee = _SHIFTED
    rate, place = _KNEED
    before, after, turn = _BROKEN
    return (
        -_POWER * t,
        -power * (_softplus(t - knee, xp) + knee),
        -xp.exp(xp.minimum(rate * (t - place), 4.5)),
        -_softplus(rate * (t - place), xp),
        -before * t - (after - before) * _BREAK * _softplus((t - turn) / _BREAK, xp),
    )


NUM_FAMILIES = 5
NUM_FITS = len(FADES) * NUM_FAMILIES


def closed_form_fits(context: Any, place: Array, xp: Any = np) -> ClosedFormFits:
    """Fits every law to curves (a `network.CurveBatch`) and predicts at log sizes `place` [B, A]."""
    fitted, asked = _log_decays(context.log_size, xp), _log_decays(place, xp)
    means, sds, misfits, all_means = [], [], [], []
    for fade in FADES:
        evidence, predicted, least = [], [], []
        for at_points, at_places in zip(fitted, asked):
            a, b, top, misfit = _fit(context, at_points, fade, xp)
            values = a[:, None] + b[:, None] * xp.exp(xp.minimum(at_places - top[:, None], _MOST_LOG))
            predicted.append(xp.clip(xp.log(xp.maximum(values, _TINY)), -_MOST_LOG, _MOST_LOG))
            count = xp.minimum(context.there.sum(1), _MOST_EVIDENCE)[:, None]
            evidence.append(-0.5 * count * xp.log(misfit + _LEAST_MISFIT**2))
            least.append(xp.sqrt(misfit.min(1)))
        for odds, values in zip(evidence, predicted):
            mean, sd = _average(odds, values, xp)
            means.append(mean)
            sds.append(sd)
        all_means.append(_average(xp.concatenate(evidence, axis=1), xp.concatenate(predicted, axis=2), xp)[0])
        misfits += least
    return ClosedFormFits(xp.stack(means, -1), xp.stack(sds, -1), xp.stack(all_means, -1), xp.stack(misfits, -1))


def _fit(context: Any, log_decay: Array, fade: float, xp: Any) -> tuple[Array, Array, Array, Array]:
    """a, b [B, G] of a + b·exp(log_decay - top), `top` [B, G], and the weighted mean square relative residual.

    The second column is orthogonal to the first, so that single precision suffices. A negative limit becomes 0.
    """
    top = xp.where(context.there[..., None] > 0, log_decay, -np.inf).max(1)
    decay = xp.exp(xp.minimum(log_decay - top[:, None], 0.0))
    variance = context.noise**2 + _LEAST_NOISE**2 + (fade * context.log_size) ** 2
    weight = context.there / variance
    weight = (weight / weight.sum(1, keepdims=True))[..., None]
    one = xp.exp(-xp.clip(context.log_error, -_MOST_LOG, _MOST_LOG))[..., None]
    centre = (weight * one**2 * decay).sum(1) / (weight * one**2).sum(1)
    away = one * (decay - centre[:, None])
    b = (weight * away).sum(1) / ((weight * away**2).sum(1) + 1e-9)
    a = (weight * one).sum(1) / (weight * one**2).sum(1) - b * centre
    limitless = (weight * one * decay).sum(1) / ((weight * (one * decay) ** 2).sum(1) + 1e-9)
    b = xp.where(a < 0, limitless, b)
    a = xp.maximum(a, 0.0)
    rest = one * (a[:, None] + b[:, None] * decay) - 1.0
    return a, b, top, (weight * rest**2).sum(1)


def _average(odds: Array, values: Array, xp: Any) -> tuple[Array, Array]:
    """Mean and s.d. [B, A] of values [B, A, G] under probabilities proportional to exp(odds [B, G])."""
    share = xp.exp(odds - odds.max(1, keepdims=True))
    share = (share / share.sum(1, keepdims=True))[:, None]
    mean = (share * values).sum(-1)
    return mean, xp.sqrt((share * (values - mean[..., None]) ** 2).sum(-1))

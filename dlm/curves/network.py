"""Predicts the distribution of a curve's error at other sizes with a small residual network.

Some of its inputs are 265 laws, fitted in closed form: error = a + b·g(n), with g from a grid of decays in relative
size; a and b are linear least squares of the relative error. The laws of a family are averaged by their fit.

Written for NumPy (inference) and JAX (training); `xp` is either module. All inputs are relative to the last point and
in units of the curve's own scale, so that the prediction does not depend on the unit of error or size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray or jax.Array

# Positions in log size relative to the largest, and widths, of the kernel means of the points.
NODES = -np.log(2.0) * np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])
WIDTHS = np.log(2.0) * np.array([0.25, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0])
# Additional misfit of a law per e-fold below the largest size: equal weights for all sizes, or more for the last ones.
FADES = (0.02, 0.15)
NUM_FAMILIES = 5
NUM_FITS = len(FADES) * NUM_FAMILIES
NUM_LAST = 4  # last points, which are also single features
NUM_FEATURES = 5 * len(NODES) + 5 * NUM_LAST + 18 + NUM_FITS
NUM_PLACE_FEATURES = 5 + 2 * NUM_FITS + 2
COMPONENTS = 6
_LEAST_NOISE = 0.03  # of log error: minimum noise of a point
_LEAST_SCALE = 0.003


class CurveBatch(NamedTuple):
    """B curves of up to K points, ascending in size; `there` [B, K] marks points, the rest is padding.

    `log_size` and `log_error` [B, K] are relative to the last point, `noise` [B, K] is the standard error of log_error
    (0: unknown), `zero` [B, K] marks errors measured as zero. `level` [B] is the last point's log error relative to the
    largest error possible, where there is one (`bounded` [B]). All are float arrays.
    """

    log_size: Array
    log_error: Array
    noise: Array
    zero: Array
    there: Array
    level: Array
    bounded: Array


class CurveScale(NamedTuple):
    """Line through the end of a curve: `unit` [B], slope [B] in log error per e-fold, level [B] at the last size, and
    scatter [B] of the points around it."""

    unit: Array
    slope: Array
    level: Array
    scatter: Array


def scale(context: CurveBatch, xp: Any = np) -> CurveScale:
    """The line through the later points, by weighted least squares."""
    span = -xp.where(context.there > 0, context.log_size, 0.0).min(1)
    reach = xp.maximum(0.5 * span, 0.7)[:, None]
    weight = context.there * xp.exp(xp.minimum(context.log_size, 0.0) / reach) / (context.noise**2 + 0.02**2)
    total = weight.sum(1)
    centre = (weight * context.log_size).sum(1) / total
    mean = (weight * context.log_error).sum(1) / total
    away = context.log_size - centre[:, None]
    moved = context.log_error - mean[:, None]
    slope = (weight * away * moved).sum(1) / ((weight * away**2).sum(1) + 1e-6 * total)
    slope = xp.clip(slope, -3.0, 3.0)
    scatter = xp.sqrt((weight * (moved - slope[:, None] * away) ** 2).sum(1) / total)
    unit = xp.sqrt(slope**2 + (0.5 * scatter) ** 2 + _LEAST_SCALE**2)
    return CurveScale(unit, slope, mean - centre * slope, scatter)


def _log(value: Array, xp: Any) -> Array:
    return xp.log(value + 1e-4) / 3 + 1


def _around_nodes(context: CurveBatch, rest: Array, by: CurveScale, xp: Any) -> Array:
    """Kernel means of the residuals from the line, of the positions of the points, and of their scatter."""
    nodes, widths = (values.astype(np.float32) for values in (NODES, WIDTHS))
    precision = context.there / (context.noise**2 + _LEAST_NOISE**2)
    precision = precision / precision.max(1, keepdims=True)
    away = context.log_size[:, None] - nodes[:, None]
    kernel = xp.exp(-0.5 * (away / widths[:, None]) ** 2) * context.there[:, None]
    weight = kernel * precision[:, None]
    total = weight.sum(-1) + 1e-6
    have = kernel.sum(-1)
    have = have / (have + 0.3)
    mean = (weight * rest[:, None]).sum(-1) / total
    place = (weight * away).sum(-1) / total * have
    scatter = xp.sqrt((weight * (rest[:, None] - mean[..., None]) ** 2).sum(-1) / total)
    mean = mean * have
    columns = [xp.arcsinh(mean / by.unit[:, None]) / 2, xp.tanh(0.7 * mean), place / widths, have]
    return xp.concatenate([*columns, _log(scatter, xp) * have], axis=1)


def _last_points(context: CurveBatch, rest: Array, by: CurveScale, xp: Any) -> Array:
    index = context.there.sum(1).astype(int)[:, None] - 1 - np.arange(NUM_LAST)
    there = xp.where(index >= 0, 1.0, 0.0)
    index = xp.maximum(index, 0)

    def last(values: Array) -> Array:
        return xp.take_along_axis(values, index, axis=1) * there

    unit = by.unit[:, None]
    return xp.concatenate(
        [
            xp.arcsinh(last(rest) / unit) / 2,
            xp.log1p(-last(context.log_size)),
            xp.log1p(last(context.noise) / unit) / 2,
            there,
            last(context.zero),
        ],
        axis=1,
    )


def _curve_features(context: CurveBatch, rest: Array, by: CurveScale, xp: Any) -> Array:
    count = context.there.sum(1)
    known = xp.where((context.noise > 0) & (context.zero < 0.5), 1.0, 0.0) * context.there
    noise = (known * context.noise).sum(1) / xp.maximum(known.sum(1), 1.0)
    span = -xp.where(context.there > 0, context.log_size, 0.0).min(1)
    least = xp.where(context.there > 0, context.log_error, 50.0).min(1)
    last = count.astype(int)[:, None] - 1
    ends = [xp.take_along_axis(rest, xp.maximum(last - back, 0), axis=1)[:, 0] for back in (0, 1)]
    level = xp.where(context.bounded > 0, context.level + by.level, 0.0)
    columns = [
        xp.log(by.unit) / 2,
        by.slope / by.unit,
        _log(by.scatter, xp),
        xp.log(count) - 2,
        span / 4,
        _log(noise, xp),
        level / 2,
        xp.where(context.bounded > 0, xp.log(xp.maximum(-level, 1e-3)) / 2, 0.0),
        context.bounded,
        xp.where(known.sum(1) > 0, 1.0, 0.0),
        (context.zero * context.there).sum(1) / count,
        context.zero[:, 0],
        xp.take_along_axis(context.zero, last, axis=1)[:, 0],
        xp.arcsinh(ends[0] / by.unit),
        xp.arcsinh(ends[1] / by.unit),
        xp.arcsinh((least - by.level) / by.unit),
        xp.tanh(by.slope),
        xp.arcsinh(noise / by.unit),
    ]
    return xp.stack(columns, axis=1)


_LEAST_FIT_NOISE = 0.015  # of log error
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


def closed_form_fits(context: CurveBatch, place: Array, xp: Any = np) -> ClosedFormFits:
    """Fits every law to curves and predicts at log sizes `place` [B, A]."""
    fitted, asked = _log_decays(context.log_size, xp), _log_decays(place, xp)
    moments, misfits, all_means = [], [], []
    for fade in FADES:
        evidence, predicted, least = [], [], []
        for at_points, at_places in zip(fitted, asked):
            a, b, top, misfit = _fit_family(context, at_points, fade, xp)
            values = a[:, None] + b[:, None] * xp.exp(xp.minimum(at_places - top[:, None], _MOST_LOG))
            predicted.append(xp.clip(xp.log(xp.maximum(values, _TINY)), -_MOST_LOG, _MOST_LOG))
            count = xp.minimum(context.there.sum(1), _MOST_EVIDENCE)[:, None]
            evidence.append(-0.5 * count * xp.log(misfit + _LEAST_MISFIT**2))
            least.append(xp.sqrt(misfit.min(1)))
        moments += [_weighted_moments(odds, values, xp) for odds, values in zip(evidence, predicted)]
        all_means.append(_weighted_moments(xp.concatenate(evidence, axis=1), xp.concatenate(predicted, axis=2), xp)[0])
        misfits += least
    means, sds = zip(*moments)
    return ClosedFormFits(xp.stack(means, -1), xp.stack(sds, -1), xp.stack(all_means, -1), xp.stack(misfits, -1))


def _fit_family(context: CurveBatch, log_decay: Array, fade: float, xp: Any) -> tuple[Array, Array, Array, Array]:
    """a, b [B, G] of a + b·exp(log_decay - top), `top` [B, G], and the weighted mean square relative residual.

    The second column is orthogonal to the first, so that single precision suffices. A negative limit becomes 0.
    """
    top = xp.where(context.there[..., None] > 0, log_decay, -np.inf).max(1)
    decay = xp.exp(xp.minimum(log_decay - top[:, None], 0.0))
    variance = context.noise**2 + _LEAST_FIT_NOISE**2 + (fade * context.log_size) ** 2
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


def _weighted_moments(odds: Array, values: Array, xp: Any) -> tuple[Array, Array]:
    """Mean and s.d. [B, A] of values [B, A, G] under probabilities proportional to exp(odds [B, G])."""
    share = xp.exp(odds - odds.max(1, keepdims=True))
    share = (share / share.sum(1, keepdims=True))[:, None]
    mean = (share * values).sum(-1)
    return mean, xp.sqrt((share * (values - mean[..., None]) ** 2).sum(-1))


class MixturePrediction(NamedTuple):
    """Mixtures of normals [B, A, M] of the log error relative to the last point, and the log odds [B, A] of error 0."""

    log_weight: Array
    mean: Array
    sd: Array
    zero: Array


class NetworkInputs(NamedTuple):
    """Inputs of the network: `curve` [B, NUM_FEATURES] and `place` [B, A, NUM_PLACE_FEATURES].

    Its output is relative to `start`, in units of `unit` [B, A, 1]. `counted` [B]: whether the error can be zero.
    """

    curve: Array
    place: Array
    start: Array
    unit: Array
    counted: Array


def network_inputs(context: CurveBatch, place: Array, xp: Any = np) -> NetworkInputs:
    """Inputs for log sizes `place` [B, A] relative to the last point; the same for every member of the ensemble."""
    by = scale(context, xp)
    rest = context.log_error - (by.level[:, None] + by.slope[:, None] * context.log_size)
    of_points = [part(context, rest, by, xp) for part in (_around_nodes, _last_points, _curve_features)]
    fits = closed_form_fits(context, place, xp)
    unit = by.unit[:, None, None] * (xp.abs(place)[..., None] + 0.3)
    # Start: the line continued at 0.7 of its slope, moved towards the mean of the laws by at most one unit.
    line = (by.level[:, None] + xp.where(place > 0, 0.7 * place, place) * by.slope[:, None])[..., None]
    start = line + xp.clip(fits.all_mean[..., :1] - line, -unit, unit)
    ahead = xp.maximum(place, 0.0)
    columns = [place / 4, xp.tanh(place), xp.exp(-ahead), xp.log1p(ahead), xp.exp(xp.minimum(place, 0.0))]
    away = [xp.arcsinh((mean - start) / unit) for mean in (fits.mean, fits.all_mean)]
    return NetworkInputs(
        curve=xp.concatenate([*of_points, _log(fits.misfit, xp)], axis=1),
        place=xp.concatenate([xp.stack(columns, axis=-1), *away, _log(fits.sd / unit, xp)], axis=-1),
        start=start,
        unit=unit,
        counted=(context.bounded > 0) | ((context.zero * context.there).max(1) > 0),
    )


def apply(params: Any, reading: NetworkInputs, xp: Any = np) -> MixturePrediction:
    """Applies the network with these parameters."""
    x = _dense(params["inputs"], reading.curve)
    for block in params["trunk"]:
        x = x + _dense(block["out"], _gelu(_dense(block["in"], _norm(x, xp)), xp))
    h = _gelu(_dense(params["curve"], _norm(x, xp))[:, None] + _dense(params["place"], reading.place), xp)
    for layer in params["head"]:
        h = h + _gelu(_dense(layer, _norm(h, xp)), xp)
    out = _dense(params["outputs"], _norm(h, xp))
    weight, mean, sd = (out[..., k * COMPONENTS : (k + 1) * COMPONENTS] for k in range(3))
    highest = weight.max(-1, keepdims=True)
    return MixturePrediction(
        log_weight=weight - highest - xp.log(xp.exp(weight - highest).sum(-1, keepdims=True)),
        mean=reading.start + reading.unit * (mean + np.linspace(-1, 1, COMPONENTS, dtype=np.float32)),
        sd=reading.unit * xp.exp(xp.clip(sd - 1.0, -8.0, 4.0)) + 1e-4,
        # An unbounded error without a measured zero has probability 0 of a zero.
        zero=xp.where(reading.counted[:, None], out[..., -1], -30.0),
    )


def _dense(layer: Any, x: Array) -> Array:
    return x @ layer["kernel"] + layer["bias"]


def _norm(x: Array, xp: Any) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / xp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def _gelu(x: Array, xp: Any) -> Array:
    return 0.5 * x * (1 + xp.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + 0.044715 * x * x * x)))

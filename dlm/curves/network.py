"""Predicts the distribution of a curve's error at other sizes with a small residual network.

Written for NumPy (inference) and JAX (training); `xp` is either module. All inputs are relative to the last point and
in units of the curve's own scale, so that the prediction does not depend on the unit of error or size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dlm.curves.closed_form import NUM_FITS, ClosedFormFits, closed_form_fits

Array = Any  # numpy.ndarray or jax.Array

# Positions in log size relative to the largest, and widths, of the kernel means of the points.
NODES = -np.log(2.0) * np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])
WIDTHS = np.log(2.0) * np.array([0.25, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0])
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


def features(context: CurveBatch, by: CurveScale, xp: Any = np) -> Array:
    """Features [B, NUM_FEATURES - NUM_FITS] of the points, without the closed-form fits."""
    rest = context.log_error - (by.level[:, None] + by.slope[:, None] * context.log_size)
    return xp.concatenate(
        [
            _around_nodes(context, rest, by, xp),
            _last_points(context, rest, by, xp),
            _curve_features(context, rest, by, xp),
        ],
        axis=1,
    )


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
    return xp.concatenate(
        [
            xp.arcsinh(mean / by.unit[:, None]) / 2,
            xp.tanh(0.7 * mean),
            place / widths,
            have,
            _log(scatter, xp) * have,
        ],
        axis=1,
    )


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
    fits = closed_form_fits(context, place, xp)
    unit = by.unit[:, None, None] * (xp.abs(place)[..., None] + 0.3)
    # Start: the line continued at 0.7 of its slope, moved towards the mean of the laws by at most one unit.
    line = (by.level[:, None] + xp.where(place > 0, 0.7 * place, place) * by.slope[:, None])[..., None]
    start = line + xp.clip(fits.all_mean[..., :1] - line, -unit, unit)
    return NetworkInputs(
        curve=xp.concatenate([features(context, by, xp), _log(fits.misfit, xp)], axis=1),
        place=xp.concatenate([_place_features(place, xp), _fit_features(fits, start, unit, xp)], axis=-1),
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


def _place_features(place: Array, xp: Any) -> Array:
    ahead = xp.maximum(place, 0.0)
    columns = [place / 4, xp.tanh(place), xp.exp(-ahead), xp.log1p(ahead), xp.exp(xp.minimum(place, 0.0))]
    return xp.stack(columns, axis=-1)


def _fit_features(fits: ClosedFormFits, start: Array, unit: Array, xp: Any) -> Array:
    away = [xp.arcsinh((mean - start) / unit) for mean in (fits.mean, fits.all_mean)]
    return xp.concatenate([*away, _log(fits.sd / unit, xp)], axis=-1)


def _dense(layer: Any, x: Array) -> Array:
    return x @ layer["kernel"] + layer["bias"]


def _norm(x: Array, xp: Any) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / xp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def _gelu(x: Array, xp: Any) -> Array:
    return 0.5 * x * (1 + xp.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + 0.044715 * x * x * x)))


def init(rng: np.random.Generator, width: int, head: int, depth: int = 3, head_depth: int = 2) -> Any:
    """Initial parameters, float32."""

    def dense(num_in: int, num_out: int, gain: float = 1.0) -> dict[str, Array]:
        kernel = rng.standard_normal((num_in, num_out)) * gain / np.sqrt(num_in)
        return {"kernel": kernel.astype(np.float32), "bias": np.zeros(num_out, np.float32)}

    return {
        "inputs": dense(NUM_FEATURES, width),
        "trunk": [{"in": dense(width, width), "out": dense(width, width, 0.5)} for _ in range(depth)],
        "curve": dense(width, head),
        "place": dense(NUM_PLACE_FEATURES, head),
        "head": [dense(head, head) for _ in range(head_depth)],
        "outputs": dense(head, 3 * COMPONENTS + 1, 0.3),
    }

"""Attribution maps: integrated gradients, SmoothGrad and occlusion.

The methods are pure functions of `value`, which maps points [B, ...] to the explained number of each example [B].
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from dlm.analysis.interpretability.network import Network, attribution_points, explained_output
from dlm.analysis.interpretability.results import Attribution
from dlm.models.transformer import PADDING
from dlm.train.types import ProgramConfig

Value = Callable[[jax.Array], jax.Array]


def integrated_gradients(value: Value, x: jax.Array, reference: jax.Array, steps: int = 64) -> jax.Array:
    """(x − x₀) · ∫ ∇value(x₀ + α(x − x₀)) dα, by the midpoint rule. x [B, ...], reference of its shape -> [B, ...].

    The sum over an example is value(x) − value(x₀) up to the error of the rule, see `completeness`. For a linear value
    it is w · (x − x₀). Sundararajan, Taly & Yan (2017), "Axiomatic attribution for deep networks".
    """

    def add(total: jax.Array, share: jax.Array) -> tuple[jax.Array, None]:
        return total + _gradient(value, reference + share * (x - reference)), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(x), (jnp.arange(steps) + 0.5) / steps)
    return (x - reference) * total / steps


def completeness(value: Value, x: jax.Array, reference: jax.Array, attributions: jax.Array) -> jax.Array:
    """(sum of the attributions, value(x) − value(x₀)) of each example, [2, B]: equal up to the error of the rule."""
    return jnp.stack([attributions.reshape(len(x), -1).sum(axis=1), value(x) - value(reference)])


def smooth_grad(value: Value, x: jax.Array, key: jax.Array, spread: float = 0.15, samples: int = 32) -> jax.Array:
    """The mean gradient around x, under normal noise of `spread` times each example's range. [B, ...] -> [B, ...].

    For a linear value it is w. Smilkov et al. (2017), "SmoothGrad: removing noise by adding noise".
    """
    flat = x.reshape(len(x), -1)
    width = (spread * (flat.max(axis=1) - flat.min(axis=1))).reshape(-1, *[1] * (x.ndim - 1))

    def add(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        noise = jax.random.normal(jax.random.fold_in(key, number), x.shape)
        return total + _gradient(value, x + width * noise), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(x), jnp.arange(samples))
    return total / samples


def occlusion(value: Value, x: jax.Array, reference: jax.Array, windows: jax.Array) -> jax.Array:
    """Decrease of the value when a window of x is replaced by the reference, averaged over the windows at a position.

    x [B, *positions] or [B, *positions, D], windows bool [W, *positions] -> [B, *positions]. A window's decrease is
    divided evenly among its positions. For windows of one position and a linear value it is w · (x − reference). Zeiler
    & Fergus (2014), "Visualizing and understanding convolutional networks".
    """
    original = value(x)

    def decrease(window: jax.Array) -> jax.Array:
        covered = window.reshape(1, *window.shape, *[1] * (x.ndim - 1 - window.ndim))
        return original - value(jnp.where(covered, reference, x))

    decreases_WxB = jax.lax.map(decrease, windows)
    flat = windows.reshape(len(windows), -1).astype(x.dtype)
    shares = decreases_WxB.T @ (flat / flat.sum(axis=1, keepdims=True))
    return (shares / flat.sum(axis=0, keepdims=True)).reshape(len(x), *windows.shape[1:])


def windows(positions: Sequence[int], width: int, stride: int) -> np.ndarray:
    """Windows of `width` positions along each axis, `stride` apart, the last ones at the edge. bool [W, *positions]."""
    starts = [sorted({*range(0, max(1, size - width), stride), max(0, size - width)}) for size in positions]
    results = np.zeros((int(np.prod([len(axis) for axis in starts])), *positions), bool)
    for number, corner in enumerate(itertools.product(*starts)):
        inside: tuple[slice, ...] = tuple(slice(start, start + width) for start in corner)
        results[number][inside] = True
    return results


def _gradient(value: Value, x: jax.Array) -> jax.Array:
    """Gradient of each example's value; the examples are independent."""
    return jax.grad(lambda point: value(point).sum())(x)


METHODS = ("integrated_gradients", "smooth_grad", "occlusion")
NUM_CONTROLS = 3  # untrained networks that maps are compared with
MOST_COLUMNS = 512  # of a table that are occluded one by one
MOST_POSITIONS = 128  # of a text that are occluded one by one
NUM_WINDOWS = 8  # along an image's side, roughly


def map_shape(spec: ProgramConfig) -> tuple[int, ...]:
    """Shape of a map: pixels, columns, or tokens."""
    return spec.input_shape[:2] if not spec.tokens and len(spec.input_shape) > 1 else spec.input_shape[:1]


def occlusion_windows(spec: ProgramConfig) -> np.ndarray:
    """Squares of an image, columns, or tokens that occlusion replaces together. bool [W, *positions]."""
    positions = map_shape(spec)
    if len(positions) == 2:
        width = max(1, min(round(max(positions) / NUM_WINDOWS) + 1, *positions))
        return windows(positions, width, max(1, width // 2))
    width = -(-positions[0] // (MOST_POSITIONS if spec.tokens else MOST_COLUMNS))
    return windows(positions, width, width)


def attribution_maps(
    network: Network, x: np.ndarray, target: np.ndarray, subset: np.ndarray
) -> tuple[dict[str, np.ndarray], list[Attribution]]:
    """Maps [B, *positions] of stored examples x [B, ...] by method, and the sanity checks of each method.

    target: the explained output of each example, int [B]. subset: stored training examples, whose mean is the
    reference.
    """
    inputs, around = network.inputs(x), network.inputs(subset)
    hidden = jnp.asarray(occlusion_windows(network.spec))

    def of(params: Any) -> Any:
        return jax.tree.map(np.asarray, _maps(network.spec, params, inputs, around, hidden, target))

    results, sums, compared = of(network.params)
    controls = [of(network.reinitialized(number))[0] for number in range(NUM_CONTROLS)]
    about = [
        Attribution(
            method,
            control=_control(np.abs(results[method]), [np.abs(other[method]) for other in controls], compared),
            signed_control=_control(results[method], [other[method] for other in controls], compared),
            completeness=_gap(sums) if method == "integrated_gradients" else None,
        )
        for method in METHODS
    ]
    return {method: results[method] for method in METHODS}, about


@functools.partial(jax.jit, static_argnums=0)
def _maps(
    spec: ProgramConfig, params: Any, inputs: jax.Array, around: jax.Array, hidden: jax.Array, target: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """Maps, both sums of completeness [2, B], and the positions that differ from the reference [B, *positions]."""
    at = attribution_points(spec, params, inputs)
    reference = _reference(spec, around, attribution_points(spec, params, around), at)
    value = functools.partial(explained_output, spec, params, inputs, target=target)
    integrated = integrated_gradients(value, at, reference)
    gradient = smooth_grad(value, at, jax.random.key(0))
    ndim = 1 + len(map_shape(spec))

    def joined(each: jax.Array) -> jax.Array:
        return each.reshape(*each.shape[:ndim], -1)

    results = {
        "integrated_gradients": joined(integrated).sum(axis=-1),
        # The sign of an embedding or channel has no meaning: the norm of the gradient.
        "smooth_grad": jnp.sqrt(jnp.square(joined(gradient)).sum(axis=-1)),
        "occlusion": occlusion(value, at, reference, hidden),
    }
    compared = (joined(at) != joined(reference)).any(axis=-1)
    if spec.tokens and jax.eval_shape(spec.model.apply, params, inputs).ndim == 2:  # texts that are classified
        compared &= inputs != PADDING
    return results, completeness(value, at, reference, integrated), compared


def _reference(spec: ProgramConfig, inputs: jax.Array, around: jax.Array, at: jax.Array) -> jax.Array:
    """The mean training example in the shape of `at`; for tokens the mean embedding at each position."""
    if not spec.tokens:
        return jnp.broadcast_to(around.mean(axis=0)[None], at.shape)
    is_text = (inputs != PADDING)[..., None].astype(around.dtype)
    mean = (around * is_text).sum(axis=(0, 1)) / jnp.maximum(is_text.sum(), 1.0)
    return jnp.broadcast_to(mean[None, None], at.shape)


def _control(trained: np.ndarray, controls: Sequence[np.ndarray], compared: np.ndarray) -> float | None:
    results = float(np.mean([rank_correlation(trained, other, compared) for other in controls]))
    return results if np.isfinite(results) else None


def rank_correlation(first: np.ndarray, second: np.ndarray, compared: np.ndarray | None = None) -> float:
    """Spearman's rank correlation of two maps [B, *positions], mean over examples; NaN where undefined.

    Near 1 with an untrained network, a map depends on the input and not on the learned weights. Adebayo et al. (2018),
    "Sanity checks for saliency maps". `compared`: positions to compare; the others agree trivially.
    """
    compared = np.ones(first.shape, bool) if compared is None else compared
    results = []
    for one, other, mask in zip(first, second, compared):
        if mask.sum() > 2 and np.ptp(one[mask]) > 0 and np.ptp(other[mask]) > 0:
            results.append(stats.spearmanr(one[mask], other[mask]).statistic)
    return float(np.mean(results)) if results else float("nan")


def _gap(sums: np.ndarray) -> float:
    """The largest difference of an example's two sums [2, B], relative to the RMS difference of outputs."""
    scale = float(np.sqrt(np.mean(np.square(sums[1]))))
    return float(np.abs(sums[0] - sums[1]).max() / scale) if scale > 0 else 0.0

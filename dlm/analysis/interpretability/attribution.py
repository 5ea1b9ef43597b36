"""Which places of an input a network's output rests on: integrated gradients, SmoothGrad, occlusion.

Pure functions of a `value`: points [B, ...] -> [B], each example's number to be explained, whatever it comes from.
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

from dlm.analysis.interpretability.network import Network, explained, points
from dlm.analysis.interpretability.results import Attribution
from dlm.models.transformer import PADDING
from dlm.train.types import ProgramConfig

Value = Callable[[jax.Array], jax.Array]


def integrated_gradients(value: Value, x: jax.Array, reference: jax.Array, steps: int = 64) -> jax.Array:
    """(x − x₀) · ∫ ∇value(x₀ + α(x − x₀)) dα, by the midpoint rule. x [B, ...], reference of its shape -> [B, ...].

    The sum over an example is value(x) − value(x₀) but for the error of the rule: see `completeness`. Of a linear value
    it is w · (x − x₀). Sundararajan, Taly & Yan (2017), "Axiomatic attribution for deep networks".
    """

    def add(total: jax.Array, share: jax.Array) -> tuple[jax.Array, None]:
        return total + _gradient(value, reference + share * (x - reference)), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(x), (jnp.arange(steps) + 0.5) / steps)
    return (x - reference) * total / steps


def completeness(value: Value, x: jax.Array, reference: jax.Array, attributions: jax.Array) -> jax.Array:
    """(sum of the attributions, value(x) − value(x₀)) of each example, [2, B]: equal but for the error of the rule."""
    return jnp.stack([attributions.reshape(len(x), -1).sum(axis=1), value(x) - value(reference)])


def smooth_grad(value: Value, x: jax.Array, key: jax.Array, spread: float = 0.15, samples: int = 32) -> jax.Array:
    """The mean gradient around x, under normal noise of `spread` times each example's range. [B, ...] -> [B, ...].

    Of a linear value it is w. Smilkov et al. (2017), "SmoothGrad: removing noise by adding noise".
    """
    flat = x.reshape(len(x), -1)
    width = (spread * (flat.max(axis=1) - flat.min(axis=1))).reshape(-1, *[1] * (x.ndim - 1))

    def add(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        noise = jax.random.normal(jax.random.fold_in(key, number), x.shape)
        return total + _gradient(value, x + width * noise), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(x), jnp.arange(samples))
    return total / samples


def occlusion(value: Value, x: jax.Array, reference: jax.Array, windows: jax.Array) -> jax.Array:
    """How much the value falls when a window of x is the reference's: of each place the mean over windows that hold it.

    x [B, *places] or [B, *places, D], windows bool [W, *places] -> [B, *places]. A window's fall is dealt out evenly to
    its places. With windows of one place, and a linear value, it is w · (x − reference). Zeiler & Fergus (2014),
    "Visualizing and understanding convolutional networks".
    """
    whole = value(x)

    def fall(window: jax.Array) -> jax.Array:
        covered = window.reshape(1, *window.shape, *[1] * (x.ndim - 1 - window.ndim))
        return whole - value(jnp.where(covered, reference, x))

    falls_WxB = jax.lax.map(fall, windows)
    flat = windows.reshape(len(windows), -1).astype(x.dtype)
    shares = falls_WxB.T @ (flat / flat.sum(axis=1, keepdims=True))
    return (shares / flat.sum(axis=0, keepdims=True)).reshape(len(x), *windows.shape[1:])


def windows(places: Sequence[int], width: int, stride: int) -> np.ndarray:
    """Windows of `width` places along each axis, `stride` apart, the last ones at the edge. bool [W, *places]."""
    starts = [sorted({*range(0, max(1, size - width), stride), max(0, size - width)}) for size in places]
    found = np.zeros((int(np.prod([len(axis) for axis in starts])), *places), bool)
    for number, corner in enumerate(itertools.product(*starts)):
        inside: tuple[slice, ...] = tuple(slice(start, start + width) for start in corner)
        found[number][inside] = True
    return found


def _gradient(value: Value, x: jax.Array) -> jax.Array:
    """Of each example's value to that example: the examples do not see each other."""
    return jax.grad(lambda point: value(point).sum())(x)


METHODS = ("integrated_gradients", "smooth_grad", "occlusion")
NUM_DRAWS = 3  # of weights to compare with
MOST_COLUMNS = 512  # of a table, and
MOST_PLACES = 128  # of a text, that are hidden one by one
PARTS = 8  # of an image's side that a hidden square is about one of


def places_of(spec: ProgramConfig) -> tuple[int, ...]:
    """The places of an input that have a number on a map: pixels, columns, or tokens."""
    return spec.input_shape[:2] if not spec.tokens and len(spec.input_shape) > 1 else spec.input_shape[:1]


def hidden_windows(spec: ProgramConfig) -> np.ndarray:
    """What occlusion hides at a time: squares of an image, columns, tokens. bool [W, *places]."""
    places = places_of(spec)
    if len(places) == 2:
        width = max(1, min(round(max(places) / PARTS) + 1, *places))
        return windows(places, width, max(1, width // 2))
    width = -(-places[0] // (MOST_PLACES if spec.tokens else MOST_COLUMNS))
    return windows(places, width, width)


def maps(
    network: Network, x: np.ndarray, target: np.ndarray, subset: np.ndarray
) -> tuple[dict[str, np.ndarray], list[Attribution]]:
    """Maps of stored examples x [B, ...] by method, [B, *places], and what is to know about each method.

    target: the output of each example that is explained, int [B]. subset: stored examples of the training subset, whose
    mean is the reference.
    """
    inputs, around = network.inputs(x), network.inputs(subset)
    hidden = jnp.asarray(hidden_windows(network.spec))

    def of(params: Any) -> Any:
        return jax.tree.map(np.asarray, _maps(network.spec, params, inputs, around, hidden, target))

    found, sums, told = of(network.params)
    redrawn = [of(network.redrawn(number))[0] for number in range(NUM_DRAWS)]
    about = [
        Attribution(
            method,
            control=_control(np.abs(found[method]), [np.abs(other[method]) for other in redrawn], told),
            signed_control=_control(found[method], [other[method] for other in redrawn], told),
            completeness=_gap(sums) if method == "integrated_gradients" else None,
        )
        for method in METHODS
    ]
    return {method: found[method] for method in METHODS}, about


@functools.partial(jax.jit, static_argnums=0)
def _maps(
    spec: ProgramConfig, params: Any, inputs: jax.Array, around: jax.Array, hidden: jax.Array, target: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """The maps, the two sums of completeness [2, B], and which places differ from the reference, bool [B, *places]."""
    at = points(spec, params, inputs)
    reference = _reference(spec, around, points(spec, params, around), at)
    value = functools.partial(explained, spec, params, inputs, target=target)
    integrated = integrated_gradients(value, at, reference)
    gradient = smooth_grad(value, at, jax.random.key(0))
    ndim = 1 + len(places_of(spec))

    def joined(of_each: jax.Array) -> jax.Array:
        return of_each.reshape(*of_each.shape[:ndim], -1)

    found = {
        "integrated_gradients": joined(integrated).sum(axis=-1),
        # Embeddings and channels have no sign of their own: the length of the gradient.
        "smooth_grad": jnp.sqrt(jnp.square(joined(gradient)).sum(axis=-1)),
        "occlusion": occlusion(value, at, reference, hidden),
    }
    told = (joined(at) != joined(reference)).any(axis=-1)
    if _pads(spec, params, inputs):
        told &= inputs != PADDING
    return found, completeness(value, at, reference, integrated), told


def _reference(spec: ProgramConfig, inputs: jax.Array, around: jax.Array, at: jax.Array) -> jax.Array:
    """The mean training example in the shape of `at`; of tokens the mean embedding, at each place."""
    if not spec.tokens:
        return jnp.broadcast_to(around.mean(axis=0)[None], at.shape)
    is_text = (inputs != PADDING)[..., None].astype(around.dtype)
    mean = (around * is_text).sum(axis=(0, 1)) / jnp.maximum(is_text.sum(), 1.0)
    return jnp.broadcast_to(mean[None, None], at.shape)


def _pads(spec: ProgramConfig, params: Any, inputs: jax.Array) -> bool:
    """Whether texts are filled with padding: those that are classified are."""
    return spec.tokens and jax.eval_shape(spec.model.apply, params, inputs).ndim == 2


def _control(trained: np.ndarray, redrawn: Sequence[np.ndarray], told: np.ndarray) -> float | None:
    found = float(np.mean([rank_correlation(trained, other, told) for other in redrawn]))
    return found if np.isfinite(found) else None


def rank_correlation(first: np.ndarray, second: np.ndarray, told: np.ndarray | None = None) -> float:
    """Spearman's rank correlation of two maps [B, *places], the mean over examples; NaN where there is none.

    Near 1 with weights that were never trained: the map tells of the input, not of what was learnt. Adebayo et al.
    (2018), "Sanity checks for saliency maps". told: the places that are compared; others would agree for nothing.
    """
    told = np.ones(first.shape, bool) if told is None else told
    found = []
    for one, other, kept in zip(first, second, told):
        if kept.sum() > 2 and np.ptp(one[kept]) > 0 and np.ptp(other[kept]) > 0:
            found.append(stats.spearmanr(one[kept], other[kept]).statistic)
    return float(np.mean(found)) if found else float("nan")


def _gap(sums: np.ndarray) -> float:
    """The largest difference of the two sums [2, B] of an example, as a share of the typical difference of outputs."""
    scale = float(np.sqrt(np.mean(np.square(sums[1]))))
    return float(np.abs(sums[0] - sums[1]).max() / scale) if scale > 0 else 0.0

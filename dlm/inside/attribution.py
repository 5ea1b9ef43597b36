"""Which places of an input a network's output rests on: integrated gradients, SmoothGrad, occlusion.

Pure functions of a `value`: points [B, ...] -> [B], each example's number to be explained, whatever it comes from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

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

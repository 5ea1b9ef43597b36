"""A batch taken in parts that stay in a core's cache: the gradient is the mean of theirs.

On a CPU a convolutional network's update is bound by memory, not arithmetic: the activations of a whole batch are tens
of megabytes, those of a few examples fit into the cache. The mean over equal parts is the mean over the batch, so only
rounding differs (and a task must say that its loss is such a mean).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

PART_BYTES = 2**19  # kept by a part's forward pass for the backward one, at least: a core's cache is one to two MiB …
KEPT_TO_WEIGHTS = 4  # … and so many times the parameters' bytes: each part adds a whole gradient to the sum


def examples_at_once(loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any) -> int:
    """The fewest examples, a divisor of the batch, that keep as many bytes as make a part worth while.

    `loss(params, batch)` is a scalar; arrays or their shapes, those of the batch [B, ...]. Nothing is computed.
    """
    size = len(jax.tree.leaves(batch)[0])
    if size == 1:
        return 1
    one, two = (_kept_bytes(loss, params, _first(batch, count)) for count in (1, 2))
    each = two - one  # leaves out what does not grow with the batch: the parameters
    wanted = max(PART_BYTES, KEPT_TO_WEIGHTS * _bytes(params))
    return next(
        count for count in range(1, size + 1) if size % count == 0 and (count * each >= wanted or count == size)
    )


def value_and_grad(
    loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any, at_once: int
) -> tuple[jax.Array, Any]:
    """Loss and gradient as the means over parts of `at_once` examples. batch: arrays [B, ...], B a multiple of it."""
    whole = jax.value_and_grad(loss)
    count = len(jax.tree.leaves(batch)[0]) // at_once
    if count == 1:
        return whole(params, batch)
    parts = jax.tree.map(lambda leaf: leaf.reshape(count, at_once, *leaf.shape[1:]), batch)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (jnp.float32(0), params))
    total, _ = jax.lax.scan(
        lambda so_far, part: (jax.tree.map(jnp.add, so_far, whole(params, part)), None), zero, parts
    )
    return jax.tree.map(lambda leaf: leaf / count, total)


def _first(batch: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), batch)


def _kept_bytes(loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any) -> int:
    """Bytes of the values that the backward pass to the parameters needs from the forward one."""
    pullback = jax.eval_shape(
        lambda params, batch: jax.vjp(lambda params: loss(params, batch), params)[1], params, batch
    )
    return _bytes(pullback)


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

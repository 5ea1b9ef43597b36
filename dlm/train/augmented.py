"""A batch as augmentation shows it to the model: pure functions of (what is declared, inputs, key).

A draw is a function of (key, kind of change, place in the batch): switching one kind on leaves the draws of the others
alone, and a batch taken in parts is changed as the whole batch would be. What is off draws nothing and leaves no trace
in the program. All but mixup only choose values, so every packing and device gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dlm.augment import Augment
from dlm.data.batches import permute

FLIP, CROP, CUTOUT, TIME, FREQUENCY, TOKENS, MIXUP = range(7)  # kinds of change, for their draws

Draw = Callable[[int, int], jax.Array]  # (kind, count) -> uint32 [B, count]


def augmented(augment: Augment, x: jax.Array, key: jax.Array, places: jax.Array | None = None) -> jax.Array:
    """Inputs changed by all but mixup: same shape and type; `x` itself when all is off.

    x: [B, H, W], [B, H, W, C] or [B, T, F, …] float32 as the model sees them, or [B, L] whole numbers. key: of this
    step. places: int [B], where the examples of a part stand in the whole batch; 0 … B-1 when left out.
    """

    def draw(kind: int, count: int) -> jax.Array:
        of_kind = jax.random.fold_in(key, kind)
        where = jnp.arange(len(x)) if places is None else places
        return jax.vmap(lambda place: jax.random.bits(jax.random.fold_in(of_kind, place), (count,)))(where)

    if augment.flip or augment.crop:
        x = _moved(augment, x, draw)
    if augment.cutout:
        x = _cut_out(augment.cutout, x, draw)
    if augment.time_mask:
        x = _masked(augment.time_mask, x, 1, draw(TIME, 2))
    if augment.frequency_mask:
        x = _masked(augment.frequency_mask, x, 2, draw(FREQUENCY, 2))
    if augment.token_drop:
        share = (draw(TOKENS, x.shape[1]) >> 8).astype(jnp.float32) * 2.0**-24
        x = jnp.where(share < augment.token_drop, 0, x)
    return x


def mixed(augment: Augment, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mixup (Zhang et al. 2018): (weight·x + (1 - weight)·x[partner], partner int32 [B], weight float32 []).

    The loss to go with it is weight·loss(y) + (1 - weight)·loss(y[partner]). x: float32 [B, …].
    """
    partner, weight = partners(augment, len(x), key)
    return (weight * x + (1 - weight) * x[partner] if augment.mixup else x), partner, weight


def partners(augment: Augment, batch_size: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What `mixed` mixes: a permutation of the batch, int32 [B], and the weight of an example itself, float32 [].

    For a batch taken in parts, of which each needs the rows of its partners.
    """
    places = jnp.arange(batch_size, dtype=jnp.uint32)
    if not augment.mixup:
        return places.astype(jnp.int32), jnp.float32(1)
    of_order, of_weight = jax.random.split(jax.random.fold_in(key, MIXUP))
    order = permute(places, jnp.uint32(batch_size), jax.random.bits(of_order), jnp)
    return order.astype(jnp.int32), jax.random.beta(of_weight, augment.mixup, augment.mixup, dtype=jnp.float32)


def _moved(augment: Augment, x: jax.Array, draw: Draw) -> jax.Array:
    """Images mirrored and shifted, as one choice of rows and columns: a CPU takes longer to reverse an array."""
    height, width = x.shape[1:3]
    rows, columns = (jnp.broadcast_to(jnp.arange(size), (len(x), size)) for size in (height, width))
    if augment.flip:
        columns = jnp.where(draw(FLIP, 1) % 2 == 1, width - 1 - columns, columns)
    if augment.crop:
        shift = _below(2 * augment.crop + 1, draw(CROP, 2)) - augment.crop
        rows, columns = rows + shift[:, :1], columns + shift[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    for axis, (index, size) in enumerate(((rows, height), (columns, width)), start=1):
        within = _along(axis, jnp.clip(index, 0, size - 1), x.ndim)
        x = jnp.take_along_axis(x, within, axis, mode="promise_in_bounds")
    return jnp.where(inside.reshape(*inside.shape, *(1,) * (x.ndim - 3)), x, 0)


def _cut_out(side: int, x: jax.Array, draw: Draw) -> jax.Array:
    height, width = x.shape[1:3]
    words = draw(CUTOUT, 2)
    rows, columns = (
        _along(axis, _from(_below(size, words[:, axis - 1]) - side // 2, side, size), x.ndim)
        for axis, size in ((1, height), (2, width))
    )
    return jnp.where(rows & columns, 0, x)


def _masked(most: int, x: jax.Array, axis: int, words: jax.Array) -> jax.Array:
    """0 to `most` neighbours along an axis set to zero: the width is drawn first, then where it starts."""
    size = x.shape[axis]
    width = _below(most + 1, words[:, 0])
    start = _below(size - width + 1, words[:, 1])
    return jnp.where(_along(axis, _from(start, width, size), x.ndim), 0, x)


def _from(start: jax.Array, width: jax.Array | int, size: int) -> jax.Array:
    """Which of 0 … size-1 lie in start … start + width - 1. start: int32 [B]; returns bool [B, size]."""
    offset = jnp.arange(size)[None, :] - start[:, None]
    end = width if isinstance(width, int) else width[:, None]
    return (offset >= 0) & (offset < end)


def _below(count: jax.Array | int, words: jax.Array) -> jax.Array:
    """Words as whole numbers of 0 … count-1, evenly but for count / 2^32. Returns int32."""
    return (words % jnp.asarray(count, jnp.uint32)).astype(jnp.int32)


def _along(axis: int, values: jax.Array, ndim: int) -> jax.Array:
    """Values [B, size] as an array of `ndim` axes, the first and `axis` theirs."""
    shape = [1] * ndim
    shape[0], shape[axis] = values.shape
    return values.reshape(shape)

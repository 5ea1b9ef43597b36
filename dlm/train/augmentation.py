"""A batch as augmentation shows it to the model: pure functions of (what is declared, inputs, key).

A draw is a function of (key, kind of change, place in the batch): switching one kind on leaves the draws of the others
alone, and a batch taken in parts is changed as the whole batch would be. With all off nothing is drawn and the program
is as if this were not there. All but mixup only choose values, so every packing and device gives the same bits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dlm.data.permutation import mix, permute
from dlm.study.augmentation import Augment

FLIP, CROP, CUTOUT, TIME, FREQUENCY, TOKENS, MIXUP = range(7)  # kinds of change, for their draws


def augmented(augment: Augment, x: jax.Array, key: jax.Array, places: jax.Array | None = None) -> jax.Array:
    """Inputs changed by all but mixup: same shape and type; `x` itself when all is off.

    x: [B, H, W], [B, H, W, C] or [B, T, F, …] float32 as the model sees them, or [B, L] whole numbers, of a shape that
    `augmentation.check` lets pass. key: of this step. places: int [B], where the examples of a part stand in the whole
    batch; 0 … B-1 when left out.
    """

    def words(kind: int, count: int) -> jax.Array:
        return _words(key, kind, jnp.arange(len(x)) if places is None else places, count)

    if augment.flip or augment.crop:
        x = _moved(augment, x, words(FLIP, 1), words(CROP, 2))
    if augment.cutout:
        x = _cut_out(augment.cutout, x, words(CUTOUT, 2))
    if augment.time_mask:
        x = _masked(augment.time_mask, x, 1, words(TIME, 2))
    if augment.frequency_mask:
        x = _masked(augment.frequency_mask, x, 2, words(FREQUENCY, 2))
    if augment.token_drop:
        x = jnp.where(_between_0_and_1(words(TOKENS, x.shape[1])) < augment.token_drop, 0, x)
    return x


def partners(alpha: float, batch_size: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mixup (Zhang et al. 2018): a permutation of the batch, int32 [B], and the weight of an example, float32 [].

    Inputs and losses are weight·own + (1 - weight)·partner's, the weight of Beta(alpha, alpha).
    """
    places = jnp.arange(batch_size, dtype=jnp.uint32)
    of_order, of_radius, of_angle = _words(key, MIXUP, jnp.zeros(1, jnp.uint32), 3)[0]
    order = permute(places, jnp.uint32(batch_size), of_order, jnp)
    return order.astype(jnp.int32), _beta(alpha, _between_0_and_1(of_radius), _between_0_and_1(of_angle))


def _beta(alpha: float, first: jax.Array, second: jax.Array) -> jax.Array:
    """Beta(alpha, alpha) of two uniform numbers of (0, 1): (1 + t / sqrt(2·alpha + t²)) / 2 with t of Student's law.

    t by Bailey (1994), "Polar generation of random variates with the t-distribution", without a rejection:
    `jax.random.beta` takes a second longer to compile.
    """
    rest = -jnp.expm1(jnp.log(first) / alpha)
    cosine = jnp.cos(2 * jnp.pi * second)
    return jnp.clip(0.5 + 0.5 * cosine * jnp.sqrt(rest / (1 - rest + rest * cosine**2)), 0, 1)


def _words(key: jax.Array, kind: int, places: jax.Array, count: int) -> jax.Array:
    """Random words of each example, by its place in the batch. uint32 [B, count].

    The batches' hash of 64 random bits: for so few words JAX's generator runs and compiles several times longer.
    """
    of_examples, of_words = jax.random.bits(key, (2,))
    examples = mix(mix(places.astype(jnp.uint32) + jnp.uint32(kind * 0x9E3779B9 & 0xFFFFFFFF)) ^ of_examples)
    return mix(examples[:, None] ^ mix(jnp.arange(count, dtype=jnp.uint32) ^ of_words)[None, :])


def _between_0_and_1(words: jax.Array) -> jax.Array:
    """Uniform numbers: float32, odd multiples of 2^-24, so never an end."""
    return ((words >> 9) * 2 + 1).astype(jnp.float32) * 2.0**-24


def _moved(augment: Augment, x: jax.Array, of_flip: jax.Array, of_crop: jax.Array) -> jax.Array:
    """Images mirrored and shifted, as one choice of rows and columns: a CPU takes longer to reverse an array."""
    height, width = x.shape[1:3]
    rows, columns = (jnp.broadcast_to(jnp.arange(size), (len(x), size)) for size in (height, width))
    if augment.flip:
        columns = jnp.where(of_flip % 2 == 1, width - 1 - columns, columns)
    if not augment.crop:
        return _chosen(x, columns, 2)
    shift = _below(2 * augment.crop + 1, of_crop) - augment.crop
    rows, columns = rows + shift[:, :1], columns + shift[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    return jnp.where(inside.reshape(*inside.shape, *(1,) * (x.ndim - 3)), _chosen(_chosen(x, rows, 1), columns, 2), 0)


def _chosen(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    """x at `index` along an axis, at its end where the index lies beyond. index: int [B, size]."""
    within = _along(axis, jnp.clip(index, 0, x.shape[axis] - 1), x.ndim)
    return jnp.take_along_axis(x, within, axis, mode="promise_in_bounds")


def _cut_out(side: int, x: jax.Array, words: jax.Array) -> jax.Array:
    height, width = x.shape[1:3]
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

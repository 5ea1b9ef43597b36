"""Augments a batch: pure functions of (`Augment`, inputs, key).

A draw is a function of (key, kind of augmentation, position in the batch). Enabling one kind therefore leaves the draws
of the others unchanged, and a microbatch is augmented exactly as within its batch. With everything off no draw is
made and the program contains no trace of this module. All kinds but mixup only select values, so every packing and
device gives the same bits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dlm.data.permutation import mix, permute
from dlm.study.learner import Augment

FLIP, CROP, CUTOUT, TIME, FREQUENCY, TOKENS, MIXUP = range(7)  # kinds of augmentation, for their draws


def augment_inputs(augment: Augment, x: jax.Array, key: jax.Array, positions: jax.Array | None = None) -> jax.Array:
    """Inputs after every kind of augmentation but mixup: same shape and type; `x` itself when all is off.

    x: model inputs, float32 [B, H, W], [B, H, W, C] or [B, T, F, …], or int tokens [B, L]; `check_augment` checks the
    shape. key: the key of this step. positions: int [B], positions of a microbatch's examples in the batch; 0 … B-1 by
    default.
    """

    def words(kind: int, count: int) -> jax.Array:
        return _words(key, kind, jnp.arange(len(x)) if positions is None else positions, count)

    if augment.flip or augment.crop:
        x = _flip_and_shift(augment, x, words(FLIP, 1), words(CROP, 2))
    if augment.cutout:
        x = _cutout(augment.cutout, x, words(CUTOUT, 2))
    if augment.time_mask:
        x = _mask_span(augment.time_mask, x, 1, words(TIME, 2))
    if augment.frequency_mask:
        x = _mask_span(augment.frequency_mask, x, 2, words(FREQUENCY, 2))
    if augment.token_drop:
        x = jnp.where(_uniform(words(TOKENS, x.shape[1])) < augment.token_drop, 0, x)
    return x


def mixup_partners(alpha: float, batch_size: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mixup (Zhang et al. 2018): a permutation of the batch, int32 [B], and the weight of the own example, float32 [].

    Inputs and losses become weight · own + (1 − weight) · partner, with weight ~ Beta(alpha, alpha).
    """
    positions = jnp.arange(batch_size, dtype=jnp.uint32)
    order_seed, radius, angle = _words(key, MIXUP, jnp.zeros(1, jnp.uint32), 3)[0]
    order = permute(positions, jnp.uint32(batch_size), order_seed, jnp)
    return order.astype(jnp.int32), _beta(alpha, _uniform(radius), _uniform(angle))


def _beta(alpha: float, first: jax.Array, second: jax.Array) -> jax.Array:
    """A Beta(alpha, alpha) variate from two uniform numbers: (1 + t / sqrt(2·alpha + t²)) / 2 with Student's t.

    t by Bailey (1994), "Polar generation of random variates with the t-distribution", without rejection:
    `jax.random.beta` takes a second longer to compile.
    """
    rest = -jnp.expm1(jnp.log(first) / alpha)
    cosine = jnp.cos(2 * jnp.pi * second)
    return jnp.clip(0.5 + 0.5 * cosine * jnp.sqrt(rest / (1 - rest + rest * cosine**2)), 0, 1)


def _words(key: jax.Array, kind: int, positions: jax.Array, count: int) -> jax.Array:
    """Random words of each example, by its position in the batch. uint32 [B, count].

    Hashes 64 random bits as the batch sampler does: for so few words JAX's generator runs and compiles several times
    longer.
    """
    example_bits, word_bits = jax.random.bits(key, (2,))
    examples = mix(mix(positions.astype(jnp.uint32) + jnp.uint32(kind * 0x9E3779B9 & 0xFFFFFFFF)) ^ example_bits)
    return mix(examples[:, None] ^ mix(jnp.arange(count, dtype=jnp.uint32) ^ word_bits)[None, :])


def _uniform(words: jax.Array) -> jax.Array:
    """Uniform numbers in (0, 1): float32, odd multiples of 2^-24, so never 0 or 1."""
    return ((words >> 9) * 2 + 1).astype(jnp.float32) * 2.0**-24


def _flip_and_shift(augment: Augment, x: jax.Array, flip_words: jax.Array, crop_words: jax.Array) -> jax.Array:
    """Images mirrored and shifted by one gather of rows and columns, faster on a CPU than reversing an array."""
    height, width = x.shape[1:3]
    rows, columns = (jnp.broadcast_to(jnp.arange(size), (len(x), size)) for size in (height, width))
    if augment.flip:
        columns = jnp.where(flip_words % 2 == 1, width - 1 - columns, columns)
    if not augment.crop:
        return _take(x, columns, 2)
    shift = _integers_below(2 * augment.crop + 1, crop_words) - augment.crop
    rows, columns = rows + shift[:, :1], columns + shift[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    return jnp.where(inside.reshape(*inside.shape, *(1,) * (x.ndim - 3)), _take(_take(x, rows, 1), columns, 2), 0)


def _take(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    """x at `index` along an axis, indices clipped to its ends. index: int [B, size]."""
    clipped = _align(axis, jnp.clip(index, 0, x.shape[axis] - 1), x.ndim)
    return jnp.take_along_axis(x, clipped, axis, mode="promise_in_bounds")


def _cutout(side: int, x: jax.Array, words: jax.Array) -> jax.Array:
    height, width = x.shape[1:3]
    rows, columns = (
        _align(axis, _span(_integers_below(size, words[:, axis - 1]) - side // 2, side, size), x.ndim)
        for axis, size in ((1, height), (2, width))
    )
    return jnp.where(rows & columns, 0, x)


def _mask_span(largest: int, x: jax.Array, axis: int, words: jax.Array) -> jax.Array:
    """Sets 0 to `largest` neighbours along an axis to zero; the width is drawn first, then the start."""
    size = x.shape[axis]
    width = _integers_below(largest + 1, words[:, 0])
    start = _integers_below(size - width + 1, words[:, 1])
    return jnp.where(_align(axis, _span(start, width, size), x.ndim), 0, x)


def _span(start: jax.Array, width: jax.Array | int, size: int) -> jax.Array:
    """Mask of start … start + width - 1 within 0 … size-1. start: int32 [B]; returns bool [B, size]."""
    offset = jnp.arange(size)[None, :] - start[:, None]
    end = width if isinstance(width, int) else width[:, None]
    return (offset >= 0) & (offset < end)


def _integers_below(count: jax.Array | int, words: jax.Array) -> jax.Array:
    """Random integers in 0 … count-1, uniform up to count / 2^32. Returns int32."""
    return (words % jnp.asarray(count, jnp.uint32)).astype(jnp.int32)


def _align(axis: int, values: jax.Array, ndim: int) -> jax.Array:
    """Values [B, size] reshaped to `ndim` axes, of which the first and `axis` are theirs."""
    shape = [1] * ndim
    shape[0], shape[axis] = values.shape
    return values.reshape(shape)

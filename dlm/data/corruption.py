"""Corrupts labels and inputs by hashes of (seed, rank in the subset's order, position in the example).

The corruption of an example is the same in every step and for every subset size. A value is corrupted if its hash, as
a number in [0, 1), is below the share; so what is corrupted at 10 % is corrupted in the same way at 20 %. Each kind of
noise has its own hash and is independent of the others; the two kinds of label noise exclude each other and use the
two ends of one hash.

Every function accepts NumPy and JAX arrays. Labels and masks are bit-identical for both; Gaussian noise differs in the
last digits of float32. An amount that is a Python 0 removes its kind from a compiled program; a traced 0 is computed
without effect.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dlm.data.permutation import mix
from dlm.study.noise import Noise
from dlm.utils.errors import UsageError

Array = Any  # numpy.ndarray or jax.Array
LABEL, REPLACEMENT, MISSING, GAUSSIAN, SALT = range(1, 6)  # purposes of hashes


class Amounts(NamedTuple):
    """The fields of `Noise` as numbers that may be traced: scalars, or arrays [M] for the members of a cohort."""

    label: Array
    label_pairs: Array
    missing: Array
    gaussian: Array
    salt: Array


def noisy_labels(
    labels: Array, ranks: Array, seed: Array, noise: Noise | Amounts, num_classes: int, xp: ModuleType = np
) -> Array:
    """Labels with shares replaced by a random other class or by the next class.

    labels: int [B], 0 … num_classes−1. ranks: uint32 [B], ranks in the subset's order. seed: uint32 []. Returns the
    same shape and dtype. Raises UsageError if there is no other class.
    """
    if _is_off(noise.label) and _is_off(noise.label_pairs):
        return labels
    if num_classes < 2:
        raise UsageError(f"noise.label needs at least two classes, not num_classes={num_classes}; set it to 0")
    share = _share(_of_examples(ranks, seed, LABEL))
    step = 1 + _of_examples(ranks, seed, REPLACEMENT) % np.uint32(num_classes - 1)
    step = xp.where(share < _float(noise.label, xp), step, 0)
    # The other end of the hash, so that the two kinds do not affect each other.
    step = xp.where(1 - share <= _float(noise.label_pairs, xp), np.uint32(1), step)
    return (labels + step.astype(labels.dtype)) % num_classes


def noisy_inputs(
    x: Array, ranks: Array, seed: Array, noise: Noise | Amounts, low: float, high: float, xp: ModuleType = np
) -> Array:
    """Inputs with Gaussian noise, then salt noise (values set to `low` or `high`), then missing values (set to 0).

    x: float32 [B, ...] as the model gets them, or tokens [B, L], for which only `missing` applies. ranks: uint32 [B],
    ranks in the subset's order. seed: uint32 []. Returns the same shape and dtype.
    """
    if not _is_off(noise.gaussian):
        scale = _float(noise.gaussian, xp)
        deviates = _normal(_of_values(x, ranks, seed, GAUSSIAN, xp), xp)
        x = xp.where(scale > 0, x + scale * deviates, x)  # adding 0 would turn -0.0 into 0.0
    if not _is_off(noise.salt):
        words = _of_values(x, ranks, seed, SALT, xp)
        ends = xp.where((words & 1) == 0, np.float32(low), np.float32(high))
        x = xp.where(_share(words) < _float(noise.salt, xp), ends, x)
    if not _is_off(noise.missing):
        hit = _share(_of_values(x, ranks, seed, MISSING, xp)) < _float(noise.missing, xp)
        x = xp.where(hit, xp.zeros((), x.dtype), x)
    return x


def check_noise(noise: Noise, num_classes: int, *, tokens: bool, where: str) -> None:
    """Raises UsageError for noise that does not apply to the data. `where`: `noise` or `test_noise`."""
    for name in ("label", "label_pairs"):
        if name in noise.kinds and num_classes < 2:
            raise UsageError(f"{where}.{name}={getattr(noise, name):g} needs targets that are classes; set it to 0")
    for name in ("gaussian", "salt"):
        if name in noise.kinds and tokens:
            raise UsageError(
                f"{where}.{name}={getattr(noise, name):g} needs numeric inputs, not tokens; "
                f"set it to 0, or use {where}.missing"
            )


@np.errstate(over="ignore")
def _of_examples(ranks: Array, seed: Array, purpose: int) -> Array:
    """One hash per example. uint32 [B]."""
    return mix(mix(ranks + np.uint32(0x7F4A7C15)) ^ _key(seed, purpose))


@np.errstate(over="ignore")
def _of_values(x: Array, ranks: Array, seed: Array, purpose: int, xp: ModuleType) -> Array:
    """One hash per value, in the shape of x, of the hashes of its example and its position. uint32 [B, ...].

    Hashing both first keeps examples from having the same hashes in another order. Positions use the negative purpose.
    """
    positions = xp.arange(math.prod(x.shape[1:]), dtype=np.uint32)
    by_position = mix(mix(positions + np.uint32(0xB5297A4D)) ^ _key(seed, -purpose))
    return mix(_of_examples(ranks, seed, purpose)[:, None] ^ by_position[None, :]).reshape(x.shape)


@np.errstate(over="ignore")
def _key(seed: Array, purpose: int) -> Array:
    """Key of a seed and purpose, distinct from the keys of epochs. uint32, in the shape of seed."""
    return mix(mix(seed ^ np.uint32(0x68E31DA4)) + np.uint32(purpose * 0x1B56C4E9 & 0xFFFFFFFF))


def _share(words: Array) -> Array:
    """Hashes as numbers in [0, 1): float32 multiples of 2^-24, from the upper 24 bits."""
    return (words >> 8).astype(np.float32) * np.float32(2.0**-24)


def _normal(words: Array, xp: ModuleType) -> Array:
    """Standard normal deviates, float32, |z| < 5.5: the quantile function of the lower tail, with a random sign."""
    tail = ((words >> 9) * 2 + 1).astype(np.float32) * np.float32(2.0**-25)  # exact, in (0, 1/2)
    if xp is np:
        from scipy.special import ndtri
    else:
        from jax.scipy.special import ndtri
    return xp.where((words & 1) == 0, np.float32(1), np.float32(-1)) * ndtri(tail)


def _float(number: Array, xp: ModuleType) -> Array:
    return xp.asarray(number, np.float32)


def _is_off(number: Array) -> bool:
    return isinstance(number, int | float) and number == 0

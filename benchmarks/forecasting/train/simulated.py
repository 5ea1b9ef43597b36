"""Simulates learning curves, the prior of the network.

A curve is a function of log size t = log(n / N), N the largest given size: a decreasing core (power laws with breaks,
Weibull, MMF or shifted power laws), a floor, optionally an initial plateau, a bump (double descent), a late bend or a
rise, and a small smooth deviation from every law. Then sizes and noise are drawn, and some errors are too small to be
observed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.forecasting.train.tasks import NUM_PLACES, Batch
from dlm.curves.points import MAX_SIZES

Array = jax.Array

_NUMBERS = 300  # random ones that make a curve
_INSIDE = 2  # places asked for among the given sizes
_SEEN_NOISE = 2e-3  # of a target, so that no likelihood is infinite


class Dice:
    """Random numbers one after the other, out of a row of even ones: one generator for all keeps the program small."""

    def __init__(self, row: Array) -> None:
        self._row, self._used = row, 0

    def uniform(self, shape: tuple[int, ...] = (), low: float = 0.0, high: float = 1.0) -> Array:
        """Even in [low, high)."""
        num = math.prod(shape)
        start, self._used = self._used, self._used + num
        if self._used > len(self._row):
            raise ValueError(f"a curve takes more than {len(self._row)} random numbers; raise _NUMBERS")
        return low + (high - low) * self._row[start : self._used].reshape(shape)

    def log_uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> Array:
        """Even in the log of [low, high)."""
        return low * jnp.exp(self.uniform(shape) * jnp.log(high / low))

    def normal(self, shape: tuple[int, ...] = ()) -> Array:
        """Standard normal."""
        return jax.scipy.special.ndtri(jnp.clip(self.uniform(shape), 1e-6, 1 - 1e-6))

    def chance(self, share: float, shape: tuple[int, ...] = ()) -> Array:
        """True in a share of the cases."""
        return self.uniform(shape) < share

    def towards_zero(self, power: float) -> Array:
        """Between 0 and 1, of density proportional to (1 - x)^(power - 1): a beta distribution."""
        return 1 - (1 - self.uniform()) ** (1 / power)

    def exponential(self) -> Array:
        """Exponential of mean 1."""
        return -jnp.log1p(-self.uniform())


@functools.partial(jax.jit, static_argnums=1)
def simulate(key: Any, num: int) -> Batch:
    """`num` tasks from simulated curves."""
    with jax.numpy_rank_promotion("allow"):  # every array here is of one curve, along one axis
        return jax.vmap(_task)(jax.random.uniform(key, (num, _NUMBERS)))


def _task(row: Array) -> Batch:
    dice = Dice(row)
    size, there, place, far = _sizes(dice)
    last = there.sum().astype(int) - 1
    bounded = dice.chance(0.6)
    curve, level = _curve(dice, jnp.concatenate([size, place]), size[0], far, last)
    highest = jnp.where(there > 0, curve[:MAX_SIZES], -50.0).max()
    level = jnp.minimum(level, -0.005 - jnp.maximum(highest, 0.0))  # no given error is above the largest possible
    curve = jnp.where(bounded, jnp.minimum(curve, -1e-4 - level), curve)
    seen, noise = _noisy(dice, curve[:MAX_SIZES], size)
    seen = jnp.where(bounded, jnp.minimum(seen, -level), seen)
    seen, noise, zero, least = _resolved(dice, seen, noise, there, curve[last], bounded)
    asked = curve[MAX_SIZES:]
    gone = (asked + 0.3 * dice.normal((NUM_PLACES,)) < least).astype(jnp.float32)
    return Batch(
        size * there,
        (seen - seen[last]) * there,
        noise * there,
        zero * there,
        there,
        level + seen[last],
        bounded.astype(jnp.float32),
        place,
        asked - seen[last] + _SEEN_NOISE * dice.normal((NUM_PLACES,)),
        jnp.full(NUM_PLACES, _SEEN_NOISE),
        gone,
        jnp.where(jnp.arange(NUM_PLACES) < NUM_PLACES - _INSIDE, 1.0, 0.5),
    )


def _sizes(dice: Dice) -> tuple[Array, Array, Array, Array]:
    """Log sizes [MAX_SIZES] that end at 0, which of them are given, places asked [NUM_PLACES], and how far they go."""
    count = jnp.clip(jnp.round(dice.log_uniform(3.0, MAX_SIZES)), 3, MAX_SIZES)
    step = jnp.log(2.0) * 2 ** dice.uniform(low=-3.0, high=1.6)
    span = jnp.clip(step * (count - 1), 0.7, 19.0)
    index = jnp.arange(MAX_SIZES)
    there = index < count
    share = index / (count - 1)
    even = (share - 1) * span
    most = jnp.exp(jnp.minimum(span, 5.0))
    linear = jnp.log((1 + (most - 1) * share) / most)
    inner = (index > 0) & (index < count - 1)
    uneven = even + (dice.uniform((MAX_SIZES,)) - 0.5) * 0.9 * span / (count - 1) * inner
    kind = dice.uniform()
    size = jnp.where(kind < 0.6, even, jnp.where(kind < 0.8, linear, uneven))
    size = jnp.where(there, jnp.minimum(size, 0.0), 0.0)
    far = jnp.clip(-1.2 * size[0], 1.5, 3.5) * jnp.where(dice.chance(0.1), 2.0, 1.0)
    ahead = dice.uniform((NUM_PLACES - _INSIDE,)) * far
    return size, there.astype(jnp.float32), jnp.concatenate([ahead, dice.uniform((_INSIDE,)) * size[0]]), far


def _curve(dice: Dice, t: Array, first: Array, far: Array, last: Array) -> tuple[Array, Array]:
    """Log errors at log sizes t, 0 at the last given one, and the log error there relative to the largest possible."""

    def anywhere(shape: tuple[int, ...] = ()) -> Array:
        return first - 2.0 + (far - first + 2.0) * dice.uniform(shape)

    core = _core(dice, t, anywhere)
    share = jnp.where(dice.chance(0.25), 0.0, dice.towards_zero(0.8))
    share = jnp.where(dice.chance(0.15), 1 - jnp.exp(-6 * dice.uniform()), share)
    curve = jnp.log(share + (1 - share) * jnp.exp(jnp.minimum(core - core[last], 20.0)) + 1e-9)
    plateau = 0.7 * jnp.exp(2.5 * dice.uniform())
    curve = jnp.where(dice.chance(0.35), -jnp.logaddexp(-6 * curve, -6 * plateau) / 6, curve)
    height = jnp.where(dice.chance(0.18), jnp.exp(0.9 * dice.normal() - 1.2), 0.0)
    curve = curve + height * jnp.exp(-0.5 * ((t - anywhere()) / dice.log_uniform(0.2, 1.2)) ** 2)
    turn = jnp.where(dice.chance(0.1), 0.25 * dice.exponential(), 0.0) * jnp.where(dice.chance(0.6), -1.0, 1.0)
    curve = curve + turn * jax.nn.softplus(t - far * dice.uniform() - 0.3 * first * dice.uniform())
    curve = curve + dice.log_uniform(3e-4, 0.045) * _wave(dice, t)
    curve = curve * jnp.where(dice.chance(0.06), jnp.exp(-4 * dice.uniform()), 1.0)
    curve = jnp.clip(curve, -12.0, 12.0)
    return curve - curve[last], -jnp.exp(dice.normal() - 0.2) - 0.02


def _core(dice: Dice, t: Array, anywhere: Callable[..., Array]) -> Array:
    """A law without its floor."""
    slope = jnp.where(dice.chance(0.25), 0.0, jnp.exp(0.9 * dice.normal() - 1.1))
    width = dice.log_uniform(0.08, 1.6, (3,))
    change = 0.35 * dice.normal((3,)) * jnp.exp(0.5 * dice.normal((3,)))
    change = jnp.where(dice.chance(0.2, (3,)), 2.5 * change, change)
    change = jnp.where(jnp.arange(3) < jnp.floor(4 * dice.uniform()), change, 0.0)
    broken = -slope * t - (change * width * jax.nn.softplus((t[:, None] - anywhere((3,))) / width)).sum(1)
    rate, knee = dice.log_uniform(0.25, 2.0), anywhere()
    weibull = -jnp.minimum(jnp.exp(jnp.minimum(rate * (t - knee), 8.0)), 60.0) * jnp.exp(dice.uniform())
    mmf = -jax.nn.softplus(rate * (t - knee))
    shifted = -rate * jnp.logaddexp(t, knee)
    pick = dice.uniform()
    return jnp.select([pick < 0.45, pick < 0.6, pick < 0.78], [broken, weibull, mmf], shifted)


def _wave(dice: Dice, t: Array) -> Array:
    """A smooth random function of standard deviation 1."""
    frequency = dice.normal((16,)) / dice.log_uniform(0.4, 3.2)
    return jnp.cos(t[:, None] * frequency + 2 * jnp.pi * dice.uniform((16,))).mean(1) * jnp.sqrt(2.0 * 16)


def _noisy(dice: Dice, curve: Array, size: Array) -> tuple[Array, Array]:
    """Log errors as measured, and what is told of their standard errors (0: nothing)."""
    follows = jnp.where(dice.chance(0.5), curve, 0.0)
    sd = dice.log_uniform(3e-4, 0.12) * jnp.exp(-0.5 * dice.uniform() * size - 0.3 * follows)
    sd = jnp.minimum(sd, 0.6)
    wild = jnp.where(dice.chance(0.06) & dice.chance(0.12, (MAX_SIZES,)), dice.normal((MAX_SIZES,)), 0.0)
    freedom = jnp.exp(4 * dice.uniform()) + 1
    told = sd * jnp.exp(0.5 * dice.normal((MAX_SIZES,)) * jnp.minimum(1 / jnp.sqrt(2 * freedom), 0.3))
    seen = curve + sd * dice.normal((MAX_SIZES,)) + wild
    return seen, jnp.where(dice.chance(0.65), jnp.minimum(told, 0.7), 0.0)


def _resolved(
    dice: Dice, seen: Array, noise: Array, there: Array, last: Array, bounded: Array
) -> tuple[Array, Array, Array, Array]:
    """Some errors too small to be seen: log errors, noise, which were zero, and the least log error that is seen."""
    least = jnp.where(bounded & dice.chance(0.12), last + 7 * dice.uniform() - 5.5, -50.0)
    zero = (seen < least) & (there > 0)
    none_left = (zero | (there == 0)).all()
    zero, least = zero & ~none_left, jnp.where(none_left, -50.0, least)
    smallest = jnp.where((there > 0) & ~zero, seen, 50.0).min()
    seen = jnp.where(zero, smallest - jnp.log(2.0), seen)
    return seen, jnp.where(zero, 0.7, noise), zero.astype(jnp.float32), least

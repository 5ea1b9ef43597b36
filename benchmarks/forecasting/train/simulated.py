"""Simulates learning curves, the prior of the network.

A curve is a function of log size t = log(n / N), N the largest given size: a decreasing core (power laws with breaks,
Weibull, MMF or shifted power laws), a floor, optionally an initial plateau, a bump (double descent), a late bend or a
rise, and a small smooth deviation from every law. Then sizes and noise are sampled, and some errors are too small to be
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

_NUMBERS = 300  # random numbers per curve
_INSIDE = 2  # targets within the range of the given sizes
_SEEN_NOISE = 2e-3  # noise of a target, so that the likelihood is finite


class RandomStream:
    """Random numbers from a row of uniform ones; one generator call per curve keeps the compiled program small."""

    def __init__(self, row: Array) -> None:
        self._row, self._used = row, 0

    def uniform(self, shape: tuple[int, ...] = (), low: float = 0.0, high: float = 1.0) -> Array:
        """Uniform in [low, high)."""
        num = math.prod(shape)
        start, self._used = self._used, self._used + num
        if self._used > len(self._row):
            raise ValueError(f"a curve needs more than {len(self._row)} random numbers; raise _NUMBERS")
        return low + (high - low) * self._row[start : self._used].reshape(shape)

    def log_uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> Array:
        """Log-uniform in [low, high)."""
        return low * jnp.exp(self.uniform(shape) * jnp.log(high / low))

    def normal(self, shape: tuple[int, ...] = ()) -> Array:
        """Standard normal."""
        return jax.scipy.special.ndtri(jnp.clip(self.uniform(shape), 1e-6, 1 - 1e-6))

    def bernoulli(self, share: float, shape: tuple[int, ...] = ()) -> Array:
        """True with probability `share`."""
        return self.uniform(shape) < share

    def beta(self, power: float) -> Array:
        """Beta(1, power): density proportional to (1 - x)^(power - 1) on [0, 1]."""
        return 1 - (1 - self.uniform()) ** (1 / power)

    def exponential(self) -> Array:
        """Exponential of mean 1."""
        return -jnp.log1p(-self.uniform())


@functools.partial(jax.jit, static_argnums=1)
def simulate(key: Any, num: int) -> Batch:
    """`num` tasks from simulated curves."""
    with jax.numpy_rank_promotion("allow"):  # every array here belongs to one curve and has one axis
        return jax.vmap(_task)(jax.random.uniform(key, (num, _NUMBERS)))


def _task(row: Array) -> Batch:
    stream = RandomStream(row)
    size, there, place, far = _sizes(stream)
    last = there.sum().astype(int) - 1
    bounded = stream.bernoulli(0.6)
    curve, level = _curve(stream, jnp.concatenate([size, place]), size[0], far, last)
    highest = jnp.where(there > 0, curve[:MAX_SIZES], -50.0).max()
    level = jnp.minimum(level, -0.005 - jnp.maximum(highest, 0.0))  # no given error exceeds the largest possible one
    curve = jnp.where(bounded, jnp.minimum(curve, -1e-4 - level), curve)
    seen, noise = _noisy(stream, curve[:MAX_SIZES], size)
    seen = jnp.where(bounded, jnp.minimum(seen, -level), seen)
    seen, noise, zero, least = _resolved(stream, seen, noise, there, curve[last], bounded)
    targets = curve[MAX_SIZES:]
    target_zero = (targets + 0.3 * stream.normal((NUM_PLACES,)) < least).astype(jnp.float32)
    return Batch(
        size * there,
        (seen - seen[last]) * there,
        noise * there,
        zero * there,
        there,
        level + seen[last],
        bounded.astype(jnp.float32),
        place,
        targets - seen[last] + _SEEN_NOISE * stream.normal((NUM_PLACES,)),
        jnp.full(NUM_PLACES, _SEEN_NOISE),
        target_zero,
        jnp.where(jnp.arange(NUM_PLACES) < NUM_PLACES - _INSIDE, 1.0, 0.5),
    )


def _sizes(stream: RandomStream) -> tuple[Array, Array, Array, Array]:
    """Log sizes [MAX_SIZES] that end at 0, which of them are given, targets [NUM_PLACES], and the largest target."""
    count = jnp.clip(jnp.round(stream.log_uniform(3.0, MAX_SIZES)), 3, MAX_SIZES)
    step = jnp.log(2.0) * 2 ** stream.uniform(low=-3.0, high=1.6)
    span = jnp.clip(step * (count - 1), 0.7, 19.0)
    index = jnp.arange(MAX_SIZES)
    there = index < count
    share = index / (count - 1)
    even = (share - 1) * span
    most = jnp.exp(jnp.minimum(span, 5.0))
    linear = jnp.log((1 + (most - 1) * share) / most)
    inner = (index > 0) & (index < count - 1)
    uneven = even + (stream.uniform((MAX_SIZES,)) - 0.5) * 0.9 * span / (count - 1) * inner
    kind = stream.uniform()
    size = jnp.where(kind < 0.6, even, jnp.where(kind < 0.8, linear, uneven))
    size = jnp.where(there, jnp.minimum(size, 0.0), 0.0)
    far = jnp.clip(-1.2 * size[0], 1.5, 3.5) * jnp.where(stream.bernoulli(0.1), 2.0, 1.0)
    ahead = stream.uniform((NUM_PLACES - _INSIDE,)) * far
    return size, there.astype(jnp.float32), jnp.concatenate([ahead, stream.uniform((_INSIDE,)) * size[0]]), far


def _curve(stream: RandomStream, t: Array, first: Array, far: Array, last: Array) -> tuple[Array, Array]:
    """Log errors at log sizes t, 0 at the last given one, and the log error there relative to the largest possible."""

    def anywhere(shape: tuple[int, ...] = ()) -> Array:
        return first - 2.0 + (far - first + 2.0) * stream.uniform(shape)

    core = _core(stream, t, anywhere)
    share = jnp.where(stream.bernoulli(0.25), 0.0, stream.beta(0.8))
    share = jnp.where(stream.bernoulli(0.15), 1 - jnp.exp(-6 * stream.uniform()), share)
    curve = jnp.log(share + (1 - share) * jnp.exp(jnp.minimum(core - core[last], 20.0)) + 1e-9)
    plateau = 0.7 * jnp.exp(2.5 * stream.uniform())
    curve = jnp.where(stream.bernoulli(0.35), -jnp.logaddexp(-6 * curve, -6 * plateau) / 6, curve)
    height = jnp.where(stream.bernoulli(0.18), jnp.exp(0.9 * stream.normal() - 1.2), 0.0)
    curve = curve + height * jnp.exp(-0.5 * ((t - anywhere()) / stream.log_uniform(0.2, 1.2)) ** 2)
    turn = jnp.where(stream.bernoulli(0.1), 0.25 * stream.exponential(), 0.0) * jnp.where(
        stream.bernoulli(0.6), -1.0, 1.0
    )
    curve = curve + turn * jax.nn.softplus(t - far * stream.uniform() - 0.3 * first * stream.uniform())
    curve = curve + stream.log_uniform(3e-4, 0.045) * _wave(stream, t)
    curve = curve * jnp.where(stream.bernoulli(0.06), jnp.exp(-4 * stream.uniform()), 1.0)
    curve = jnp.clip(curve, -12.0, 12.0)
    return curve - curve[last], -jnp.exp(stream.normal() - 0.2) - 0.02


def _core(stream: RandomStream, t: Array, anywhere: Callable[..., Array]) -> Array:
    """A law without its floor."""
    slope = jnp.where(stream.bernoulli(0.25), 0.0, jnp.exp(0.9 * stream.normal() - 1.1))
    width = stream.log_uniform(0.08, 1.6, (3,))
    change = 0.35 * stream.normal((3,)) * jnp.exp(0.5 * stream.normal((3,)))
    change = jnp.where(stream.bernoulli(0.2, (3,)), 2.5 * change, change)
    change = jnp.where(jnp.arange(3) < jnp.floor(4 * stream.uniform()), change, 0.0)
    broken = -slope * t - (change * width * jax.nn.softplus((t[:, None] - anywhere((3,))) / width)).sum(1)
    rate, knee = stream.log_uniform(0.25, 2.0), anywhere()
    weibull = -jnp.minimum(jnp.exp(jnp.minimum(rate * (t - knee), 8.0)), 60.0) * jnp.exp(stream.uniform())
    mmf = -jax.nn.softplus(rate * (t - knee))
    shifted = -rate * jnp.logaddexp(t, knee)
    pick = stream.uniform()
    return jnp.select([pick < 0.45, pick < 0.6, pick < 0.78], [broken, weibull, mmf], shifted)


def _wave(stream: RandomStream, t: Array) -> Array:
    """A smooth random function of standard deviation 1."""
    frequency = stream.normal((16,)) / stream.log_uniform(0.4, 3.2)
    return jnp.cos(t[:, None] * frequency + 2 * jnp.pi * stream.uniform((16,))).mean(1) * jnp.sqrt(2.0 * 16)


def _noisy(stream: RandomStream, curve: Array, size: Array) -> tuple[Array, Array]:
    """Measured log errors, and their reported standard errors (0: unknown)."""
    follows = jnp.where(stream.bernoulli(0.5), curve, 0.0)
    sd = stream.log_uniform(3e-4, 0.12) * jnp.exp(-0.5 * stream.uniform() * size - 0.3 * follows)
    sd = jnp.minimum(sd, 0.6)
    wild = jnp.where(stream.bernoulli(0.06) & stream.bernoulli(0.12, (MAX_SIZES,)), stream.normal((MAX_SIZES,)), 0.0)
    freedom = jnp.exp(4 * stream.uniform()) + 1
    reported = sd * jnp.exp(0.5 * stream.normal((MAX_SIZES,)) * jnp.minimum(1 / jnp.sqrt(2 * freedom), 0.3))
    seen = curve + sd * stream.normal((MAX_SIZES,)) + wild
    return seen, jnp.where(stream.bernoulli(0.65), jnp.minimum(reported, 0.7), 0.0)


def _resolved(
    stream: RandomStream, seen: Array, noise: Array, there: Array, last: Array, bounded: Array
) -> tuple[Array, Array, Array, Array]:
    """Sets errors below the resolution to zero: log errors, noise, zero flags, smallest nonzero log error."""
    least = jnp.where(bounded & stream.bernoulli(0.12), last + 7 * stream.uniform() - 5.5, -50.0)
    zero = (seen < least) & (there > 0)
    none_left = (zero | (there == 0)).all()
    zero, least = zero & ~none_left, jnp.where(none_left, -50.0, least)
    smallest = jnp.where((there > 0) & ~zero, seen, 50.0).min()
    seen = jnp.where(zero, smallest - jnp.log(2.0), seen)
    return seen, jnp.where(zero, 0.7, noise), zero.astype(jnp.float32), least

"""Measures the rate of float32 matrix products, the upper limit of a machine's training speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def xla_rate(size: int = 2048, dtype: Any = jnp.float32, precision: str | None = None) -> float:
    """Operations a second of square matrix products by XLA, on one device, the best of five."""
    x = jax.device_put(jnp.asarray(_matrix(size), dtype), jax.devices()[0])
    product = jax.jit(lambda x: jnp.matmul(x, x, precision=precision))
    return 2 * size**3 / _best(lambda: product(x).block_until_ready())


def matrix_rate() -> float:
    """A CPU's f32 matrix products, in operations a second: the better of NumPy and XLA."""
    a = _matrix(2048)
    return max(xla_rate(), 2 * 2048**3 / _best(lambda: a @ a))


def _matrix(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)


def _best(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of five, after one that does not count."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times[1:])

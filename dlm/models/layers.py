"""Layers that more than one family uses: convolution as patches times a matrix, normalization, dropout."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.errors import UsageError


class Conv(nn.Module):
    """A square convolution with SAME padding, [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, features].

    Written as shifted slices, side by side, times one matrix: inside a scan over steps and members XLA's own
    convolution leaves its fast path on the CPU (28 ms a step where this takes 1), and members with weights of their
    own make it a grouped convolution on a GPU; a matrix product stays one on both.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """See the class."""
        return nn.Dense(self.features, use_bias=self.use_bias)(patches(x, self.kernel, self.stride))


def patches(x: jax.Array, kernel: int, stride: int) -> jax.Array:
    """The kernel×kernel surroundings of each pixel. [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, kernel²·C]."""
    height, width = x.shape[1:3]
    low, high = (kernel - 1) // 2, kernel // 2
    padded = jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))
    return jnp.concatenate(
        [
            padded[:, row : row + height : stride, column : column + width : stride]
            for row in range(kernel)
            for column in range(kernel)
        ],
        axis=-1,
    )


def normalization(kind: str) -> Any:
    """A norm without statistics beyond one example: `group` (Wu & He 2018) or `layer` (Ba et al. 2016)."""
    if kind == "group":
        return nn.GroupNorm(num_groups=None, group_size=8)
    if kind == "layer":
        return nn.LayerNorm()
    raise UsageError(f"norm={kind!r} is unknown; choose one of group, layer")


def drop(module: nn.Module, x: jax.Array, rate: Any) -> jax.Array:
    """Dropout (Srivastava et al. 2014) whose rate may be a traced number; `rate=None`: nothing is dropped."""
    if rate is None:
        return x
    kept = jax.random.bernoulli(module.make_rng("dropout"), 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)

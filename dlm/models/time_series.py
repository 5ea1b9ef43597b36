"""Models that forecast series: windows [B, L, C] -> the next H steps of all C series, [B, H·C].

The same weights are applied to each series separately (channel independence, Nie et al. 2023).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.models.layers import LAST_HIDDEN, Dense, add_bias, drop, feed_forward, layer, product
from dlm.models.transformer import attend
from dlm.utils.errors import UsageError, at_least, choose

MIN_VARIANCE = 1e-5  # added to the variance of a window, which may be 0

Normalize = Literal["none", "last", "instance"]


@dataclasses.dataclass(frozen=True)
class DLinear:
    """Config of DLinear: the trend is a moving average over `kernel` steps.

    `normalize`: "last" subtracts a window's last value, "instance" standardizes the window, see `normalized`.
    """

    kernel: int = 25
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        at_least(1, kernel=self.kernel)
        choose("model.normalize", self.normalize, ("none", "last", "instance"))
        if self.kernel % 2 == 0:
            raise UsageError(f"model.kernel={self.kernel} must be odd")

    def net(self, num_outputs: int) -> DLinearNet:
        return DLinearNet(self, num_outputs)


class DLinearNet(nn.Module):
    """The sum of a linear map of the trend and one of the remainder: [B, L, C] -> [B, H·C].

    Zeng et al. (2023), "Are Transformers effective for time series forecasting?"; the trend is a moving average over
    the window with repeated ends.
    """

    config: DLinear
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        horizon = _horizon(x, self.num_outputs)
        window = normalized(x, self.config.normalize)
        trend = layer(self, "trend", moving_average(window.values, self.config.kernel))
        rest = layer(self, "rest", window.values - trend)
        return window.denormalize(
            WindowMean(horizon)(drop(self, trend, dropout)) + WindowMean(horizon)(drop(self, rest, dropout))
        )


class WindowMean(nn.Module):
    """A linear map of a window that is initialized to its mean, [..., L] -> [..., features].

    A short history leaves weights at their initial values in directions in which it does not vary; random values there
    would add noise to forecasts.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        length = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.constant(1 / length), (self.features, length), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(product(x, kernel.astype(x.dtype)), bias)


@dataclasses.dataclass(frozen=True)
class PatchTST:
    """Config of a transformer on patches of `patch` steps at intervals of `stride`, with `depth` blocks.

    As in the paper's code, the last value is repeated for one more patch.
    """

    patch: int = 16
    stride: int = 8
    dim: int = 16
    depth: int = 3
    heads: int = 4
    hidden: int = 128
    normalize: Normalize = "instance"

    def __post_init__(self) -> None:
        sizes = ("patch", "stride", "dim", "depth", "heads", "hidden")
        at_least(1, **{name: getattr(self, name) for name in sizes})
        choose("model.normalize", self.normalize, ("none", "last", "instance"))
        if self.dim % self.heads:
            raise UsageError(f"model.dim={self.dim} must be a multiple of model.heads={self.heads}")

    def net(self, num_outputs: int) -> PatchTSTNet:
        return PatchTSTNet(self, num_outputs)


class PatchTSTNet(nn.Module):
    """Patches, learned positions, transformer blocks, a linear map of all tokens: [B, L, C] -> [B, H·C].

    Nie et al. (2023), "A time series is worth 64 words". Their batch norms after the layers are layer norms before them
    here, as in the other transformers of this package: no statistics beyond an example.
    """

    config: PatchTST
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        config, horizon = self.config, _horizon(x, self.num_outputs)
        window = normalized(x, config.normalize)
        x = Dense(config.dim)(patched(window.values, config.patch, config.stride))  # [B, C, P, D]
        positions = self.param("positions", nn.initializers.normal(0.02), x.shape[2:])
        x = layer(self, "patches", drop(self, add_bias(x, positions), dropout))
        for block in range(1, config.depth + 1):
            x = x + drop(self, self._attention(nn.LayerNorm()(x)), dropout)
            y = feed_forward(self, nn.LayerNorm()(x), config.hidden, dropout)
            x = layer(self, f"block {block}", x + drop(self, y, dropout))
        x = layer(self, LAST_HIDDEN, nn.LayerNorm()(x))
        return window.denormalize(Dense(horizon)(drop(self, x.reshape(*x.shape[:2], -1), dropout)))

    def _attention(self, x_BxCxPxD: jax.Array) -> jax.Array:
        shape, heads = x_BxCxPxD.shape, self.config.heads
        qkv = Dense(3 * shape[-1])(x_BxCxPxD).reshape(-1, shape[2], 3, heads, shape[3] // heads)
        q, k, v = (qkv[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        mixed = attend(q * q.shape[-1] ** -0.5, k, v, jnp.ones((1, 1, 1, 1), bool))
        return Dense(shape[-1])(mixed.transpose(0, 2, 1, 3).reshape(shape))


class NormalizedWindow(NamedTuple):
    """Normalized windows with time last, [B, C, L], and their `shift` and `scale` [B, C, 1]."""

    values: jax.Array
    shift: jax.Array
    scale: jax.Array

    def denormalize(self, steps: jax.Array) -> jax.Array:
        """Denormalizes forecasts [B, C, H] and orders them by step: [B, H·C]."""
        return (steps * self.scale + self.shift).swapaxes(1, 2).reshape(len(steps), -1)


def normalized(x: jax.Array, kind: Normalize) -> NormalizedWindow:
    """Windows [B, L, C] minus their last value, or standardized (Kim et al. 2022, "RevIN")."""
    values = x.swapaxes(1, 2)
    shift, scale = jnp.zeros_like(values[..., :1]), jnp.ones_like(values[..., :1])
    if kind == "last":
        shift = values[..., -1:]
    if kind == "instance":
        shift = values.mean(axis=-1, keepdims=True)
        scale = jnp.sqrt(values.var(axis=-1, keepdims=True) + MIN_VARIANCE)
    return NormalizedWindow((values - shift) / scale, shift, scale)


def moving_average(values: jax.Array, kernel: int) -> jax.Array:
    """Moving average over `kernel` steps with repeated ends. [..., L] -> [..., L]."""
    length, half = values.shape[-1], kernel // 2
    padded = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="edge")
    shifted = (padded[..., at : at + length] for at in range(kernel))
    return functools.reduce(jnp.add, shifted) / kernel


def patched(values: jax.Array, patch: int, stride: int) -> jax.Array:
    """Overlapping patches, after the last value is repeated `stride` times. [B, C, L] -> [B, C, P, patch]."""
    length = values.shape[-1] + stride
    if length < patch:
        raise UsageError(f"model.patch={patch} is longer than windows of {values.shape[-1]} steps; choose fewer")
    padded = jnp.pad(values, ((0, 0), (0, 0), (0, stride)), mode="edge")
    steps = jnp.arange(0, length - patch + 1, stride)[:, None] + jnp.arange(patch)[None]
    return padded[..., steps]


def _horizon(x: jax.Array, num_outputs: int) -> int:
    """Number of steps to forecast for each series. UsageError unless inputs are windows of series."""
    if x.ndim != 3 or num_outputs % x.shape[-1]:
        raise UsageError(
            f"models of series need windows [L, C] and forecast all C series, but inputs have shape {x.shape[1:]} "
            f"with {num_outputs} outputs; choose TfdsSeries(), Series(time_ordered=True), or another model"
        )
    return num_outputs // x.shape[-1]

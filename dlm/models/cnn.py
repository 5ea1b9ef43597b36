"""Residual convolutional network for images."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import flax.linen as nn
import jax

from dlm.models.layers import LAST_HIDDEN, Conv, Dense, drop, layer, normalization
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class CNN:
    """Config of a residual CNN: the channels of each stage and the number of residual blocks in it.

    Every stage after the first halves height and width; the stem divides them by `stem_stride`. A first stage without
    blocks is the stem alone. `head="mean"` averages over pixels before the output layer, `"flatten"` does not.
    """

    channels: tuple[int, ...] = (32, 64)
    blocks: tuple[int, ...] = (1, 1)
    stem_stride: int = 1
    norm: Literal["group", "layer"] = "group"
    head: Literal["mean", "flatten"] = "mean"

    def __post_init__(self) -> None:
        at_least(1, channels=self.channels, stem_stride=self.stem_stride)
        at_least(0, blocks=self.blocks)
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise UsageError(
                f"model.channels={self.channels} and model.blocks={self.blocks} must have one entry for each stage"
            )
        if self.norm == "group" and any(count % 8 for count in self.channels):
            raise UsageError(f"model.channels={self.channels} must be multiples of 8, or norm must be 'layer'")

    def net(self, num_outputs: int) -> CNNNet:
        return CNNNet(self, num_outputs)

    def filters(self, params: Any, input_shape: tuple[int, ...]) -> Any:
        """The kernels of the stem, [channels, 3, 3, input channels]."""
        kernel = params["Conv_0"]["kernel"]
        return kernel.T.reshape(len(kernel.T), 3, 3, -1)


class CNNNet(nn.Module):
    """Stem, stages of pre-activation residual blocks, mean over pixels (or all of them), linear output.

    [B, H, W, C] -> [B, num_outputs]; inputs without a channel axis get one. He et al. (2016), "Identity mappings in
    deep residual networks", with normalization without running statistics.
    """

    config: CNN
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        config = self.config
        if x.ndim == 3:
            x = x[..., None]
        x = layer(self, "stem", Conv(config.channels[0], stride=config.stem_stride)(x))
        number = 0
        for stage, (channels, blocks) in enumerate(zip(config.channels, config.blocks)):
            for block in range(blocks):
                number += 1
                x = layer(
                    self, f"block {number}", self._block(x, channels, stride=2 if stage > 0 and block == 0 else 1)
                )
        x = nn.relu(normalization(config.norm)(x))
        x = x.mean(axis=(1, 2)) if config.head == "mean" else x.reshape(x.shape[0], -1)
        return Dense(self.num_outputs)(drop(self, layer(self, LAST_HIDDEN, x), dropout))

    def _block(self, x: jax.Array, channels: int, stride: int) -> jax.Array:
        y = nn.relu(normalization(self.config.norm)(x))
        if stride > 1 or x.shape[-1] != channels:
            x = Conv(channels, kernel=1, stride=stride, use_bias=False)(y)
        y = Conv(channels, stride=stride)(y)
        y = Conv(channels)(nn.relu(normalization(self.config.norm)(y)))
        return x + y

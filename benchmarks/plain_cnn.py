"""A small convolutional network without normalization; its convolutions are dlm's own, or XLA's."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from dlm.models.layers import Conv, Dense


@dataclasses.dataclass(frozen=True)
class PlainCNN:
    """Two 3×3 convolutions, each followed by ReLU and 2×2 mean pooling, then a linear layer.

    `lax`: by `lax.conv_general_dilated`, as in flax, in place of dlm's `Conv`; the parameters are the same.
    """

    channels: tuple[int, int] = (32, 32)
    lax: bool = False

    def net(self, num_outputs: int) -> PlainCNNNet:
        """The module of this config."""
        return PlainCNNNet(self, num_outputs)


class PlainCNNNet(nn.Module):
    """[B, H, W, 1] -> [B, num_outputs]."""

    config: PlainCNN
    num_outputs: int

    @nn.compact
    def __call__(self, x: Any, dropout: Any = None) -> Any:
        """See the class."""
        layer = LaxConv if self.config.lax else Conv
        for index, channels in enumerate(self.config.channels):
            x = mean_pool(nn.relu(layer(channels, name=f"Conv_{index}")(x)))
        return Dense(self.num_outputs)(x.reshape(x.shape[0], -1))


class LaxConv(nn.Module):
    """A 3×3 convolution by XLA's own operation, [B, H, W, C] -> [B, H, W, features]."""

    features: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        """See the class."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (9 * shape[2], self.features)).reshape(shape)
        y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + self.param("bias", nn.initializers.zeros, (self.features,))[None, None, None]


def mean_pool(x: Any) -> Any:
    """Means of 2×2 pixels, [B, H, W, C] -> [B, H/2, W/2, C], as a sum that XLA fuses with what comes before it."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return 0.25 * (x[:, :, 0, :, 0] + x[:, :, 0, :, 1] + x[:, :, 1, :, 0] + x[:, :, 1, :, 1])

"""Models of the speed benchmarks: a small decoder transformer with its task, and a CNN without normalization."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dlm.data.dataset import Dataset
from dlm.models.layers import Conv, Dense
from dlm.tasks import Task


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Config: pre-norm blocks of causal attention and a GELU layer four times as wide, learned positions."""

    depth: int = 2
    dim: int = 64
    heads: int = 4
    num_symbols: int = 256

    def net(self, num_outputs: int) -> DecoderNet:
        """The module of this config."""
        return DecoderNet(self, num_outputs)


class DecoderNet(nn.Module):
    """Symbols [B, T] -> logits [B, T, num_outputs]."""

    config: Decoder
    num_outputs: int

    @nn.compact
    def __call__(self, x: Any, dropout: Any = None) -> Any:
        """See the class."""
        dim = self.config.dim
        x = nn.Embed(self.config.num_symbols, dim)(x.astype(jnp.int32))
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])[None]
        for _ in range(self.config.depth):
            mixed = self._mixed(Dense(3 * dim)(nn.LayerNorm(epsilon=1e-5)(x)))
            x = x + Dense(dim)(mixed)
            wide = nn.gelu(Dense(4 * dim)(nn.LayerNorm(epsilon=1e-5)(x)))
            x = x + Dense(dim)(wide)
        return Dense(self.num_outputs)(nn.LayerNorm(epsilon=1e-5)(x))

    def _mixed(self, qkv: jax.Array) -> jax.Array:
        """Causal attention. [B, T, 3·D] -> [B, T, D]."""
        batch, tokens, _ = qkv.shape
        heads, size = self.config.heads, self.config.dim // self.config.heads
        q, k, v = qkv.reshape(batch, tokens, 3, heads, size).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(2, 3) * size**-0.5
        seen = jnp.tril(jnp.ones((1, 1, tokens, tokens), bool))
        return (nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ v).swapaxes(1, 2).reshape(batch, tokens, -1)


@dataclasses.dataclass(frozen=True)
class NextSymbol(Task):
    """Predict each symbol of a text from those before it."""

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True

    def num_outputs(self, dataset: Dataset) -> int:
        """One logit a symbol."""
        return dataset.num_classes

    def loss(self, logits: jax.Array, symbols: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. logits [B, T, C], symbols int [B, T]."""
        return optax.softmax_cross_entropy_with_integer_labels(logits, symbols).mean()

    def example_metrics(self, logits: jax.Array, symbols: jax.Array) -> dict[str, jax.Array]:
        """Of each text its share of wrong symbols. [B]."""
        return {"error": (logits.argmax(-1) != symbols).mean(-1, dtype=jnp.float32)}


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

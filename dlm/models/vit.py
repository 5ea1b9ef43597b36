"""Vision transformer for images."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.models.layers import LAST_HIDDEN, Dense, add_bias, feed_forward, layer
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class ViT:
    """Config of a vision transformer: square patches of `patch` pixels, `depth` blocks of width `dim`."""

    patch: int = 4
    dim: int = 64
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 2

    def __post_init__(self) -> None:
        at_least(1, patch=self.patch, dim=self.dim, depth=self.depth, heads=self.heads, mlp_ratio=self.mlp_ratio)
        if self.dim % self.heads:
            raise UsageError(f"model.dim={self.dim} must be a multiple of model.heads={self.heads}")

    def net(self, num_outputs: int) -> ViTNet:
        return ViTNet(self, num_outputs)

    def filters(self, params: Any, input_shape: tuple[int, ...]) -> Any:
        """The weights of each dimension of the patches' embedding, [dim, patch, patch, input channels]."""
        return params["Dense_0"]["kernel"].reshape(self.dim, self.patch, self.patch, -1)


class ViTNet(nn.Module):
    """Patches, learned positions, pre-norm transformer blocks, mean over tokens, linear output.

    [B, H, W, C] -> [B, num_outputs]; H and W are multiples of the patch. Dosovitskiy et al. (2021), "An image is worth
    16x16 words", with the mean over tokens of Beyer et al. (2022), "Better plain ViT baselines for ImageNet-1k".
    """

    config: ViT
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        x, hidden = Dense(self.config.dim)(_tokens(x, self.config.patch)), self.config.mlp_ratio * self.config.dim
        x = layer(self, "patches", add_bias(x, self.param("positions", nn.initializers.normal(0.02), x.shape[1:])))
        for block in range(1, self.config.depth + 1):
            x = x + self._attention(nn.LayerNorm()(x))
            x = layer(self, f"block {block}", x + feed_forward(self, nn.LayerNorm()(x), hidden, dropout))
        return Dense(self.num_outputs)(layer(self, LAST_HIDDEN, nn.LayerNorm()(x).mean(axis=1)))

    def _attention(self, x_BxTxD: jax.Array) -> jax.Array:
        batch, tokens, dim = x_BxTxD.shape
        heads = self.config.heads
        qkv = Dense(3 * dim)(x_BxTxD).reshape(batch, tokens, 3, heads, dim // heads)
        q, k, v = (qkv[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        logits_BxHxTxT = q @ k.swapaxes(2, 3) * (dim // heads) ** -0.5
        weights_BxHxTxT = nn.softmax(logits_BxHxTxT.astype(jnp.float32)).astype(v.dtype)
        mixed = (weights_BxHxTxT @ v).transpose(0, 2, 1, 3).reshape(batch, tokens, dim)
        return Dense(dim)(mixed)


def _tokens(x: jax.Array, patch: int) -> jax.Array:
    """Non-overlapping patches as vectors. [B, H, W, C] -> [B, H/patch · W/patch, patch²·C]."""
    batch, height, width, channels = x.shape
    if height % patch or width % patch:
        raise UsageError(f"model.patch={patch} does not divide images of {height}×{width} pixels")
    x = x.reshape(batch, height // patch, patch, width // patch, patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, patch * patch * channels)

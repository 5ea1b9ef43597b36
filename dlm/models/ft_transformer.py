"""Transformer for tables, with a token for each field."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.models.layers import FIELDS, LAST_HIDDEN, Dense, drop, layer
from dlm.models.tabular_features import FieldTokens, smoothly_clipped, widths_of
from dlm.models.transformer import attend
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class FTTransformer:
    """Config of a transformer on the fields of a table: `depth` blocks of width `dim`."""

    dim: int = 32
    depth: int = 2
    heads: int = 4
    mlp_ratio: int = 2

    takes_fields = True

    def __post_init__(self) -> None:
        at_least(1, dim=self.dim, depth=self.depth, heads=self.heads, mlp_ratio=self.mlp_ratio)
        if self.dim % self.heads:
            raise UsageError(f"model.dim={self.dim} must be a multiple of model.heads={self.heads}")

    def net(self, num_outputs: int, fields: tuple[int, ...] = ()) -> FTTransformerNet:
        return FTTransformerNet(self, num_outputs, fields)


class FTTransformerNet(nn.Module):
    """A token for each field and an output token, pre-norm blocks of attention and ReGLU: [B, D] -> [B, num_outputs].

    Gorishniy, Rubachev, Khrulkov & Babenko (2021), "Revisiting deep learning models for tabular data", with smoothly
    clipped inputs. As there, the first block has no norm before its attention, and the last block computes only the
    output token.
    """

    config: FTTransformer
    num_outputs: int
    fields: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        config = self.config
        x = layer(self, FIELDS, self._tokens(x))
        for block in range(1, config.depth + 1):
            y = nn.LayerNorm()(x) if block > 1 else x
            queries = slice(0, 1) if block == config.depth else slice(None)
            x = x[:, queries] + drop(self, self._attention(y[:, queries], y), dropout)
            x = layer(self, f"block {block}", x + self._mlp(nn.LayerNorm()(x), dropout))
        x = layer(self, LAST_HIDDEN, nn.relu(nn.LayerNorm()(x[:, 0])))
        return Dense(self.num_outputs)(x)

    def _tokens(self, x: jax.Array) -> jax.Array:
        """The output token and the token of each field. [B, 1 + F, dim]."""
        dim, widths = self.config.dim, widths_of(x, self.fields)
        tokens = FieldTokens(tuple(widths.tolist()), dim)(smoothly_clipped(x)).reshape(len(x), -1, dim)
        own = self.param("answering", nn.initializers.normal(dim**-0.5), (dim,), jnp.float32)
        first = jnp.broadcast_to(own.astype(jnp.float32), (len(x), 1, dim)).astype(x.dtype)
        return jnp.concatenate([first, tokens], axis=1)

    def _attention(self, queries_BxQxD: jax.Array, x_BxTxD: jax.Array) -> jax.Array:
        (batch, tokens, dim), heads = x_BxTxD.shape, self.config.heads
        q = Dense(dim)(queries_BxQxD).reshape(batch, -1, heads, dim // heads).transpose(0, 2, 1, 3)
        kv = Dense(2 * dim)(x_BxTxD).reshape(batch, tokens, 2, heads, dim // heads)
        k, v = (kv[:, :, part].transpose(0, 2, 1, 3) for part in range(2))
        mixed = attend(q * (dim // heads) ** -0.5, k, v, jnp.ones((1, 1, 1, tokens), bool))
        return Dense(dim)(mixed.transpose(0, 2, 1, 3).reshape(batch, -1, dim))

    def _mlp(self, x: jax.Array, dropout: Any) -> jax.Array:
        gate, value = jnp.split(Dense(2 * self.config.mlp_ratio * self.config.dim)(x), 2, axis=-1)
        return Dense(self.config.dim)(drop(self, nn.relu(gate) * value, dropout))

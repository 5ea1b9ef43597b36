"""Recommenders: matrix factorization of ratings, and self-attention over a history of items."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.data.dataset import EXCLUDED_LOGIT
from dlm.models.layers import EMBEDDING, LAST_HIDDEN, Dense, add_bias, drop, layer, look_up, product
from dlm.models.transformer import PADDING, attend, rotated
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class MatrixFactorization:
    """Config of matrix factorization with vectors of size `dim` for tokens 0 … `vocabulary` − 1: users, then items."""

    vocabulary: int
    dim: int = 32

    def __post_init__(self) -> None:
        at_least(1, vocabulary=self.vocabulary, dim=self.dim)

    def net(self, num_outputs: int) -> MatrixFactorizationNet:
        if num_outputs != 1:
            raise UsageError(
                f"MatrixFactorization() has one output, and {num_outputs} are needed; use it to predict ratings"
            )
        return MatrixFactorizationNet(self)


class MatrixFactorizationNet(nn.Module):
    """(user, item), int [B, 2] -> user bias + item bias + product of their vectors, [B, 1].

    Koren, Bell & Volinsky (2009), "Matrix factorization techniques for recommender systems". Biases are a matrix of one
    column, so that weight decay, which excludes vectors, applies to them.
    """

    config: MatrixFactorization

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        config = self.config
        vectors = self.param("embedding", nn.initializers.normal(0.1), (config.vocabulary, config.dim))
        biases = self.param("bias", nn.initializers.zeros, (config.vocabulary, 1))
        user_item = drop(self, layer(self, EMBEDDING, look_up(vectors, x)), dropout)
        product = (user_item[:, 0] * user_item[:, 1]).sum(axis=-1, keepdims=True)
        return product + look_up(biases, x).sum(axis=1)


@dataclasses.dataclass(frozen=True)
class SASRec:
    """Config of a transformer on histories of items: `depth` blocks of width `dim`."""

    dim: int = 64
    depth: int = 1
    heads: int = 2
    mlp_ratio: int = 2

    def __post_init__(self) -> None:
        at_least(1, dim=self.dim, depth=self.depth, heads=self.heads, mlp_ratio=self.mlp_ratio)
        if self.dim % (2 * self.heads):
            raise UsageError(f"model.dim={self.dim} must be a multiple of twice model.heads={self.heads}")

    def net(self, num_outputs: int) -> SASRecNet:
        return SASRecNet(self, num_outputs)


class SASRecNet(nn.Module):
    """A history, int [B, L] with the latest item last and 0 for padding -> logits of the next item [B, num_outputs].

    Kang & McAuley (2018), "Self-attentive sequential recommendation": logits are products with the items' own
    embeddings. Differences: an example is one event, so the last block computes only the last position, and
    attention is not causal; softmax over all items (Klenitskiy & Vasilev 2023, "Turning dross into gold loss") with a
    bias for each item; blocks and rotary positions of `Transformer`. Items of the history are not offered.
    """

    config: SASRec
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        config, history = self.config, x
        shape = (self.num_outputs, config.dim)
        embedding = self.param("embedding", nn.initializers.normal(config.dim**-0.5), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.num_outputs,))
        seen = (history != PADDING)[:, None, None]
        x = drop(self, layer(self, EMBEDDING, look_up(embedding, history)), dropout)
        for block in range(1, config.depth + 1):
            reads = slice(-1, None) if block == config.depth else slice(None)
            y = self._attention(nn.RMSNorm()(x), seen, reads)
            x = x[:, reads] + drop(self, y, dropout)
            y = Dense(config.dim)(nn.gelu(Dense(config.mlp_ratio * config.dim)(nn.RMSNorm()(x))))
            x = layer(self, f"block {block}", x + drop(self, y, dropout))
        x = layer(self, LAST_HIDDEN, nn.RMSNorm()(x)[:, 0])
        return _mask_history(add_bias(product(x, embedding), bias), history)

    def _attention(self, x_BxLxD: jax.Array, seen: jax.Array, reads: slice) -> jax.Array:
        """Attention of the positions `reads` to all positions in the mask `seen`, bool [B, 1, 1, L]."""
        batch, length, dim = x_BxLxD.shape
        positions = jnp.arange(length)
        q, k, v = (self._split(Dense(dim)(part)) for part in (x_BxLxD[:, reads], x_BxLxD, x_BxLxD))
        mixed = attend(rotated(q * q.shape[-1] ** -0.5, positions[reads]), rotated(k, positions), v, seen)
        return Dense(dim)(mixed.transpose(0, 2, 1, 3).reshape(batch, -1, dim))

    def _split(self, x: jax.Array) -> jax.Array:
        """[B, L, D] -> [B, heads, L, D/heads]."""
        return x.reshape(*x.shape[:2], self.config.heads, -1).transpose(0, 2, 1, 3)


def _mask_history(logits: jax.Array, history: jax.Array) -> jax.Array:
    """EXCLUDED_LOGIT for the items of the history, and for padding. [B, V], int [B, L].

    Added, not assigned (a float32 of that size absorbs the logit), since the gradient then needs no extra pass, which
    would be a quarter of an update on a CPU.
    """
    items = jnp.pad(history, ((0, 0), (1, 0)))
    rows = jnp.arange(len(history))[:, None]
    return logits + jnp.zeros_like(logits).at[rows, items].set(EXCLUDED_LOGIT)

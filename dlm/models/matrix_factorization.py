"""Matrix factorization: a rating as the product of a user's vector and an item's, and a bias of each."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from dlm.models.layers import EMBEDDING, drop, layer, look_up
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class MatrixFactorization:
    """Config of matrix factorization with `dim` numbers for each token 0 … `vocabulary` − 1: users, then items."""

    vocabulary: int
    dim: int = 32

    def __post_init__(self) -> None:
        at_least(1, vocabulary=self.vocabulary, dim=self.dim)

    def net(self, num_outputs: int) -> MatrixFactorizationNet:
        """The module of this config."""
        if num_outputs != 1:
            raise UsageError(
                f"MatrixFactorization() gives one number, and {num_outputs} are wanted; use it with ratings to predict"
            )
        return MatrixFactorizationNet(self)


class MatrixFactorizationNet(nn.Module):
    """(user, item), int [B, 2] -> bias of the user + bias of the item + their vectors' product, [B, 1].

    Koren, Bell & Volinsky (2009), "Matrix factorization techniques for recommender systems". Biases are a matrix of one
    column, so that weight decay, which spares vectors, draws them to the mean rating too.
    """

    config: MatrixFactorization

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        """See the class."""
        config = self.config
        vectors = self.param("embedding", nn.initializers.normal(0.1), (config.vocabulary, config.dim))
        biases = self.param("bias", nn.initializers.zeros, (config.vocabulary, 1))
        user_item = drop(self, layer(self, EMBEDDING, look_up(vectors, x)), dropout)
        product = (user_item[:, 0] * user_item[:, 1]).sum(axis=-1, keepdims=True)
        return product + look_up(biases, x).sum(axis=1)

"""Multilayer perceptron."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from dlm.models.layers import Dense, drop, layer
from dlm.utils.errors import at_least


@dataclasses.dataclass(frozen=True)
class MLP:
    """Config of a multilayer perceptron: the width of each hidden layer."""

    widths: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        at_least(1, widths=self.widths)

    def net(self, num_outputs: int) -> MLPNet:
        """The module of this config."""
        return MLPNet(self, num_outputs)

    def filters(self, params: Any, input_shape: tuple[int, ...]) -> Any:
        """The weights of each unit of the first layer, [width, *input_shape]."""
        return params["Dense_0"]["kernel"].reshape(-1, *input_shape)


class MLPNet(nn.Module):
    """Flattened input, hidden layers with ReLU and dropout, linear output: [B, ...] -> [B, num_outputs].

    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors".
    """

    config: MLP
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        """See the class."""
        x = x.reshape(x.shape[0], -1)
        for number, width in enumerate(self.config.widths, start=1):
            x = layer(self, f"hidden {number}", nn.relu(Dense(width)(x)))
            x = drop(self, x, dropout)
        return Dense(self.num_outputs)(x)

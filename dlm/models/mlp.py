"""Multilayer perceptrons: on flattened inputs, and on the fields of a table."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.models.layers import FIELDS, Dense, drop, layer
from dlm.models.tabular_features import (
    FieldTokens,
    Periodic,
    PerNumber,
    columns_of,
    piecewise,
    smoothly_clipped,
    widths_of,
)
from dlm.utils.errors import UsageError, at_least, choose

ACTIVATIONS = {"selu": nn.selu, "mish": jax.nn.mish, "relu": nn.relu}
SCALE_SPEED = 6.0  # learning rate of the input scale under Adam, relative to other weights


@dataclasses.dataclass(frozen=True)
class MLP:
    """Config of a multilayer perceptron: the width of each hidden layer."""

    widths: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        at_least(1, widths=self.widths)

    def net(self, num_outputs: int) -> MLPNet:
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
        x = x.reshape(x.shape[0], -1)
        for number, width in enumerate(self.config.widths, start=1):
            x = layer(self, f"hidden {number}", nn.relu(Dense(width)(x)))
            x = drop(self, x, dropout)
        return Dense(self.num_outputs)(x)


@dataclasses.dataclass(frozen=True)
class TabularMLP:
    """Config of an MLP on the fields of a table: the width of each hidden layer, and the encoding of fields.

    `numbers`: besides its value a number gives `number_dim` features of sines and cosines (`periodic`: `frequencies` of
    them, with initial standard deviation `sigma`) or of a piecewise-linear encoding with `bins` (`piecewise`), or none.
    A category with more than `category_dim` values is embedded in that dimension. `scaled`: inputs get trained factors.
    """

    widths: tuple[int, ...] = (128, 128)
    numbers: Literal["periodic", "piecewise", "none"] = "periodic"
    number_dim: int = 4
    frequencies: int = 8
    sigma: float = 0.1
    bins: int = 8
    category_dim: int = 8
    activation: Literal["selu", "mish", "relu"] = "selu"
    scaled: bool = True

    takes_fields = True

    def __post_init__(self) -> None:
        sizes = ("widths", "number_dim", "frequencies", "category_dim")
        at_least(1, **{name: getattr(self, name) for name in sizes})
        at_least(2, bins=self.bins)
        choose("model.numbers", self.numbers, ("periodic", "piecewise", "none"))
        choose("model.activation", self.activation, tuple(ACTIVATIONS))
        if not self.sigma > 0:
            raise UsageError(f"model.sigma={self.sigma} is a standard deviation; choose a number above 0, such as 0.1")

    def net(self, num_outputs: int, fields: tuple[int, ...] = ()) -> TabularMLPNet:
        return TabularMLPNet(self, num_outputs, fields)


class TabularMLPNet(nn.Module):
    """Fields, hidden layers with dropout, linear output: [B, D] -> [B, num_outputs].

    Periodic and piecewise-linear encodings of numbers, each with a linear layer and ReLU of its own, are those of
    Gorishniy, Rubachev & Babenko (2022), "On embeddings for numerical features in tabular deep learning". The plain
    number as another feature, smooth clipping, embeddings of large categories only, the trained scale of inputs with
    its own learning rate, SELU and Mish are from RealMLP: Holzmüller, Grinsztajn & Steinwart (2024), "Better by
    default".
    """

    config: TabularMLP
    num_outputs: int
    fields: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        x = layer(self, FIELDS, self._scale(self._encode(x)))
        activation = ACTIVATIONS[self.config.activation]
        for number, width in enumerate(self.config.widths, start=1):
            x = drop(self, layer(self, f"hidden {number}", activation(Dense(width)(x))), dropout)
        return Dense(self.num_outputs)(x)

    def _encode(self, x: jax.Array) -> jax.Array:
        """Inputs of the first layer: plain columns, encoded numbers, embedded categories. [B, D']."""
        config, widths = self.config, widths_of(x, self.fields)
        x = smoothly_clipped(x)
        large = widths > max(1, config.category_dim)
        parts = [x[:, columns_of(widths, ~large)]]
        numbers = x[:, columns_of(widths, widths == 1)]
        if config.numbers != "none" and numbers.shape[1]:
            if config.numbers == "periodic":
                encoded = Periodic(config.frequencies, config.sigma)(numbers)
            else:
                encoded = piecewise(numbers, config.bins)
            parts.append(PerNumber(config.number_dim)(encoded).reshape(len(x), -1))
        if large.any():
            tokens = FieldTokens(tuple(widths[large].tolist()), config.category_dim)
            parts.append(tokens(x[:, columns_of(widths, large)]))
        return jnp.concatenate(parts, axis=1)

    def _scale(self, x: jax.Array) -> jax.Array:
        """Inputs times trained factors, stored divided by SCALE_SPEED since Adam's steps do not depend on scale."""
        if not self.config.scaled:
            return x
        stored = self.param("scale", nn.initializers.constant(1 / SCALE_SPEED), (x.shape[1],), jnp.float32)
        return (x * jnp.broadcast_to(SCALE_SPEED * stored.astype(jnp.float32), x.shape)).astype(x.dtype)

"""Encodes the fields of a table, numbers and categories, as inputs of a network."""

from __future__ import annotations

import math
from statistics import NormalDist

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dlm.models.layers import add_bias, product
from dlm.utils.errors import UsageError

CLIPPED = 3.0  # bound of clipped inputs, in standard deviations


def widths_of(x: jax.Array, fields: tuple[int, ...]) -> np.ndarray:
    """Number of columns of each field, int [F]; 1 each if `fields` is empty. UsageError unless x is a table [B, D]."""
    if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        kind = "tokens" if jnp.issubdtype(x.dtype, jnp.integer) else "examples"
        raise UsageError(
            f"TabularMLP and FTTransformer learn from the columns of a table, not from {kind} of shape {x.shape[1:]}; "
            "choose a model for such inputs, such as MLP, CNN or Transformer"
        )
    if fields and sum(fields) != x.shape[1]:
        raise UsageError(f"fields={fields} have {sum(fields)} columns, and the table has {x.shape[1]}; they must agree")
    return np.array(fields or (1,) * x.shape[1], int)


def columns_of(widths: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Column indices of the selected fields. is_chosen: bool [F]; returns int [C]."""
    return np.flatnonzero(np.repeat(is_chosen, widths))


def smoothly_clipped(x: jax.Array) -> jax.Array:
    """x / √(1 + (x / 3)²): close to x near 0, bounded by ±3 (Holzmüller et al. 2024)."""
    return (x / jnp.sqrt(1 + jnp.square(x / CLIPPED))).astype(x.dtype)


class FieldTokens(nn.Module):
    """A vector for each field: the sum over its columns of value · the column's vector, [B, D] -> [B, F · dim].

    The token of a number is a multiple of its vector, that of a category its embedding, also after standardization of
    the one-hot columns. All tokens are computed by one product, with a matrix that is zero for columns of other fields.
    Vectors are stored flat, so that weight decay excludes them.
    """

    widths: tuple[int, ...]
    dim: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bound, columns, number = self.dim**-0.5, x.shape[-1], len(self.widths)
        flat = self.param("vectors", _uniform(bound), (columns * self.dim,), jnp.float32)
        bias = self.param("bias", _uniform(bound), (number * self.dim,), jnp.float32)
        belongs = np.repeat(np.arange(number), self.widths) == np.arange(number)[:, None]
        vectors = flat.reshape(columns, self.dim).T.astype(x.dtype)
        kernel = jnp.where(belongs[:, None], vectors[None], jnp.zeros((), x.dtype))
        return add_bias(product(x, kernel.reshape(number * self.dim, columns)), bias)


class Periodic(nn.Module):
    """Sines and cosines of each number at trained frequencies, [B, M] -> [B, M, 2·frequencies].

    Gorishniy, Rubachev & Babenko (2022), "On embeddings for numerical features in tabular deep learning"; initial
    frequencies are normal with standard deviation `sigma`, in cycles per unit.
    """

    frequencies: int
    sigma: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[1], self.frequencies)
        flat = self.param("frequencies", nn.initializers.normal(self.sigma), (math.prod(shape),), jnp.float32)
        turns = jnp.broadcast_to(flat.astype(jnp.float32).reshape(shape), (len(x), *shape)) * x[..., None]
        angles = 2 * jnp.pi * turns
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1).astype(x.dtype)


def piecewise(x: jax.Array, bins: int) -> jax.Array:
    """Fraction of each bin that lies below a number, 0 … 1; outer bins are open. [B, M] -> [B, M, bins].

    The piecewise-linear encoding of the same paper. Its bins are quantiles of the training set; here inputs
    are standardized, so bins have equal probability under the normal distribution within ±2.
    """
    ends = normal_bins(bins)
    share = (x[..., None] - ends[None, None, :-1]) / np.diff(ends)[None, None]
    least, most = np.zeros(bins), np.ones(bins)
    least[0], most[-1] = -np.inf, np.inf
    return jnp.clip(share, least[None, None], most[None, None]).astype(x.dtype)


def normal_bins(bins: int) -> np.ndarray:
    """Edges of bins of equal probability under the standard normal distribution within ±2. float64 [bins + 1]."""
    low = NormalDist().cdf(-2.0)
    return np.array([NormalDist().inv_cdf(low + (1 - 2 * low) * edge / bins) for edge in range(bins + 1)])


class PerNumber(nn.Module):
    """A separate linear layer and ReLU for the encoding of each number: [B, M, K] -> [B, M, features]."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, numbers, inputs = x.shape
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(batch_axis=0), (numbers, inputs, self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (numbers * self.features,), jnp.float32)
        y = jnp.einsum("bmk,mkf->bmf", x, kernel.astype(x.dtype)).reshape(batch, -1)
        return nn.relu(add_bias(y, bias)).reshape(batch, numbers, self.features)


def _uniform(bound: float) -> nn.initializers.Initializer:
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)

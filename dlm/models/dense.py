"""What a model adds at many places, with a gradient that is summed in float32 whatever the model is computed in."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dense(nn.Module):
    """A linear layer on the last axis, [..., D] -> [..., features]: flax's own but for how its bias learns."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """See the class."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(x @ kernel.astype(x.dtype), bias)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x + bias, in x's type. bias: of x's last axes.

    The gradient to the bias is a sum over all other axes. XLA rounds a sum in bfloat16 at every addition, and from 256
    on adding 1 changes nothing; so the bias is repeated in float32, and its gradient summed there.
    """
    return x + jnp.broadcast_to(bias.astype(jnp.float32), x.shape).astype(x.dtype)

"""A linear layer whose gradients are exact enough in bfloat16 and fast on a CPU."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dense(nn.Module):
    """A linear layer on the last axis, [..., D] -> [..., features]: flax's own but for how its gradients are taken."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """See the class."""
        kernel = self.param("kernel", _turned_lecun_normal, (self.features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(product(x, kernel.astype(x.dtype)), bias)


def _turned_lecun_normal(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The very numbers that flax's layer would start from."""
    return nn.initializers.lecun_normal()(key, shape[::-1], jnp.float32).T


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x · kernelᵀ, [..., D] and [F, D] -> [..., F], with a gradient to the kernel that is fast on a CPU.

    That gradient is a sum over rows, gᵀ·x. XLA's fast kernels for small products on a CPU want the summed axis last on
    the left, so g is turned before; and the kernel lies as it comes out of them, [F, D], so nothing is turned back.
    """
    return x @ kernel.T


def _product_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(x, kernel), (x, kernel)


def _product_backward(kept: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    rows = [part.reshape(-1, part.shape[-1]) for part in (grad, x)]
    to_kernel = jax.lax.platform_dependent(*rows, cpu=_turned_first, default=lambda grad, x: grad.T @ x)
    return grad @ kernel, to_kernel


def _turned_first(grad: jax.Array, x: jax.Array) -> jax.Array:
    """gᵀ·x. Without the barrier XLA would take the turning into the product."""
    return jax.lax.optimization_barrier(grad.T) @ x


product.defvjp(_product_forward, _product_backward)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x + bias, in x's type. bias: of x's last axes.

    The gradient to the bias is a sum over all other axes. XLA rounds a sum in bfloat16 at every addition, and from 256
    on adding 1 changes nothing; so the bias is repeated in float32, and its gradient summed there.
    """
    return x + jnp.broadcast_to(bias.astype(jnp.float32), x.shape).astype(x.dtype)

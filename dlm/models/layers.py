"""Layers shared by the models: linear, embedding lookup, convolution, normalization, dropout, and layer names."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dense(nn.Module):
    """A linear layer on the last axis, [..., D] -> [..., features], `nn.Dense` with faster gradients on a CPU."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _transposed_lecun_normal, (self.features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(product(x, kernel.astype(x.dtype)), bias)


def _transposed_lecun_normal(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The same initial numbers as in `nn.Dense`."""
    return nn.initializers.lecun_normal()(key, shape[::-1], jnp.float32).T


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x · kernelᵀ, [..., D] and [F, D] -> [..., F], with a kernel gradient that is fast on a CPU.

    The gradient is a sum over rows, gᵀ·x. XLA's fast kernels for small products on a CPU need the summed axis last on
    the left, so g is transposed first; the kernel is stored as [F, D], so that the result is not transposed back.
    """
    return x @ kernel.T


def _product_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(x, kernel), (x, kernel)


def _product_backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows = [part.reshape(-1, part.shape[-1]) for part in (grad, x)]
    to_kernel = jax.lax.platform_dependent(*rows, cpu=_transposed_first, default=lambda grad, x: grad.T @ x)
    return grad @ kernel, to_kernel


def _transposed_first(grad: jax.Array, x: jax.Array) -> jax.Array:
    """gᵀ·x. The barrier keeps XLA from fusing the transpose into the product."""
    return jax.lax.optimization_barrier(grad.T) @ x


product.defvjp(_product_forward, _product_backward)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x + bias, in x's type. The shape of the bias is that of x's last axes.

    The gradient of the bias is a sum over all other axes. XLA rounds a bfloat16 sum at every addition, and above 256
    adding 1 has no effect; so the bias is broadcast in float32, and its gradient is summed in float32.
    """
    return x + jnp.broadcast_to(bias.astype(jnp.float32), x.shape).astype(x.dtype)


@jax.custom_vjp
def look_up(table: jax.Array, rows: jax.Array) -> jax.Array:
    """table[rows]: [V, D] and int [...] in 0 … V − 1 -> [..., D].

    The gradient of the table sums over all lookups of a row. Accelerators add in no fixed order, so there it is a
    product with one-hot rows; on a CPU, scatter-additions make an update of a small transformer 6 % faster.
    """
    return jnp.take(table, rows, axis=0, mode="clip")


def _look_up_forward(table: jax.Array, rows: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return look_up(table, rows), (table, rows)


def _look_up_backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, None]:
    table, rows = saved
    flat = rows.reshape(-1), grad.reshape(-1, grad.shape[-1])
    scatter, product = (functools.partial(sums, number=len(table)) for sums in (sum_by_scatter, sum_by_product))
    return jax.lax.platform_dependent(*flat, cpu=scatter, default=product), None


look_up.defvjp(_look_up_forward, _look_up_backward)


def sum_by_scatter(rows: jax.Array, grad: jax.Array, number: int) -> jax.Array:
    """Sum of the gradients of each of `number` rows, in float32. rows: int [P], grad: [P, D] -> [number, D]."""
    return jnp.zeros((number, grad.shape[1]), jnp.float32).at[rows].add(grad.astype(jnp.float32)).astype(grad.dtype)


def sum_by_product(rows: jax.Array, grad: jax.Array, number: int) -> jax.Array:
    """The same sum as a product with one-hot rows."""
    return jax.nn.one_hot(rows, number, dtype=grad.dtype).T @ grad


def feed_forward(module: nn.Module, x: jax.Array, hidden: int, dropout: Any = None) -> jax.Array:
    """A GELU layer of width `hidden` with dropout, and a linear layer of x's width. [..., D] -> [..., D]."""
    y = drop(module, nn.gelu(Dense(hidden)(x)), dropout)
    return Dense(x.shape[-1])(y)


REPLACED = "replaced"  # collection of the arrays that replace layers
EMBEDDING, LAST_HIDDEN = "embedding", "last hidden"  # layer names: of tokens, and of the output layer's input
FIELDS = "fields"  # layer name: the encoded fields of a table


class Conv(nn.Module):
    """A square convolution with SAME padding, [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, features].

    Computed as concatenated shifted slices times a matrix. Inside a scan over steps and members XLA's convolution
    leaves its fast path on a CPU (28 ms a step instead of 1), and with weights for each member it becomes a grouped
    convolution on a GPU.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel**2 * x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        if self.stride == 1 and self.kernel % 2:
            y = convolve(x, kernel)
        else:
            y = patches(x, self.kernel, self.stride) @ kernel
        if self.use_bias:
            y = add_bias(y, self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32))
        return y


@jax.custom_vjp
def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of stride 1, SAME padding. x [B, H, W, C], kernel [k²·C, D] with k odd -> [B, H, W, D].

    The gradient is defined by hand: that of x is a convolution with the flipped kernel, where automatic differentiation
    would add k² shifted images, and only x is saved for it, not the k² times larger patches.
    """
    return patches(x, _side(x, kernel), 1) @ kernel


def _convolve_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel), (x, kernel)


def _convolve_backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    side, inputs, outputs = _side(x, kernel), x.shape[-1], grad.shape[-1]
    flipped = kernel.reshape(side, side, inputs, outputs)[::-1, ::-1].swapaxes(2, 3).reshape(-1, inputs)
    columns = patches(x, side, 1).reshape(-1, len(kernel))
    return convolve(grad, flipped), columns.T @ grad.reshape(-1, outputs)


convolve.defvjp(_convolve_forward, _convolve_backward)


def _side(x: jax.Array, kernel: jax.Array) -> int:
    return math.isqrt(kernel.shape[0] // x.shape[-1])


def patches(x: jax.Array, kernel: int, stride: int) -> jax.Array:
    """The kernel×kernel neighbourhood of each pixel. [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, kernel²·C]."""
    height, width = x.shape[1:3]
    low, high = (kernel - 1) // 2, kernel // 2
    padded = jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))
    return jnp.concatenate(
        [
            padded[:, row : row + height : stride, column : column + width : stride]
            for row in range(kernel)
            for column in range(kernel)
        ],
        axis=-1,
    )


def normalization(kind: str) -> Any:
    """A norm over single examples: `group` (Wu & He 2018) or `layer` (Ba et al. 2016)."""
    return nn.GroupNorm(num_groups=None, group_size=8) if kind == "group" else nn.LayerNorm()


def layer(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """x, recorded under a layer name for `Model.layers`, which may also replace it.

    Has no effect on the program otherwise.
    """
    if module.has_variable(REPLACED, name):
        x = module.get_variable(REPLACED, name)
    module.sow("intermediates", name, x)
    return x


def drop(module: nn.Module, x: jax.Array, rate: Any) -> jax.Array:
    """Dropout (Srivastava et al. 2014) with a rate that may be traced; None disables it."""
    if rate is None:
        return x
    mask = jax.random.bernoulli(module.make_rng("dropout"), 1.0 - rate, x.shape)
    return jnp.where(mask, x / (1.0 - rate), 0.0).astype(x.dtype)

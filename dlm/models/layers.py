"""What more than one family uses: convolution as patches times a matrix, normalization, dropout, names of layers."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dlm.utils.errors import UsageError


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


@jax.custom_vjp
def look_up(table: jax.Array, rows: jax.Array) -> jax.Array:
    """table[rows]: [V, D] and int [...] in 0 … V − 1 -> [..., D].

    The gradient to the table is a sum over the places where a row was looked up. Accelerators add in no fixed order, so
    there it is a product with one-hot rows; on a CPU additions take 6 % less of a small transformer's update.
    """
    return jnp.take(table, rows, axis=0, mode="clip")


def _look_up_forward(table: jax.Array, rows: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return look_up(table, rows), (table, rows)


def _look_up_backward(kept: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, None]:
    table, rows = kept
    flat = rows.reshape(-1), grad.reshape(-1, grad.shape[-1])
    added, multiplied = (functools.partial(way, number=len(table)) for way in (sum_by_adding, sum_by_product))
    return jax.lax.platform_dependent(*flat, cpu=added, default=multiplied), None


look_up.defvjp(_look_up_forward, _look_up_backward)


def sum_by_adding(rows: jax.Array, grad: jax.Array, number: int) -> jax.Array:
    """For each of `number` rows the sum of what stands at its places, in float32. int [P], [P, D] -> [number, D]."""
    return jnp.zeros((number, grad.shape[1]), jnp.float32).at[rows].add(grad.astype(jnp.float32)).astype(grad.dtype)


def sum_by_product(rows: jax.Array, grad: jax.Array, number: int) -> jax.Array:
    """The same, as a product with one-hot rows."""
    return jax.nn.one_hot(rows, number, dtype=grad.dtype).T @ grad


REPLACED = "replaced"  # the collection of what stands in for layers
EMBEDDING, LAST_HIDDEN = "embedding", "last hidden"  # names of layers: of tokens, and what the output layer reads
FIELDS = "fields"  # name of the layer that a table's fields become


class Conv(nn.Module):
    """A square convolution with SAME padding, [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, features].

    Written as shifted slices, side by side, times one matrix: inside a scan over steps and members XLA's own
    convolution leaves its fast path on the CPU (28 ms a step where this takes 1), and members with weights of their
    own make it a grouped convolution on a GPU; a matrix product stays one on both.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """See the class."""
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

    Its gradient is written by hand: that to x is a convolution too, with the kernel turned round, where automatic
    differentiation adds up k² shifted images; and only x is kept for it, not the k² times larger patches.
    """
    return patches(x, _side(x, kernel), 1) @ kernel


def _convolve_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel), (x, kernel)


def _convolve_backward(kept: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    side, inputs, outputs = _side(x, kernel), x.shape[-1], grad.shape[-1]
    turned = kernel.reshape(side, side, inputs, outputs)[::-1, ::-1].swapaxes(2, 3).reshape(-1, inputs)
    columns = patches(x, side, 1).reshape(-1, len(kernel))
    return convolve(grad, turned), columns.T @ grad.reshape(-1, outputs)


convolve.defvjp(_convolve_forward, _convolve_backward)


def _side(x: jax.Array, kernel: jax.Array) -> int:
    return math.isqrt(kernel.shape[0] // x.shape[-1])


def patches(x: jax.Array, kernel: int, stride: int) -> jax.Array:
    """The kernel×kernel surroundings of each pixel. [B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, kernel²·C]."""
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
    """A norm without statistics beyond one example: `group` (Wu & He 2018) or `layer` (Ba et al. 2016)."""
    if kind == "group":
        return nn.GroupNorm(num_groups=None, group_size=8)
    if kind == "layer":
        return nn.LayerNorm()
    raise UsageError(f"norm={kind!r} is unknown; choose one of group, layer")


def layer(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """x under the name of a layer, for `Model.layers`, which may put something else in its place.

    Anywhere else it leaves no trace in the program.
    """
    if module.has_variable(REPLACED, name):
        x = module.get_variable(REPLACED, name)
    module.sow("intermediates", name, x)
    return x


def drop(module: nn.Module, x: jax.Array, rate: Any) -> jax.Array:
    """Dropout (Srivastava et al. 2014) whose rate may be a traced number; `rate=None`: nothing is dropped."""
    if rate is None:
        return x
    kept = jax.random.bernoulli(module.make_rng("dropout"), 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0).astype(x.dtype)

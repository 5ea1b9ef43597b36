"""The convolution written as a product is a convolution, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm.models.layers import Conv, convolve


def reference(x, kernel, side, stride=1):
    weights = kernel.reshape(side, side, x.shape[-1], -1)
    low, high = (side - 1) // 2, side // 2
    return jax.lax.conv_general_dilated(
        x, weights, (stride, stride), [(low, high)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("side", "channels", "pixels"), [(3, 1, 8), (3, 8, 7), (5, 2, 6), (1, 4, 5)])
def test_a_convolution_and_its_gradients_are_those_of_lax(side, channels, pixels):
    x, kernel, weight = random(2, pixels, pixels, channels), random(side**2 * channels, 4), random(2, pixels, pixels, 4)

    def ours(x, kernel):
        return (convolve(x, kernel) * weight).sum()

    def theirs(x, kernel):
        return (reference(x, kernel, side) * weight).sum()

    np.testing.assert_allclose(convolve(x, kernel), reference(x, kernel, side), rtol=1e-4, atol=1e-4)
    for mine, right in zip(jax.grad(ours, (0, 1))(x, kernel), jax.grad(theirs, (0, 1))(x, kernel), strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2), (2, 1), (4, 2)])
def test_the_layer_takes_any_kernel_and_stride(kernel, stride):
    x = random(2, 7, 7, 3)
    layer = Conv(5, kernel=kernel, stride=stride)
    params = layer.init(jax.random.key(0), x)
    y = layer.apply(params, x)
    weights = params["params"]["kernel"]
    padded = jnp.pad(x, ((0, 0), ((kernel - 1) // 2, kernel // 2), ((kernel - 1) // 2, kernel // 2), (0, 0)))
    wanted = jax.lax.conv_general_dilated(
        padded,
        weights.reshape(kernel, kernel, 3, 5),
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    assert y.shape == (2, -(-7 // stride), -(-7 // stride), 5)
    np.testing.assert_allclose(y, wanted[:, : y.shape[1], : y.shape[2]], rtol=1e-4, atol=1e-4)
    assert float(jnp.var(weights)) == pytest.approx(1 / (3 * kernel**2), rel=0.6)

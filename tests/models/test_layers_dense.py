"""The linear layer is flax's own: the same first weights, the same outputs, the same gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm.models.layers import Dense

KEY = jax.random.key(1)


def turned(params):
    return {"params": {**params["params"], "kernel": params["params"]["kernel"].T}}


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4, 5)])
def test_the_layer_begins_computes_and_learns_as_flax_does(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours, theirs = Dense(7), nn.Dense(7)
    params = ours.init(KEY, x)
    jax.tree.map(np.testing.assert_array_equal, turned(params), theirs.init(KEY, x))

    def loss(layer, params, x):
        return jnp.sin(layer.apply(params, x)).sum()

    mine, to_x = jax.jit(jax.grad(lambda params, x: loss(ours, params, x), (0, 1)))(params, x)
    right, right_to_x = jax.grad(lambda params, x: loss(theirs, params, x), (0, 1))(turned(params), x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), turned(mine), right)
    np.testing.assert_allclose(to_x, right_to_x, rtol=1e-4, atol=1e-5)

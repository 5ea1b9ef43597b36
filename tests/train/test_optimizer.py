"""Adam with its corrections as scalars is optax's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dlm.study.learner import Optimizer
from dlm.train.optimizer import scale_by_adam, transform


def walked(tx, steps=200):
    """Parameters after gradients of very different sizes."""
    rng = np.random.default_rng(0)
    params = {"a": jnp.ones((3, 4)), "b": jnp.zeros(5)}
    state = tx.init(params)
    update = jax.jit(tx.update)
    for _ in range(steps):
        gradient = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) * 10.0 ** rng.integers(-6, 3), params)
        updates, state = update(jax.tree.map(jnp.float32, gradient), state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize(("b1", "b2"), [(0.9, 0.999), (0.0, 0.5)])
def test_adam_goes_where_optax_goes(b1, b2):
    ours, theirs = walked(scale_by_adam(b1, b2)), walked(optax.scale_by_adam(b1, b2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, theirs)


def test_adamw_goes_where_optax_goes():
    ours = walked(transform(Optimizer(), 1e-2, 0.1))
    theirs = walked(optax.adamw(1e-2, weight_decay=0.1, mask={"a": True, "b": False}))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)

"""Models tell their layers in order, take others in their place, and compute nothing else for it."""

import functools

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import small

from dlm import Learner
from dlm.models import CNN, MLP, FTTransformer, TabularMLP, Transformer, ViT, build
from dlm.train.population import summarize_program

IMAGE = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
TEXT = jnp.asarray(np.random.default_rng(0).integers(1, 50, (2, 12)), jnp.int32)
WRITER = Transformer(dim=16, depth=2, heads=2, vocabulary=50)
TABLE = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5)), jnp.float32)
READER = Transformer(dim=16, depth=1, heads=2, vocabulary=50, head="mean", causal=False)
CASES = [
    (MLP((8, 6)), IMAGE, ["hidden 1", "hidden 2"]),
    (CNN((8, 16), (1, 1)), IMAGE, ["stem", "block 1", "block 2", "last hidden"]),
    (ViT(patch=4, dim=16, depth=2), IMAGE, ["patches", "block 1", "block 2", "last hidden"]),
    (WRITER, TEXT, ["embedding", "block 1", "block 2", "last hidden"]),
    (READER, TEXT, ["embedding", "block 1", "last hidden"]),
    (TabularMLP((8, 6)), TABLE, ["fields", "hidden 1", "hidden 2"]),
    (FTTransformer(dim=8, heads=2), TABLE, ["fields", "block 1", "block 2", "last hidden"]),
]


@functools.cache
def made(config, shape):
    """(compiled `apply`, compiled `layers`, parameters) of a model for inputs of a shape."""
    model, x = build(config, 50), next(x for x in (IMAGE, TEXT, TABLE) if x.shape == shape)
    return jax.jit(model.apply), jax.jit(model.layers), jax.jit(model.init)(jax.random.key(0), x)


@pytest.mark.parametrize(("config", "x", "names"), CASES)
def test_layers_are_told_in_order_beside_the_same_outputs(config, x, names):
    apply, tell, params = made(config, x.shape)
    outputs, layers = tell(params, x)
    assert list(layers) == names
    np.testing.assert_allclose(outputs, apply(params, x), atol=1e-5)
    assert all(len(value) == len(x) for value in layers.values())


@pytest.mark.parametrize(("config", "x", "names"), CASES)
def test_what_takes_a_layer_s_place_decides_all_that_follows(config, x, names):
    _, tell, params = made(config, x.shape)
    _, layers = tell(params, x)
    other, _ = tell(params, x[::-1])
    for name in names:
        replaced, _ = tell(params, x, {name: layers[name][::-1]})
        np.testing.assert_allclose(replaced, other, atol=1e-5)


@pytest.mark.parametrize("config", [MLP((8,)), CNN((8, 8), (0, 1)), ViT(patch=4, dim=16, depth=1)])
def test_training_programs_do_not_know_of_layers(config, digits, monkeypatch):
    trial = small(learners={"net": Learner(config)}).trials[0]
    with_names = summarize_program(trial, digits).digest
    for module in ("mlp", "cnn", "vit"):
        monkeypatch.setattr(f"dlm.models.{module}.layer", lambda module, name, x: x)
    assert summarize_program(trial, digits).digest == with_names


def test_a_module_that_names_no_layer_tells_its_submodules():
    class Net(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x, dropout=None):
            x = flax.linen.relu(flax.linen.Dense(4)(x.reshape(len(x), -1)))
            return flax.linen.Dense(3)(x)

    class Config:
        def net(self, num_outputs):
            return Net()

    model = build(Config(), 3)
    params = jax.jit(model.init)(jax.random.key(0), IMAGE)
    outputs, layers = model.layers(params, IMAGE)
    assert [value.shape for value in layers.values()] == [(2, 4), (2, 3)]
    np.testing.assert_array_equal(outputs, layers["Dense_1"])


def test_filters_are_the_first_layer_s_weights_in_the_shape_of_the_input():
    for config, shape in ((MLP((5,)), (5, 8, 8, 1)), (CNN((8,), (1,)), (8, 3, 3, 1)), (ViT(4, 16, 1), (16, 4, 4, 1))):
        params = jax.jit(build(config, 3).init)(jax.random.key(0), IMAGE)
        assert config.filters(params, (8, 8, 1)).shape == shape
    # A kernel answers most to a patch that looks like it.
    config = CNN((8,), (1,))
    model = build(config, 3)
    params = jax.jit(model.init)(jax.random.key(1), IMAGE)
    kernels, layers = config.filters(params, (8, 8, 1)), jax.jit(model.layers)
    for unit in range(8):
        picture = jnp.zeros((1, 8, 8, 1)).at[0, 2:5, 3:6].set(kernels[unit])
        stem = layers(params, picture)[1]["stem"]
        assert stem[0, 3, 4, unit] == pytest.approx(float((kernels[unit] ** 2).sum()), rel=1e-4)

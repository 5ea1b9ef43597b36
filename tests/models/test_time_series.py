"""Models of series: DLinear is its formula, every series is treated alike, levels are taken out and put back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm import UsageError
from dlm.models import DLinear, PatchTST, build
from dlm.models.time_series import moving_average, patched

B, L, H, C = 3, 16, 4, 2
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, L, C)).astype(np.float32))
SMALL = PatchTST(patch=4, stride=2, dim=8, depth=2, heads=2, hidden=8)


def started(config):
    model = build(config, H * C)
    return model, jax.jit(model.init)(jax.random.key(0), X)


def test_a_moving_average_repeats_the_ends():
    values = np.arange(6.0)
    padded = np.pad(values, 1, mode="edge")
    by_hand = [padded[k : k + 3].mean() for k in range(6)]
    assert np.allclose(moving_average(jnp.asarray(values), 3), by_hand)


def test_dlinear_is_its_formula():
    model, params = started(DLinear(kernel=5))
    assert np.allclose(model.apply(params, X).reshape(B, H, C), X.mean(axis=1, keepdims=True), atol=1e-5)
    params = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(leaf.ndim), leaf.shape), params)
    padded = np.pad(np.asarray(X), ((0, 0), (2, 2), (0, 0)), mode="edge")
    trend = np.mean([padded[:, k : k + L] for k in range(5)], axis=0)
    by_hand = sum(
        np.einsum("hl,blc->bhc", params[name]["kernel"], part) + params[name]["bias"][None, :, None]
        for name, part in (("WindowMean_0", trend), ("WindowMean_1", np.asarray(X) - trend))
    )
    assert np.allclose(model.apply(params, X).reshape(B, H, C), by_hand, atol=1e-5)


@pytest.mark.parametrize("config", [DLinear(5), SMALL], ids=["dlinear", "patchtst"])
def test_every_series_is_forecast_alike_and_by_itself(config):
    model, params = started(config)
    steps = model.apply(params, X).reshape(B, H, C)
    turned = model.apply(params, X[:, :, ::-1]).reshape(B, H, C)
    assert np.allclose(turned, steps[:, :, ::-1], atol=1e-5)
    other = model.apply(params, X.at[:, :, 1].set(7.0)).reshape(B, H, C)
    assert np.allclose(other[:, :, 0], steps[:, :, 0], atol=1e-5)


@pytest.mark.parametrize(
    "config", [DLinear(5, "last"), DLinear(5, "instance"), SMALL], ids=["last", "inst", "patchtst"]
)
def test_a_shifted_window_is_forecast_shifted(config):
    model, params = started(config)
    assert np.allclose(model.apply(params, X + 3), model.apply(params, X) + 3, atol=1e-4)
    flat = model.apply(params, jnp.full_like(X, 2.0))
    assert np.all(np.isfinite(flat))


def test_patches_overlap_and_end_with_the_last_value():
    found = patched(jnp.arange(6.0)[None, None], 4, 2)[0, 0]
    assert found.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 5, 5]]


def test_layers_are_named_and_dropout_is_only_for_training():
    model, params = started(SMALL)
    outputs, layers = model.layers(params, X)
    assert list(layers) == ["patches", "block 1", "block 2", "last hidden"]
    assert layers["block 1"].shape == (B, C, 8, 8)
    assert np.array_equal(outputs, model.apply(params, X))
    dropped, _ = model.train(params, None, X, 0.5, jax.random.key(1))
    assert not np.allclose(dropped, outputs)


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (DLinear(), (1, 64), "need windows"),
        (PatchTST(patch=99), (1, L, C), "model.patch=99 is longer than windows of 16 steps"),
    ],
)
def test_inputs_that_are_no_windows_are_refused(config, shape, words):
    with pytest.raises(UsageError, match=words):
        build(config, H * C).init(jax.random.key(0), jnp.zeros(shape))


def test_configs_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match=r"model\.kernel=4 must be odd"):
        DLinear(kernel=4)
    with pytest.raises(UsageError, match=r"model\.dim=10 must be a multiple of model\.heads=4"):
        PatchTST(dim=10)

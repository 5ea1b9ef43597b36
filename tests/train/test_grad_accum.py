"""A batch in parts gives the batch's own gradient, up to rounding, and is cut only where that pays."""

import jax
import jax.numpy as jnp
import numpy as np

from dlm.models import CNN, MLP, ViT, build
from dlm.study.learner import Optimizer
from dlm.tasks import Classification
from dlm.train import train_step
from dlm.train.population import Population
from dlm.train.types import ProgramConfig

SHAPE = (8, 8, 1)


def setting(config, batch_size=16):
    """(loss of params and a batch, params, batch) of a model on random images."""
    rng = np.random.default_rng(0)
    model = build(config, 10)
    batch = rng.normal(size=(batch_size, *SHAPE)).astype(np.float32), rng.integers(0, 10, batch_size)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *SHAPE)))

    def loss(params, batch):
        return Classification().loss(model.apply(params, batch[0]), batch[1], 0.1), None

    return loss, params, batch


def test_loss_and_gradient_of_parts_are_those_of_the_batch():
    loss, params, batch = setting(CNN((8, 8), (0, 1)))
    whole = jax.jit(jax.value_and_grad(loss, has_aux=True))(params, batch)
    for at_once in (1, 4, 16):
        taken = jax.jit(lambda *of, size=at_once: train_step.value_and_grad(loss, *of, size))(params, batch)
        for mine, right in zip(jax.tree.leaves(taken), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-5, atol=1e-6)


def test_small_activations_are_taken_whole_and_large_ones_in_parts_that_divide_the_batch():
    assert train_step.microbatch_size(*setting(MLP((16,)))) == 16
    loss, params, batch = setting(CNN((64, 64), (2, 2)), batch_size=48)
    at_once = train_step.microbatch_size(loss, params, batch)
    assert at_once < 48
    assert 48 % at_once == 0


def test_large_weights_make_parts_larger(monkeypatch):
    monkeypatch.setattr(train_step, "MICROBATCH_BYTES", 0)
    narrow, wide = (train_step.microbatch_size(*setting(ViT(patch=2, dim=dim, depth=1, heads=2))) for dim in (4, 64))
    assert narrow < wide


def spec(task, dropout=False):
    return ProgramConfig(build(MLP((4,)), 10), task, Optimizer(), SHAPE, 1.0, 0.0, 16, dropout, 0, 0)


def test_only_a_mean_loss_without_masks_is_taken_in_parts_and_only_one_by_one():
    class Ranking(Classification):
        loss_is_mean = False

    devices = jax.devices()[:2]
    assert Population(spec(Classification()), "exact", devices).config.microbatched
    assert not Population(spec(Classification()), "fast", devices).config.microbatched
    assert not Population(spec(Ranking()), "exact", devices).config.microbatched
    assert not Population(spec(Classification(), dropout=True), "exact", devices).config.microbatched

"""The network answers alike in NumPy and in JAX, in any unit, and its distributions are what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks.forecasting.archives import ArchiveCurve
from benchmarks.forecasting.train import fit
from benchmarks.forecasting.train.simulated import simulate
from benchmarks.forecasting.train.tasks import NUM_PLACES, draw_tasks
from dlm.curves import network
from dlm.curves.points import MAX_SIZES, make_points
from dlm.curves.predictive import Marginals, context_of, draw, predictive, unflatten, weights

SIZES = np.array([100.0, 200, 400, 800, 1600])
ERRORS = 0.05 + 2 * SIZES**-0.6


@pytest.fixture(scope="module")
def batch():
    return jax.tree.map(np.asarray, simulate(jax.random.key(0), 200))


def test_numpy_and_jax_tell_the_same(batch):
    context = network.CurveBatch(*batch[:7])
    by_numpy = network.apply(weights()[0], network.network_inputs(context, batch.place))
    with jax.numpy_rank_promotion("allow"):
        reading = jax.jit(lambda context, place: network.network_inputs(context, place, jnp))(context, batch.place)
        by_jax = jax.jit(lambda reading: network.apply(weights()[0], reading, jnp))(reading)
    for one, other in zip(by_numpy, by_jax):
        # Single precision learns, double answers: laws that fit alike may be weighed a little differently.
        away = np.abs(one - other) / (np.abs(one) + 0.1)
        assert np.quantile(away, 0.95) < 1e-3
        assert away.max() < 0.5


def test_padding_says_nothing():
    context = context_of(make_points(SIZES, ERRORS), (0.0, 1.0))
    padded = network.CurveBatch(
        *(np.pad(column, ((0, 0), (0, 7))) if column.ndim > 1 else column for column in context)
    )
    for one, other in zip(
        *(network.apply(weights()[0], network.network_inputs(c, np.array([[0.7, 2.0]]))) for c in (context, padded))
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("size_unit", "error_unit"), [(1e-3, 1e-6), (1e6, 1e6)])
def test_another_unit_of_size_or_error_gives_the_same_answer(size_unit, error_unit):
    told = predictive(make_points(SIZES, ERRORS), (0.0, None))(np.array([3200.0]))
    other = predictive(make_points(SIZES * size_unit, ERRORS * error_unit), (0.0, None))(np.array([3200.0 * size_unit]))
    np.testing.assert_allclose(other.quantiles([0.1, 0.9]), told.quantiles([0.1, 0.9]) * error_unit, rtol=1e-6)


def test_weights_survive_their_file():
    members = unflatten(fit.flatten(weights()))
    assert jax.tree.structure(members) == jax.tree.structure(weights())
    assert sum(leaf.size for leaf in jax.tree.leaves(members[0])) > 10_000


def test_quantiles_are_those_of_the_mixture():
    told = Marginals(np.array([[0.3, 0.7]]), np.array([[-2.0, -1.0]]), np.array([[0.5, 0.1]]), np.array([0.1]))
    shares = np.array([0.05, 0.2, 0.5, 0.9])
    quantiles = told.quantiles(shares)[0]
    assert quantiles[0] == 0.0
    below = 0.3 * ndtr((np.log(quantiles[1:]) + 2) / 0.5) + 0.7 * ndtr((np.log(quantiles[1:]) + 1) / 0.1)
    assert 0.1 + 0.9 * below == pytest.approx(shares[1:], abs=2e-3)


def test_draws_have_the_marginals_and_keep_near_their_rank():
    def marginals(train_sizes):
        one = np.ones((len(train_sizes), 1))
        return Marginals(one, -np.log(train_sizes)[:, None], 0.2 * one, np.zeros(len(train_sizes)))

    curves = draw(marginals, SIZES, (0.0, 1.0), 2000, seed=0)
    errors = curves.at(np.array([1600.0, 1800.0, 1e6]))
    np.testing.assert_allclose(
        np.quantile(errors[:, 1], [0.1, 0.5]), marginals(np.array([1800.0])).quantiles([0.1, 0.5])[0], rtol=2e-3
    )
    assert np.corrcoef(np.log(errors[:, 0]), np.log(errors[:, 1]))[0, 1] > 0.95
    assert np.corrcoef(np.log(errors[:, 0]), np.log(errors[:, 2]))[0, 1] < 0.9
    np.testing.assert_array_equal(errors, draw(marginals, SIZES, (0.0, 1.0), 2000, seed=0).at([1600.0, 1800.0, 1e6]))


def test_simulated_curves_are_curves(batch):
    assert all(np.isfinite(column).all() for column in batch)
    assert batch.log_error.shape == (200, MAX_SIZES)
    last = batch.there.sum(axis=1).astype(int) - 1
    rows = np.arange(200)
    assert (batch.there.sum(axis=1) >= 3).all()
    assert (np.abs(batch.log_size[rows, last]) < 1e-6).all()
    assert (np.abs(batch.log_error[rows, last]) < 1e-6).all()
    assert (np.diff(np.where(batch.there > 0, batch.log_size, np.inf), axis=1)[batch.there[:, 1:] > 0] > 0).all()
    given = np.where(batch.there > 0, batch.log_error, -np.inf).max(axis=1) + batch.level
    assert (given[batch.bounded > 0] <= 1e-5).all()
    falls = batch.target[:, : NUM_PLACES - 2].mean(axis=1)
    assert 0.6 < (falls < 0).mean() < 0.95  # most curves fall, some rise


def test_tasks_ask_for_what_was_measured():
    train_sizes = 16 * 2.0 ** (np.arange(25) / 2)
    errors = 0.1 + train_sizes**-0.5
    known = np.full(25, 0.01), np.full(25, 25.0)
    curve = ArchiveCurve("planted", "a", "a", "a", train_sizes, errors, *known, np.full(25, ""), (0.0, 1.0))
    tasks = draw_tasks([curve], 50, np.random.default_rng(0))
    ahead = (tasks.weight == 1.0) & (tasks.place > 0)
    assert ahead.any(axis=1).all()
    last = np.exp(tasks.level)  # the last given error, shaken by few repeats
    told = np.exp(tasks.target) * last[:, None]
    assert all(np.isclose(errors, error, rtol=1e-4).any() for error in told[tasks.weight > 0])


@pytest.mark.slow
def test_learning_lowers_the_loss():
    phase = fit.Phase(steps=60, lr=2e-3, share=0.5, batch=32)
    measured = jax.tree.map(np.asarray, simulate(jax.random.key(7), 64))
    told = []
    start = fit.initial(jax.device_count(), seed=0)
    learnt = fit.fit(start, phase, measured, 0, told.append, chunk=30)
    before, after = (
        float(fit.loss(jax.tree.map(lambda leaf: leaf[0], params), measured)) for params in (start, learnt)
    )
    assert after < before - 0.5
    assert told[-1].startswith("60 of 60 updates")

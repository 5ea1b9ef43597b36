"""Batches walk through every example once an epoch, the same in NumPy and JAX, for any size up to 2^31."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm.data.permutation import _ceil_sqrt, batch_rows, epoch_key, permute

EDGES = sorted({n for side in (1, 2, 3, 4, 10, 63, 64, 255, 256) for n in range(side**2 - 1, side**2 + 2) if n})
MAX_SIZE = 2**31
WORD = st.integers(0, 2**32 - 1).map(np.uint32)
jitted = jax.jit(lambda index, size, key: permute(index, size, key, jnp))
jitted_rows = jax.jit(lambda step, size, seed: batch_rows(step, 64, size, seed, jnp))


def permutation(size, key):
    return permute(np.arange(size, dtype=np.uint32), np.uint32(size), np.uint32(key))


@pytest.mark.parametrize("size", EDGES)
def test_every_index_goes_to_another(size):
    for key in (0, 1, 0xFFFFFFFF):
        assert np.array_equal(np.sort(permutation(size, key)), np.arange(size))


@settings(deadline=None)
@given(size=st.integers(1, 5000), key=WORD)
def test_it_is_a_permutation_of_any_size(size, key):
    assert np.array_equal(np.sort(permutation(size, key)), np.arange(size))


def test_a_large_permutation_has_no_repeats():
    size = 1_000_003
    assert np.bincount(permutation(size, 7), minlength=size).max() == 1


@pytest.mark.parametrize("size", [2**31, 2**31 - 1, 46340**2, 46340**2 + 1, 2**24 + 1, 3_000_000_019 // 2])
def test_large_sizes_stay_within_and_apart(size):
    """All of 2^31 would take minutes: both ends and a sample between, where words could overflow."""
    ends = np.arange(2000, dtype=np.uint32)
    between = np.random.default_rng(0).integers(0, size, 20_000, dtype=np.uint32)
    index = np.unique(np.concatenate([ends, np.uint32(size - 1) - ends, between]))
    for key in (0, 12345):
        out = permute(index, np.uint32(size), np.uint32(key))
        assert out.dtype == np.uint32
        assert out.max() < size
        assert len(np.unique(out)) == len(index)


@given(size=st.one_of(st.integers(1, 300), st.integers(1, MAX_SIZE)), key=WORD, data=st.data())
@settings(max_examples=60, deadline=None)
def test_numpy_and_jax_give_the_same_numbers(size, key, data):
    index = data.draw(st.lists(st.integers(0, size - 1), min_size=8, max_size=8))
    index, size = np.array(index, np.uint32), np.uint32(size)
    assert np.array_equal(permute(index, size, key), np.asarray(jitted(index, size, key)))


@given(step=st.integers(0, 2**26 - 1), size=st.integers(1, MAX_SIZE), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_numpy_and_jax_draw_the_same_batches(step, size, seed):
    step, size, seed = np.uint32(step), np.uint32(size), np.uint32(seed)
    rows = batch_rows(step, 64, size, seed)
    assert rows.max() < size
    assert np.array_equal(rows, np.asarray(jitted_rows(step, size, seed)))


def test_members_side_by_side_draw_what_each_draws_alone():
    sizes, seeds = np.array([3, 10, 64, 1000], np.uint32), np.array([0, 1, 2, 2**31 - 1], np.uint32)
    many = jax.vmap(lambda size, seed: batch_rows(jnp.uint32(5), 64, size, seed, jnp))(sizes, seeds)
    alone = [batch_rows(np.uint32(5), 64, size, seed) for size, seed in zip(sizes, seeds)]
    assert np.array_equal(np.asarray(many), np.stack(alone))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("batch", [1, 3, 8, 250])
def test_an_epoch_shows_every_example_once_whatever_the_batch(size, batch):
    steps = -(-5 * size // batch)
    stream = np.concatenate([batch_rows(np.uint32(s), batch, np.uint32(size), np.uint32(3)) for s in range(steps)])
    for epoch in range(5):
        assert np.array_equal(np.sort(stream[epoch * size : (epoch + 1) * size]), np.arange(size))


def test_epochs_and_seeds_differ_and_nothing_else_decides():
    rows = [batch_rows(np.uint32(step), 100, np.uint32(100), np.uint32(seed)) for step in range(4) for seed in range(4)]
    assert len({row.tobytes() for row in rows}) == 16
    again = batch_rows(np.uint32(2), 100, np.uint32(100), np.uint32(1))
    assert np.array_equal(again, rows[2 * 4 + 1])


def test_neighbouring_seeds_do_not_share_epochs():
    """Epoch 1 of seed 0 must not be epoch 0 of seed 1, and so on."""
    keys = epoch_key(np.arange(2000, dtype=np.uint32)[:, None], np.arange(50, dtype=np.uint32)[None, :])
    assert len(np.unique(keys)) > keys.size - 10  # a birthday or two among 10^5 words of 32 bits


def test_all_orders_of_a_few_examples_come_up_about_equally_often():
    keys = mixed_keys(24_000)
    index = np.arange(4, dtype=np.uint32)[None, :]
    orders = permute(index, np.uint32(4), keys[:, None])
    counts = [np.sum(np.all(orders == order, axis=1)) for order in itertools.permutations(range(4))]
    assert sum(counts) == len(keys)
    # Chi-squared with 23 degrees of freedom: 66 is passed by one set of keys in 10^5.
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 66


def test_every_example_comes_first_about_equally_often():
    size, draws = 50, 50_000
    first = permute(np.zeros(draws, np.uint32), np.uint32(size), mixed_keys(draws))
    counts = np.bincount(first, minlength=size)
    # Chi-squared with 49 degrees of freedom: 107 is passed by one set of keys in 10^6.
    assert np.sum((counts - draws / size) ** 2 / (draws / size)) < 107


def mixed_keys(count):
    return epoch_key(np.arange(count, dtype=np.uint32), np.uint32(0))


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_root_is_exact(xp):
    roots = np.concatenate([np.arange(1, 300), np.arange(46_000, 46_341)]).astype(np.uint32)
    for offset in (-1, 0, 1):
        sizes = (roots.astype(np.int64) ** 2 + offset).clip(1, MAX_SIZE).astype(np.uint32)
        told = np.asarray(_ceil_sqrt(sizes, xp)).astype(np.int64)
        assert np.all(told**2 >= sizes)
        assert np.all((told - 1) ** 2 < sizes)


def test_scalars_wrap_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert permute(np.uint32(5), np.uint32(10), np.uint32(0xFFFFFFFF)) < 10
        assert batch_rows(np.uint32(2**25), 64, np.uint32(10), np.uint32(2**31 - 1)).max() < 10


def test_the_walk_is_the_one_it_was():
    """Numbers of trials rest on it: if this changes on purpose, every study has to be trained again."""
    assert batch_rows(np.uint32(0), 8, np.uint32(10), np.uint32(0)).tolist() == [5, 2, 9, 3, 6, 7, 1, 8]
    assert batch_rows(np.uint32(1000), 4, np.uint32(2**31), np.uint32(7)).tolist() == [
        1133148479,
        1172811874,
        2115429580,
        1138825113,
    ]

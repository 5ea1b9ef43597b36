"""Subsets nest, hold their share of every class, and are named by what they hold."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.data.dataset import Dataset, Split, check_train_sizes, hold_out
from dlm.data.subsets import interleave, row_digests, stratified_order, subset_hash

COUNTS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def examples(counts, seed=0):
    """Rows of classes that occur `counts` times, shuffled."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.repeat(np.arange(len(counts), dtype=np.int32), counts))
    return Split(draw.integers(0, 256, (len(y), 5, 1), dtype=np.uint8), y)


def worst_share(turns, number):
    """How far any prefix is from its share of any class, in examples."""
    total = len(turns)
    dealt = np.cumsum(turns[:, None] == np.arange(number), axis=0)
    wanted = np.arange(1, total + 1)[:, None] * dealt[-1] / total
    return np.abs(dealt - wanted).max()


@settings(deadline=None)
@given(counts=COUNTS)
def test_every_prefix_holds_each_share_within_one_example(counts):
    turns = interleave(counts)
    assert np.bincount(turns, minlength=len(counts)).tolist() == list(counts)
    assert worst_share(turns, len(counts)) < 1


@pytest.mark.parametrize(
    "counts",
    [
        [6000] * 10,
        [1] * 50,
        [1, 9999],
        [1, 1, 9998],
        [1000, 1, 1, 1, 1, 1, 1, 1],
        [2**k for k in range(12)],
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    ],
)
def test_shares_hold_for_balanced_rare_and_many_classes(counts):
    assert worst_share(interleave(counts), len(counts)) < 1


@settings(deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 2**32))
def test_an_order_holds_every_row_once_and_each_share(counts, seed):
    split = examples(counts)
    order = stratified_order(row_digests(split.x, split.y), split.y, seed)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(len(split)))
    assert worst_share(split.y[order], len(counts)) < 1


@settings(deadline=None)
@given(counts=COUNTS, shuffle=st.integers(0, 2**32), data=st.data())
def test_the_order_of_the_rows_changes_no_subset(counts, shuffle, data):
    split = examples(counts)
    other = split.take(np.random.default_rng(shuffle).permutation(len(split)))
    size = data.draw(st.integers(1, len(split)))
    names, images = [], []
    for part in (split, other):
        digests = row_digests(part.x, part.y)
        rows = stratified_order(digests, part.y, 3)
        names.append(subset_hash(digests[rows], size))
        images.append(part.x[rows[:size]])
    assert names[0] == names[1]
    assert np.array_equal(*images)


def test_rows_that_are_twice_there_keep_the_hash():
    split = examples([3, 3])
    twice = split.take(np.array([0, 1, 2, 3, 4, 5, 0, 0, 5]))
    back = twice.take(np.arange(9)[::-1])
    told = []
    for part in (twice, back):
        digests = row_digests(part.x, part.y)
        order = stratified_order(digests, part.y, 0)
        told.append([subset_hash(digests[order], size) for size in range(1, 10)])
    assert told[0] == told[1]


def test_subsets_nest_and_their_hash_names_content_and_size():
    split = examples([40, 60])
    digests = row_digests(split.x, split.y)
    order = stratified_order(digests, split.y, 0)
    hashes = [subset_hash(digests[order], size) for size in range(1, 101)]
    assert len(set(hashes)) == 100
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in hashes)
    longer = np.concatenate([digests[order], digests[:5]])
    assert subset_hash(longer, 64) == hashes[63]


def test_seeds_draw_different_subsets():
    split = examples([200, 200])
    digests = row_digests(split.x, split.y)
    orders = [stratified_order(digests, split.y, seed) for seed in range(8)]
    assert len({subset_hash(digests[order], 50) for order in orders}) == 8
    shared = [len(np.intersect1d(a[:100], b[:100])) for a in orders for b in orders if a is not b]
    assert 15 < np.mean(shared) < 35  # 25 are expected of independent draws


def test_every_row_comes_first_about_equally_often():
    digests = row_digests(np.arange(20))
    first = [stratified_order(digests, np.zeros(20, int), seed)[0] for seed in range(4000)]
    counts = np.bincount(first, minlength=20)
    # Chi-squared with 19 degrees of freedom: 60 is passed by one set of seeds in 10^5.
    assert np.sum((counts - 200) ** 2 / 200) < 60


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, ">f4", ">i2"])
def test_a_number_has_one_digest_in_every_type(dtype):
    split = examples([4, 4])
    assert np.array_equal(row_digests(split.x.astype(dtype), split.y.astype(np.int64)), row_digests(split.x, split.y))


def test_layout_in_memory_and_the_sign_of_zero_change_no_digest():
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    x[0, 0] = 0.0
    y = np.arange(6)
    minus = x.copy()
    minus[0, 0] = -0.0
    expected = row_digests(x, y)
    for same in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], minus, x.reshape(6, 2, 2)):
        assert np.array_equal(row_digests(same, y), expected)
        assert np.array_equal(row_digests(same), row_digests(x))


def test_a_changed_pixel_or_label_changes_the_digest():
    split = examples([4, 4])
    before = row_digests(split.x, split.y)
    x, y = split.x.copy(), split.y.copy()
    x[2, 0, 0] ^= 1
    y[5] ^= 1
    assert np.flatnonzero(row_digests(x, y) != before).tolist() == [2, 5]


def test_hashes_are_the_ones_they_were():
    """Subsets of every study rest on it: if this changes on purpose, no earlier hash can be compared."""
    x = (np.arange(60, dtype=np.uint8) * 7 % 11).reshape(20, 3)
    y = np.arange(20) % 3
    digests = row_digests(x, y)
    order = stratified_order(digests, y, 1)
    assert y[order[:6]].tolist() == [0, 1, 2, 0, 1, 2]
    assert [subset_hash(digests[order], size) for size in (3, 20)] == ["c9cdacd8e364092f", "cf5808ac2c0ce92a"]


def dataset(pool, test=None):
    held = test or examples([5, 5], seed=9)
    return Dataset("toy", pool, held, held, num_classes=2)


def test_the_fingerprint_names_the_content_of_every_split():
    pool, held = examples([10, 10]), examples([5, 5], seed=9)
    name = dataset(pool).fingerprint
    assert dataset(pool.take(np.arange(20)[::-1])).fingerprint == name
    assert dataset(Split(pool.x.astype(np.float64), pool.y)).fingerprint == name
    assert dataset(pool.take(np.arange(19))).fingerprint != name
    assert dataset(Split(pool.x, 1 - pool.y)).fingerprint != name
    assert dataclasses.replace(dataset(pool), test=held.take(np.arange(9))).fingerprint != name
    assert dataclasses.replace(dataset(pool), test=pool, train=held).fingerprint != name


def test_what_is_held_out_is_chosen_by_content_and_stratified():
    pool = examples([30, 70])
    held, rest = hold_out(pool, 20, "data.test")
    assert np.bincount(held.y).tolist() == [6, 14]
    assert len(rest) == 80
    assert not set(row_digests(held.x, held.y)) & set(row_digests(rest.x, rest.y))
    other, _ = hold_out(pool.take(np.random.default_rng(1).permutation(100)), 20, "data.test")
    assert np.array_equal(other.x, held.x)


@pytest.mark.parametrize("count", [-1, 0, 100, 1000])
def test_holding_out_nothing_or_everything_is_refused(count):
    with pytest.raises(UsageError, match=rf"data\.test={count} does not fit 100 examples; choose 1 to 99"):
        hold_out(examples([30, 70]), count, "data.test")


def test_sizes_that_the_pool_cannot_give_are_refused():
    ours = dataset(examples([10, 10]))
    check_train_sizes(ours, (2, 20))
    with pytest.raises(UsageError, match=r"train_size=21 exceeds the 20 examples.*'toy'; choose at most 20"):
        check_train_sizes(ours, (2, 21))
    with pytest.raises(UsageError, match=r"train_size=1 is below the 2 classes of 'toy'; choose at least 2"):
        check_train_sizes(ours, (1, 20))


def test_a_learner_sees_scaled_and_shifted_floats():
    pool = Split(np.array([[0], [255]], np.uint8), np.array([0, 1], np.int32))
    seen = dataclasses.replace(dataset(pool), scale=2 / 255, shift=-1.0).features(pool.x)
    assert seen.dtype == np.float32
    assert np.allclose(seen, [[-1], [1]])

"""Augmentation does what is declared, draws by (key, kind, place) alone, and leaves no trace when it is off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dlm.study.learner import Augment
from dlm.train.augmentation import augment_inputs, mixup_partners

KEY = jax.random.key(7)
IMAGES = Augment(flip=True, crop=2, cutout=3)
CASES = {
    "images": (IMAGES, (6, 8, 3)),
    "grey": (IMAGES, (6, 8)),
    "spectrograms": (Augment(time_mask=4, frequency_mask=3), (9, 5, 2)),
    "tokens": (Augment(token_drop=0.3), (12,)),
}
run = jax.jit(augment_inputs, static_argnums=0)


def examples(shape, count=16):
    """Examples without a zero, every value another; whole numbers where an example has one axis."""
    values = np.arange(1, count * np.prod(shape) + 1).reshape(count, *shape)
    return jnp.asarray(values, jnp.int32 if len(shape) == 1 else jnp.float32)


def on_one(augment, shape, count=2000):
    """(the example, `count` augmentations of it)."""
    x = examples(shape, 1)
    return np.asarray(x[0]), np.asarray(run(augment, jnp.repeat(x, count, axis=0), KEY))


def band(count, chance):
    """Where a count of hits lies but once in a million seeds."""
    return stats.binom.ppf([5e-7, 1 - 5e-7], count, chance)


@pytest.mark.parametrize("case", CASES)
def test_everything_off_is_the_input_and_no_draw(case):
    x = examples(CASES[case][1])
    assert augment_inputs(Augment(), x, KEY) is x
    assert not jax.make_jaxpr(lambda x, key: augment_inputs(Augment(), x, key))(x, KEY).eqns


def test_about_half_are_mirrored_and_none_is_anything_else():
    image, out = on_one(Augment(flip=True), (4, 5, 3))
    mirrored = np.all(out == image[:, ::-1], axis=(1, 2, 3))
    kept = np.all(out == image, axis=(1, 2, 3))
    assert np.all(mirrored ^ kept)
    low, high = band(len(out), 0.5)
    assert low <= mirrored.sum() <= high


@pytest.mark.parametrize("flip", [False, True])
def test_crops_are_shifts_with_zeros_moving_in_each_about_equally_often(flip):
    image, out = on_one(Augment(flip=flip, crop=2), (6, 7))
    padded = [np.pad(each, 2) for each in ((image, image[:, ::-1]) if flip else (image,))]
    shifts = [each[row : row + 6, column : column + 7] for each in padded for row in range(5) for column in range(5)]
    counts = np.array([np.all(out == shift, axis=(1, 2)).sum() for shift in shifts])
    assert counts.sum() == len(out)
    assert stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize("side", [1, 3, 4])
def test_cutout_is_one_square_clipped_at_the_edge_its_centre_anywhere(side):
    image, out = on_one(Augment(cutout=side), (6, 7, 2))
    rows, columns = np.arange(6)[:, None, None], np.arange(7)[None, :, None]
    squares = [
        np.where(
            (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side), 0, np.ones_like(image)
        )
        for top in range(-(side // 2), 6 - side // 2)
        for left in range(-(side // 2), 7 - side // 2)
    ]
    counts = np.array([np.all(out == image * square, axis=(1, 2, 3)).sum() for square in squares])
    assert counts.sum() == len(out)
    assert stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize(("field", "axis"), [("time_mask", 0), ("frequency_mask", 1)])
def test_masks_are_neighbours_at_most_as_wide_as_declared_and_every_width_comes_up(field, axis):
    image, out = on_one(Augment(**{field: 3}), (8, 6, 2))
    gone = out == 0
    across = tuple(set(range(1, 4)) - {axis + 1})
    assert np.array_equal(gone.any(across), gone.all(across))
    assert np.array_equal(np.where(gone, 0, image), out)
    masks = gone.all(across).astype(int)
    assert np.abs(np.diff(masks, axis=1, prepend=0, append=0)).sum(axis=1).max() == 2
    counts = np.bincount(masks.sum(axis=1))
    assert len(counts) == 4
    assert stats.chisquare(counts).pvalue > 1e-6
    starts = masks[masks.sum(axis=1) == 3].argmax(axis=1)
    assert stats.chisquare(np.bincount(starts, minlength=image.shape[axis] - 2)).pvalue > 1e-6


def test_tokens_are_dropped_at_the_rate():
    tokens, out = on_one(Augment(token_drop=0.15), (50,), count=400)
    assert out.dtype == np.int32
    assert np.all((out == tokens) | (out == 0))
    low, high = band(out.size, 0.15)
    assert low <= (out == 0).sum() <= high


@pytest.mark.parametrize("case", CASES)
def test_a_key_decides_alone(case, bits_equal):
    augment, shape = CASES[case]
    x = examples(shape)
    first = run(augment, x, KEY)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    assert bits_equal(first, run(augment, x, KEY))
    assert not bits_equal(first, run(augment, x, jax.random.key(8)))


@pytest.mark.exact
@pytest.mark.parametrize("case", CASES)
def test_a_batch_in_parts_is_changed_as_the_whole_one(case, bits_equal):
    augment, shape = CASES[case]
    x = examples(shape)
    parts = [run(augment, x[at : at + 4], KEY, jnp.arange(at, at + 4)) for at in range(0, 16, 4)]
    assert bits_equal(np.concatenate(parts), run(augment, x, KEY))
    assert bits_equal(run(augment, x[:5], KEY), run(augment, x, KEY)[:5])


@pytest.mark.exact
@pytest.mark.parametrize("case", CASES)
def test_members_side_by_side_get_the_bits_of_one_after_another(case, bits_equal):
    augment, shape = CASES[case]
    x, keys = jnp.stack([examples(shape), -examples(shape)]), jax.random.split(KEY, 2)
    beside = jax.jit(jax.vmap(lambda x, key: augment_inputs(augment, x, key)))(x, keys)
    after = jax.jit(lambda x, keys: jax.lax.map(lambda each: augment_inputs(augment, *each), (x, keys)))(x, keys)
    assert bits_equal(beside, after)
    assert bits_equal(after[1], run(augment, x[1], keys[1]))


def test_switching_one_kind_on_leaves_the_draws_of_the_others():
    x = examples((6, 8))
    alone, more = run(Augment(cutout=3), x, KEY), run(Augment(cutout=3, time_mask=2, mixup=0.2), x, KEY)
    assert np.all((more == alone) | (more == 0))
    assert not np.array_equal(more, alone)


@pytest.mark.parametrize("batch", [1, 7])
def test_everyone_is_somebodys_partner_in_mixup(batch):
    partner, weight = jax.jit(lambda key: mixup_partners(0.4, batch, key))(KEY)
    assert sorted(partner.tolist()) == list(range(batch))
    assert 0 <= weight <= 1


@pytest.mark.parametrize("alpha", [0.2, 4.0])
def test_mixup_weights_are_beta_and_partners_uniform(alpha):
    draw = jax.jit(jax.vmap(lambda key: mixup_partners(alpha, 8, key)))
    partner, weight = draw(jax.random.split(KEY, 4000))
    # float32 has too few numbers next to 1 for a test of all of Beta(0.2, 0.2).
    inner = weight[(weight > 0.01) & (weight < 0.99)].astype(float)
    law = stats.beta(alpha, alpha)
    low, high = law.cdf([0.01, 0.99])
    assert stats.kstest(inner, lambda at: (law.cdf(at) - low) / (high - low)).pvalue > 1e-6
    assert band(4000, high - low)[0] <= len(inner) <= band(4000, high - low)[1]
    for place in (0, 5):
        assert stats.chisquare(np.bincount(partner[:, place], minlength=8)).pvalue > 1e-6

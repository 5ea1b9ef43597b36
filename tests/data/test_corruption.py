"""Wrong examples are wrong at the rate declared, for good, and the same in NumPy and JAX."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dlm.data.corruption import Amounts, noisy_inputs, noisy_labels
from dlm.study.noise import Noise
from dlm.utils.errors import UsageError

SEED = np.uint32(3)
NUM_CLASSES, COUNT = 7, 20_000
RANKS = np.arange(COUNT, dtype=np.uint32)
LABELS = (np.arange(COUNT) * 5 % NUM_CLASSES).astype(np.int32)
NUM_INPUTS = 1000
X = np.random.default_rng(0).normal(size=(NUM_INPUTS, 4, 5, 1)).astype(np.float32)
LOW, HIGH = -9.0, 9.0
KINDS = {"missing": 0.0, "salt": HIGH, "gaussian": None}


def labels(seed=SEED, count=COUNT, **noise):
    return noisy_labels(LABELS[:count], RANKS[:count], seed, Noise(**noise), NUM_CLASSES)


def inputs(seed=SEED, count=NUM_INPUTS, **noise):
    return noisy_inputs(X[:count], RANKS[:count], seed, Noise(**noise), LOW, HIGH)


def within_band(hits, share):
    """Whether hits come at a rate that all but one seed in a million would give."""
    low, high = stats.binom.ppf([5e-7, 1 - 5e-7], hits.size, share)
    return low <= hits.sum() <= high


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_labels_goes_to_every_other_class_about_equally_often(share):
    out = labels(label=share)
    assert out.dtype == LABELS.dtype
    assert within_band(out != LABELS, share)
    for label in range(NUM_CLASSES):
        counts = np.bincount(out[(label == LABELS) & (out != label)], minlength=NUM_CLASSES)
        assert counts[label] == 0
        assert stats.chisquare(np.delete(counts, label)).pvalue > 1e-6


def test_pairs_go_to_the_next_class():
    out = labels(label_pairs=0.3)
    wrong = out != LABELS
    assert within_band(wrong, 0.3)
    assert np.array_equal(out[wrong], (LABELS[wrong] + 1) % NUM_CLASSES)


def test_both_kinds_of_label_noise_share_the_labels_out():
    both = labels(label=0.6, label_pairs=0.4)
    assert np.all(both != LABELS)
    symmetric, pairs = labels(label=0.6), labels(label_pairs=0.4)
    assert np.all((both == symmetric) | (both == pairs))
    assert not np.any((symmetric != LABELS) & (pairs != LABELS))


def test_all_and_two_classes_are_no_special_case():
    assert np.all(labels(label=1.0) != LABELS)
    two = noisy_labels(LABELS % 2, RANKS, SEED, Noise(label=1.0), 2)
    assert np.array_equal(two, 1 - LABELS % 2)
    with pytest.raises(UsageError, match="num_classes=1"):
        noisy_labels(LABELS * 0, RANKS, SEED, Noise(label=0.1), 1)


def test_missing_values_are_zero_and_salt_lies_at_both_ends():
    missing, salt = inputs(missing=0.2), inputs(salt=0.2)
    assert within_band(missing != X, 0.2)
    assert np.all(missing[missing != X] == 0)
    ends = salt[salt != X]
    assert within_band(salt != X, 0.2)
    assert set(ends) == {LOW, HIGH}
    assert within_band(ends == HIGH, 0.5)
    assert np.all(inputs(missing=1.0, salt=1.0, gaussian=1.0) == 0)


def test_gaussian_noise_is_standard_normal_times_its_deviation():
    noise = (inputs(gaussian=0.5).astype(float) - X) / 0.5
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-6
    assert abs(noise.mean()) < 5 / np.sqrt(noise.size)
    assert abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)


def test_tokens_can_be_missing():
    tokens = np.full((500, 40), 3, np.int32)
    out = noisy_inputs(tokens, RANKS[:500], SEED, Noise(missing=0.1), 0, 0)
    assert out.dtype == np.int32
    assert set(np.unique(out)) == {0, 3}
    assert within_band(out == 0, 0.1)


def test_what_is_wrong_stays_wrong_with_more_data_and_in_any_batch():
    noise = {"missing": 0.2, "gaussian": 0.3, "salt": 0.1}
    assert np.array_equal(labels(label=0.3, label_pairs=0.2, count=500), labels(label=0.3, label_pairs=0.2)[:500])
    assert np.array_equal(inputs(**noise, count=300), inputs(**noise)[:300])
    rows = np.random.default_rng(1).permutation(len(X))[:50]
    batch = noisy_inputs(X[rows], RANKS[rows], SEED, Noise(**noise), LOW, HIGH)
    assert np.array_equal(batch, inputs(**noise)[rows])


@pytest.mark.parametrize("kind", ["label", "label_pairs", "missing", "salt"])
def test_what_is_wrong_at_a_share_is_wrong_in_the_same_way_at_a_larger_one(kind):
    clean, corrupt = (LABELS, labels) if kind.startswith("label") else (X, inputs)
    few, many = corrupt(**{kind: 0.1}), corrupt(**{kind: 0.2})
    wrong = few != clean
    assert np.array_equal(few[wrong], many[wrong])
    assert (many != clean).sum() > 1.5 * wrong.sum()


def test_symmetric_noise_stays_when_pairs_are_added_and_the_other_way_round():
    alone, beside = labels(label=0.3), labels(label=0.3, label_pairs=0.3)
    assert np.array_equal(alone[alone != LABELS], beside[alone != LABELS])
    alone = labels(label_pairs=0.3)
    assert np.array_equal(alone[alone != LABELS], beside[alone != LABELS])


def test_numpy_and_jax_give_the_same_labels_and_masks_and_almost_the_same_noise(bits_equal):
    by_jax = jax.jit(
        lambda x, labels, ranks, seed, noise: (
            noisy_labels(labels, ranks, seed, noise, NUM_CLASSES, jnp),
            noisy_inputs(x, ranks, seed, noise, LOW, HIGH, jnp),
        )
    )
    rows = slice(0, len(X))
    for seed in (0, 1, 2**32 - 1):
        masks = Noise(label=0.3, label_pairs=0.1, missing=0.3, salt=1 / 3)
        traced = Amounts(*map(np.float32, dataclasses.astuple(masks)))
        out = by_jax(X, LABELS[rows], RANKS[rows], np.uint32(seed), traced)
        assert bits_equal(
            out,
            (
                labels(np.uint32(seed), len(X), **dataclasses.asdict(masks)),
                inputs(np.uint32(seed), **dataclasses.asdict(masks)),
            ),
        )
        smooth = traced._replace(gaussian=np.float32(1.0))
        noisy = by_jax(X, LABELS[rows], RANKS[rows], np.uint32(seed), smooth)[1]
        right = inputs(np.uint32(seed), **{**dataclasses.asdict(masks), "gaussian": 1.0})
        np.testing.assert_allclose(noisy, right, rtol=0, atol=2e-6)


def test_members_side_by_side_get_the_masks_of_each_alone(bits_equal):
    amounts = Amounts(*(np.array(pair, np.float32) for pair in ((0, 0.4), (0.2, 0), (0.1, 0.5), (0, 0), (0.3, 0))))
    seeds = np.array([5, 6], np.uint32)
    both = jax.vmap(lambda seed, noise: noisy_inputs(jnp.asarray(X), RANKS[: len(X)], seed, noise, LOW, HIGH, jnp))
    out = both(seeds, amounts)
    for index in range(2):
        alone = Noise(*(float(amount[index]) for amount in amounts))
        assert bits_equal(out[index], inputs(seeds[index], **dataclasses.asdict(alone)))


def test_no_noise_is_the_input_bit_for_bit(bits_equal):
    odd = np.where(X > 0, np.float32(-0.0), X)
    assert noisy_inputs(odd, RANKS[: len(X)], SEED, Noise(), LOW, HIGH) is odd
    assert noisy_labels(LABELS, RANKS, SEED, Noise(), NUM_CLASSES) is LABELS
    zero = Amounts(*[np.float32(0)] * 5)
    for xp in (np, jnp):
        assert bits_equal(noisy_inputs(xp.asarray(odd), RANKS[: len(X)], SEED, zero, LOW, HIGH, xp), odd)
        assert bits_equal(noisy_labels(xp.asarray(LABELS), RANKS, SEED, zero, NUM_CLASSES, xp), LABELS)


def test_a_number_that_is_a_python_zero_leaves_its_kind_out_of_the_program():
    zeros = Amounts(*[0.0] * 5)

    def names(**traced):
        noise = {kind: jnp.float32(0.1) for kind in traced}
        program = jax.make_jaxpr(
            lambda x, noise: noisy_inputs(x, RANKS[: len(X)], SEED, zeros._replace(**noise), LOW, HIGH, jnp)
        )
        return {equation.primitive.name for equation in program(X, noise).eqns}

    assert names() == set()
    assert len(names(missing=True)) < len(names(missing=True, gaussian=True))
    assert noisy_labels(LABELS, RANKS, SEED, Noise(missing=0.1), NUM_CLASSES) is LABELS


def marks():
    """Per example, 0/1 marks of what each kind does to its first value or label, and the Gaussian noise itself."""
    first = {kind: (inputs(**{kind: 0.5}) - X)[:, 0, 0, 0] for kind in KINDS}
    wrong = labels(label=0.5, count=len(X))
    return np.array(
        [
            wrong != LABELS[: len(X)],
            (wrong - LABELS[: len(X)]) % NUM_CLASSES,
            first["missing"] != 0,
            first["salt"] != 0,
            first["salt"] > 0,
            first["gaussian"],
            np.abs(first["gaussian"]),
        ],
        float,
    )


def test_kinds_are_independent_of_each_other():
    together = np.corrcoef(marks())
    free = [(0, 2), (0, 3), (0, 5), (1, 2), (1, 5), (2, 3), (2, 4), (2, 5), (2, 6), (3, 5), (3, 6), (4, 5)]
    assert max(abs(together[pair]) for pair in free) < 5 / np.sqrt(len(X))


@pytest.mark.parametrize("axis", [0, 1])
def test_neighbouring_examples_and_positions_are_independent(axis):
    hit = (inputs(missing=0.3) != X).reshape(len(X), -1).astype(float)
    near, far = (hit[:-1], hit[1:]) if axis == 0 else (hit[:, :-1], hit[:, 1:])
    assert abs(np.corrcoef(near.ravel(), far.ravel())[0, 1]) < 5 / np.sqrt(near.size)


def test_every_example_and_every_position_is_hit_about_equally_often():
    hit = (inputs(missing=0.3) != X).reshape(len(X), -1)
    for axis in (0, 1):
        counts, of = hit.sum(axis=axis), hit.shape[axis]
        statistic = np.sum((counts - 0.3 * of) ** 2 / (0.3 * 0.7 * of))
        assert 1e-6 < stats.chi2.cdf(statistic, len(counts)) < 1 - 1e-6


@pytest.mark.parametrize("kind", ["label", "missing", "salt", "gaussian"])
def test_another_seed_hits_others(kind):
    clean, corrupt = (LABELS[: len(X)], labels) if kind == "label" else (X, inputs)
    first, second = (corrupt(np.uint32(seed), len(X), **{kind: 0.5}) for seed in (0, 1))
    if kind == "gaussian":
        related = np.corrcoef((first - clean).ravel(), (second - clean).ravel())[0, 1]
    else:
        related = np.corrcoef((first != clean).ravel(), (second != clean).ravel())[0, 1]
    assert abs(related) < 5 / np.sqrt(clean.size)


def test_scalars_wrap_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs(np.uint32(2**32 - 1), missing=0.1, gaussian=0.1, salt=0.1)
        labels(np.uint32(2**32 - 1), label=0.1)


def test_the_hashes_are_the_ones_they_were():
    """Numbers of trials rest on them: if they change on purpose, every noisy study has to be trained again."""
    assert labels(label=0.4, label_pairs=0.2, count=12).tolist() == [1, 5, 4, 2, 3, 2, 3, 0, 5, 4, 2, 6]
    assert np.flatnonzero(inputs(missing=0.1)[:3] == 0).tolist() == [11, 19, 27, 28, 34, 56]

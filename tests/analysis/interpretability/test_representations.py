"""Linear probes, CKA and pooling of activations."""

import numpy as np
import pytest

from dlm.analysis.interpretability.analysis import rows_to_map, share_trained_on
from dlm.analysis.interpretability.attribution import rank_correlation
from dlm.analysis.interpretability.network import pooled
from dlm.analysis.interpretability.representations import (
    PENALTIES,
    Examples,
    centered_gram,
    cka_of_grams,
    fit_probe,
    pairwise,
    standardized,
)
from dlm.tasks import Classification, LanguageModelling, Regression

DRAW = np.random.default_rng(2)


def parts(make, train_sizes=(300, 200, 400)):
    return [make(size) for size in train_sizes]


def classes(size, lift=1.0):
    y = DRAW.integers(0, 4, size)
    x = DRAW.normal(size=(size, 10))
    x[:, 0] += lift * 5 * (y % 2)
    x[:, 1] += lift * 5 * (y // 2)
    return Examples(x.astype(np.float32), y.astype(np.int32))


def test_separable_classes_are_predicted_and_others_are_not():
    apart, _ = fit_probe(Classification(), *parts(classes), 4)
    chance, _ = fit_probe(Classification(), *parts(lambda size: classes(size, lift=0.0)), 4)
    assert apart < 0.06
    assert chance == pytest.approx(0.75, abs=0.1)


def test_the_penalty_is_chosen_on_validation():
    def numbers(size, share):
        x = DRAW.normal(size=(size, 200)).astype(np.float32)
        return Examples(x, (share * x[:, 0] + (1 - share) * DRAW.normal(size=size)).astype(np.float32))

    noise, law = ([numbers(size, share) for size in (250, 200, 100)] for share in (0.0, 1.0))
    (_, strict), (_, loose) = (fit_probe(Regression(), *of, 1) for of in (noise, law))
    assert (strict.alpha, loose.alpha) == (max(PENALTIES), min(PENALTIES))


def test_numbers_are_predicted_in_their_unit():
    def numbers(size):
        x = DRAW.normal(size=(size, 3)).astype(np.float32)
        return Examples(x, (50 + 20 * x[:, 0] + DRAW.normal(size=size)).astype(np.float32))

    error, _ = fit_probe(Regression(), *parts(numbers), 1)
    assert error == pytest.approx(1.0, abs=0.15)


def test_token_error_is_in_nats():
    def tokens(size):
        y = DRAW.integers(0, 4, size)
        return Examples(np.eye(4, dtype=np.float32)[y // 2], y.astype(np.uint8))

    error, _ = fit_probe(LanguageModelling(), *parts(tokens), 256)
    assert error == pytest.approx(np.log(2), abs=0.05)


def test_features_are_standardized_by_training_rows():
    x = DRAW.normal(3.0, 2.0, size=(100, 2)).astype(np.float32)
    x[:, 1] = 7.0
    train, other = standardized([Examples(x, x), Examples(x + 2.0, x)])
    np.testing.assert_allclose([train.x[:, 0].mean(), train.x[:, 0].std()], [0, 1], atol=1e-5)
    assert other.x[:, 0].mean() == pytest.approx(2.0 / x[:, 0].std(), rel=1e-4)
    assert not np.any(train.x[:, 1])
    assert not np.any(other.x[:, 1])


def test_pixels_are_averaged_until_they_are_few():
    x = DRAW.normal(size=(2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(pooled(x), x.reshape(2, -1))
    found = np.asarray(pooled(x, most=27)).reshape(2, 3, 3, 3)
    np.testing.assert_allclose(found[:, 0, 1], x[:, :2, 2:4].mean(axis=(1, 2)), atol=1e-5)
    assert pooled(x, most=2).shape == (2, 3)  # no fewer than the channels
    assert pooled(DRAW.normal(size=(2, 5, 4)), most=12).shape == (2, 12)


def test_mapped_rows_are_mistakes_and_one_of_each_class():
    y = np.repeat(np.arange(3), 20)
    predicted = y.copy()
    predicted[[7, 30]] = 2
    rows = rows_to_map(predicted, y, 3)
    assert rows[:2].tolist() == [7, 30]
    assert y[rows[2:5]].tolist() == [0, 1, 2]
    assert rows_to_map(predicted, y, 0).tolist() == list(range(12))


def test_share_of_probe_examples_that_a_network_was_trained_on():
    assert share_trained_on(8000, 10_000) == 0
    assert share_trained_on(9000, 10_000) == 0.5
    assert share_trained_on(300, 1200) == 0.25


def test_rank_correlation_compares_selected_positions():
    first = DRAW.normal(size=(4, 50))
    told = np.arange(50)[None] < np.full((4, 1), 25)
    other = np.where(told, np.exp(first), DRAW.normal(size=(4, 50)))
    assert rank_correlation(first, other, told) == pytest.approx(1)
    assert rank_correlation(first, other) < 0.95
    assert abs(rank_correlation(first, DRAW.normal(size=(4, 50)))) < 0.35
    assert np.isnan(rank_correlation(first, np.ones((4, 50))))


RNG = np.random.default_rng(1)


def cka(first, second):
    return cka_of_grams(centered_gram(first), centered_gram(second))


def biased_cka(first, second):
    """With the usual centring, as Kornblith et al. (2019) have it."""
    x, y = (part - part.mean(axis=0) for part in (first, second))
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def test_cka_is_invariant_to_rotation_shift_and_scale():
    x = RNG.normal(size=(60, 20)) * np.arange(1, 21)
    turn, _ = np.linalg.qr(RNG.normal(size=(20, 20)))
    assert cka(x, x) == pytest.approx(1)
    assert cka(x, 7.0 * x @ turn + 100.0) == pytest.approx(1)
    assert cka(x, x * np.linspace(0.01, 3, 20)) < 0.99  # another scale for each direction is something else


def test_cka_of_independent_wide_layers_is_near_zero():
    pairs = [RNG.normal(size=(2, 40, 1000)) for _ in range(8)]
    assert np.mean([biased_cka(*pair) for pair in pairs]) > 0.9
    assert abs(np.mean([cka(*pair) for pair in pairs])) < 0.05


def test_cka_equals_the_published_estimator():
    x, y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 5))

    def hsic(k, other):  # Song et al. (2012), equation 5
        n = len(k)
        k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
        cross = k.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(axis=0) @ other.sum(axis=0)
        return (np.trace(k @ other) + cross) / (n * (n - 3))

    k, other = x @ x.T, y @ y.T
    assert cka(x, y) == pytest.approx(hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other)))


def test_shuffled_examples_are_the_control():
    x = RNG.normal(size=(200, 10))
    values, control = pairwise([centered_gram(x), centered_gram(x + 0.5 * RNG.normal(size=x.shape))])
    assert values[0, 1] == values[1, 0] > 0.5
    assert abs(control) < 0.1


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        cka(np.ones((3, 2)), np.ones((3, 2)))
    assert np.isnan(cka(np.ones((9, 2)), RNG.normal(size=(9, 2))))

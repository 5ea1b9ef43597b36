"""A linear reader finds what is there to read, and says chance where there is nothing."""

import numpy as np
import pytest

from dlm.analysis.interpretability.activations import pooled
from dlm.analysis.interpretability.attribution import rank_correlation
from dlm.analysis.interpretability.probes import PENALTIES, Examples, probe, standardized
from dlm.analysis.interpretability.survey import mapped, share_seen
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


def test_classes_that_lie_apart_are_read_and_others_are_not():
    apart, _ = probe(Classification(), *parts(classes), 4)
    chance, _ = probe(Classification(), *parts(lambda size: classes(size, lift=0.0)), 4)
    assert apart < 0.06
    assert chance == pytest.approx(0.75, abs=0.1)


def test_the_penalty_is_chosen_on_validation():
    def numbers(size, share):
        x = DRAW.normal(size=(size, 200)).astype(np.float32)
        return Examples(x, (share * x[:, 0] + (1 - share) * DRAW.normal(size=size)).astype(np.float32))

    noise, law = ([numbers(size, share) for size in (250, 200, 100)] for share in (0.0, 1.0))
    (_, strict), (_, loose) = (probe(Regression(), *of, 1) for of in (noise, law))
    assert (strict.alpha, loose.alpha) == (max(PENALTIES), min(PENALTIES))


def test_numbers_are_read_in_their_own_unit():
    def numbers(size):
        x = DRAW.normal(size=(size, 3)).astype(np.float32)
        return Examples(x, (50 + 20 * x[:, 0] + DRAW.normal(size=size)).astype(np.float32))

    error, _ = probe(Regression(), *parts(numbers), 1)
    assert error == pytest.approx(1.0, abs=0.15)


def test_tokens_are_read_in_nats():
    def tokens(size):
        y = DRAW.integers(0, 4, size)
        return Examples(np.eye(4, dtype=np.float32)[y // 2], y.astype(np.uint8))

    error, _ = probe(LanguageModelling(), *parts(tokens), 256)
    assert error == pytest.approx(np.log(2), abs=0.05)


def test_features_are_seen_by_the_training_rows_alone_and_constant_ones_not_at_all():
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


def test_maps_are_of_mistakes_and_of_each_class():
    y = np.repeat(np.arange(3), 20)
    predicted = y.copy()
    predicted[[7, 30]] = 2
    rows = mapped(predicted, y, 3)
    assert rows[:2].tolist() == [7, 30]
    assert y[rows[2:5]].tolist() == [0, 1, 2]
    assert mapped(predicted, y, 0).tolist() == list(range(12))


def test_readers_learn_from_what_only_the_largest_subsets_hold():
    assert share_seen(8000, 10_000) == 0
    assert share_seen(9000, 10_000) == 0.5
    assert share_seen(300, 1200) == 0.25


def test_rank_correlation_compares_what_is_told():
    first = DRAW.normal(size=(4, 50))
    told = np.arange(50)[None] < np.full((4, 1), 25)
    other = np.where(told, np.exp(first), DRAW.normal(size=(4, 50)))
    assert rank_correlation(first, other, told) == pytest.approx(1)
    assert rank_correlation(first, other) < 0.95
    assert abs(rank_correlation(first, DRAW.normal(size=(4, 50)))) < 0.35
    assert np.isnan(rank_correlation(first, np.ones((4, 50))))

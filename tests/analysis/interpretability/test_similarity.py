"""CKA is 1 of what is the same but for rotation and scale, and near 0 of what is independent, however wide."""

import numpy as np
import pytest

from dlm.analysis.interpretability.probes import centred_gram, cka, pairwise

DRAW = np.random.default_rng(1)


def biased_cka(first, second):
    """With the usual centring, as Kornblith et al. (2019) have it."""
    x, y = (part - part.mean(axis=0) for part in (first, second))
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def test_it_is_one_with_itself_turned_shifted_and_scaled():
    x = DRAW.normal(size=(60, 20)) * np.arange(1, 21)
    turn, _ = np.linalg.qr(DRAW.normal(size=(20, 20)))
    assert cka(x, x) == pytest.approx(1)
    assert cka(x, 7.0 * x @ turn + 100.0) == pytest.approx(1)
    assert cka(x, x * np.linspace(0.01, 3, 20)) < 0.99  # another scale for each direction is something else


def test_independent_wide_layers_at_few_examples_are_not_called_alike():
    pairs = [DRAW.normal(size=(2, 40, 1000)) for _ in range(8)]
    assert np.mean([biased_cka(*pair) for pair in pairs]) > 0.9
    assert abs(np.mean([cka(*pair) for pair in pairs])) < 0.05


def test_it_is_the_published_estimator():
    x, y = DRAW.normal(size=(12, 3)), DRAW.normal(size=(12, 5))

    def hsic(k, other):  # Song et al. (2012), equation 5
        n = len(k)
        k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
        cross = k.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(axis=0) @ other.sum(axis=0)
        return (np.trace(k @ other) + cross) / (n * (n - 3))

    k, other = x @ x.T, y @ y.T
    assert cka(x, y) == pytest.approx(hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other)))


def test_shuffled_examples_are_the_control():
    x = DRAW.normal(size=(200, 10))
    values, control = pairwise([centred_gram(x), centred_gram(x + 0.5 * DRAW.normal(size=x.shape))])
    assert values[0, 1] == values[1, 0] > 0.5
    assert abs(control) < 0.1


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        cka(np.ones((3, 2)), np.ones((3, 2)))
    assert np.isnan(cka(np.ones((9, 2)), DRAW.normal(size=(9, 2))))

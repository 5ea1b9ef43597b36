"""Calibration error and confusion: equal to their definitions, and result apart from chance."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from dlm.analysis.calibration import confusion, reliability


@pytest.fixture(scope="module")
def drawn():
    """Probabilities [2,000, 4] and classes that follow them: calibrated by construction."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 2000)
    return probabilities, np.array([rng.choice(4, p=each) for each in probabilities])


def test_the_error_is_its_definition(drawn):
    probabilities, y = drawn
    sure, right = probabilities.max(1), probabilities.argmax(1) == y
    ends = np.linspace(0, 1, 16)
    wanted = 0.0
    for low, high in itertools.pairwise(ends):
        inside = (sure >= low) & ((sure < high) | ((high == 1) & (sure == 1)))
        if inside.any():
            wanted += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    assert reliability([probabilities], [y]).errors == pytest.approx((wanted,))


def test_what_is_calibrated_shows_no_more_than_chance(drawn):
    probabilities, y = drawn
    result = reliability([probabilities], [y])
    assert result.errors[0] < 1.6 * result.expected_error
    assert 0.005 < result.expected_error < 0.04


def test_what_is_too_sure_shows_it(drawn):
    probabilities, y = drawn
    sharper = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    result = reliability([sharper], [y])
    assert result.errors[0] > 4 * result.expected_error
    assert np.average(result.confidence, weights=result.count) > np.average(result.accuracy, weights=result.count) + 0.1
    assert result.brier[0] > reliability([probabilities], [y]).brier[0]


def test_confusion_is_scikit_learns(drawn):
    probabilities, y = drawn
    wanted = confusion_matrix(y, probabilities.argmax(1), normalize="true")
    np.testing.assert_allclose(confusion([probabilities, probabilities], [y, y], 4), wanted)
    assert confusion([probabilities], [np.zeros(2000, int)], 5)[4].tolist() == [0] * 5  # a class without examples

"""SVC: scikit-learn's classes and calibrated probabilities; MelCepstrumSVC: cepstral statistics and data checks."""

import numpy as np
import pytest
from sklearn import svm

from dlm import UsageError
from dlm.baselines import SVC, MelCepstrumSVC
from dlm.baselines.base import flatten
from dlm.data.dataset import Dataset, Split
from dlm.data.media import log_mel

NUM_CLASSES = 10
RATE = 8000


def examples(digits, start, stop):
    rows = digits.order(0)[start:stop]
    return digits.features(digits.train.x[rows]), digits.train.y[rows]


@pytest.mark.parametrize("num_classes", [2, 10])
@pytest.mark.parametrize("n", [10, 20, 37, 120])
def test_predicted_class_equals_scikit_learn(digits, n, num_classes):
    x, y = examples(digits, 0, n)
    x, y = x[y < num_classes], y[y < num_classes]
    new = examples(digits, 120, 320)[0]
    expected = svm.SVC(break_ties=True).fit(flatten(x), y)
    fitted = SVC().fit(x, y, NUM_CLASSES, seed=0)
    np.testing.assert_array_equal(fitted.outputs(new).argmax(axis=1), expected.predict(flatten(new)))
    np.testing.assert_allclose(np.exp(fitted.outputs(new)).sum(axis=1), 1, rtol=1e-5)


def test_predicted_class_equals_scikit_learn_far_from_all_examples():
    x, y = np.array([[0.0], [1.0]], np.float32), np.array([0, 1])
    new = np.linspace(-9, 9, 400, dtype=np.float32)[:, None]  # kernel and scores vanish there
    expected = svm.SVC(break_ties=True).fit(x, y)
    outputs = SVC().fit(x, y, 2, seed=0).outputs(new)
    np.testing.assert_array_equal(outputs.argmax(axis=1), expected.predict(new))


def test_probabilities_are_more_confident_with_more_examples(digits):
    new, labels = examples(digits, 120, 320)
    few, many = (SVC().fit(*examples(digits, 0, n), NUM_CLASSES, seed=0).outputs(new) for n in (20, 120))
    assert loss(many, labels) < 0.6 < loss(few, labels) < np.log(NUM_CLASSES)
    separable = SVC().fit(np.eye(4, dtype=np.float32)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]), 2, seed=0)
    assert 0.6 < np.exp(separable.outputs(np.eye(4, dtype=np.float32)[:1]))[0, 0] < 0.999


def loss(outputs, labels):
    return -outputs[np.arange(len(labels)), labels].mean()


def tones(random, count):
    """Spectrograms of noisy tones of low (0) or high (1) pitch, with random onset and loudness."""
    labels = np.arange(count) % 2
    pitch = np.where(labels, 1500, 500) * random.uniform(0.9, 1.1, count)
    time = np.arange(2000) / RATE
    waves = np.sin(2 * np.pi * pitch[:, None] * time) * random.uniform(0.1, 1, (count, 1))
    start = random.integers(0, 1000, count)[:, None]
    audible = (np.arange(2000) >= start) & (np.arange(2000) < start + 800)
    noise = random.normal(size=waves.shape) * 0.01
    return log_mel((waves * audible + noise).astype(np.float32), RATE), labels.astype(np.int32)


@pytest.fixture(scope="module")
def sounds():
    random = np.random.default_rng(0)
    return *tones(random, 12), *tones(random, 100)


@pytest.mark.parametrize("deltas", [False, True])
def test_statistics_equal_the_cosine_transform(sounds, deltas):
    bands = sounds[0].shape[2]
    k, band = np.arange(5)[:, None], np.arange(bands)
    cosines = np.cos(np.pi * k * (band + 0.5) / bands) * np.where(k, np.sqrt(2 / bands), np.sqrt(1 / bands))
    cepstra = sounds[0] @ cosines.T
    steps = cepstra[:, 1:] - cepstra[:, :-1]
    expected = [cepstra.mean(axis=1), cepstra.std(axis=1)] + ([steps.mean(axis=1), steps.std(axis=1)] if deltas else [])
    actual = MelCepstrumSVC(n_mfcc=5, deltas=deltas).statistics(sounds[0])
    np.testing.assert_allclose(actual, np.concatenate(expected, axis=1), atol=1e-4)


def test_sounds_are_classified_as_by_scikit_learn(sounds):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y, new, labels = sounds
    learner = MelCepstrumSVC()
    outputs = learner.fit(x, y, 2, seed=0).outputs(new)
    reference = make_pipeline(StandardScaler(), SVC(C=10, break_ties=True)).fit(learner.statistics(x), y)
    np.testing.assert_array_equal(outputs.argmax(axis=1), reference.predict(learner.statistics(new)))
    assert np.mean(outputs.argmax(axis=1) != labels) <= 0.02


@pytest.mark.parametrize(
    ("learner", "shape", "message"),
    [
        (MelCepstrumSVC(), (8, 8, 1), r"needs spectrograms \[frames, bands\].*use SVC"),
        (MelCepstrumSVC(), (30, 10), "have 10 bands and 30 frames; choose n_mfcc of at most 10"),
        (MelCepstrumSVC(deltas=True), (1, 40), "and deltas=False"),
    ],
)
def test_unsuitable_spectrograms_raise(learner, shape, message):
    split = Split(np.zeros((4, *shape), np.float32), np.arange(4) % 2)
    with pytest.raises(UsageError, match=message):
        learner.check(Dataset("sounds", split, split, split, num_classes=2))

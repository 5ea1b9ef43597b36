"""Cepstra of sounds with support vectors, and pictures enlarged without any learning."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from dlm import Study, UsageError
from dlm.baselines import Bicubic, MelSupportVectors
from dlm.data.dataset import Dataset, Split
from dlm.data.media import log_mel
from dlm.execution import executor
from dlm.storage import record_log
from dlm.tasks import Regression

RATE = 8000


def tones(random, count):
    """Spectrograms of sounds that are low (0) or high (1), at any time and loudness, in noise."""
    labels = np.arange(count) % 2
    pitch = np.where(labels, 1500, 500) * random.uniform(0.9, 1.1, count)
    time = np.arange(2000) / RATE
    sounds = np.sin(2 * np.pi * pitch[:, None] * time) * random.uniform(0.1, 1, (count, 1))
    start = random.integers(0, 1000, count)[:, None]
    heard = (np.arange(2000) >= start) & (np.arange(2000) < start + 800)
    noise = random.normal(size=sounds.shape) * 0.01
    return log_mel((sounds * heard + noise).astype(np.float32), RATE), labels.astype(np.int32)


@pytest.fixture(scope="module")
def heard():
    random = np.random.default_rng(0)
    return *tones(random, 12), *tones(random, 100)


@pytest.mark.parametrize("deltas", [False, True])
def test_cepstra_are_those_of_the_cosine_transform(heard, deltas):
    bands = heard[0].shape[2]
    k, places = np.arange(5)[:, None], np.arange(bands)
    cosines = np.cos(np.pi * k * (places + 0.5) / bands) * np.where(k, np.sqrt(2 / bands), np.sqrt(1 / bands))
    cepstra = heard[0] @ cosines.T
    steps = cepstra[:, 1:] - cepstra[:, :-1]
    wanted = [cepstra.mean(axis=1), cepstra.std(axis=1)] + ([steps.mean(axis=1), steps.std(axis=1)] if deltas else [])
    found = MelSupportVectors(coefficients=5, deltas=deltas).statistics(heard[0])
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=1), atol=1e-4)


def test_sounds_are_told_apart_as_by_hand_whenever_they_come(heard):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y, new, labels = heard
    learner = MelSupportVectors()
    outputs = learner.fit(x, y, 2, seed=0).outputs(new)
    by_hand = make_pipeline(StandardScaler(), SVC(C=10, break_ties=True)).fit(learner.statistics(x), y)
    np.testing.assert_array_equal(outputs.argmax(axis=1), by_hand.predict(learner.statistics(new)))
    assert np.mean(outputs.argmax(axis=1) != labels) <= 0.02


@pytest.mark.parametrize(
    ("learner", "shape", "message"),
    [
        (MelSupportVectors(), (8, 8, 1), r"needs spectrograms of sounds, \[frames, bands\].*use SupportVectors"),
        (MelSupportVectors(), (30, 10), "have 10 bands and 30 frames; choose coefficients of at most 10"),
        (MelSupportVectors(deltas=True), (1, 40), "and deltas=False"),
    ],
)
def test_what_is_no_fitting_spectrogram_is_refused(learner, shape, message):
    split = Split(np.zeros((4, *shape), np.float32), np.arange(4) % 2)
    with pytest.raises(UsageError, match=message):
        learner.check(Dataset("sounds", split, split, split, num_classes=2))


@dataclasses.dataclass(frozen=True)
class Halved:
    """Random smooth pictures as inputs, and the same ones twice as large as targets, flat or not."""

    flat: bool = True

    def load(self, data_dir=None):
        random = np.random.default_rng(0)
        rough = random.uniform(size=(40, 4, 5, 2)).astype(np.float32)
        large = np.asarray(jax.image.resize(rough, (40, 12, 16, 2), "cubic"))
        small = large.reshape(40, 6, 2, 8, 2, 2).mean(axis=(2, 4))
        everything = Split(small, large.reshape(40, -1) if self.flat else large)
        return Dataset("halved", *(everything.take(rows) for rows in np.split(np.arange(40), (20, 30))))


def test_enlarged_pictures_are_pillows():
    dataset = Halved(flat=False).load()
    fitted = Bicubic(2).fit(dataset.train.x, dataset.train.y, 384, seed=0)
    outputs = fitted.outputs(dataset.test.x).reshape(dataset.test.y.shape)
    for picture, large in zip(dataset.test.x, outputs):
        for channel in range(2):
            wanted = Image.fromarray(np.ascontiguousarray(picture[..., channel])).resize((16, 12), Image.BICUBIC)
            np.testing.assert_array_equal(large[..., channel], np.asarray(wanted))
    other = jax.image.resize(dataset.test.x, dataset.test.y.shape, "cubic")  # another library's cubic convolution
    np.testing.assert_allclose(outputs, other, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False])
def test_in_a_study_the_error_is_that_of_the_pictures_as_they_are(tmp_path, flat):
    """Though targets are standardized for whoever learns: at every size the same."""
    source = Halved(flat)
    executor.run(Study(source, Regression(), {"cubic": Bicubic(2)}, train_sizes=(5, 20), seeds=2), tmp_path)
    test = source.load().test
    off = Bicubic(2).enlarged(test.x).reshape(len(test), -1) - test.y.reshape(len(test), -1)
    errors = [row.value for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "error")]
    np.testing.assert_allclose(errors, [np.sqrt(np.mean(off**2))] * 4, rtol=1e-4)
    assert errors[0] < 0.1


@pytest.mark.parametrize(
    ("factor", "shape", "numbers", "message"),
    [
        (3, (6, 8, 2), 384, "factor=3 makes 864 numbers of a picture .* have 384; choose the factor"),
        (2, (48,), 192, r"Bicubic\(\) enlarges pictures .* the shape \(48,\)"),
    ],
)
def test_targets_that_are_no_larger_pictures_are_refused(factor, shape, numbers, message):
    split = Split(np.zeros((4, *shape), np.float32), np.zeros((4, numbers), np.float32))
    with pytest.raises(UsageError, match=message):
        Bicubic(factor).check(Dataset("pictures", split, split, split))

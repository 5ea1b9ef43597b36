"""Language models from text to answer: nats per byte by all learners alike, and what is no text is refused."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.baselines import KneserNey
from dlm.data import StdlibText
from dlm.execution import executor
from dlm.models import Transformer
from dlm.storage import record_log
from dlm.tasks import LanguageModelling

TEXT = StdlibText(length=32, max_bytes=150_000)
NET = Learner(Transformer(dim=32, depth=1, heads=2), Hyper(lr=1e-2, weight_decay=0.1))
STUDY = Study(
    data=TEXT,
    task=LanguageModelling(),
    learners={"net": NET, "ngram": KneserNey(3)},
    train_sizes=(50, 2000),
    seeds=1,
    budget=Budget(steps=150, batch_size=16),
    name="text",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Records of the test split by (learner, size, metric)."""
    folder = tmp_path_factory.mktemp("text")
    assert executor.run_trials(STUDY, folder) == executor.Outcome(trained=4, before=0, failed=0, diverged=0)
    return {(row.learner, row.train_size, row.metric): row for row in record_log.rows(folder) if row.split == "test"}


def test_a_study_of_texts_measures_nats_per_byte_and_more_text_helps(measured):
    assert {row.unit for row in measured.values()} == {"nats per byte"}
    for learner in ("net", "ngram"):
        few, many = (measured[learner, size, "error"].value for size in (50, 2000))
        assert 1.5 < many < few - 0.2 < 5
        assert measured[learner, 2000, "loss"].value == measured[learner, 2000, "error"].value


def test_the_net_learns_more_than_how_often_bytes_come(measured):
    dataset = TEXT.load()
    y = dataset.train.y[dataset.order(0)[:2000]]
    share = (np.bincount(y.ravel(), minlength=256) + 1) / (y.size + 256)
    alone = -np.log(share)[dataset.test.y].mean()
    assert measured["net", 2000, "error"].value < alone - 0.3


def random_outputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 5, 7)).astype(np.float32), rng.integers(0, 7, (3, 5)).astype(np.uint8)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_cross_entropy_over_all_places(smoothing):
    outputs, targets = random_outputs()
    wanted = optax.softmax_cross_entropy(outputs, optax.smooth_labels(jax.nn.one_hot(targets, 7), smoothing)).mean()
    assert float(LanguageModelling().loss(outputs, targets, smoothing)) == pytest.approx(float(wanted), rel=1e-5)


def test_the_error_of_a_text_is_its_mean_nats():
    outputs, targets = random_outputs()
    wanted = optax.softmax_cross_entropy_with_integer_labels(outputs, targets.astype(np.int32)).mean(axis=1)
    for value in LanguageModelling().example_metrics(outputs, targets).values():
        np.testing.assert_allclose(value, wanted, rtol=1e-5)


def test_pictures_are_no_text(digits):
    with pytest.raises(UsageError, match=r"LanguageModelling\(\) needs a target token for each input token"):
        LanguageModelling().check(digits)


def test_a_model_of_another_vocabulary_is_refused_before_anything_is_trained(tmp_path):
    learner = dataclasses.replace(NET, model=dataclasses.replace(NET.model, vocabulary=128))
    with pytest.raises(UsageError, match=r"model\.vocabulary=128, but 256 are needed"):
        executor.run_trials(dataclasses.replace(STUDY, learners={"net": learner}), tmp_path / "new")
    assert not (tmp_path / "new").exists()

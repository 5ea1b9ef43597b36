"""The seeds of a cell as an ensemble: its numbers by hand, what it has seen, and what is not there."""

import numpy as np
import pytest
from small import small

from dlm.execution import executor
from dlm.report.sections.ensembles import ensemble_sentences
from dlm.storage import artifacts, record_log


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir of two learners, one size below the pool and the pool itself."""
    folder = tmp_path_factory.mktemp("ensembles")
    executor.run_trials(small(train_sizes=(64, 1257)), folder)
    return folder


def kept(folder, learner, size):
    ends = record_log.ends(record_log.rows(folder)).values()
    of_cell = [row for row in ends if (row.learner, row.train_size) == (learner, size)]
    return of_cell, [artifacts.read_predictions(folder, row.trial_id) for row in of_cell]


@pytest.mark.parametrize("learner", ["net", "logreg"])
def test_error_and_loss_are_those_of_the_mean_probabilities(learner, run, digits):
    found = {(one.learner, one.train_size): one for one in artifacts.read_ensembles(run)}
    one, (rows, predictions) = found[learner, 64], kept(run, learner, 64)
    mean = np.mean([each["probabilities"].astype(float) for each in predictions], axis=0)
    y = digits.test.y
    assert one.members == 2
    assert one.values["error"] == pytest.approx((mean.argmax(axis=1) != y).mean())
    assert one.values["loss"] == pytest.approx(-np.log(mean[np.arange(len(y)), y]).mean(), rel=1e-3)
    assert one.single["error"] == pytest.approx(np.mean([row.value for row in rows]), abs=1 / len(y))
    assert one.values["error"] <= one.single["error"]


def test_members_of_subsets_have_seen_more_and_members_of_the_pool_have_not(run, digits):
    found = {(one.learner, one.train_size): one for one in artifacts.read_ensembles(run)}
    both = np.concatenate([digits.order(seed)[:64] for seed in (0, 1)])
    assert found["net", 64].examples == len(np.unique(both)) > 64
    assert found["net", 1257].examples == 1257
    (told, _) = ensemble_sentences(artifacts.read_ensembles(run))
    assert "2 members of 1,257 examples each have error" in told
    assert "have seen" not in told


def test_without_predictions_or_with_one_seed_there_is_none(tmp_path):
    executor.run_trials(small(train_sizes=(32,), seeds=1), tmp_path / "one")
    executor.run_trials(small(train_sizes=(32,)), tmp_path / "none", executor.RunOptions(keep_mib=0))
    assert artifacts.read_ensembles(tmp_path / "one") == artifacts.read_ensembles(tmp_path / "none") == []
    assert all(row.inference_seconds > 0 for row in record_log.ends(record_log.rows(tmp_path / "none")).values())

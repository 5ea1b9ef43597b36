"""What cells leave beside their numbers: it is what the numbers are of, within a limit, and never in the way."""

import dataclasses

import numpy as np
import pytest
from small import small

from dlm import grid
from dlm.data import Digits
from dlm.execution import executor, preparation, recording
from dlm.models import build
from dlm.storage import artifacts, record_log
from dlm.storage.workdir import Workdir
from dlm.study.noise import Noise
from dlm.train.program import program_config_of


@pytest.fixture(scope="module")
def study():
    return small(train_sizes=(32, 64))


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    executor.run_trials(study, folder)
    return folder


def test_predictions_are_those_that_the_recorded_errors_and_losses_are_of(study, finished):
    rows = record_log.rows(finished)
    values = {(row.trial_id, row.split, row.metric): row.value for row in rows}
    for trial in study.trials:
        kept = artifacts.read_predictions(finished, trial.trial_id)
        assert np.mean(kept["error"], dtype=np.float64) == pytest.approx(values[trial.trial_id, "test", "error"])
        assert np.mean(kept["loss"], dtype=np.float64) == pytest.approx(
            values[trial.trial_id, "test", "loss"], rel=1e-5
        )
        assert kept["probabilities"].shape == (360, 10)
        assert kept["probabilities"].astype(float).sum(1) == pytest.approx(np.ones(360), abs=5e-3)
        wrong = kept["probabilities"].argmax(1) != artifacts.read_test_set(finished)["y"]
        assert np.mean(wrong != kept["error"].astype(bool)) < 0.01  # but for ties that float16 makes


def test_parameters_give_the_predictions(study, finished, digits):
    trial = next(trial for trial in study.trials if trial.name == "net")
    spec = program_config_of(trial, digits)
    params = artifacts.read_parameters(finished, trial.trial_id)
    outputs = build(trial.learner.model, 10).apply(params, spec.inputs(digits.test.x, None))
    kept = artifacts.read_predictions(finished, trial.trial_id)
    assert (np.asarray(outputs).argmax(1) != digits.test.y).tolist() == kept["error"].astype(bool).tolist()


def test_training_errors_are_those_of_the_saved_parameters_on_the_subset(study, finished, digits):
    rows = [row for row in record_log.rows(finished) if (row.split, row.metric) == ("train", "error")]
    assert {row.trial_id: row.num_examples for row in rows} == {
        trial.trial_id: trial.train_size for trial in study.trials
    }
    errors = {row.trial_id: row.value for row in rows}
    for trial in study.trials:
        if trial.name == "net":
            params = artifacts.read_parameters(finished, trial.trial_id)
            subset = digits.train.take(digits.order(trial.subset_seed)[: trial.train_size])
            inputs = program_config_of(trial, digits).inputs(subset.x, None)
            outputs = build(trial.learner.model, 10).apply(params, inputs)
            wrong = np.asarray(outputs).argmax(1) != subset.y
            assert errors[trial.trial_id] == pytest.approx(wrong.mean(), abs=1e-6)


def test_a_classical_learner_has_predictions_and_no_parameters(study, finished):
    trial = next(trial for trial in study.trials if trial.name == "logreg")
    assert artifacts.read_predictions(finished, trial.trial_id) is not None
    assert artifacts.read_parameters(finished, trial.trial_id) is None


def test_a_noisy_test_set_is_predicted_as_it_was_measured(tmp_path):
    study = small(train_sizes=(64,), seeds=1, test_noise=Noise(gaussian=0.5, label=0.1))
    executor.run_trials(study, tmp_path)
    ends = record_log.ends(record_log.rows(tmp_path))
    for trial in study.trials:
        kept = artifacts.read_predictions(tmp_path, trial.trial_id)
        assert kept["error"].mean() == pytest.approx(ends[trial.trial_id].value)


def test_predictions_that_cannot_be_had_are_no_failure(tmp_path, monkeypatch, capsys):
    def no_memory(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: 1 PiB")

    monkeypatch.setattr("dlm.train.predict.Predictor.__call__", no_memory)
    outcome = executor.run_trials(small(train_sizes=(32,), seeds=1), tmp_path)
    assert (outcome.trained, outcome.failed) == (2, 0)
    assert "predictions are not saved (RESOURCE_EXHAUSTED: 1 PiB)" in capsys.readouterr().err


def test_a_limit_saves_the_first_seeds_of_all_sizes(study, digits, tmp_path):
    num_bytes = recording.prediction_bytes(study.task, digits)
    saved = recording.Retention(study, [digits], Workdir(tmp_path, None), 4 * num_bytes).predictions
    assert saved == {trial.trial_id for trial in study.trials if trial.subset_seed == 0}
    saved = recording.Retention(study, [digits], Workdir(tmp_path, None), 2 * num_bytes + 1).predictions
    assert saved == {trial.trial_id for trial in study.trials if (trial.subset_seed, trial.train_size) == (0, 64)}
    assert recording._within(25, [("large", 30), ("small", 20)]) == {"small"}


def test_without_a_limit_nothing_is_saved(tmp_path):
    executor.run_trials(small(train_sizes=(32,), seeds=1), tmp_path, executor.RunOptions(keep_mib=0))
    assert not (tmp_path / "trials").exists()
    assert not (tmp_path / "test_set.npz").exists()
    assert len(record_log.ends(record_log.rows(tmp_path))) == 2


def test_a_model_is_looked_at_once_however_many_cells_it_has(study, digits, tmp_path, monkeypatch):
    looked, look = [], recording.params_shapes
    monkeypatch.setattr(recording, "params_shapes", lambda trial, dataset: looked.append(trial) or look(trial, dataset))
    swept = dataclasses.replace(study, axes=grid(lr=(1e-3, 1e-2)))
    keeper = recording.Retention(swept, [digits], Workdir(tmp_path, None), 2**20)
    assert len(looked) == 1
    assert keeper.params == {trial.trial_id for trial in swept.trials if trial.name == "net"}


def test_a_damaged_file_is_as_good_as_absent(study, finished, tmp_path):
    path = finished / "trials" / study.trials[0].trial_id / "predictions.npz"
    (tmp_path / "trials/x").mkdir(parents=True)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:2000] + b"\x00" * 64 + whole[2064:]):
        (tmp_path / "trials/x/predictions.npz").write_bytes(damaged)
        assert artifacts.read_predictions(tmp_path, "x") is None


def test_costs_stand_beside_the_seconds(study, finished):
    ends = record_log.ends(record_log.rows(finished)).values()
    deep = [row for row in ends if row.learner == "net"]
    assert all(row.flops == deep[0].flops > 40 * 64 * 2 * 64 * 16 for row in deep)  # one budget, one program
    assert all(row.flops is None for row in ends if row.learner == "logreg")


def test_an_unread_source_of_groups_is_refused(study):
    from dlm.utils.errors import UsageError

    with pytest.raises(UsageError, match=r"groups=\('sex',\) names columns, but data=Digits has none"):
        preparation.load_datasets(dataclasses.replace(study, groups=("sex",)))
    assert Digits().load().groups == ()

"""Every experiment of the project loads, has its own cells, and trains when it is shrunk."""

import dataclasses
import os

import pytest

from dlm import Budget, Learner, UsageError
from dlm.data import BreastCancer, Digits, StdlibText
from dlm.execution import executor
from dlm.study import experiment

EMBEDDED = (BreastCancer, Digits, StdlibText)  # data that come with the libraries


@pytest.mark.parametrize("name", experiment.names())
def test_an_experiment_asks_a_question_and_names_its_command(name):
    path = experiment.find(name)
    assert experiment.question(path).endswith("?")
    assert f"python launch.py --experiment={name}" in path.read_text()
    cells = experiment.load(name).trials
    assert len({cell.trial_id for cell in cells}) == len(cells) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", experiment.names())
def test_an_experiment_trains_when_shrunk(name, tmp_path, request):
    study = experiment.load(name)
    if not isinstance(study.data, EMBEDDED):
        os.environ["TFDS_DATA_DIR"] = str(request.getfixturevalue("shared_tfds"))
    shrunk = dataclasses.replace(study, train_sizes=study.train_sizes[:1], seeds=1, budget=Budget(steps=2))
    learners = {
        key: dataclasses.replace(learner, budget=None) if isinstance(learner, Learner) else learner
        for key, learner in study.learners.items()
    }
    shrunk = dataclasses.replace(shrunk, learners=learners)
    outcome = executor.run_trials(shrunk, tmp_path)
    assert outcome == executor.Outcome(trained=len(shrunk.trials), before=0, failed=0, diverged=0)


def test_an_experiment_on_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(UsageError, match="download_and_prepare"):
        executor.run_trials(experiment.load("fashion_mnist"), tmp_path / "new", executor.RunOptions(data_dir=tmp_path))
    assert not (tmp_path / "new").exists()

"""A trajectory that was saved, dropped and restored goes on bit for bit as one that never stopped."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
from small import started

from dlm import Budget, Hyper, Interrupted, Learner, Study
from dlm.data import Digits
from dlm.data.subset_orders import SubsetOrders
from dlm.models import MLP
from dlm.study.trial import group_cohorts
from dlm.tasks import Classification
from dlm.train import trainer
from dlm.train.checkpoint import Checkpoints
from dlm.train.device_data import put_on_devices
from dlm.train.trainer import Measurement, ProgressEvent, train

SEEDS = [0, 1]
BUDGETS = {
    "steps": Budget(steps=60),
    "lengths": Budget(epochs=10, min_steps=20),
    "stopping": Budget(steps=80, eval_every=7, patience=2),
}


def study(budget, train_sizes=(32, 200), dropout=0.2):
    return Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(MLP((16,)), Hyper(lr=0.02, dropout=dropout))},
        train_sizes=train_sizes,
        seeds=tuple(SEEDS),
        budget=budget,
    )


@pytest.fixture(scope="module")
def start(digits):
    data = {count: put_on_devices(SubsetOrders(digits, SEEDS), jax.devices()[:count]) for count in (2, 4)}

    def run(cells, num_devices=2):
        return started(group_cohorts(cells)[0], data[num_devices])

    return run


@pytest.fixture
def small_chunks(monkeypatch):
    """A few updates between two looks at signals, so that a stop falls in the midst of training."""
    monkeypatch.setattr(trainer, "CHUNK_SECONDS", 0.0)


def finish(members, checkpoints=None, stop_after=None):
    """All measurements by (trial, step); stops by itself, as a signal would, after so many chunks."""
    told, chunks = {}, 0

    def stop():
        return 75 if stop_after is not None and chunks > stop_after else 0

    for event in train(members, checkpoints, save_seconds=1e9, stop=stop):
        if isinstance(event, Measurement):
            told[event.trial, event.step] = (event.status, event.values)
        elif isinstance(event, ProgressEvent) and event.phase == "train":
            chunks += 1
    return told


def states_by_trial(members):
    return {
        trial.trial_id: jax.tree.map(lambda leaf, row=row: np.asarray(leaf)[row], members.states)
        for row, trial in enumerate(members.rows)
        if trial
    }


@pytest.mark.exact
@pytest.mark.parametrize("name", BUDGETS)
def test_two_trajectories_one_stopped_three_times_are_the_same(name, start, tmp_path, small_chunks, bits_equal):
    cells = study(BUDGETS[name]).trials
    unbroken = start(cells)
    expected = finish(unbroken)
    told = {}
    for stop_after in (1, 5, 8, None):
        members = start(cells)
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        with contextlib.suppress(Interrupted):
            told |= finish(members, checkpoints, stop_after)
        checkpoints.close()
        assert members.finished().all() == (stop_after is None)
    assert bits_equal(states_by_trial(unbroken), states_by_trial(members))
    final = {key: value for key, value in expected.items() if value[0] == "done"}
    assert {key: value for key, value in told.items() if key in final} == final


def test_early_stopping_reports_the_best_snapshot_by_validation(start):
    cells = study(BUDGETS["stopping"], train_sizes=(32,), dropout=0.0).trials
    told = finish(start(cells))
    for trial in cells:
        mine = {step: event for (one, step), event in told.items() if one == trial}
        last = max(mine)
        errors = {step: values["validation", "error"] for step, (_, values) in mine.items()}
        best = min(errors, key=lambda step: (errors[step], step))
        assert last < 80
        assert last - best == 2 * 7
        assert [status for status, _ in mine.values()] == ["running"] * (len(mine) - 1) + ["done"]
        shorter = dataclasses.replace(trial, budget=dataclasses.replace(trial.budget, patience=0))
        assert shorter.trial_id != trial.trial_id


@pytest.mark.exact
def test_a_checkpoint_continues_on_another_number_of_devices_and_with_more_trials(
    start, tmp_path, small_chunks, bits_equal
):
    few, more = study(BUDGETS["steps"]).trials, study(BUDGETS["steps"], train_sizes=(20, 32, 200)).trials
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(Interrupted):
        finish(start(few, num_devices=2), checkpoints, stop_after=6)
    checkpoints.close()
    grown, alone = start(more, num_devices=4), start(more, num_devices=2)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    grown.restore(checkpoints)
    steps = {trial: step for trial, step in zip(grown.rows, grown.steps()) if trial}
    assert all((steps[trial] > 0) == (trial in few) for trial in more)
    finish(grown, checkpoints)
    checkpoints.close()
    finish(alone)
    assert bits_equal(states_by_trial(grown)[more[0].trial_id], states_by_trial(alone)[more[0].trial_id])
    assert bits_equal(states_by_trial(grown)[few[-1].trial_id], states_by_trial(alone)[few[-1].trial_id])

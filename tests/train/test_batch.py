"""What a member meets in a step: noise that stays, changes that do not, and both exact however training is cut up."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import interrupted, small, started

from dlm import Budget, Hyper, Learner, UsageError, grid
from dlm.baselines import LogisticRegression
from dlm.curves.from_records import learning_curves
from dlm.data.corruption import noisy_inputs, noisy_labels
from dlm.data.permutation import batch_rows
from dlm.data.subset_orders import SubsetOrders
from dlm.execution import executor
from dlm.models import CNN, MLP
from dlm.storage import record_log
from dlm.study.learner import Augment
from dlm.study.noise import Noise
from dlm.study.trial import group_cohorts
from dlm.train.batch import make_batch
from dlm.train.device_data import put_on_devices
from dlm.train.program import members_of, program_config_of

SEEDS = (0, 1)
NOISE = Noise(label=0.3, missing=0.1, gaussian=0.1, salt=0.05)
CHANGES = Augment(flip=True, crop=1, cutout=2, mixup=0.4)
SHORT = Budget(steps=24)


@pytest.fixture(scope="module")
def placed(digits):
    pytest.importorskip("grain", reason="needs the extra stream: grain")
    orders = SubsetOrders(digits, SEEDS)
    return {way: put_on_devices(orders, jax.devices()[:2], streamed=way == "stream") for way in ("device", "stream")}


def study(noise=Noise(), augment=Augment(), model=MLP((16,)), **changes):  # noqa: B008 - frozen
    learner = Learner(model, Hyper(lr=0.01), augment=augment)
    base = {"learners": {"net": learner}, "train_sizes": (32, 100), "seeds": SEEDS, "budget": SHORT}
    return small(**{**base, "noise": noise, **changes})


def batch_of(trial, orders, step, data):
    """Inputs and targets of a trial's batch after `step` updates."""
    config = program_config_of(trial, orders.dataset)
    member = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), members_of([trial], orders))
    batch = make_batch(config, member, jnp.int32(step), data, None)
    return batch.examples(batch.indices)


def test_what_is_wrong_with_an_example_is_so_at_every_step_and_for_classical_learners_too(digits, placed):
    trial = study(NOISE).trials[-1]
    orders = placed["device"].orders
    subset = orders.subset(trial.subset_seed, trial.train_size)
    ranks = np.arange(trial.train_size, dtype=np.uint32)
    labels = noisy_labels(subset.y, ranks, np.uint32(trial.subset_seed), NOISE, 10)
    inputs = noisy_inputs(digits.features(subset.x), ranks, np.uint32(trial.subset_seed), NOISE, *digits.input_range)
    assert 0.1 < (labels != subset.y).mean() < 0.5
    for step in (0, 1, 7):
        batch = batch_of(trial, orders, step, placed["device"].data)
        met = batch_rows(np.uint32(step), 64, np.uint32(trial.train_size), np.uint32(trial.init_seed))
        assert np.array_equal(batch.targets, labels[met])
        assert np.allclose(batch.inputs, inputs[met], atol=1e-5)


def test_changes_are_others_at_every_step_and_mixup_weighs_two_targets(placed):
    trial = study(augment=CHANGES).trials[0]
    first, again, later = (batch_of(trial, placed["device"].orders, step, placed["device"].data) for step in (3, 3, 4))
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, later.inputs)
    assert sorted(first.targets) == sorted(first.partner_targets)
    loss = first.mixed_loss(lambda targets: jnp.mean(targets.astype(jnp.float32)))
    assert float(loss) == pytest.approx(float(np.mean(first.targets)), rel=1e-5)


def trained(members, stop=10**9):
    while not members.finished().all() and members.steps().min() < stop:
        members.advance(6)
    return members


@pytest.mark.exact
@pytest.mark.parametrize(
    "model", [MLP((16,)), pytest.param(CNN((8,), (1,)), marks=pytest.mark.slow)], ids=["mlp", "cnn"]
)
def test_noise_and_changes_are_the_same_streamed_and_resident(model, placed, bits_equal):
    cells = study(NOISE, CHANGES, model).trials
    runs = [trained(started(group_cohorts(cells)[0], placed[way])) for way in ("device", "stream")]
    assert bits_equal(runs[0].states.params, runs[1].states.params)


@pytest.mark.exact
def test_a_trial_with_noise_and_changes_stopped_midway_is_the_unbroken_one(tmp_path, monkeypatch):
    noisy = study(NOISE, CHANGES, seeds=1, train_sizes=(32,))
    executor.run_trials(noisy, tmp_path / "whole")
    interrupted(monkeypatch, noisy, tmp_path / "broken", 1)
    executor.run_trials(noisy, tmp_path / "broken")
    values = [{row.key: row.value for row in record_log.rows(tmp_path / name)} for name in ("whole", "broken")]
    assert values[0] == values[1]


def test_members_with_other_amounts_are_one_cohort_and_clean_ones_keep_their_program_and_ids():
    swept = study(axes=grid({"noise.label": (0.0, 0.2, 0.4)}), learners={"net": Learner(MLP((16,)), Hyper(lr=0.01))})
    cells = swept.trials
    assert len(cells) == 12
    assert sorted(len(cohort.trials) for cohort in group_cohorts(cells)) == [4, 8]
    clean = dataclasses.replace(swept, axes=study().axes).trials
    assert {cell.trial_id for cell in clean} <= {cell.trial_id for cell in cells}


def test_noise_is_an_axis_of_every_learner_with_a_curve_for_each_amount(tmp_path):
    learners = {"net": Learner(MLP((16,)), Hyper(lr=0.01)), "logreg": LogisticRegression()}
    swept = study(
        learners=learners, axes=grid({"noise.label": (0.0, 0.4)}), train_sizes=(100, 1000), budget=Budget(steps=200)
    )
    executor.run_trials(swept, tmp_path)
    found = {curve.learner: curve for curve in learning_curves(record_log.rows(tmp_path))}
    assert set(found) == {"net", "logreg", "net (label=0.4)", "logreg (label=0.4)"}
    for name in learners:
        assert found[f"{name} (label=0.4)"].noise == "label=0.4"
        assert np.mean(found[f"{name} (label=0.4)"].errors[-1]) > 1.3 * np.mean(found[name].errors[-1])


def test_test_noise_touches_the_test_split_alone(tmp_path):
    learners = {"net": Learner(MLP((16,)), Hyper(lr=0.01)), "logreg": LogisticRegression()}
    swept = study(learners=learners, axes=grid({"test_noise.missing": (0.0, 0.6)}), train_sizes=(100,), seeds=1)
    executor.run_trials(swept, tmp_path)
    values = {(row.learner, row.noise, row.split, row.metric): row.value for row in record_log.rows(tmp_path)}
    for name in learners:
        noisy = "test missing=0.6"
        assert values[name, noisy, "validation", "loss"] == values[name, "", "validation", "loss"]
        assert values[name, noisy, "test", "loss"] > values[name, "", "test", "loss"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment": Augment(token_drop=0.1)}, r"augment\.token_drop=0\.1 needs tokens"),
        ({"augment": Augment(crop=8)}, r"augment\.crop=8 must be below 8"),
        ({"axes": grid({"noise.lable": (0.1,)})}, r"axis 'noise\.lable' is not a noise; did you mean 'noise\.label'"),
        ({"axes": grid({"noise.label": (1.5,)})}, r"noise\.label=1\.5 is a share"),
    ],
    ids=["tokens", "crop", "name", "share"],
)
def test_what_cannot_be_meant_is_refused_before_training(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        executor.run_trials(study(**changes), tmp_path / "new")
    assert not (tmp_path / "new").exists()

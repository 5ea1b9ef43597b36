"""Focal loss and class weights: what they are, that 0 is nothing, and that they part cohorts and nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import small

from dlm import Budget, Hyper, Learner, UsageError
from dlm.data.dataset import class_weights
from dlm.execution import executor
from dlm.models import MLP
from dlm.storage import record_log
from dlm.study.trial import group_cohorts
from dlm.tasks import Classification, Regression
from dlm.train.population import summarize_program
from dlm.train.program import check_model, members_of

TASK = Classification()


def trial_with(**hyper):
    learner = Learner(MLP((16,)), Hyper(lr=0.01, **hyper))
    return small(learners={"net": learner}, train_sizes=(32,), seeds=1).trials[0]


def batch():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(16, 10)), jnp.float32), jnp.asarray(rng.integers(0, 10, 16))


@pytest.mark.exact
def test_no_focus_and_equal_weights_are_the_plain_loss_bit_for_bit(bits_equal):
    plain = jax.value_and_grad(TASK.loss)(*batch(), 0.1)
    same = jax.value_and_grad(lambda *of: TASK.loss(*of, focal=jnp.float32(0), class_weights=jnp.ones(10)))(
        *batch(), 0.1
    )
    assert bits_equal(plain, same)


def test_each_example_counts_by_its_doubt_and_its_class():
    outputs, y = batch()
    chances = np.asarray(jax.nn.softmax(outputs, axis=-1), float)[np.arange(16), y]
    weights = np.linspace(0.5, 2.0, 10, dtype=np.float32)
    by_hand = (weights[np.asarray(y)] * (1 - chances) ** 2 * -np.log(chances)).mean()
    assert float(TASK.loss(outputs, y, 0.0, focal=2.0, class_weights=weights)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("focal", [0.5, 2.0])
def test_an_example_that_is_beyond_doubt_has_a_finite_gradient(focal):
    outputs = jnp.array([[60.0, 0.0], [-200.0, 0.0]])
    gradient = jax.grad(lambda outputs: TASK.loss(outputs, jnp.array([0, 0]), 0.0, focal=focal))(outputs)
    assert np.isfinite(gradient).all()


def test_weights_have_the_mean_1_and_1_makes_classes_equal():
    y = np.repeat([0, 1, 2], [90, 9, 1])
    for balance in (0.0, 0.5, 1.0):
        weights = class_weights(y, 4, balance)
        assert weights[y].mean() == pytest.approx(1.0)
        assert weights[3] == 1
    assert np.bincount(y, class_weights(y, 3, 1.0)[y]) == pytest.approx([100 / 3] * 3)
    assert class_weights(y, 3, 0.0).tolist() == [1, 1, 1]


def test_0_leaves_ids_and_programs_as_they_were(digits):
    plain, zero = trial_with(), trial_with(focal=0.0, balance=0)
    assert plain.trial_id == zero.trial_id
    assert trial_with(focal=1.0).trial_id != trial_with(balance=1.0).trial_id != plain.trial_id
    programs = {summarize_program(trial, digits).digest for trial in (plain, zero, trial_with(dropout=0.0))}
    assert len(programs) == 1
    assert summarize_program(trial_with(focal=1.0), digits).digest not in programs


def test_members_of_one_cohort_may_differ_in_how_much(digits):
    from dlm.data.subset_orders import SubsetOrders

    some = [trial_with(focal=gamma, balance=balance) for gamma, balance in ((1.0, 0.5), (2.0, 1.0))]
    (cohort,) = group_cohorts(some)
    assert len(group_cohorts([*some, trial_with(focal=1.0), trial_with(balance=1.0), trial_with()])) == 4
    members = members_of([*cohort.trials, None], SubsetOrders(digits, [0]))
    assert members.focal.tolist() == [1.0, 2.0, 0.0]
    assert members.class_weights.shape == (3, 10)
    assert members_of([trial_with()], SubsetOrders(digits, [0])).focal is None


def test_a_task_without_classes_is_refused(digits):
    trial = dataclasses.replace(trial_with(focal=1.0), task=Regression())
    numbers = {part: dataclasses.replace(of, y=of.y.astype(np.float32)) for part, of in splits(digits).items()}
    with pytest.raises(UsageError, match="weight classes, but task="):
        check_model(trial, dataclasses.replace(digits, num_classes=0, **numbers))


def splits(dataset):
    return {part: getattr(dataset, part) for part in ("train", "validation", "test")}


def test_plain_weighted_and_focal_are_learners_of_one_study(tmp_path):
    learners = {
        name: Learner(MLP((16,)), Hyper(lr=0.01, **hyper))
        for name, hyper in (("plain", {}), ("emphasis", {"focal": 2.0, "balance": 1.0}))
    }
    study = small(learners=learners, train_sizes=(32,), seeds=1, budget=Budget(steps=10))
    assert executor.run_trials(study, tmp_path).trained == 2
    losses = {
        row.learner: row.value for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "loss")
    }
    assert losses["plain"] != losses["emphasis"]

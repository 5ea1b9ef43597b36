"""Flax modules and optax optimizers of user code train, evaluate, save and resume like our own."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from small import interrupted, small, started

import dlm
from dlm.data.subset_orders import SubsetOrders
from dlm.execution import executor
from dlm.models.adapters import Variables, split_variables
from dlm.storage import record_log
from dlm.study.trial import group_cohorts
from dlm.train.device_data import put_on_devices


class BatchNormNet(nn.Module):
    """A linen module with `train` and batch statistics."""

    hidden: int = 16
    activation: Callable = nn.relu

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dense(self.hidden)(x.reshape(len(x), -1))
        x = self.activation(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        return nn.Dense(10)(x)


class DropoutNet(nn.Module):
    """A linen module with `deterministic` and a dropout rate of its own."""

    rate: float = 0.3

    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        x = nn.relu(nn.Dense(16)(x.reshape(len(x), -1)))
        return nn.Dense(10)(nn.Dropout(self.rate, deterministic=deterministic)(x))


class NNXBatchNorm(nnx.Module):
    """An NNX module with batch statistics."""

    def __init__(self, hidden, *, rngs):
        self.layers = nnx.List([nnx.Linear(64, hidden, rngs=rngs), nnx.Linear(hidden, 10, rngs=rngs)])
        self.norm = nnx.BatchNorm(hidden, momentum=0.9, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](nnx.relu(self.norm(self.layers[0](x.reshape(len(x), -1)))))


class NNXDropout(nnx.Module):
    """An NNX module with dropout and an activation as argument."""

    def __init__(self, rate=0.2, activation=nnx.relu, *, rngs):
        self.first, self.last = nnx.Linear(64, 16, rngs=rngs), nnx.Linear(16, 10, rngs=rngs)
        self.dropout, self.activation = nnx.Dropout(rate, rngs=rngs), activation

    def __call__(self, x):
        return self.last(self.dropout(self.activation(self.first(x.reshape(len(x), -1)))))


def clipped_lion(learning_rate):
    """An optimizer factory of user code."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.lion(learning_rate))


HYPER = dlm.Hyper(lr=0.01)
LEARNERS = {
    "linen_batch_norm": dlm.Learner(BatchNormNet(), HYPER),
    "linen_dropout": dlm.Learner(DropoutNet(), HYPER),
    "nnx_batch_norm": dlm.Learner(dlm.NNX(NNXBatchNorm, hidden=16), HYPER),
    "nnx_dropout": dlm.Learner(dlm.NNX(NNXDropout, activation=jax.nn.gelu), HYPER),
    "adafactor": dlm.Learner(dlm.MLP((16,)), dlm.Hyper(lr=0.05), optimizer=dlm.Optax(optax.adafactor, momentum=0.9)),
    "own_optimizer": dlm.Learner(dlm.MLP((16,)), dlm.Hyper(lr=0.01, weight_decay=0.01), optimizer=clipped_lion),
}
BUDGET = dlm.Budget(steps=60, batch_size=32, eval_every=20, patience=5)


def study(learner, **changes):
    return small(**{"learners": {"net": learner}, "train_sizes": (64, 300), "seeds": 1, "budget": BUDGET} | changes)


def values(folder):
    return {row.key: (row.status, row.value) for row in record_log.rows(folder)}


SLOW = ("linen_dropout", "nnx_dropout", "own_optimizer")


@pytest.mark.exact
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in LEARNERS]
)
def test_an_interrupted_run_resumes_to_the_same_numbers(name, tmp_path, monkeypatch):
    learner = LEARNERS[name]
    run = dlm.run if name == "nnx_batch_norm" else executor.run_trials
    run(study(learner), tmp_path / "whole")
    interrupted(monkeypatch, study(learner), tmp_path / "broken", 3)
    executor.run_trials(study(learner), tmp_path / "broken")
    assert values(tmp_path / "broken") == values(tmp_path / "whole")
    rows = [row for row in record_log.rows(tmp_path / "whole") if (row.split, row.metric) == ("test", "error")]
    assert {row.status for row in rows} == {"done"}
    assert min(row.value for row in rows) < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["exact", "fast"])
@pytest.mark.parametrize("name", ["linen_batch_norm", "nnx_batch_norm"])
def test_batch_statistics_are_carried_by_each_member(name, packing, digits):
    (cohort,) = group_cohorts(study(LEARNERS[name], seeds=2, train_sizes=(100,)).trials)
    run = started(cohort, put_on_devices(SubsetOrders(digits, (0, 1)), jax.devices()[:2]), packing)
    before = [run.params_of(trial) for trial in cohort.trials]
    run.groups[0].states = run.population.advance(
        run.groups[0].members, run.groups[0].states, run.data, np.full(len(run.rows), 5, np.int32)
    )
    after = [jax.tree.map(lambda leaf, row=row: np.asarray(leaf[row]), run.states.params) for row in range(2)]
    assert all(isinstance(variables, Variables) for variables in after)
    means = [np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(split_variables(v)[1])]) for v in after]
    assert not np.array_equal(means[0], means[1])
    assert not np.array_equal(means[0], np.concatenate([x.ravel() for x in jax.tree.leaves(before[0].state)]))


def test_equal_modules_are_one_trial_and_fields_are_axes():
    base = study(LEARNERS["linen_batch_norm"])
    assert base.trials[0].trial_id == study(dlm.Learner(BatchNormNet(hidden=16), HYPER)).trials[0].trial_id
    swept = study(LEARNERS["linen_batch_norm"], axes=dlm.grid({"model.hidden": (8, 16)}))
    assert {trial.learner.model.hidden for trial in swept.trials} == {8, 16}
    swept = study(LEARNERS["nnx_batch_norm"], axes=dlm.grid({"model.arguments.hidden": (8, 16)}))
    assert {trial.learner.model.arguments["hidden"] for trial in swept.trials} == {8, 16}
    assert len({trial.trial_id for trial in swept.trials}) == 4


class Narrow(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(7)(x.reshape(len(x), -1))


class Printing(nn.Module):
    @nn.compact
    def __call__(self, x):
        jax.debug.print("{}", x.sum())
        return nn.Dense(10)(x.reshape(len(x), -1))


class DataDependent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1) if x.sum() > 0 else x)


class Counting(nnx.Module):
    def __init__(self, *, rngs):
        self.layer, self.calls = nnx.Linear(64, 10, rngs=rngs), 0

    def __call__(self, x):
        self.calls += 1
        return self.layer(x.reshape(len(x), -1))


class Listing(nn.Module):
    widths: list

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1))


def not_an_optimizer(learning_rate):
    return learning_rate


def noisy_sgd(learning_rate):
    return optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(0)), optax.sgd(learning_rate))


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (dlm.Learner(Narrow()), r"outputs of shape \(7,\) .* needs 10 outputs; change the width"),
        (dlm.Learner(Printing()), r"calls Python .*debug.*remove jax\.debug\.print"),
        (dlm.Learner(DataDependent()), r"uses the value of an array in Python"),
        (dlm.Learner(dlm.NNX(Counting)), r"changes Python attributes .* keep values that change in an nnx\.Variable"),
        (dlm.Learner(dlm.NNX(NNXBatchNorm)), r"NNX\(NNXBatchNorm\) cannot be created: TypeError: .*hidden"),
        (dlm.Learner(DropoutNet(), dlm.Hyper(dropout=0.1)), r"hyper\.dropout=0\.1, but the module takes no `dropout`"),
        (dlm.Learner(dlm.MLP((4,)), optimizer=not_an_optimizer), r"must return an optax\.GradientTransformation"),
        (dlm.Learner(dlm.MLP((4,)), optimizer=dlm.Optax(optax.sgd, momentun=0.9)), r"momentun"),
        (dlm.Learner(dlm.MLP((4,)), optimizer=noisy_sgd), r"keeps a random key in its state"),
    ],
    ids=["outputs", "callback", "values", "attributes", "arguments", "dropout", "optimizer", "typo", "key"],
)
def test_code_that_a_population_cannot_run_is_refused_before_training(learner, message, tmp_path):
    with pytest.raises(dlm.UsageError, match=message):
        executor.run_trials(study(learner), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def local_factory():
    return lambda learning_rate: optax.sgd(learning_rate)


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (lambda: dlm.Learner(BatchNormNet), r"BatchNormNet is a class; write BatchNormNet"),
        (lambda: dlm.Learner(Listing([1, 2])), r"model\.widths=\[1, 2\] cannot be part of a study; write a tuple"),
        (lambda: dlm.Learner(BatchNormNet(activation=lambda x: x)), r"activation=a lambda has no name"),
        (lambda: dlm.Learner(dlm.MLP(), optimizer=local_factory()), r"factory=a lambda has no name .* define it"),
        (lambda: dlm.Learner(dlm.NNX(jnp.sin)), r"must be a class derived from flax\.nnx\.Module"),
    ],
    ids=["class", "list", "activation", "lambda", "nnx"],
)
def test_code_that_records_cannot_identify_is_refused_with_a_remedy(learner, message):
    with pytest.raises(dlm.UsageError, match=message):
        study(learner())


def test_a_changed_function_is_another_trial(tmp_path):
    sources = ["def factory(learning_rate):\n    return None\n", "def factory(learning_rate):\n    return 1\n"]
    sources.append("# a comment\ndef factory(learning_rate):  # and one more\n    return None\n")
    ids = []
    for number, source in enumerate(sources):
        path = tmp_path / f"module_{number}.py"
        path.write_text(source)
        namespace: dict = {"__name__": path.stem}
        exec(compile(source, str(path), "exec"), namespace)
        ids.append(study(dlm.Learner(dlm.MLP(), optimizer=namespace["factory"])).trials[0].trial_id)
    assert ids[0] == ids[2] != ids[1]


def test_a_field_of_a_learner_with_user_code_can_be_replaced():
    learner = dataclasses.replace(LEARNERS["adafactor"], hyper=dlm.Hyper(lr=0.1))
    assert learner.optimizer == LEARNERS["adafactor"].optimizer

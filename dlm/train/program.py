"""Converts trials to the static configuration of a program and the arrays of its members."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.corruption import Amounts
from dlm.data.dataset import Dataset, class_weights
from dlm.data.subset_orders import SubsetOrders
from dlm.models import build
from dlm.models.adapters import split_variables
from dlm.study.learner import check_augment
from dlm.study.trial import Trial
from dlm.train.optimizer import apply_gradient, init_optimizer
from dlm.train.types import Member, MemberNoise, ProgramConfig
from dlm.utils.errors import UsageError


def program_config_of(trial: Trial, dataset: Dataset) -> ProgramConfig:
    """The static configuration of a trial's cohort."""
    return ProgramConfig(
        model=build(trial.learner.model, trial.task.num_outputs(dataset), dataset.fields),
        task=trial.task,
        optimizer=trial.learner.optimizer,
        input_shape=dataset.train.x.shape[1:],
        scale=dataset.scale,
        shift=dataset.shift,
        tokens=dataset.vocabulary > 0,
        standardize=dataset.standardize,
        numeric_targets=dataset.has_numeric_targets,
        augment=trial.learner.augment,
        noise=trial.noise.kinds,
        test_noise=trial.test_noise,
        extent=dataset.input_range if {"salt"} & {*trial.noise.kinds, *trial.test_noise.kinds} else (0.0, 1.0),
        num_classes=dataset.num_classes,
        batch_size=trial.budget.batch_size,
        dropout=trial.learner.hyper.dropout > 0,
        eval_every=trial.budget.eval_every,
        patience=trial.budget.patience,
        precision=trial.precision,
    )


def params_shapes(trial: Trial, dataset: Dataset) -> Any:
    """Shapes and types of a trial's model variables; computes nothing."""
    config = program_config_of(trial, dataset)
    return jax.eval_shape(config.model.init, jax.random.key(0), _example(config))


def _example(config: ProgramConfig, batch_size: int = 1) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((batch_size, *config.input_shape), np.int32 if config.tokens else np.float32)


def check_model(trial: Trial, dataset: Dataset) -> None:
    """UsageError if a trial's model, optimizer or augmentation does not fit the data; computes nothing."""
    config, hyper = program_config_of(trial, dataset), trial.learner.hyper
    check_augment(trial.learner.augment, config.input_shape, config.tokens)
    if (hyper.focal or hyper.balance) and not trial.task.weighs_classes:
        raise UsageError(
            f"learners.{trial.name}: hyper.focal={hyper.focal:g} and hyper.balance={hyper.balance:g} weight classes, "
            f"but task={type(trial.task).__name__}() has none; set both to 0"
        )
    if hyper.dropout and not config.model.takes_dropout:
        raise UsageError(
            f"learners.{trial.name}: hyper.dropout={hyper.dropout:g}, but the module takes no `dropout` argument; set "
            "hyper.dropout=0 and give the module's own rate"
        )
    try:
        variables = params_shapes(trial, dataset)
        outputs = jax.eval_shape(config.outputs, variables, _example(config))
        _check_training(config, variables)
    except UsageError:
        raise
    except Exception as error:  # a model may raise anything for inputs that it does not take
        raise UsageError(_unsuitable(trial, config, error)) from error
    expected = trial.task.num_outputs(dataset)
    if expected not in (outputs.shape[-1], math.prod(outputs.shape[1:])) or outputs.shape[0] != 1:
        raise UsageError(
            f"learners.{trial.name}: the model gives outputs of shape {outputs.shape[1:]} for an example, but "
            f"task={type(trial.task).__name__}() needs {expected} outputs; change the width of its last layer"
        )


def _unsuitable(trial: Trial, config: ProgramConfig, error: Exception) -> str:
    if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.NonConcreteBooleanIndexError):
        return (
            f"learners.{trial.name}: the model or optimizer uses the value of an array in Python, or an array whose "
            f"shape depends on values, which a compiled program cannot; use jnp.where, jax.lax.cond and fixed shapes "
            f"({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        )
    return (
        f"learners.{trial.name}: {trial.learner.model} does not take examples of shape {config.input_shape}: "
        f"{type(error).__name__}: {error}"
    )


def _check_training(config: ProgramConfig, variables: Any) -> None:
    """UsageError for a model or optimizer that a population cannot train."""
    if not config.model.is_user_module and type(config.optimizer).__name__ == "Optimizer":
        return

    def step(variables: Any, inputs: jax.Array, key: jax.Array) -> Any:
        params, model_state = split_variables(variables)
        outputs, model_state = config.train_outputs(params, model_state, inputs, None, key)
        opt_state = init_optimizer(config.optimizer, params)
        return outputs, apply_gradient(config.optimizer, 0.1, 0.0, params, opt_state, params, outputs.sum())

    program = str(jax.make_jaxpr(step)(variables, _example(config, config.batch_size), jax.random.key(0)))
    callback = re.search(r"\b(pure_callback|io_callback|debug_callback|debug_print)\b", program)
    if callback:
        raise UsageError(
            f"the model or optimizer calls Python from the compiled program ({callback.group()}), which a population "
            "cannot; remove jax.debug.print and callbacks"
        )


def members_of(rows: Sequence[Trial | None], orders: SubsetOrders) -> Member:
    """Arrays [M] of the values in which members differ; padding is a member with 0 updates."""

    def column(value: Callable[[Trial], Any], dtype: Any, padding: Any = 0) -> np.ndarray:
        return np.array([padding if trial is None else value(trial) for trial in rows], dtype)

    def hyper(name: str) -> np.ndarray:
        return column(lambda trial: getattr(trial.learner.hyper, name), np.float32)

    def class_weights_of(trial: Trial) -> np.ndarray | None:
        balance, data = trial.learner.hyper.balance, orders.dataset
        return class_weights(data.train.y, data.num_classes, balance) if balance else None

    return Member(
        seed=column(lambda trial: trial.init_seed, np.uint32),
        order=column(lambda trial: orders.index(trial.subset_seed), np.int32),
        train_size=column(lambda trial: trial.train_size, np.uint32, padding=1),
        num_steps=column(lambda trial: trial.num_steps, np.int32),
        lr=hyper("lr"),
        weight_decay=hyper("weight_decay"),
        dropout=hyper("dropout"),
        label_smoothing=hyper("label_smoothing"),
        focal=hyper("focal") if any(trial and trial.learner.hyper.focal for trial in rows) else None,
        class_weights=_stack([trial and class_weights_of(trial) for trial in rows]),
        noise=_stack([trial and _member_noise(trial) for trial in rows]),
        stats=_stack([trial and orders.normalization_stats(trial.subset_seed, trial.train_size) for trial in rows]),
    )


def _member_noise(trial: Trial) -> MemberNoise | None:
    if not trial.noise.kinds:
        return None
    amounts = dataclasses.astuple(trial.noise)
    return MemberNoise(np.uint32(trial.subset_seed), Amounts(*(np.float32(amount) for amount in amounts)))


def _stack(trees: Sequence[Any]) -> Any:
    """Stacks trees of arrays to arrays [M, ...], with zeros for a missing tree; None if all are missing."""
    known = next((tree for tree in trees if tree is not None), None)
    zeros = jax.tree.map(np.zeros_like, known)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(zeros if tree is None else tree for tree in trees))


def member_shapes(tree: Any) -> Any:
    """Shapes of one member's part of arrays [M, ...]."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)

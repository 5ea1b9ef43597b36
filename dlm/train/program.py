"""From trials to what a program is compiled from and fed with: a spec, and members as arrays."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.corruption import Amounts
from dlm.data.dataset import Dataset, class_weights
from dlm.data.normalization import NormalizationStats, normalization_stats
from dlm.data.subset_orders import SubsetOrders
from dlm.models import build
from dlm.study import augmentation
from dlm.study.trial import Cohort, Trial
from dlm.train import device_data, evaluate, train_step
from dlm.train.device_data import DeviceData
from dlm.train.population import Packing, Population
from dlm.train.types import Member, Noisy, ProgramConfig
from dlm.utils.errors import UsageError


def program_config_of(trial: Trial, dataset: Dataset) -> ProgramConfig:
    """What a trial's cohort compiles."""
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
        extent=dataset.extent if {"salt"} & {*trial.noise.kinds, *trial.test_noise.kinds} else (0.0, 1.0),
        num_classes=dataset.num_classes,
        batch_size=trial.budget.batch_size,
        dropout=trial.learner.hyper.dropout > 0,
        eval_every=trial.budget.eval_every,
        patience=trial.budget.patience,
        precision=trial.precision,
    )


def population_of(cohort: Cohort, where: DeviceData, packing: Packing) -> Population:
    """The programs of a cohort on the devices that hold the data."""
    return Population(program_config_of(cohort.first, where.dataset), packing, where.devices)


def params_shapes(trial: Trial, dataset: Dataset) -> Any:
    """Shapes and types of a trial's parameters, found without a device."""
    spec = program_config_of(trial, dataset)
    return jax.eval_shape(spec.model.init, jax.random.key(0), _example(spec))


def _example(spec: ProgramConfig) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *spec.input_shape), np.int32 if spec.tokens else np.float32)


def check_model(trial: Trial, dataset: Dataset) -> None:
    """UsageError if a trial's model or augmentation does not suit this data, found without a device."""
    spec, hyper = program_config_of(trial, dataset), trial.learner.hyper
    augmentation.check(trial.learner.augment, spec.input_shape, spec.tokens)
    if (hyper.focal or hyper.balance) and not trial.task.weighs_classes:
        raise UsageError(
            f"learners.{trial.name}: hyper.focal={hyper.focal:g} and hyper.balance={hyper.balance:g} are of classes, "
            f"which task={type(trial.task).__name__}() does not weigh; leave both at 0"
        )
    try:
        params = params_shapes(trial, dataset)
        jax.eval_shape(spec.outputs, params, _example(spec))
    except UsageError:
        raise
    except Exception as error:  # whatever a model raises says that it does not fit
        raise UsageError(
            f"learners.{trial.name}: {trial.learner.model} does not take examples of shape {spec.input_shape}: "
            f"{type(error).__name__}: {error}"
        ) from error


@dataclasses.dataclass(frozen=True)
class Program:
    """What a cohort computes: floating-point operations of one update of one member, and a hash of the programs."""

    flops: float
    digest: str


def program_of(trial: Trial, dataset: Dataset) -> Program:
    """What a trial's cohort computes, from its init, update and measurement lowered for one member.

    The hash changes with the code of a model, a task or dlm itself where that changes a program, and with nothing else:
    they are lowered for a CPU whatever the machine, and for one subset seed. Nothing is compiled.
    """
    spec, one = program_config_of(trial, dataset), one_of(members_of([trial], _Unread(dataset)))
    state, data = jax.eval_shape(functools.partial(train_step.init, spec), one), device_data.shapes(dataset)
    yes = jax.ShapeDtypeStruct((), np.bool_)
    steps = (
        (functools.partial(train_step.update, spec), (one, state, data)),
        (functools.partial(train_step.init, spec), (one,)),
        (functools.partial(evaluate.evaluate, spec), (one, state, data, yes, yes)),
    )
    with _on_cpu():
        lowered = [jax.jit(step).trace(*shapes).lower(lowering_platforms=("cpu",)) for step, shapes in steps]
        cost: dict[str, float] = lowered[0].cost_analysis() or {}
    digest = hashlib.sha256("".join(program.as_text() for program in lowered).encode())
    return Program(float(cost.get("flops", 0.0)), digest.hexdigest()[:16])


def _on_cpu() -> contextlib.AbstractContextManager[Any]:
    """The CPU's client alone tells the operations of a program that is not compiled; it may have been left out."""
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:
        return contextlib.nullcontext()


class _Unread:
    """Orders for whom only shapes matter: nothing is read."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def index(self, seed: int) -> int:
        return 0

    def normalization_stats(self, seed: int, train_size: int) -> NormalizationStats | None:
        return normalization_stats(self.dataset, np.arange(1))


def members_of(rows: Sequence[Trial | None], orders: SubsetOrders | _Unread) -> Member:
    """The arrays [M] that tell members apart; padding is a member without updates."""

    def column(value: Callable[[Trial], Any], dtype: Any, padding: Any = 0) -> np.ndarray:
        return np.array([padding if trial is None else value(trial) for trial in rows], dtype)

    return Member(
        seed=column(lambda trial: trial.init_seed, np.uint32),
        order=column(lambda trial: orders.index(trial.subset_seed), np.int32),
        size=column(lambda trial: trial.train_size, np.uint32, padding=1),
        limit=column(lambda trial: trial.num_steps, np.int32),
        lr=column(lambda trial: trial.learner.hyper.lr, np.float32),
        weight_decay=column(lambda trial: trial.learner.hyper.weight_decay, np.float32),
        dropout=column(lambda trial: trial.learner.hyper.dropout, np.float32),
        label_smoothing=column(lambda trial: trial.learner.hyper.label_smoothing, np.float32),
        focal=_stacked([trial and _focal_of(trial) for trial in rows]),
        class_weights=_stacked([trial and _class_weights_of(trial, orders.dataset) for trial in rows]),
        noise=_stacked([trial and noise_of(trial) for trial in rows]),
        stats=_stacked([trial and orders.normalization_stats(trial.subset_seed, trial.train_size) for trial in rows]),
    )


def noise_of(trial: Trial) -> Noisy | None:
    """How much is wrong with a trial's examples, None if nothing."""
    if not trial.noise.kinds:
        return None
    amounts = dataclasses.astuple(trial.noise)
    return Noisy(np.uint32(trial.subset_seed), Amounts(*(np.float32(amount) for amount in amounts)))


def _focal_of(trial: Trial) -> np.float32 | None:
    """The γ of a trial's focal loss, None where it has none."""
    return np.float32(trial.learner.hyper.focal) if trial.learner.hyper.focal else None


def _class_weights_of(trial: Trial, dataset: Dataset) -> np.ndarray | None:
    """How much each class counts [C], None where all count what they are."""
    balance = trial.learner.hyper.balance
    return class_weights(dataset.train.y, dataset.num_classes, balance) if balance else None


def _stacked(trees: Sequence[Any]) -> Any:
    """Trees of arrays as one of arrays [M, ...]; zeros where there is none, None where there are none at all."""
    known = next((tree for tree in trees if tree is not None), None)
    zeros = jax.tree.map(np.zeros_like, known)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(zeros if tree is None else tree for tree in trees))


def one_of(tree: Any) -> Any:
    """Shapes of one member's part of arrays [M, ...]."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)

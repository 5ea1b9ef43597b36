"""From trials to what a program is compiled from and fed with: a spec, the data on the devices, members as arrays."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.arrays import Arrays
from dlm.errors import UsageError
from dlm.models import build
from dlm.study import Cohort, Trial
from dlm.train import evaluate, member
from dlm.train.evaluate import batches
from dlm.train.member import Data, Member, Spec
from dlm.train.population import Packing, Population, replicated


def spec_of(trial: Trial, arrays: Arrays) -> Spec:
    """What a trial's cohort compiles."""
    return Spec(
        model=build(trial.learner.model, trial.task.num_outputs(arrays)),
        task=trial.task,
        optimizer=trial.learner.optimizer,
        input_shape=arrays.train.x.shape[1:],
        scale=arrays.scale,
        shift=arrays.shift,
        batch_size=trial.budget.batch_size,
        dropout=trial.learner.hyper.dropout > 0,
        eval_every=trial.budget.eval_every,
        patience=trial.budget.patience,
        precision=trial.precision,
    )


def population_of(cohort: Cohort, arrays: Arrays, data: Data, packing: Packing) -> Population:
    """The programs of a cohort on the devices that hold the data."""
    return Population(spec_of(cohort.first, arrays), packing, data.x.devices())


def check_model(trial: Trial, arrays: Arrays) -> None:
    """UsageError if a trial's model cannot be built for this data, found without a device."""
    spec = spec_of(trial, arrays)
    example = jax.ShapeDtypeStruct((1, *spec.input_shape), np.float32)
    stored = jax.ShapeDtypeStruct(example.shape, arrays.train.x.dtype)
    try:
        params = jax.eval_shape(spec.model.init, jax.random.key(0), example)
        jax.eval_shape(spec.outputs, params, stored)
    except UsageError:
        raise
    except Exception as error:  # whatever a model raises says that it does not fit
        raise UsageError(
            f"learners.{trial.name}: {trial.learner.model} does not take examples of shape {spec.input_shape}: "
            f"{type(error).__name__}: {error}"
        ) from error


def device_data(arrays: Arrays, orders: Sequence[np.ndarray], devices: Sequence[jax.Device] | None = None) -> Data:
    """The data on every device (all local ones by default), where the members will then be trained.

    orders: the pool's order for each subset seed, int [N] each.
    """
    return replicated(_data(arrays, np.stack(orders)), devices or jax.local_devices())


@dataclasses.dataclass(frozen=True)
class Program:
    """What a cohort computes: floating-point operations of one update of one member, and a hash of the programs."""

    flops: float
    digest: str


def program_of(trial: Trial, arrays: Arrays) -> Program:
    """What a trial's cohort computes, from its init, update and measurement lowered for one member.

    The hash changes with the code of a model, a task or dlm itself where that changes a program, and with nothing else:
    they are lowered for a CPU whatever the machine, and for one subset seed. Nothing is compiled.
    """
    spec, one, state, data = _shapes(trial, arrays)
    yes = jax.ShapeDtypeStruct((), np.bool_)
    steps = (
        (functools.partial(member.update, spec), (one, state, data)),
        (functools.partial(member.init, spec), (one,)),
        (functools.partial(evaluate.evaluate, spec), (state, data, yes, yes)),
    )
    lowered = [jax.jit(step).trace(*shapes).lower(lowering_platforms=("cpu",)) for step, shapes in steps]
    cost: dict[str, float] = lowered[0].cost_analysis() or {}
    digest = hashlib.sha256("".join(program.as_text() for program in lowered).encode())
    return Program(float(cost.get("flops", 0.0)), digest.hexdigest()[:16])


def _shapes(trial: Trial, arrays: Arrays) -> tuple[Spec, Member, Any, Data]:
    """A cohort's spec with the shapes of one member, its state, and the data with one subset seed."""
    spec, one = spec_of(trial, arrays), one_of(members_of([trial], [trial.subset_seed]))
    order = np.broadcast_to(np.int32(0), (1, len(arrays.train)))
    data = _data(arrays, order)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), data)
    return spec, one, jax.eval_shape(functools.partial(member.init, spec), one), shapes


def _data(arrays: Arrays, orders: np.ndarray) -> Data:
    return Data(arrays.train.x, arrays.train.y, orders, batches(arrays.validation), batches(arrays.test))


def members_of(rows: Sequence[Trial | None], subset_seeds: Sequence[int]) -> Member:
    """The arrays [M] that tell members apart; padding is a member without updates."""

    def column(value: Callable[[Trial], Any], dtype: Any, padding: Any = 0) -> np.ndarray:
        return np.array([padding if trial is None else value(trial) for trial in rows], dtype)

    return Member(
        seed=column(lambda trial: trial.init_seed, np.uint32),
        order=column(lambda trial: subset_seeds.index(trial.subset_seed), np.int32),
        size=column(lambda trial: trial.train_size, np.uint32, padding=1),
        limit=column(lambda trial: trial.num_steps, np.int32),
        lr=column(lambda trial: trial.learner.hyper.lr, np.float32),
        weight_decay=column(lambda trial: trial.learner.hyper.weight_decay, np.float32),
        dropout=column(lambda trial: trial.learner.hyper.dropout, np.float32),
        label_smoothing=column(lambda trial: trial.learner.hyper.label_smoothing, np.float32),
    )


def one_of(tree: Any) -> Any:
    """Shapes of one member's part of arrays [M, ...]."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)

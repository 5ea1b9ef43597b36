"""Compiles a cohort's XLA programs: members × devices, with exact or fast packing.

`exact` runs the members of a device one after another inside the program (`lax.map`): each gets bit for bit the result
of training it alone, and a finished member costs nothing. `fast` runs them side by side (`vmap`), which fills an
accelerator and may differ by rounding. Members are distributed over the devices, which never communicate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from dlm.data.dataset import Dataset
from dlm.data.normalization import normalization_stats
from dlm.study.trial import Cohort, Trial
from dlm.train import evaluate, train_step
from dlm.train.device_data import MEMBER_AXIS, DeviceData, data_shapes, member_mesh
from dlm.train.devices import Packing
from dlm.train.program import member_shapes, members_of, program_config_of
from dlm.train.types import Data, Member, ProgramConfig, State, StreamWindow

_FAST_COMPILATION = {"xla_backend_optimization_level": 1}  # halves the compile time of a program that runs once


class Population:
    """The programs of one cohort on one set of devices.

    Each program is compiled when it is first used for a number of members; `num_compiled` counts them.
    """

    def __init__(self, config: ProgramConfig, packing: Packing, devices: Collection[jax.Device]):
        self.config = config = _with_microbatches(config) if packing == "exact" else config
        self.packing = packing
        self.mesh = member_mesh(devices)
        self.num_compiled = 0
        self._compiled: dict[tuple[str, int], Any] = {}
        over = _one_by_one if packing == "exact" else jax.vmap
        self._functions = {
            "init": self._sharded(over(functools.partial(train_step.init, config)), "m"),
            "advance": self._sharded(
                lambda states, members, data, steps, window: over(
                    lambda state, member, count, window: train_step.advance(config, member, state, data, count, window)
                )(states, members, steps, window),
                "mm.mm",
            ),
            "evaluate": self._sharded(
                lambda states, members, on_validation, on_test, data: over(
                    lambda state, member, *splits: evaluate.evaluate(config, member, state, data, *splits)
                )(states, members, on_validation, on_test),
                "mmmm.",
            ),
        }

    @property
    def num_devices(self) -> int:
        """Number of devices that members are distributed over."""
        return self.mesh.size

    def init(self, members: Member) -> State:
        """States [M] before the first update."""
        return self._run("init", members)

    def advance(
        self, members: Member, states: State, data: Data, steps: np.ndarray, window: StreamWindow | None = None
    ) -> State:
        """Applies up to `steps` updates, int32 [M], to each member. Donates `states`."""
        return self._run("advance", states, members, data, self.shard(steps), window)

    def evaluate(
        self, members: Member, states: State, validation: np.ndarray, test: np.ndarray, data: Data
    ) -> tuple[State, dict[str, dict[str, np.ndarray]]]:
        """Metrics of the members marked in `validation` and `test` (bool [M]), NaN for others. Donates `states`."""
        states, metrics = self._run("evaluate", states, members, self.shard(validation), self.shard(test), data)
        return states, jax.device_get(metrics)

    def shard(self, tree: Any) -> Any:
        """Puts arrays [M, ...] on the devices, members distributed in order."""
        return jax.device_put(tree, NamedSharding(self.mesh, P(MEMBER_AXIS)))

    def compile(self, name: str, *arguments: Any) -> Any:
        """The compiled program `name` for these arguments (arrays or their shapes), compiled once for each width."""
        width = jax.tree.leaves(arguments[0])[0].shape[0]
        if (name, width) not in self._compiled:
            lowered = self._functions[name].lower(*arguments)
            self._compiled[name, width] = lowered.compile(_FAST_COMPILATION if name == "init" else None)
            self.num_compiled += 1
        return self._compiled[name, width]

    def memory(self) -> tuple[int, int]:
        """(bytes on all devices while members train, the part of them in temporary buffers of an update)."""
        sizes = [program.memory_analysis() for (name, _), program in self._compiled.items() if name == "advance"]
        temporary = max(size.temp_size_in_bytes for size in sizes)
        total = max(
            size.argument_size_in_bytes + size.output_size_in_bytes - size.alias_size_in_bytes + size.temp_size_in_bytes
            for size in sizes
        )
        return self.num_devices * total, self.num_devices * temporary

    def state_shapes(self, members: Member) -> State:
        """Shapes and shardings of the states that `init` returns."""
        sharding = NamedSharding(self.mesh, P(MEMBER_AXIS))
        shapes = jax.eval_shape(self._functions["init"], members)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes)

    def _run(self, name: str, *arguments: Any) -> Any:
        return self.compile(name, *arguments)(*arguments)

    def _sharded(self, function: Any, arguments: str) -> Any:
        """`function` on each device's members. Arguments marked `m` are [M, …], the others are shared.

        States come first and are replaced, so their buffers are donated.
        """
        specs = tuple(P(MEMBER_AXIS) if mark == "m" else P() for mark in arguments)
        mapped = jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=P(MEMBER_AXIS), check_vma=False)
        return jax.jit(mapped, donate_argnums=(0,) if len(specs) > 1 else ())


def population_of(cohort: Cohort, device_data: DeviceData, packing: Packing) -> Population:
    """The programs of a cohort on the devices that hold the data."""
    return Population(program_config_of(cohort.first, device_data.dataset), packing, device_data.devices)


def _with_microbatches(config: ProgramConfig) -> ProgramConfig:
    """Enables microbatches if they change only rounding: no random mask and no statistics of the batch."""
    is_separable = not config.dropout and not config.model.is_stochastic
    return dataclasses.replace(config, microbatched=getattr(config.task, "loss_is_mean", False) and is_separable)


def _one_by_one(function: Any) -> Any:
    return lambda *arguments: jax.lax.map(lambda row: function(*row), arguments)


@dataclasses.dataclass(frozen=True)
class ProgramSummary:
    """Floating-point operations of one update of one member, and a hash of a cohort's programs."""

    flops: float
    digest: str


def summarize_program(trial: Trial, dataset: Dataset) -> ProgramSummary:
    """FLOPs and hash of a trial's programs: init, update and evaluation, lowered for one member; compiles nothing.

    The hash changes if and only if the code of a model, a task or dlm changes a program: programs are lowered for a CPU
    on every machine, and for one subset seed.
    """
    # Only shapes of the orders matter: no data are read.
    orders: Any = SimpleNamespace(
        dataset=dataset, index=lambda seed: 0, normalization_stats=lambda *_: normalization_stats(dataset, np.arange(1))
    )
    config, member = program_config_of(trial, dataset), member_shapes(members_of([trial], orders))
    state, data = jax.eval_shape(functools.partial(train_step.init, config), member), data_shapes(dataset)
    yes = jax.ShapeDtypeStruct((), np.bool_)
    steps = (
        (functools.partial(train_step.update, config), (member, state, data)),
        (functools.partial(train_step.init, config), (member,)),
        (functools.partial(evaluate.evaluate, config), (member, state, data, yes, yes)),
    )
    with contextlib.ExitStack() as stack:
        # Only the CPU client counts the operations of an uncompiled program; it may not be loaded.
        with contextlib.suppress(RuntimeError):
            stack.enter_context(jax.default_device(jax.devices("cpu")[0]))
        lowered = [jax.jit(step).trace(*shapes).lower(lowering_platforms=("cpu",)) for step, shapes in steps]
        cost: dict[str, float] = lowered[0].cost_analysis() or {}
    digest = hashlib.sha256("".join(program.as_text() for program in lowered).encode())
    return ProgramSummary(float(cost.get("flops", 0.0)), digest.hexdigest()[:16])

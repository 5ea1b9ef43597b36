"""A cohort's members as XLA programs: members × devices, exact or fast.

`exact` runs a device's members one after another inside the program (`lax.map`): each gets bit for bit what it would
get alone, and a member that is done costs nothing. `fast` runs them side by side (`vmap`), which fills an accelerator
and may differ by rounding. Devices share the members out among them and never talk.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from dlm.train import evaluate, train_step
from dlm.train.types import Data, Member, ProgramConfig, State, Window

Packing = Literal["exact", "fast"]
AXIS = "member"
_OF_ONE_USE = {"xla_backend_optimization_level": 1}  # takes half as long to compile as the default


class Population:
    """The programs of one cohort on one set of devices.

    Each is compiled at its first use for a number of members, and counted in `num_compiled`.
    """

    def __init__(self, spec: ProgramConfig, packing: Packing, devices: Collection[jax.Device]):
        self.spec = spec = _in_parts(spec) if packing == "exact" else spec
        self.packing = packing
        self.mesh = _mesh(devices)
        self.num_compiled = 0
        self._compiled: dict[tuple[str, int], Any] = {}
        over = _one_by_one if packing == "exact" else _side_by_side
        self._functions = {
            "init": self._sharded(over(functools.partial(train_step.init, spec)), "m"),
            "advance": self._sharded(
                lambda states, members, data, steps, window: over(
                    lambda state, one, count, window: train_step.advance(spec, one, state, data, count, window)
                )(states, members, steps, window),
                "mm.mm",
            ),
            "evaluate": self._sharded(
                lambda states, members, on_validation, on_test, data: over(
                    lambda state, one, *wanted: evaluate.evaluate(spec, one, state, data, *wanted)
                )(states, members, on_validation, on_test),
                "mmmm.",
            ),
        }

    @property
    def num_devices(self) -> int:
        """Devices that members are shared among."""
        return self.mesh.size

    def init(self, members: Member) -> State:
        """States [M] before the first update."""
        return self._run("init", members)

    def advance(
        self, members: Member, states: State, data: Data, steps: np.ndarray, window: Window | None = None
    ) -> State:
        """Up to `steps` updates, int32 [M], for each member. Consumes `states`."""
        return self._run("advance", states, members, data, self.shard(steps), window)

    def evaluate(
        self, members: Member, states: State, validation: np.ndarray, test: np.ndarray, data: Data
    ) -> tuple[State, dict[str, dict[str, np.ndarray]]]:
        """Measures of the members marked in `validation` and `test` (bool [M]), NaN for others. Consumes `states`."""
        states, measures = self._run("evaluate", states, members, self.shard(validation), self.shard(test), data)
        return states, jax.device_get(measures)

    def shard(self, tree: Any) -> Any:
        """Arrays [M, ...] onto the devices, members dealt out in order."""
        return jax.device_put(tree, NamedSharding(self.mesh, P(AXIS)))

    def compile(self, name: str, *arguments: Any) -> Any:
        """The compiled program `name` for these arguments (arrays or their shapes), compiled once a width."""
        width = jax.tree.leaves(arguments[0])[0].shape[0]
        if (name, width) not in self._compiled:
            lowered = self._functions[name].lower(*arguments)
            self._compiled[name, width] = lowered.compile(_OF_ONE_USE if name == "init" else None)
            self.num_compiled += 1
        return self._compiled[name, width]

    def memory(self) -> int:
        """Bytes on all devices while members train: data, states and what an update needs besides."""
        sizes = [self._compiled[key].memory_analysis() for key in self._compiled if key[0] == "advance"]
        return self.num_devices * max(
            size.argument_size_in_bytes + size.output_size_in_bytes - size.alias_size_in_bytes + size.temp_size_in_bytes
            for size in sizes
        )

    def scratch(self) -> int:
        """Bytes on all devices that an update needs besides data and states."""
        return self.num_devices * max(
            self._compiled[key].memory_analysis().temp_size_in_bytes for key in self._compiled if key[0] == "advance"
        )

    def shapes(self, members: Member) -> State:
        """Shapes and placement of the states that `init` would make."""
        placed = NamedSharding(self.mesh, P(AXIS))
        shapes = jax.eval_shape(self._functions["init"], members)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placed), shapes)

    def _run(self, name: str, *arguments: Any) -> Any:
        return self.compile(name, *arguments)(*arguments)

    def _sharded(self, function: Any, arguments: str) -> Any:
        """`function` on every device's own members: of its arguments those marked `m` are [M, …], the others shared.

        States come first and are replaced, so their buffers are donated.
        """
        specs = tuple(P(AXIS) if mark == "m" else P() for mark in arguments)
        mapped = jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=P(AXIS), check_vma=False)
        return jax.jit(mapped, donate_argnums=(0,) if len(specs) > 1 else ())


def replicated(tree: Any, devices: Collection[jax.Device]) -> Any:
    """Arrays onto every device."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), P()))


def deal(limits: Sequence[int], num_devices: int) -> list[int | None]:
    """Places of members on devices so that each device gets its share of the updates.

    limits: updates of each member. Returns member indices, one device's after another's, all devices the same number,
    None for padding: the longest are dealt out first, back and forth.
    """
    padding = [None] * (-len(limits) % num_devices)
    longest_first = [*sorted(range(len(limits)), key=lambda index: (-limits[index], index)), *padding]
    hands: list[list[int | None]] = [[] for _ in range(num_devices)]
    for start in range(0, len(longest_first), num_devices):
        row = longest_first[start : start + num_devices]
        for hand, place in zip(hands, row if (start // num_devices) % 2 == 0 else row[::-1]):
            hand.append(place)
    return [place for hand in hands for place in hand]


def _mesh(devices: Collection[jax.Device]) -> jax.sharding.Mesh:
    return jax.sharding.Mesh(np.array(sorted(devices, key=lambda device: device.id)), (AXIS,))


def _in_parts(spec: ProgramConfig) -> ProgramConfig:
    """Batches taken in parts, where that changes rounding alone: a mask drawn for a part is not the batch's."""
    return dataclasses.replace(spec, in_parts=getattr(spec.task, "loss_is_mean", False) and not spec.dropout)


def _one_by_one(function: Any) -> Any:
    return lambda *arguments: jax.lax.map(lambda each: function(*each), arguments)


def _side_by_side(function: Any) -> Any:
    return jax.vmap(function)

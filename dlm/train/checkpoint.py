"""Checkpoints of a cohort. The only file with orbax."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from dlm.train.member import State


@dataclasses.dataclass(frozen=True)
class Saved:
    """States [M] as NumPy arrays, with the trial and the training seconds of each row."""

    states: State
    trial_ids: tuple[str, ...]
    seconds: tuple[float, ...]


class Checkpoints:
    """The checkpoints under one folder; the newest two are kept.

    A checkpoint is numbered by the updates that the cohort's members had applied in all, so numbers only grow. Rows go
    by trial id, so that members may join and leave between two runs.
    """

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(2),
            save_decision_policy=ocp.checkpoint_managers.FixedIntervalPolicy(1),
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)
        self._step = self._manager.latest_step() or 0

    def save(self, updates: int, states: State, seconds: Mapping[str, float]) -> None:
        """Save states whose rows belong to the keys of `seconds`, `updates` updates after the last save."""
        self._step += max(1, updates)
        # A copy: the next update is donated these buffers while orbax still writes them.
        states = jax.tree.map(np.array, jax.device_get(states))
        self._manager.save(
            self._step,
            args=ocp.args.Composite(
                states=ocp.args.StandardSave(states),
                rows=ocp.args.JsonSave({"trial_ids": list(seconds), "seconds": list(seconds.values())}),
            ),
        )

    def restore(self, example: State) -> Saved | None:
        """The newest checkpoint, None if there is none. `example`: a state's shapes, without the row axis."""
        if not self._manager.all_steps():
            return None
        step = self._manager.latest_step()
        rows = self._manager.restore(step, args=ocp.args.Composite(rows=ocp.args.JsonRestore())).rows
        number = len(rows["trial_ids"])
        target = jax.tree.map(lambda leaf: np.zeros((number, *leaf.shape), leaf.dtype), example)
        states = self._manager.restore(step, args=ocp.args.Composite(states=ocp.args.StandardRestore(target))).states
        return Saved(states, tuple(rows["trial_ids"]), tuple(rows["seconds"]))

    def close(self) -> None:
        """Wait until what was saved is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()

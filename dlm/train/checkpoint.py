"""Saves and restores the checkpoints of a cohort. The only module that imports orbax."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from dlm.train.types import ResourceUsage, State
from dlm.utils.files import set_aside


@dataclasses.dataclass(frozen=True)
class SavedCohort:
    """States [M] as NumPy arrays, with the trial id and the resource usage of each row."""

    states: State
    trial_ids: tuple[str, ...]
    usage: tuple[ResourceUsage, ...]


class Checkpoints:
    """The checkpoints in one folder; the newest two are retained.

    A checkpoint's number is the total of updates of the cohort's members, so numbers only grow. Rows are identified by
    trial id, so members may join and leave between two runs. Each checkpoint holds the CRC-32 of every array and of the
    table of rows; a damaged one is moved to `damaged/` beside the folder and reported through `log`, and the one before
    it is restored. Errors of a full or vanished disk are OSErrors.
    """

    def __init__(self, folder: Path, log: Callable[[str], None] = lambda _: None):
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(2),
            save_decision_policy=ocp.checkpoint_managers.FixedIntervalPolicy(1),
            enable_async_checkpointing=True,
        )
        self._folder, self._log = folder.absolute(), log
        with _storage_errors(self._folder):
            self._manager = ocp.CheckpointManager(self._folder, options=options)
            self._step = self._manager.latest_step() or 0

    def save(self, updates: int, states: State, usage: Mapping[str, ResourceUsage]) -> None:
        """Saves states whose rows belong to the keys of `usage`, `updates` updates after the last save.

        Returns when the arrays are copied; they are written while training continues. A write error is raised by the
        next call.
        """
        self._step += max(1, updates)
        # Copies, because the next update reuses the device buffers while orbax still writes.
        states = jax.tree.map(lambda leaf: np.array(leaf) if isinstance(leaf, jax.Array) else leaf, states)
        rows = {"trial_ids": list(usage), "usage": [list(used) for used in usage.values()], "crc32": _checksums(states)}
        with _storage_errors(self._folder):
            self._manager.save(
                self._step,
                args=ocp.args.Composite(
                    states=ocp.args.StandardSave(states),
                    rows=ocp.args.JsonSave(rows | {"check": _checksum_of(rows)}),
                ),
            )

    def restore(self, example: State) -> SavedCohort | None:
        """The newest undamaged checkpoint, None if there is none. `example`: shapes of the state of one member."""
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(step, example)
            except PermissionError:
                raise
            except Exception as error:  # orbax raises anything for damaged files
                self._set_aside(step, error)
        return None

    def _read(self, step: int, example: State) -> SavedCohort:
        rows = self._manager.restore(step, args=ocp.args.Composite(rows=ocp.args.JsonRestore())).rows
        if rows.pop("check") != _checksum_of(rows):
            raise ValueError("the table of rows does not match its checksum")
        number = len(rows["trial_ids"])
        target = jax.tree.map(lambda leaf: np.zeros((number, *leaf.shape), leaf.dtype), example)
        states = self._manager.restore(step, args=ocp.args.Composite(states=ocp.args.StandardRestore(target))).states
        if _checksums(states) != rows["crc32"]:
            raise ValueError("an array does not match its checksum")
        return SavedCohort(states, tuple(rows["trial_ids"]), tuple(ResourceUsage(*used) for used in rows["usage"]))

    def _set_aside(self, step: int, error: Exception) -> None:
        moved = set_aside(self._folder / str(step), self._folder.parent / "damaged")
        self._manager.reload()
        reason = str(error).partition("\n")[0][:200]
        self._log(f"the checkpoint {self._folder / str(step)} is damaged ({reason}); it was moved to {moved}")

    def close(self) -> None:
        """Waits until all checkpoints are on disk."""
        with _storage_errors(self._folder):
            try:
                self._manager.wait_until_finished()
            finally:
                self._manager.close()


def _checksums(states: Any) -> list[int]:
    """CRC-32 of each array's bytes, in the order of the tree's leaves."""
    return [zlib.crc32(np.ascontiguousarray(leaf).data.cast("B")) for leaf in jax.tree.leaves(states)]


def _checksum_of(rows: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(rows, sort_keys=True).encode())


@contextlib.contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    """Converts errors of orbax on a full disk or in a vanished folder to OSErrors."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        text = str(error)
        if "No space left" in text or "ENOSPC" in text or "Disk quota" in text:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder)) from error
        if not folder.parent.exists():
            raise FileNotFoundError(errno.ENOENT, "the folder has vanished", str(folder)) from error
        raise

"""Checkpoints of a cohort. The only file with orbax."""

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
class Saved:
    """States [M] as NumPy arrays, with the trial of each row and what its training took."""

    states: State
    trial_ids: tuple[str, ...]
    spent: tuple[ResourceUsage, ...]


class Damaged(RuntimeError):
    """What was read is not what was saved."""


class Checkpoints:
    """The checkpoints under one folder; the newest two are kept.

    A checkpoint is numbered by the updates that the cohort's members had applied in all, so numbers only grow. Rows go
    by trial id, so that members may join and leave between two runs. Each holds the CRC-32 of every array and of the
    table of rows; one that does not fit is moved to `damaged/` beside the folder, `tell` says so, and the one before it
    is used. Errors of a full or vanished disk are OSErrors.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda _: None):
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(2),
            save_decision_policy=ocp.checkpoint_managers.FixedIntervalPolicy(1),
            enable_async_checkpointing=True,
        )
        self._folder, self._tell = folder.absolute(), tell
        with _storage_errors(self._folder):
            self._manager = ocp.CheckpointManager(self._folder, options=options)
            self._step = self._manager.latest_step() or 0

    def save(self, updates: int, states: State, spent: Mapping[str, ResourceUsage]) -> None:
        """Save states whose rows belong to the keys of `spent`, `updates` updates after the last save.

        Returns when the arrays are copied; they are written while training goes on. An error of writing is raised by
        the next call.
        """
        self._step += max(1, updates)
        # Copies: the next update is donated a device's buffers while orbax still writes them.
        states = jax.tree.map(lambda leaf: np.array(leaf) if isinstance(leaf, jax.Array) else leaf, states)
        rows = {"trial_ids": list(spent), "spent": [list(each) for each in spent.values()], "crc32": _checksums(states)}
        with _storage_errors(self._folder):
            self._manager.save(
                self._step,
                args=ocp.args.Composite(
                    states=ocp.args.StandardSave(states),
                    rows=ocp.args.JsonSave(rows | {"check": _checksum_of(rows)}),
                ),
            )

    def restore(self, example: State) -> Saved | None:
        """The newest checkpoint that is whole, None if there is none. `example`: a state's shapes, without the rows."""
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(step, example)
            except PermissionError:
                raise
            except Exception as error:  # whatever orbax makes of damaged files
                self._set_aside(step, error)
        return None

    def _read(self, step: int, example: State) -> Saved:
        rows = self._manager.restore(step, args=ocp.args.Composite(rows=ocp.args.JsonRestore())).rows
        if rows.pop("check") != _checksum_of(rows):
            raise Damaged("the table of rows does not fit its checksum")
        number = len(rows["trial_ids"])
        target = jax.tree.map(lambda leaf: np.zeros((number, *leaf.shape), leaf.dtype), example)
        states = self._manager.restore(step, args=ocp.args.Composite(states=ocp.args.StandardRestore(target))).states
        if _checksums(states) != rows["crc32"]:
            raise Damaged("an array does not fit its checksum")
        spent = rows.get("spent") or [[seconds] for seconds in rows["seconds"]]  # before there were joules
        return Saved(states, tuple(rows["trial_ids"]), tuple(ResourceUsage(*each) for each in spent))

    def _set_aside(self, step: int, error: Exception) -> None:
        moved = set_aside(self._folder / str(step), self._folder.parent / "damaged")
        self._manager.reload()
        reason = str(error).partition("\n")[0][:200]
        self._tell(f"the checkpoint {self._folder / str(step)} is damaged ({reason}); it is now {moved}")

    def close(self) -> None:
        """Wait until what was saved is on disk."""
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
    """Turn what orbax and its libraries raise on a full disk, or where the folder vanished, into OSErrors."""
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

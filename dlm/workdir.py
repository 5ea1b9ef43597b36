"""The folder of one run of one study: whose it is, who is in it, and what it was made with."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dlm
from dlm import records
from dlm.config import canonical
from dlm.declared import check_fields
from dlm.errors import UsageError
from dlm.files import set_aside, write_atomically
from dlm.provenance import changes as provenance_changes
from dlm.study import Study

STUDY, LOCK = "study.json", "lock.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
MUST_AGREE = ("data", "task", "budget")  # and each learner; sizes, seeds, axes and learners may come and go
_ABSENT = object()


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"dlm": dlm.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@contextlib.contextmanager
def occupied(workdir: Path) -> Iterator[None]:
    """Make the folder if need be and hold it for this process.

    UsageError if it cannot be written, or a living process (or one on another host) holds it. A lock that a
    dead process left is taken over.
    """
    lock = workdir / LOCK
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not os.access(workdir, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with _alone(workdir):
            mine = _take(lock)
    except OSError as error:
        reason = "it is a file" if workdir.is_file() else error.strerror
        raise UsageError(
            f"--workdir={workdir} cannot be written ({reason}); choose a folder that can, with --workdir"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError), _alone(workdir):
            # Whoever deleted the lock may have taken it since.
            if lock.read_text(encoding="utf-8") == mine:
                lock.unlink()


def claim(
    workdir: Path,
    study: Study,
    data: Mapping[str, Any],
    question: str,
    made_with: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Write study.json, or check that the one there is of the same study: only sizes, seeds, axes may differ.

    `data`: name and fingerprint of what was read; `made_with`: see `provenance`, of what is still to be done.
    UsageError names each field that differs, and leaves everything as it was. A damaged study.json is set aside.
    """
    described = {"question": question, "study": canonical(study), "versions": versions()}
    described |= {"read": dict(data), "made_with": dict(made_with or {})}
    path = workdir / STUDY
    before = _described(path, tell)
    if before is None:
        _refuse_other_data(workdir, data)
    else:
        try:
            changes = differences(before, described)
            other_code = provenance_changes(before.get("made_with", {}), described["made_with"])
            described["made_with"] = {**before.get("made_with", {}), **described["made_with"]}
        except (KeyError, TypeError, AttributeError):
            raise UsageError(f"{path} is not a study's description; choose another --workdir") from None
        if changes:
            raise UsageError(
                f"--workdir={workdir} holds another study: {'; '.join(changes[:5])}. "
                "Choose another --workdir, or undo the change"
            )
        if other_code:
            raise UsageError(
                f"--workdir={workdir} was made with other code: {'; '.join(other_code[:5])}. New numbers would not "
                "compare with those there; choose another --workdir, or go back to what it was made with"
            )
    write_atomically(path, json.dumps(described | {"crc32": _checksum(described)}, indent=1) + "\n")


def _described(path: Path, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """What study.json says; None if there is none, or a damaged one, which is set aside.

    UsageError for a file that was never a study's description.
    """
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_bytes())
        checksum = told.pop("crc32", None)
    except (ValueError, AttributeError, TypeError, IsADirectoryError, RecursionError):
        # Where there are records, it was ours once.
        if not (path.parent / records.FILE).exists():
            raise UsageError(f"{path} is not a study's description; choose another --workdir") from None
        checksum, told = "", {}
    if checksum in (None, _checksum(told)):
        return told
    moved = set_aside(path)
    tell(f"{path} is damaged; it is now {moved}, and written anew")
    return None


def _refuse_other_data(workdir: Path, data: Mapping[str, Any]) -> None:
    """UsageError if the records there are of other data than was read; without study.json they are all there is."""
    name = f"{data['name']}@{data['fingerprint']}"
    others = {row.data for row in records.rows(workdir)} - {name}
    if others:
        raise UsageError(
            f"--workdir={workdir} holds records of {', '.join(sorted(others))}, and the study reads {name}; "
            "choose another --workdir"
        )


def _checksum(described: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(described, sort_keys=True).encode()):08x}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`path: old → new` for each field that changes the numbers of trials that both studies have."""
    old_parts, new_parts = before["study"], now["study"]
    pairs = [(f"{part}.", old_parts[part], new_parts[part]) for part in MUST_AGREE]
    for name, learner in old_parts["learners"].items():
        if name in new_parts["learners"]:
            pairs.append((f"learners.{name}.", learner, new_parts["learners"][name]))
    changes = []
    for prefix, old, new in [*pairs, ("read.", before["read"], now["read"])]:
        old_fields, new_fields = _flat(old, prefix), _flat(new, prefix)
        changes += [
            f"{path}: {old_fields.get(path, 'absent')} → {new_fields.get(path, 'absent')}"
            for path in dict.fromkeys([*old_fields, *new_fields])
            if old_fields.get(path, _ABSENT) != new_fields.get(path, _ABSENT)
        ]
    return changes


@dataclasses.dataclass(frozen=True)
class _Holder:
    host: str
    pid: int
    born: str  # of the process, so that a number used again is not taken for the same process
    since: str

    @classmethod
    def this(cls) -> _Holder:
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), time.strftime("%Y-%m-%d %H:%M:%S"))

    def is_gone(self) -> bool:
        return self.host == socket.gethostname() and _born(self.pid) != self.born


@contextlib.contextmanager
def _alone(workdir: Path) -> Iterator[None]:
    """Keep other processes of this host waiting, so that two never take over a dead process's lock."""
    handle = os.open(workdir, os.O_RDONLY)
    try:
        # File systems without such locks are left to chance.
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _take(lock: Path) -> str:
    """Write the lock, and what it says; UsageError if someone holds it."""
    mine = json.dumps(dataclasses.asdict(_Holder.this()))
    for _ in range(3):
        with contextlib.suppress(FileExistsError):
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(mine)
            return mine
        try:
            holder = _Holder(**json.loads(lock.read_text(encoding="utf-8")))
            check_fields(holder, LOCK)
        except FileNotFoundError:
            continue
        except (ValueError, TypeError, RecursionError):
            holder = _Holder("an unknown host", 0, "", "an unknown time")
        if not holder.is_gone():
            raise UsageError(
                f"--workdir={lock.parent} is in use by process {holder.pid} on {holder.host} since "
                f"{holder.since}; wait, choose another --workdir, or delete {lock} if that process is gone"
            )
        with contextlib.suppress(FileNotFoundError):
            lock.unlink()
    raise UsageError(f"--workdir={lock.parent}: others keep taking its lock; choose another --workdir")


def _born(pid: int) -> str:
    """When a process started, in the kernel's own words; empty when there is none."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except PermissionError:
        return "alive"
    return "alive" if not Path("/proc/self/stat").exists() else ""


def _flat(value: Any, prefix: str) -> dict[str, Any]:
    """Leaves of nested mappings by dotted path; a list is a leaf."""
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {path: leaf for key, child in value.items() for path, leaf in _flat(child, f"{prefix}{key}.").items()}

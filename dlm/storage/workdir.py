"""The folder of one run of one study: whose it is, and what it was made with."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import inspect
import json
import platform
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dlm.storage import record_log
from dlm.study.config import canonical
from dlm.study.study import Study
from dlm.study.trial import Cohort, Trial
from dlm.utils.errors import UsageError
from dlm.utils.files import set_aside, write_atomically
from dlm.utils.version import version

# Versions that can change the last bits of a number though the program's text stays.
COMPILERS, CLASSICAL = ("jax", "jaxlib"), ("numpy", "scipy", "scikit-learn")


def made_with(programs: Mapping[Cohort, Any], classical: Iterable[Trial]) -> dict[str, dict[str, str]]:
    """By cohort id, or a classical learner's name: what its numbers would be made with now.

    programs: what each cohort computes, as a `Program` with its `digest`.
    """
    found = {
        cohort.cohort_id: {"learner": cohort.first.name, "program": program.digest, **_versions(COMPILERS)}
        for cohort, program in programs.items()
    }
    for trial in classical:
        packages = (*CLASSICAL, *getattr(trial.learner, "packages", ()))
        found.setdefault(
            f"classical {trial.name}", {"learner": trial.name, "code": _code(trial.learner), **_versions(packages)}
        )
    return found


def provenance_changes(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of what is needed now was something else before, in words."""
    told = []
    for key in now.keys() & before.keys():
        for name in now[key].keys() | before[key].keys():
            old, new = before[key].get(name, "absent"), now[key].get(name, "absent")
            if old != new:
                told.append(_said(str(now[key]["learner"]), name, old, new))
    return sorted(set(told))


def _said(learner: str, name: str, old: str, new: str) -> str:
    if name == "program":
        return f"learners.{learner} computes another program (its model, its task, dlm or a library changed)"
    if name == "code":
        return f"the code of learners.{learner} changed"
    return f"{name} {old} → {new}"


def _code(learner: Any) -> str:
    """Hash of the source of the module that a classical learner's class is in; of its name where there is none."""
    kind = type(learner)
    try:
        source = inspect.getsource(sys.modules[kind.__module__])
    except (KeyError, OSError, TypeError):
        source = kind.__qualname__
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _versions(packages: Iterable[str]) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in packages}


STUDY = "study.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
MUST_AGREE = ("data", "task", "budget")  # and each learner; sizes, seeds, axes and learners may come and go
_ABSENT = object()


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"dlm": version(), "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def claim(
    workdir: Path,
    study: Study,
    data: Mapping[str, Any],
    question: str,
    made_with: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    command: str = "",
) -> None:
    """Write study.json, or check that the one there is of the same study: only sizes, seeds, axes may differ.

    `data`: name and fingerprint of what was read; `made_with`: see `provenance`, of what is still to be done;
    `command`: that which ran the study last.
    UsageError names each field that differs, and leaves everything as it was. A damaged study.json is set aside.
    """
    described = {"question": question, "study": canonical(study), "versions": versions()}
    described |= {"read": dict(data), "made_with": dict(made_with or {}), "command": command}
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
        if not (path.parent / record_log.FILE).exists():
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
    others = {row.data for row in record_log.rows(workdir)} - {name}
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


def _flat(value: Any, prefix: str) -> dict[str, Any]:
    """Leaves of nested mappings by dotted path; a list is a leaf."""
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {path: leaf for key, child in value.items() for path, leaf in _flat(child, f"{prefix}{key}.").items()}

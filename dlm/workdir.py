"""The folder of one run of one study: whose it is, and what it was made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dlm
from dlm.config import canonical
from dlm.errors import UsageError
from dlm.study import Study

STUDY = "study.json"
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


def claim(workdir: Path, study: Study, data: Mapping[str, Any], question: str) -> None:
    """Write study.json, or check that the one there is of the same study: only sizes, seeds, axes may differ.

    `data`: name and fingerprint of what was read. UsageError names each field that differs.
    """
    described = {"question": question, "study": canonical(study), "read": dict(data), "versions": versions()}
    path = workdir / STUDY
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            changes = differences(before, described)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UsageError(f"{path} is not a study's description; choose another --workdir") from None
        if changes:
            raise UsageError(
                f"--workdir={workdir} holds another study: {'; '.join(changes[:5])}. "
                "Choose another --workdir, or undo the change"
            )
    write_atomically(path, json.dumps(described, indent=1) + "\n")


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


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that whoever reads it sees the old or the new one, never a part."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _flat(value: Any, prefix: str) -> dict[str, Any]:
    """Leaves of nested mappings by dotted path; a list is a leaf."""
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {path: leaf for key, child in value.items() for path, leaf in _flat(child, f"{prefix}{key}.").items()}

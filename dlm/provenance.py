"""What numbers are made with: the programs that cohorts compute, classical learners' code, and versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from dlm.study import Cohort, Trial

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


def changes(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
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

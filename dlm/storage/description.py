"""Reads, writes and compares study.json: the study of a workdir, its data, and the code that made its numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import platform
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dlm.storage.record_log import has_valid_seal, seal
from dlm.study.config import flat
from dlm.study.names import ChanceLevel
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

if TYPE_CHECKING:
    from dlm.study.trial import Cohort, Trial

STUDY = "study.json"
FORMAT = 1  # of study.json and records.jsonl; a change that older code cannot read gets the next number
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
# Versions that can change the last bits of a number although the program's text stays.
COMPILERS, CLASSICAL = ("jax", "jaxlib"), ("numpy", "scipy", "scikit-learn")
MUST_AGREE = ("data", "task", "budget")  # and learners of the same name; sizes, seeds and axes may change


class DamagedDescription(Exception):
    """study.json does not match its checksum."""


@dataclasses.dataclass(frozen=True)
class StudyDescription:
    """Content of study.json.

    `study` is the canonical form of the `Study` that ran last. `data` holds `name` and `fingerprint` of the data read.
    `provenance` maps a cohort id or "classical NAME" to the code and library versions of its numbers. `versions` are
    those of the last run, `command` its command line. `chance` is None if the task has no constant prediction;
    `pool_size` is the number of examples in the training pool, `remarks` are sentences on how the data were read.
    """

    question: str
    study: dict[str, Any]
    data: dict[str, str]
    provenance: dict[str, dict[str, str]]
    versions: dict[str, str]
    command: str
    format: int
    chance: ChanceLevel | None = None
    pool_size: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def study_name(self) -> str:
        """Name of the study."""
        return self.study.get("name", "")

    @property
    def learners(self) -> list[str]:
        """Names of the learners, in the order of their declaration."""
        return list(self.study.get("learners", ()))


def read(folder: Path) -> StudyDescription | None:
    """Content of `folder`/study.json; None without one.

    Raises UsageError for another format, and `DamagedDescription` if the content does not match its checksum.
    """
    path = folder / STUDY
    try:
        data = path.read_bytes().rstrip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a study's description; choose another --workdir") from None
    is_valid = has_valid_seal(data)
    try:
        content = msgspec.json.decode(data, type=dict)
    except (msgspec.DecodeError, RecursionError):
        raise DamagedDescription from None
    if is_valid is False:
        raise DamagedDescription
    with contextlib.suppress(msgspec.ValidationError):
        description = msgspec.convert(content, StudyDescription)
        if is_valid and description.format == FORMAT:
            return description
    raise UsageError(
        f"{path} does not have format {FORMAT}, which this version of dlm reads; choose another --workdir, or use the "
        "dlm version that made it"
    )


def write(folder: Path, description: StudyDescription) -> None:
    """Write `folder`/study.json with a checksum, atomically."""
    body = msgspec.json.format(msgspec.json.encode(description), indent=1)
    write_atomically(folder / STUDY, seal(body).decode() + "\n")


def differences(before: StudyDescription, now: StudyDescription) -> list[str]:
    """`path: old → new` of each field that changes the numbers of trials that both studies have."""
    pairs: list[tuple[str, Any, Any]] = [(f"{part}.", before.study[part], now.study[part]) for part in MUST_AGREE]
    for name, learner in before.study["learners"].items():
        if name in now.study["learners"]:
            pairs.append((f"learners.{name}.", learner, now.study["learners"][name]))
    pairs.append(("splits", before.study.get("splits", 1), now.study.get("splits", 1)))
    changes = []
    for prefix, old, new in [*pairs, ("read.", before.data, now.data)]:
        old_fields, new_fields = flat(old, prefix), flat(new, prefix)
        for path in dict.fromkeys([*old_fields, *new_fields]):
            values = old_fields.get(path, "absent"), new_fields.get(path, "absent")
            if values[0] != values[1]:
                changes.append(f"{path}: {values[0]} → {values[1]}")
    return changes


@functools.cache
def version() -> str:
    """The version of the installed dlm, or of the checkout that it is run from."""
    try:
        return importlib.metadata.version("dlm")
    except importlib.metadata.PackageNotFoundError:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])


def versions() -> dict[str, str]:
    """Versions of dlm, Python and the libraries that decide the numbers."""
    result = {"dlm": version(), "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            result[package] = importlib.metadata.version(package)
    return result


def provenance(programs: Mapping[Cohort, Any], classical: Iterable[Trial]) -> dict[str, dict[str, str]]:
    """Code and library versions by cohort id, or by "classical NAME" for a classical learner.

    `programs` maps each cohort to its `Program`, whose `digest` identifies the compiled computation.
    """
    result = {
        cohort.cohort_id: {"learner": cohort.first.name, "program": program.digest, **_installed(COMPILERS)}
        for cohort, program in programs.items()
    }
    for trial in classical:
        key = f"classical {trial.name}"
        if key not in result:
            packages = (*CLASSICAL, *getattr(trial.learner, "packages", ()))
            result[key] = {"learner": trial.name, "code": _code_hash(trial.learner), **_installed(packages)}
    return result


def provenance_changes(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Sentences on each difference between the provenances of cohorts and classical learners that both contain."""
    changes = set()
    for key in now.keys() & before.keys():
        learner = f"learners.{now[key]['learner']}"
        sentences = {
            "program": f"{learner} computes another program (its model, its task, dlm or a library changed)",
            "code": f"the code of {learner} changed",
        }
        for name in now[key].keys() | before[key].keys():
            old, new = before[key].get(name, "absent"), now[key].get(name, "absent")
            if old != new:
                changes.add(sentences.get(name, f"{name} {old} → {new}"))
    return sorted(changes)


def _code_hash(learner: Any) -> str:
    """Hash of the source of the module that defines a classical learner's class, or of its name without a source."""
    kind = type(learner)
    try:
        source = inspect.getsource(sys.modules[kind.__module__])
    except (KeyError, OSError, TypeError):
        source = kind.__qualname__
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _installed(packages: Iterable[str]) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in packages}

"""How many examples of a study's data are in two places, as its workdir keeps it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from dlm.files import write_atomically

FILE = "leaks.json"
WITHOUT_LEAKS = "error_without_leaks"  # the measure of test examples that are not in the pool too


@dataclasses.dataclass(frozen=True)
class LeakCounts:
    """How many examples are in two places: test examples that are in the pool, pool examples that an earlier one is.

    `near` are those among them that are not equal in every number; `note` says what could not be looked for.
    """

    pool: int
    test: int
    leaked: int
    leaked_near: int
    repeated: int
    repeated_near: int
    note: str = ""


def write(workdir: Path, counts: LeakCounts) -> None:
    """Keep the counts with the run, for its report."""
    write_atomically(workdir / FILE, json.dumps(dataclasses.asdict(counts)) + "\n")


def read(workdir: Path) -> LeakCounts | None:
    """The counts of a run; None if nobody looked, or they cannot be read."""
    try:
        return LeakCounts(**json.loads((workdir / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None

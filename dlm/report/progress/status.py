"""What is known of a run while it goes on, as plain data: drawn, said in a line, kept as progress.json."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from dlm.study.config import check_fields
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

FILE = "progress.json"
ENDED = ("done", "stopped", "failed")


@dataclasses.dataclass(frozen=True)
class Row:
    """The cells of one learner at one size. `failed` have no error, diverged ones too; no `median` before the first.

    `low` to `high` is the spread of the errors, as `dlm.curves.summary` has it.
    """

    learner: str
    size: int
    cells: int
    trained: int = 0
    running: int = 0
    failed: int = 0
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a learner at all sizes: its unit and, from three sizes on, its law."""

    learner: str
    unit: str = ""
    law: str = ""


@dataclasses.dataclass(frozen=True)
class Status:
    """A run at one moment. Times in seconds, `memory` in bytes; None is what is not known.

    `state` is "running", or how the run ended: "done", "stopped" (a signal) or "failed". `share` of the work is done,
    by the time that it takes; `left` is the time for the rest. `spent` is the time of each phase. `host` and `pid` tell
    the process that wrote it.
    """

    study: str
    state: str
    phase: str = ""
    detail: str = ""
    rows: tuple[Row, ...] = ()
    about: tuple[About, ...] = ()
    share: float | None = None
    elapsed: float = 0.0
    left: float | None = None
    examples_per_second: float | None = None
    spent: tuple[tuple[str, float], ...] = ()
    memory: int | None = None
    device_memory: int | None = None
    host: str = ""
    pid: int = 0

    def total(self, field: str) -> int:
        """Sum of a field of the rows: `cells`, `trained`, `running` or `failed`."""
        return sum(getattr(row, field) for row in self.rows)


def write(workdir: Path, status: Status) -> None:
    """Put a status into the workdir, in place of the one before. OSError where the disk is full, say."""
    write_atomically(workdir / FILE, json.dumps(dataclasses.asdict(status), allow_nan=False) + "\n")


def read(workdir: Path) -> Status | None:
    """The status in a workdir; None if there is none, or none that can be read: it is only there to be looked at."""
    try:
        told = json.loads((workdir / FILE).read_bytes())
        told["rows"] = tuple(_checked(Row(**row)) for row in told["rows"])
        told["about"] = tuple(_checked(About(**about)) for about in told["about"])
        told["spent"] = tuple((phase, float(seconds)) for phase, seconds in told["spent"])
        return _checked(Status(**told))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _checked(value: Any) -> Any:
    """A dataclass whose fields hold what they should; UsageError for others, among them what would move a cursor."""
    check_fields(value, FILE)
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if isinstance(held, str) and not held.isprintable():
            raise UsageError(f"{FILE}: {field.name}={held!r} cannot be printed")
        if isinstance(held, int | float) and not 0 <= held < math.inf:
            raise UsageError(f"{FILE}: {field.name}={held!r} is no count, time or error")
    return value

"""Look at a run elsewhere: another process, or another host that shares the folder. Nothing is written there."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dlm.report.progress import status as statuses
from dlm.report.progress.eta import duration
from dlm.report.progress.screen import Screen
from dlm.report.progress.status import ENDED, About, Row, Status
from dlm.report.progress.tracker import Tally
from dlm.storage.description import STUDY
from dlm.storage.lock import HEARTBEAT, STALE_AFTER, LockFile, read_lock
from dlm.storage.record_log import Follower
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

LOOK = 1.0  # seconds between two looks
QUIET = 3 * HEARTBEAT  # seconds without a renewed lock from which on that is said


def watch(
    workdir: Path,
    console: Console | None = None,
    interval_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Status:
    """Show the run in a workdir until it ends, and return how it did.

    UsageError if there is no study there. A run that was killed, or has been silent for STALE_AFTER seconds, has ended.
    """
    if not (workdir / STUDY).is_file():
        raise UsageError(f"--workdir={workdir} holds no study; name the folder of a run")
    screen, look = Screen(console, interval_seconds, clock), _Look(workdir, clock)
    status = look()
    try:
        while status.state == "running":
            screen.show(status)
            sleep(LOOK)
            status = look()
    finally:
        screen.close(status)
    return status


class _Look:
    """What a workdir tells of the run in it, at each call anew."""

    def __init__(self, workdir: Path, clock: Callable[[], float]) -> None:
        self._workdir, self._clock = workdir, clock
        self._heard: tuple[int, float] = (-1, clock())  # the lock's last renewal, and when it was first seen
        self._records, self._tally = Follower(workdir), Tally(None)

    def __call__(self) -> Status:
        holder, told = read_lock(self._workdir), statuses.read(self._workdir)
        if told is not None and holder is not None and (told.host, told.pid) != holder.process:
            return self._alive(holder, None) if not holder.is_dead else self._counted("killed", told)
        if told is not None and told.state in ENDED:
            return told
        if holder is None or holder.is_dead:
            return self._counted("killed" if holder else "ended", told)
        return self._alive(holder, told)

    def _alive(self, holder: LockFile, told: Status | None) -> Status:
        """What its holder does: `told`, if that is his, unless he is silent."""
        if holder.renewed != self._heard[0]:
            self._heard = (holder.renewed, self._clock())
        silence = self._clock() - self._heard[1]
        host, pid = holder.process
        who = f"process {pid} on {host}" if pid else "an unknown process"
        if silence >= STALE_AFTER:
            return self._counted("silent", told, detail=f"{who}, for {duration(silence)}")
        if silence >= QUIET:
            told = told or self._counted("running", None)
            return dataclasses.replace(told, phase=f"silent for {duration(silence)}", detail=who)
        return told or self._counted("running", None, phase="starting", detail=who)

    def _counted(self, state: str, told: Status | None, phase: str = "", detail: str = "") -> Status:
        """Cells as the records have them, which are the truth where no status was written at the end."""
        self._tally.add(self._records())
        name, expected = _declared(self._workdir)
        if told is not None:
            expected = {(row.learner, row.size): row.cells for row in told.rows}
        found = {(row.learner, row.size): row for row in self._tally.rows()}
        rows = []
        for key in expected if found.keys() <= expected.keys() else found:
            row = found.get(key, Row(*key, 0))
            rows.append(dataclasses.replace(row, cells=max(expected.get(key, 0), row.trained + row.failed)))
        about = told.about if told else tuple(About(curve.learner, curve.unit) for curve in self._tally.curves())
        last = dataclasses.replace(told or Status(name, state), state=state, rows=tuple(rows), about=about)
        return dataclasses.replace(last, phase=phase, detail=detail, left=None, examples_per_second=None)


def _declared(workdir: Path) -> tuple[str, dict[tuple[str, int], int]]:
    """Name of the study, and its cells by learner and size; none where they are not simply one a seed, or not told."""
    try:
        study = json.loads((workdir / STUDY).read_bytes())["study"]
        cells = {(learner, size): len(study["seeds"]) for learner in study["learners"] for size in study["train_sizes"]}
        return study["name"], cells if len(study["axes"]["points"]) < 2 and not study["tuning"] else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return workdir.name, {}

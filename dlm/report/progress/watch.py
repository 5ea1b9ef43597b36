"""Displays the run in a workdir from another process, also on another host that shares the folder; writes nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dlm.report.formatting import duration
from dlm.report.progress import status as statuses
from dlm.report.progress.display import ProgressDisplay
from dlm.report.progress.status import RunStatus, SizeProgress, State, TrialCounts
from dlm.storage.lock import HEARTBEAT, STALE_AFTER, LockFile, read_lock
from dlm.storage.record_log import Follower
from dlm.storage.workdir import Workdir

if TYPE_CHECKING:
    from rich.console import Console

POLL_SECONDS = 1.0
SILENT_AFTER = 3 * HEARTBEAT  # seconds without a renewed lock after which the run is displayed as silent


def watch(
    path: Path,
    console: Console | None = None,
    interval_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RunStatus:
    """Display the run in a workdir until it ends, and return its last status.

    UsageError if the folder has no study. A run whose process died, or whose lock was not renewed for STALE_AFTER
    seconds, has ended.
    """
    monitor = _Monitor(Workdir.open(path), clock)
    display = ProgressDisplay(console, interval_seconds, clock)
    status = monitor.status()
    try:
        while status.state == "running":
            display.show(status)
            sleep(POLL_SECONDS)
            status = monitor.status()
    finally:
        display.close(status)
    return status


class _Monitor:
    """Determines the status of a workdir's run from its lock, progress.json and records."""

    def __init__(self, workdir: Workdir, clock: Callable[[], float]) -> None:
        self._workdir, self._clock = workdir, clock
        self._last_renewal: tuple[int, float] = (-1, clock())  # the lock's counter, and when it changed
        self._new_records, self._counts = Follower(workdir.path), TrialCounts(None)

    def status(self) -> RunStatus:
        lock, stored = read_lock(self._workdir.path), statuses.read(self._workdir.path)
        if stored is not None and lock is not None and (stored.host, stored.pid) != lock.process:
            # progress.json is from an earlier run.
            return self._count("killed", stored) if lock.is_dead else self._status_of(lock, None)
        if stored is not None and stored.state != "running":
            return stored
        if lock is None or lock.is_dead:
            return self._count("killed" if lock else "ended", stored)
        return self._status_of(lock, stored)

    def _status_of(self, lock: LockFile, stored: RunStatus | None) -> RunStatus:
        """Status of a live process: its stored status, unless it has been silent."""
        if lock.renewed != self._last_renewal[0]:
            self._last_renewal = (lock.renewed, self._clock())
        silence = self._clock() - self._last_renewal[1]
        host, pid = lock.process
        process = f"process {pid} on {host}" if pid else "an unknown process"
        if silence >= STALE_AFTER:
            return self._count("silent", stored, detail=f"{process}, for {duration(silence)}")
        if silence >= SILENT_AFTER:
            status = stored or self._count("running", None)
            return dataclasses.replace(status, phase=f"silent for {duration(silence)}", detail=process)
        return stored or self._count("running", None, phase="starting", detail=process)

    def _count(self, state: State, stored: RunStatus | None, phase: str = "", detail: str = "") -> RunStatus:
        """A status whose counts come from the records, because the last stored status may be missing or outdated."""
        self._counts.add(self._new_records())
        status = stored or RunStatus(self._workdir.study_name, state)
        stored_counts = {(row.learner, row.train_size): row.num_trials for row in status.rows}
        expected = stored_counts if stored else self._declared()
        counted = {(row.learner, row.train_size): row for row in self._counts.rows()}
        rows = []
        for key in expected if counted.keys() <= expected.keys() else counted:
            row = counted.get(key, SizeProgress(*key, 0))
            rows.append(dataclasses.replace(row, num_trials=max(expected.get(key, 0), row.trained + row.failed)))
        status = dataclasses.replace(status, state=state, rows=tuple(rows), phase=phase, detail=detail)
        return dataclasses.replace(status, eta=None, examples_per_second=None)

    def _declared(self) -> dict[tuple[str, int], int]:
        """Number of trials by learner and size in study.json; empty for studies with axes or tuning."""
        study = self._workdir.description.study
        if len(study["axes"]["points"]) > 1 or study["tuning"]:
            return {}
        return {(learner, size): len(study["seeds"]) for learner in study["learners"] for size in study["train_sizes"]}

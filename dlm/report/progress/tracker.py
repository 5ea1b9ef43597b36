"""Tracks the progress of a run: counts, speed and remaining time, displayed and stored by a background thread."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import socket
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from dlm.report.progress import status as statuses
from dlm.report.progress.display import NotebookLine, ProgressDisplay
from dlm.report.progress.status import CurveSize, RunStatus, State, TrialCounts
from dlm.storage.record_log import Record
from dlm.utils.errors import Interrupted

REFRESH_SECONDS = 1.0  # between two refreshes of display and progress.json
MAX_LOAD = 0.01  # fraction of a core that refreshing may use
SPEED_SAMPLES = 50  # reports over which a speed is averaged
STOPPING = "saving state, then stopping; Ctrl-C again stops at once"
WORKING = ("train", "evaluate", "save")  # phases whose time counts towards the training speed


def announce(text: str) -> None:
    """Show a message below the notebook cell, or on standard error."""
    if Console(stderr=True).is_jupyter:
        NotebookLine().show(text)
    else:
        with contextlib.suppress(BrokenPipeError):
            print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class _Updates:
    """Updates of one cohort: their total, FLOPs and expected speed of one, number done, latest (number, seconds)."""

    total: int
    flops: float
    expected_speed: float | None
    done: int = 0
    latest: deque[tuple[int, float]] = dataclasses.field(default_factory=lambda: deque(maxlen=SPEED_SAMPLES))

    @property
    def speed(self) -> float | None:
        """Updates per second."""
        seconds = sum(seconds for _, seconds in self.latest)
        return sum(number for number, _ in self.latest) / seconds if seconds > 0 else self.expected_speed


class RemainingTime:
    """Estimates remaining time: updates at their latest speed, fits by the median time of their learner and size.

    A cohort that has not started has the speed of the others per FLOP; a size that was not fitted yet takes time in
    proportion to its examples. Threads may call the methods at the same time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._updates: dict[str, _Updates] = {}
        self._waiting: Counter[tuple[str, int]] = Counter()  # fits by learner and train_size
        self._fit_seconds: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._workers = 1

    def expect_updates(self, cohort: str, total: int, flops: float, per_second: float | None = None) -> None:
        """Add a cohort's updates, with the FLOPs of one and their measured speed if known."""
        with self._lock:
            self._updates[cohort] = _Updates(total, flops, per_second)

    def expect_fits(self, fits: Iterable[tuple[str, int]], workers: int = 0) -> None:
        """Add classical fits of (learner, train_size), in so many worker processes beside the training, if any."""
        with self._lock:
            self._workers = max(1, workers)
            self._waiting.update(fits)

    def add_updates(self, cohort: str, updates: int, seconds: float | None = None) -> None:
        """Report updates made in `seconds`; None: not needed, made by an earlier run or after an early stop."""
        with self._lock:
            self._updates[cohort].done += updates
            if seconds is not None:
                self._updates[cohort].latest.append((updates, seconds))

    def add_fit(self, learner: str, train_size: int, seconds: float) -> None:
        """Report a completed or failed classical fit."""
        with self._lock:
            self._waiting[learner, train_size] -= 1
            self._fit_seconds[learner][train_size].append(seconds)

    def seconds(self) -> tuple[float, float] | None:
        """Seconds of the completed work and of the remaining work; None while there is work of unknown speed."""
        with self._lock:
            times = [sum(map(sum, by_size.values())) / self._workers for by_size in self._fit_seconds.values()]
            done, remaining = sum(times), 0.0
            known = [cohort for cohort in self._updates.values() if cohort.speed]
            seconds_per_flop = sum(1 / cohort.speed for cohort in known if cohort.speed)
            seconds_per_flop /= sum(cohort.flops for cohort in known) or 1.0
            for cohort in self._updates.values():
                seconds = 1 / cohort.speed if cohort.speed else cohort.flops * seconds_per_flop
                if cohort.total > 0 and not seconds:
                    return None
                done += cohort.done * seconds
                remaining += max(cohort.total - cohort.done, 0) * seconds
            for (learner, train_size), count in (+self._waiting).items():
                if not (by_size := self._fit_seconds.get(learner)):
                    return None
                nearest = min(by_size, key=lambda known: abs(math.log(known / train_size)))
                remaining += count * statistics.median_low(by_size[nearest]) * train_size / nearest / self._workers
            return done, remaining

    def speed(self, cohort: str) -> float | None:
        """Updates per second of a cohort; None if unknown."""
        with self._lock:
            return self._updates[cohort].speed if cohort in self._updates else None


class ProgressTracker:
    """Receives events of a run. As a context manager it displays them and writes progress.json to `workdir`, if given.

    `trials`: curve name and size of the trials to count, by id; None: those with records. `memory` returns bytes used
    by the process, and by the devices or None; `stopping` whether a signal asked to stop. Receiving an event takes
    microseconds; a thread does the rest. `work` receives the work that remains.
    """

    def __init__(
        self,
        study: str = "",
        trials: Mapping[str, CurveSize] | None = None,
        *,
        workdir: Path | None = None,
        memory: Callable[[], tuple[int | None, int | None]] = lambda: (None, None),
        stopping: Callable[[], object] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._workdir, self._clock = study, workdir, clock
        self._memory, self._stopping = memory, stopping
        self._counts, self.work = TrialCounts(trials), RemainingTime()
        self._cohort, self._batch_size = "", 0
        self._running: Collection[str] = ()
        self._phase, self._detail, self._phase_seconds = "start", "", defaultdict[str, float](float)
        self._start = self._phase_start = clock()
        self._work_seconds = 0.0  # since the last report of updates
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._display: ProgressDisplay | None = None
        self._thread: threading.Thread | None = None

    def phase(self, name: str, detail: str | None = None) -> None:
        """Begin a phase: compile, train, evaluate, save or fit. `detail` stays until it is replaced."""
        with self._lock:
            self._add_phase_time()
            self._phase = name
            self._detail = self._detail if detail is None else detail

    def running(self, trial_ids: Collection[str]) -> None:
        """Set the ids of all running trials."""
        self._running = frozenset(trial_ids)

    def add_updates(self, cohort: str, updates: int, batch_size: int) -> None:
        """Report updates of a cohort since the last report."""
        with self._lock:
            self._add_phase_time()
            self.work.add_updates(cohort, updates, self._work_seconds)
            self._cohort, self._batch_size, self._work_seconds = cohort, batch_size, 0.0

    def add_records(self, rows: Sequence[Record]) -> None:
        """Report records in the workdir, new ones or those of an earlier run."""
        with self._lock:
            self._counts.add(rows)

    def status(self, state: State = "running") -> RunStatus:
        """The current status."""
        memory, device_memory = self._memory()
        done, remaining = self.work.seconds() or (0.0, None)
        fraction = done / (done + remaining) if remaining is not None and done + remaining > 0 else None
        with self._lock:
            self._add_phase_time()
            speed = self.work.speed(self._cohort) if self._phase in WORKING else None
            return RunStatus(
                study=self._study,
                state=state,
                phase=STOPPING if self._stopping() else self._phase,
                detail=self._detail,
                rows=self._counts.rows(self._running if state == "running" else ()),
                fraction=1.0 if state == "done" else fraction,
                elapsed=self._clock() - self._start,
                eta=remaining,
                examples_per_second=speed and speed * self._batch_size,
                phase_seconds=dict(self._phase_seconds),
                memory=memory,
                device_memory=device_memory,
                host=socket.gethostname(),
                pid=os.getpid(),
            )

    @property
    def is_live(self) -> bool:
        """Whether a live view is displayed, which other output would disturb."""
        return self._thread is not None and self._display is not None and self._display.is_live

    def __enter__(self) -> ProgressTracker:
        self._display = ProgressDisplay(clock=self._clock)
        self._thread = threading.Thread(target=self._refresh_regularly, name="dlm progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stopped = kind is not None and issubclass(kind, (Interrupted, KeyboardInterrupt))
        self.close("done" if kind is None else "stopped" if stopped else "failed")

    def close(self, state: State = "stopped") -> None:
        """Stop the display, print a last line and write the last status. May be called again."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closed.set()
        thread.join(timeout=5.0)
        self._output(state)

    def _refresh_regularly(self) -> None:
        pause = REFRESH_SECONDS
        while not self._closed.wait(pause):
            start = time.thread_time()
            self._output("running")
            pause = max(REFRESH_SECONDS, (time.thread_time() - start) / MAX_LOAD)

    def _output(self, state: State) -> None:
        status = self.status(state)
        with contextlib.suppress(OSError, ValueError):  # the terminal or log file is closed
            if self._display is not None:
                self._display.show(status) if state == "running" else self._display.close(status)
        with contextlib.suppress(OSError):  # progress.json is informative only
            if self._workdir is not None:
                statuses.write(self._workdir, status)

    def _add_phase_time(self) -> None:
        now = self._clock()
        seconds, self._phase_start = now - self._phase_start, now
        self._phase_seconds[self._phase] += seconds
        self._work_seconds = self._work_seconds + seconds if self._phase in WORKING else 0.0

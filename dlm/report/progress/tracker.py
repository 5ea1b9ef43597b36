"""A run tells how far it is: gathered as it goes, shown and written down by a thread of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dlm.curves.from_records import curve_name, learning_curves
from dlm.curves.seed_spread import SeedSpread, seed_spread
from dlm.curves.types import Curve
from dlm.report.progress import status as statuses
from dlm.report.progress.eta import Left, Speed
from dlm.report.progress.screen import Screen
from dlm.report.progress.status import About, Row, Status
from dlm.storage.record_log import Record
from dlm.utils.errors import Interrupted

if TYPE_CHECKING:
    from rich.console import Console


@dataclasses.dataclass(frozen=True)
class Cell:
    """A trial to be counted; `learner` is the name of its curve."""

    trial_id: str
    learner: str
    size: int


class Tally:
    """Takes records in any order, the same ones twice too, and keeps two rows of each finished trial.

    `cells` are the ones that count; None: those that the records speak of.
    """

    def __init__(self, cells: Iterable[Cell] | None) -> None:
        self._cells: dict[str, Cell] = {}
        self._counts: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in ("cells", "trained", "failed")}
        self._ends: dict[str, dict[str, Record]] = defaultdict(dict)  # by learner, then by trial
        self._validation: dict[str, dict[str, Record]] = defaultdict(dict)
        self._curves: dict[str, Curve] = {}
        self._spreads: dict[tuple[str, int], SeedSpread] = {}
        self._stale: set[str] = set()  # learners with new rows
        self._takes_all = cells is None
        for cell in cells or ():
            self._count(cell)

    def add(self, rows: Iterable[Record]) -> None:
        """Note new records; those of other trials are passed over."""
        for row in rows:
            if self._takes_all and row.trial_id not in self._cells:
                self._count(Cell(row.trial_id, curve_name(row.learner, row.noise), row.train_size))
            cell = self._cells.get(row.trial_id)
            if cell is None or row.metric != "error" or row.status == "running":
                continue
            if row.split == "validation":
                self._validation[cell.learner][row.trial_id] = row
            elif row.split == "test":
                self._end(cell, row)
            self._stale.add(cell.learner)

    def curves(self) -> list[Curve]:
        """The curves so far. Takes about a millisecond for a hundred cells of a learner that has new ones."""
        while self._stale:
            name = self._stale.pop()
            for curve in learning_curves([*self._ends[name].values(), *self._validation[name].values()]):
                self._curves[name] = curve
                self._spreads |= {
                    (name, size): seed_spread(errors) for size, errors in zip(curve.train_sizes, curve.errors)
                }
        return list(self._curves.values())

    def rows(self, running: Collection[str] = ()) -> tuple[Row, ...]:
        """One row a learner and size, in the order of the cells; `running` are the trials on their way."""
        self.curves()
        cells = [self._cells[trial_id] for trial_id in running if trial_id in self._cells]
        under_way = Counter(
            (cell.learner, cell.size) for cell in cells if cell.trial_id not in self._ends.get(cell.learner, ())
        )
        return tuple(self._row(key, under_way[key]) for key in self._counts["cells"])

    def _row(self, key: tuple[str, int], running: int) -> Row:
        cells, trained, failed = (self._counts[name][key] for name in ("cells", "trained", "failed"))
        row, told = Row(*key, cells, trained, running, failed), self._spreads.get(key)
        return dataclasses.replace(row, median=told.median, low=told.low, high=told.high) if told else row

    def _count(self, cell: Cell) -> None:
        self._cells[cell.trial_id] = cell
        self._counts["cells"][cell.learner, cell.size] += 1

    def _end(self, cell: Cell, row: Record) -> None:
        before = self._ends[cell.learner].get(cell.trial_id)
        if before is not None:
            # A cell that failed once and was tried again counts as what it was in the end.
            if row.status == "failed" != before.status:
                return
            self._counts[_outcome(before)][cell.learner, cell.size] -= 1
        self._ends[cell.learner][cell.trial_id] = row
        self._counts[_outcome(row)][cell.learner, cell.size] += 1


def _outcome(row: Record) -> str:
    return "trained" if row.status == "done" else "failed"


BEAT = 0.25  # seconds between two looks of the thread
DRAW_SECONDS = 0.5
WRITE_SECONDS = 2.0  # between two writings of progress.json
LAW_SECONDS = 5.0  # between fits of one learner's law and of another's
OVERHEAD = 0.003  # share of a core's time that each of drawing, writing and fitting laws may take
LONGEST_PAUSE = 20.0  # seconds; the first time of something is much slower than those that follow
STOPPING = "saving what is done, then stopping; Ctrl-C again stops at once"
WORKING = ("train", "evaluate", "save")  # phases that training at speed is made of


class Seldom:
    """Does something now and then: at most once in `seconds`, and for at most a share OVERHEAD of its thread's time."""

    def __init__(self, seconds: float, function: Callable[[], object]) -> None:
        self._seconds, self._function, self._due = seconds, function, -math.inf

    def __call__(self) -> None:
        """Call the function if it is time."""
        if time.monotonic() >= self._due:
            begin = time.thread_time()
            self._function()
            pause = min((time.thread_time() - begin) / OVERHEAD, LONGEST_PAUSE)
            self._due = time.monotonic() + max(self._seconds, pause)


class Progress:
    """What a run tells of itself. In a `with`, it is shown on `console` and written to `workdir`, if one is given.

    `cells` are all trials of the study; `memory` gives (bytes of the process, of the devices or None);
    `stopping` tells whether a signal asked to stop. Its methods cost microseconds: whatever takes longer is done by the
    thread, which `with` starts.
    """

    def __init__(
        self,
        study: str = "",
        cells: Iterable[Cell] = (),
        *,
        console: Console | None = None,
        workdir: Path | None = None,
        memory: Callable[[], tuple[int | None, int | None]] = lambda: (None, None),
        stopping: Callable[[], object] = lambda: False,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._workdir, self._clock = study, workdir, clock
        self._memory, self._stopping = memory, stopping
        self._console, self._interval = console, interval_seconds
        self._tally, self._left = Tally(cells), Left()
        self._cohort, self._examples = "", Speed()
        self._running: Collection[str] = ()
        self._phase, self._detail, self._spent = "start", "", defaultdict[str, float](float)
        self._begin = self._since = clock()
        self._worked = 0.0  # seconds of work since updates were told last
        self._laws: dict[str, tuple[tuple[tuple[float, ...], ...], str]] = {}
        self._lock, self._end = threading.RLock(), threading.Event()
        self._screen: Screen | None = None
        self._thread: threading.Thread | None = None

    # What the run tells.

    def phase(self, name: str, detail: str | None = None) -> None:
        """A phase begins: compile, train, evaluate, save or fit; `detail` says more, and stays until it is changed."""
        with self._lock:
            self._pass()
            self._phase = name
            self._detail = self._detail if detail is None else detail

    def running(self, trial_ids: Collection[str]) -> None:
        """These trials are on their way now, and no others."""
        self._running = frozenset(trial_ids)

    def expect_updates(self, cohort: str, total: int, flops: float, per_second: float | None = None) -> None:
        """So many updates of a cohort are to be made, at that speed if it was tried."""
        with self._lock:
            self._left.expect_updates(cohort, total, flops, per_second)

    def expect_fits(self, cells: Iterable[tuple[str, int]], workers: int = 0) -> None:
        """Classical fits of a (learner, size) each are to be made, by so many processes beside the training if any."""
        with self._lock:
            self._left.expect_fits(cells, workers)

    def updated(self, cohort: str, updates: int, batch_size: int) -> None:
        """Updates of a cohort were made since it was told last."""
        with self._lock:
            self._pass()
            self._left.updated(cohort, updates, self._worked)
            if cohort != self._cohort:
                self._cohort, self._examples = cohort, Speed()
            self._examples.add(updates * batch_size, self._worked)
            self._worked = 0.0

    def spared(self, cohort: str, updates: int) -> None:
        """Updates need not be made: an earlier run has made them, or their trial has stopped early."""
        with self._lock:
            self._left.updated(cohort, updates)

    def fitted(self, learner: str, size: int, seconds: float) -> None:
        """A classical fit was made, or failed, in that time."""
        with self._lock:
            self._left.fitted(learner, size, seconds)

    def wrote(self, rows: Sequence[Record]) -> None:
        """Records are in the workdir, of now or of before."""
        with self._lock:
            self._tally.add(rows)

    # What is made of it.

    def status(self, state: str = "running") -> Status:
        """All that is known now."""
        memory, device_memory = self._memory()
        with self._lock:
            self._pass()
            return Status(
                study=self._study,
                state=state,
                phase=STOPPING if self._stopping() else self._phase,
                detail=self._detail,
                rows=self._tally.rows(self._running if state == "running" else ()),
                about=tuple(
                    About(curve.learner, curve.unit, self._laws.get(curve.learner, ((), ""))[1])
                    for curve in self._tally.curves()
                ),
                share=1.0 if state == "done" else self._left.share(),
                elapsed=self._clock() - self._begin,
                left=self._left.seconds(),
                # While nothing moves, a speed of before would mislead.
                examples_per_second=self._examples.value if self._phase in WORKING else None,
                spent=tuple(self._spent.items()),
                memory=memory,
                device_memory=device_memory,
                host=socket.gethostname(),
                pid=os.getpid(),
            )

    def fit_law(self) -> None:
        """Fit the law of one learner that has a new error, if there is one: the one that waits longest."""
        from dlm.curves.measurement_noise import curve_law

        with self._lock:
            curves = self._tally.curves()
        stale = [curve for curve in curves if self._laws.get(curve.learner, ((), ""))[0] != curve.errors]
        if stale:
            # Known ones go to the back of the queue by being put in anew.
            order = list(self._laws)
            curve = min(stale, key=lambda curve: order.index(curve.learner) if curve.learner in order else -1)
            self._laws.pop(curve.learner, None)
            self._laws[curve.learner] = (curve.errors, curve_law(curve))

    @property
    def draws(self) -> bool:
        """Whether a view is drawn, which others must not write into."""
        return self._thread is not None and self._screen is not None and self._screen.draws

    def __enter__(self) -> Progress:
        self._screen = Screen(self._console, self._interval, self._clock)
        self._thread = threading.Thread(target=self._beat, name="dlm progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stopped = kind is not None and issubclass(kind, (Interrupted, KeyboardInterrupt))
        self.close("done" if kind is None else "stopped" if stopped else "failed")

    def close(self, state: str = "stopped") -> None:
        """End the showing, with a last line and a last status; again does nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._end.set()
        thread.join(timeout=5.0)
        last = self.status(state)
        with contextlib.suppress(OSError, ValueError):  # nobody looks any more, or the file is closed
            if self._screen is not None:
                self._screen.close(last)
        self._write(last)

    def _beat(self) -> None:
        regular = [
            Seldom(LAW_SECONDS, self.fit_law),
            Seldom(DRAW_SECONDS, self.show),
            Seldom(WRITE_SECONDS, lambda: self._write(self.status())),
        ]
        answered = False
        while not self._end.wait(BEAT):
            for each in regular:
                each()
            if self._stopping() and not answered:
                answered = True
                self.show()  # whoever pressed Ctrl-C waits for an answer

    def show(self) -> None:
        """Draw the view, or print a line if it is time for one."""
        with contextlib.suppress(OSError, ValueError):
            if self._screen is not None:
                self._screen.show(self.status())

    def _write(self, status: Status) -> None:
        with contextlib.suppress(OSError):  # it is only there to be looked at
            if self._workdir is not None:
                statuses.write(self._workdir, status)

    def _pass(self) -> None:
        """Give the time since the last look to the phase."""
        now = self._clock()
        passed, self._since = now - self._since, now
        self._spent[self._phase] += passed
        self._worked = self._worked + passed if self._phase in WORKING else 0.0

"""Processes that fit classical cells beside the device work: each cell alone, so that a crash is that cell's own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlm.baselines.evaluation import Fit, fit_and_measure
from dlm.study.trial import Trial

if TYPE_CHECKING:
    from dlm.data.subset_orders import SubsetOrders

STAGGER = 5.0  # seconds before one more process starts, which takes two of them to import its libraries
NICE = 10  # processes take what the device work leaves of the processors
LOOK = 1.0  # seconds between two looks of a process whether its parent is still there
FOLDER = "workers"  # in the workdir, while they work: the data, which all of them read from the file

_orders: SubsetOrders  # in a worker process


class Fitting(NamedTuple):
    """A cell, its fit or what was raised in its place, and the seconds that took: of a processor, if it came to an end.

    A process that others leave little time waits long for its own, which says nothing of how much work there is.
    """

    trial: Trial
    found: Fit | Exception
    seconds: float


class Workers:
    """At most `count` processes that fit cells, in their order, while the caller does other things.

    The data is written to `folder` once, and mapped into memory by each process. `close` ends them where they stand:
    what is not fitted then is left to the next run.
    """

    def __init__(self, orders: SubsetOrders, cells: Sequence[Trial], count: int, folder: Path) -> None:
        import joblib

        self._waiting, self._results = deque(cells), queue.SimpleQueue[Fitting]()
        self._left, self._folder = len(cells), folder
        self._running: dict[int, Trial] = {}
        self._executors: dict[int, Any] = {}
        self._modules = _modules_of(cells)
        self._closed = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{os.getpid()}.joblib"
        joblib.dump(orders, self._file)
        for number in range(min(count, len(cells))):
            threading.Thread(target=self._work, args=(number,), name=f"dlm worker {number}", daemon=True).start()

    @property
    def left(self) -> int:
        """Cells whose fits have not been taken yet."""
        return self._left

    @property
    def running(self) -> frozenset[str]:
        """Trial ids of the cells that are being fitted."""
        return frozenset(trial.trial_id for trial in list(self._running.values()))

    def take(self, seconds: float = 0.0) -> list[Fitting]:
        """Fits that have ended since the last call; waits for a first one so long at most."""
        taken: list[Fitting] = []
        with contextlib.suppress(queue.Empty):
            while True:
                wait = seconds and not taken and self._left > 0
                taken.append(self._results.get(block=bool(wait), timeout=seconds if wait else None))
        self._left -= len(taken)
        return taken

    def close(self) -> None:
        """End all processes at once."""
        self._closed.set()
        for executor in list(self._executors.values()):
            executor.shutdown(wait=False, kill_workers=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, number: int) -> None:
        """Fit cell after cell in one process; a new one takes the place of one that died."""
        if self._closed.wait(number * STAGGER):
            return
        while not self._closed.is_set():
            try:
                trial = self._waiting.popleft()
            except IndexError:
                break
            self._running[number] = trial
            begin, seconds = time.monotonic(), None
            found: Fit | Exception
            try:
                found, seconds = self._executor(number).submit(_fit, trial).result()
            except BrokenProcessPool as error:
                self._executors.pop(number)
                found = RuntimeError(f"the process that fitted it ended ({str(error).splitlines()[0]})")
            except Exception as error:  # whatever a library raises is this cell's failure
                found = error
            if self._closed.is_set():
                return
            self._running.pop(number)
            self._results.put(Fitting(trial, found, time.monotonic() - begin if seconds is None else seconds))
        if number in self._executors:
            self._executors.pop(number).shutdown(wait=False, kill_workers=True)

    def _executor(self, number: int) -> Any:
        from loky.process_executor import ProcessPoolExecutor

        if number not in self._executors:
            self._executors[number] = ProcessPoolExecutor(
                max_workers=1,
                initializer=_begin,
                initargs=(str(self._file), os.getpid(), self._modules),
                env={"JAX_PLATFORMS": "cpu"},  # the devices are the parent's
            )
        return self._executors[number]


def _modules_of(cells: Sequence[Trial]) -> dict[str, str]:
    """Files of the modules that define what the cells are made of, for those that no import finds elsewhere."""
    parts = {type(part) for trial in cells for part in (trial.learner, trial.task)}
    named = {part.__module__: getattr(sys.modules.get(part.__module__), "__file__", None) for part in parts}
    return {name: file for name, file in named.items() if file and name != "__main__"}


def _begin(file: str, parent: int, modules: Mapping[str, str]) -> None:
    """Make a worker process ready: signals are the parent's business, and with the parent it ends."""
    import joblib

    from dlm.train import devices

    global _orders
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.nice(NICE)
    devices.configure(num_cpu_devices=1)
    for name, path in modules.items():
        _import(name, path)
    _orders = joblib.load(file, mmap_mode="r")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def _import(name: str, path: str) -> None:
    """Import a module by its name, or from its file where its name says nothing here, such as an experiment's."""
    try:
        importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


def _fit(trial: Trial) -> tuple[Fit, float]:
    start = time.process_time()
    return fit_and_measure(trial, _orders), time.process_time() - start

"""Fits classical trials in worker processes beside the training on the devices.

A trial whose process died, for example at the hands of the system when memory ran out, is fitted once more; a second
death fails this trial only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import io
import multiprocessing.resource_tracker
import os
import pickle
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

import cloudpickle
import numpy as np

from dlm.baselines.evaluation import FitResult, fit_and_evaluate
from dlm.study.trial import Trial

if TYPE_CHECKING:
    from dlm.data.subset_orders import SubsetOrders

START_INTERVAL = 5.0  # seconds between process starts; importing the libraries takes about two of them
NICENESS = 10  # the training on the devices has priority
PARENT_CHECK_INTERVAL = 1.0  # seconds
FOLDER = "workers"  # in the workdir, while workers run: the data, which all of them map into memory
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

_orders: Sequence[SubsetOrders]  # by hold-out, in a worker process


class CompletedFit(NamedTuple):
    """A trial and its result, or the exception raised instead.

    `seconds` are processor time, because a process may wait long for its turn; wall time if the process died.
    """

    trial: Trial
    result: FitResult | Exception
    seconds: float


class WorkerPool:
    """At most `count` processes that fit trials in order, while the caller does other work.

    The data, one `SubsetOrders` a hold-out, are written to `folder` once and mapped into memory by each process.
    `close` kills the processes; the next run fits the remaining trials.
    """

    def __init__(self, orders: Sequence[SubsetOrders], trials: Sequence[Trial], count: int, folder: Path) -> None:
        self._waiting, self._results = deque(trials), queue.SimpleQueue[CompletedFit]()
        self._remaining, self._folder = len(trials), folder
        self._running: dict[int, Trial] = {}
        self._executors: dict[int, Any] = {}
        self._died: set[str] = set()  # ids of the trials whose process died once
        self._closed = threading.Event()
        _start_resource_trackers()
        self._data = _SharedData.dump(orders, folder / str(os.getpid()))
        self._modules = _module_files((orders, trials))
        for number in range(min(count, len(trials))):
            threading.Thread(target=self._work, args=(number,), name=f"dlm worker {number}", daemon=True).start()

    @property
    def remaining(self) -> int:
        """Number of trials whose fits have not been collected yet."""
        return self._remaining

    @property
    def running(self) -> frozenset[str]:
        """Ids of the trials that are being fitted."""
        return frozenset(trial.trial_id for trial in list(self._running.values()))

    def collect(self, timeout: float = 0.0) -> list[CompletedFit]:
        """Fits completed since the last call; waits at most `timeout` seconds for the first one."""
        fits: list[CompletedFit] = []
        with contextlib.suppress(queue.Empty):
            while True:
                wait = timeout and not fits and self._remaining > 0
                fits.append(self._results.get(block=bool(wait), timeout=timeout if wait else None))
        self._remaining -= len(fits)
        return fits

    def close(self) -> None:
        """Kill all processes and delete the data file."""
        self._closed.set()
        while self._executors:
            _, executor = self._executors.popitem()
            executor.shutdown(wait=True, kill_workers=True)
            del executor
        gc.collect()  # loky unregisters semaphores when they are collected; os._exit would report them as leaked
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, number: int) -> None:
        """Fit one trial after another in one process; replace the process if it dies."""
        # Inherited by the process, which Ctrl-C would otherwise end with a traceback before it ignores signals.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        if self._closed.wait(number * START_INTERVAL):
            return
        while not self._closed.is_set():
            try:
                trial = self._waiting.popleft()
            except IndexError:
                break
            self._running[number] = trial
            start, seconds = time.monotonic(), None
            result: FitResult | Exception
            try:
                result, seconds = self._executor(number).submit(_fit, trial).result()
            except BrokenProcessPool as error:
                self._executors.pop(number, None)
                if trial.trial_id not in self._died and not self._closed.is_set():
                    self._died.add(trial.trial_id)
                    self._running.pop(number)
                    self._waiting.append(trial)  # last, when fewer fits may run beside it
                    continue
                result = RuntimeError(f"the worker process died ({str(error).splitlines()[0]})")
            except Exception as error:  # whatever a library raises fails only this trial
                result = error
            if self._closed.is_set():
                return
            self._running.pop(number)
            self._results.put(CompletedFit(trial, result, time.monotonic() - start if seconds is None else seconds))
        if executor := self._executors.pop(number, None):
            executor.shutdown(wait=False, kill_workers=True)

    def _executor(self, number: int) -> Any:
        from loky.process_executor import ProcessPoolExecutor

        if number not in self._executors:
            self._executors[number] = ProcessPoolExecutor(
                max_workers=1,
                initializer=_initialize,
                initargs=(os.getpid(), self._modules, self._data),
                env={"JAX_PLATFORMS": "cpu"},  # the devices belong to the parent
            )
        return self._executors[number]


class _SharedData(NamedTuple):
    """A folder with the buffer of each array of an object, 0.bin, 1.bin, …, and the pickle of the rest."""

    folder: Path
    num_buffers: int
    pickled: bytes

    @classmethod
    def dump(cls, value: object, folder: Path) -> _SharedData:
        folder.mkdir(parents=True, exist_ok=True)
        buffers: list[pickle.PickleBuffer] = []
        stream = io.BytesIO()
        _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
        for number, buffer in enumerate(buffers):
            (folder / f"{number}.bin").write_bytes(buffer.raw())  # np.save hides the error of a full disk
        return cls(folder, len(buffers), stream.getvalue())

    def load(self) -> Any:
        """The object; its arrays are read-only views of the mapped files."""
        paths = [self.folder / f"{number}.bin" for number in range(self.num_buffers)]
        buffers = [np.memmap(path, mode="r") if path.stat().st_size else b"" for path in paths]
        return pickle.loads(self.pickled, buffers=buffers)


class _Pickler(cloudpickle.Pickler):
    """Pickles the classes and functions of `__main__` by value, and collects the modules of all others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap):
            return np.asarray(value).__reduce_ex__(5)  # memmap itself copies its data into the pickle
        if module := getattr(value, "__module__", None):
            self.modules.add(str(module))
        return super().reducer_override(value)


def _module_files(value: object) -> dict[str, str]:
    """Files of the modules that define the classes and functions in `value`, except `__main__`."""
    pickler = _Pickler(io.BytesIO(), protocol=5, buffer_callback=lambda buffer: None)
    pickler.dump(value)
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(pickler.modules)}
    return {name: file for name, file in files.items() if file and name != "__main__"}


def _start_resource_trackers() -> None:
    """Start the helper processes of multiprocessing and loky, whose start in a thread would unblock its signals."""
    from loky.backend import resource_tracker as loky_tracker

    loky_tracker.ensure_running()
    multiprocessing.resource_tracker.ensure_running()


def _initialize(parent: int, modules: Mapping[str, str], data: _SharedData) -> None:
    """Prepare a worker process: ignore signals, which the parent handles, and end together with the parent."""
    from dlm.train import devices

    global _orders
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    os.nice(NICENESS)
    devices.configure(num_cpu_devices=1)
    for name, path in modules.items():
        _import(name, path)
    _orders = data.load()


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    os._exit(1)


def _import(name: str, path: str) -> None:
    """Import a module by name; if it is not importable, as an experiment file, from its path."""
    try:
        importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


def _fit(trial: Trial) -> tuple[FitResult, float]:
    start = time.process_time()
    return fit_and_evaluate(trial, _orders[trial.hold_out]), time.process_time() - start

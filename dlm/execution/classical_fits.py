"""Fits classical trials, in worker processes during training or in this process before it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dlm.baselines.evaluation import FitResult, fit_and_evaluate
from dlm.baselines.worker_pool import FOLDER, WorkerPool
from dlm.study.names import Status
from dlm.train.types import Measurement, ResourceUsage

if TYPE_CHECKING:
    from dlm.execution.preemption import Watch
    from dlm.execution.recording import Recorder, Retention
    from dlm.study.trial import Trial


class ClassicalFits:
    """Fits classical trials, in worker processes during training or in this process before it."""

    def __init__(self, recorder: Recorder, retention: Retention, watch: Watch, num_workers: int) -> None:
        self.recorder, self.retention, self.watch = recorder, retention, watch
        self.progress, self.num_workers = recorder.progress, num_workers
        self._pool: WorkerPool | None = None

    @property
    def remaining(self) -> int:
        """Number of fits that worker processes have not returned yet."""
        return self._pool.remaining if self._pool else 0

    @property
    def running(self) -> frozenset[str]:
        """Ids of the trials that worker processes are fitting."""
        return self._pool.running if self._pool else frozenset()

    @contextlib.contextmanager
    def start(self, trials: Sequence[Trial]) -> Iterator[None]:
        """Fit the trials: in worker processes while the context lasts, or without workers before it begins."""
        trials = _first_seeds_first(trials)
        if not (trials and self.num_workers):
            self._fit_here(trials)
            yield
            return
        orders, folder = self.recorder.orders, self.recorder.workdir.path / FOLDER
        with WorkerPool(orders, trials, self.num_workers, folder) as self._pool:
            self.watch.before_end.insert(0, self._pool.close)
            yield

    def collect(self, timeout: float = 0.0) -> None:
        """Record the fits that have ended; waits up to `timeout` seconds for the first."""
        for trial, result, seconds in self._pool.collect(timeout) if self._pool else ():
            self._record(trial, result, seconds)

    def _fit_here(self, trials: Sequence[Trial]) -> None:
        for number, trial in enumerate(trials, start=1):
            self.watch.check()
            detail = f"{number} of {len(trials)}: {trial.name}, {trial.train_size:,} examples"
            self.progress.phase("fit", detail)
            self.progress.running([trial.trial_id])
            begin = time.monotonic()
            try:
                result: FitResult | Exception = fit_and_evaluate(trial, self.recorder.orders)
            except Exception as error:  # any exception of a library fails this trial, not the study
                result = error
            self._record(trial, result, time.monotonic() - begin)
            self.progress.running([])

    def _record(self, trial: Trial, result: FitResult | Exception, seconds: float) -> None:
        if isinstance(result, Exception):
            self.recorder.record_failure([trial], result)
        else:
            self.retention.save_predictions(trial, result.test_examples)
            measurement = Measurement(
                trial, result.iterations, Status.DONE, result.values, ResourceUsage(result.seconds)
            )
            self.recorder.record(measurement, inference_seconds=result.inference_seconds)
        self.progress.add_fit(trial.name, trial.train_size, seconds)


def _first_seeds_first(trials: Sequence[Trial]) -> list[Trial]:
    """Classical trials by seed, then size: every size is fitted early, for the progress estimate and the curve."""
    rank = {seed: number for number, seed in enumerate(dict.fromkeys(trial.subset_seed for trial in trials))}
    return sorted(trials, key=lambda trial: (rank[trial.subset_seed], trial.train_size))

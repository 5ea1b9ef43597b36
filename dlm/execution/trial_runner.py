"""Trains and fits the trials that remain of a study, and records every measurement in the workdir."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlm.baselines.evaluation import FitResult, fit_and_evaluate
from dlm.baselines.worker_pool import FOLDER, WorkerPool
from dlm.execution.recording import MEBIBYTE, Recorder, Retention, curve_sizes
from dlm.report.progress.tracker import ProgressTracker, announce
from dlm.study.names import ERROR, TRAIN, Status
from dlm.train import devices
from dlm.train.checkpoint import Checkpoints
from dlm.train.device_data import DeviceData, put_on_devices
from dlm.train.population import Population, population_of
from dlm.train.predict import Predictor, generates_text, sample_text
from dlm.train.profiling import halve_chunk, is_out_of_memory, memory_chunks, updates_per_second
from dlm.train.trainer import CohortRun, train
from dlm.train.types import Measurement, ResourceUsage
from dlm.utils.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from dlm.data.subset_orders import SubsetOrders
    from dlm.execution.preemption import Watch
    from dlm.execution.preparation import RunOptions, Work
    from dlm.storage.workdir import Workdir
    from dlm.study.study import Study
    from dlm.study.trial import Cohort, Trial

COLLECT_SECONDS = 0.5  # wait for a classical fit when nothing else remains


def log(message: str) -> None:
    """Show a message about the run below the notebook cell, or on standard error."""
    announce(f"dlm: {message}")


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
            self.progress.phase("fit", f"{number} of {len(trials)}: {trial.name}, {trial.train_size:,} examples")
            self.progress.running([trial.trial_id])
            begin = time.monotonic()
            try:
                result: FitResult | Exception = fit_and_evaluate(trial, self.recorder.orders[trial.hold_out])
            except Exception as error:  # any exception of a library fails this trial, not the study
                result = error
            self._record(trial, result, time.monotonic() - begin)
            self.progress.running([])

    def _record(self, trial: Trial, result: FitResult | Exception, seconds: float) -> None:
        if isinstance(result, Exception):
            self.recorder.record_failure([trial], result)
        else:
            self.retention.save_predictions(trial, result.test_examples)
            usage = ResourceUsage(result.seconds)
            measurement = Measurement(trial, result.iterations, Status.DONE, result.values, usage)
            self.recorder.record(measurement, inference_seconds=result.inference_seconds)
        self.progress.work.add_fit(trial.name, trial.train_size, seconds)


def _first_seeds_first(trials: Sequence[Trial]) -> list[Trial]:
    """Classical trials by seed, then size: every size is fitted early, for the progress estimate and the curve."""
    rank = {seed: number for number, seed in enumerate(dict.fromkeys(trial.subset_seed for trial in trials))}
    return sorted(trials, key=lambda trial: (rank[trial.subset_seed], trial.train_size))


class TrialRunner:
    """Runs the work of one study in one workdir. `options` are resolved for the dataset and the devices.

    `orders` are those of each hold-out. Hold-outs are trained one after another, so that the devices hold one pool.
    """

    def __init__(
        self,
        study: Study,
        orders: Sequence[SubsetOrders],
        workdir: Workdir,
        options: RunOptions,
        watch: Watch,
        flops: Mapping[str, float],
    ) -> None:
        self.study, self.orders, self.workdir, self.options, self.watch = study, orders, workdir, options, watch
        self.flops = flops
        self.training: tuple[str, ...] = ()  # ids of the trials in training
        self.progress = ProgressTracker(
            study.name, curve_sizes(study), workdir=workdir.path, memory=devices.memory_in_use, stopping=watch
        )
        self.recorder = Recorder(study, orders, workdir, options.packing, flops, self.progress)
        datasets = [each.dataset for each in orders]
        self.retention = Retention(study, datasets, workdir, options.keep_mib * MEBIBYTE)
        self.fits = ClassicalFits(self.recorder, self.retention, watch, options.fit_workers or 0)

    def run(self, work: Work) -> None:
        """Train and fit all trials of `work`."""
        if not work.num_trials:
            return
        self._expect(work)
        self.watch.before_end.insert(0, self.progress.close)  # before the lock is released
        self.watch.is_silent = lambda: self.progress.is_live
        with self.progress, self.fits.start(work.classical):
            for number, orders in enumerate(self.orders):
                self._train_cohorts([cohort for cohort in work.cohorts if cohort.first.hold_out == number], orders)
            while self.fits.remaining:
                self.watch.check()
                self.progress.phase("fit", f"{self.fits.remaining:,} fits left")
                self._collect_fits(COLLECT_SECONDS)

    def _train_cohorts(self, cohorts: Sequence[Cohort], orders: SubsetOrders) -> None:
        """Compile and train the cohorts of one hold-out."""
        if not cohorts:
            return
        streamed = self.options.input == "stream"
        device_data = put_on_devices(orders, streamed=streamed, workers=self.options.input_workers)
        compiled = []
        for cohort in cohorts:
            compiled.append(self._compile(cohort, device_data))
            self._collect_fits()
        for chunks, population in compiled:
            self._train_chunks(chunks, population, device_data)

    def _expect(self, work: Work) -> None:
        """Report remaining and complete work to the progress."""
        for cohort in work.cohorts:
            self.progress.work.expect_updates(cohort.cohort_id, cohort.num_updates, self.flops[cohort.cohort_id])
        self.progress.work.expect_fits(
            ((trial.name, trial.train_size) for trial in work.classical), self.fits.num_workers
        )
        self.progress.add_records([row for row in self.workdir.records if row.status != Status.FAILED])  # retried

    def _collect_fits(self, timeout: float = 0.0) -> None:
        self.fits.collect(timeout)
        self.progress.running([*self.training, *self.fits.running])

    def _compile(self, cohort: Cohort, device_data: DeviceData) -> tuple[list[Cohort], Population]:
        """A cohort's memory chunks and programs. Its speed is timed for the progress estimate."""
        self.watch.check()
        self.progress.phase("compile", cohort.first.name)
        population = population_of(cohort, device_data, self.options.packing)  # type: ignore[arg-type]
        assert self.options.memory_limit is not None
        chunks = memory_chunks(population, cohort, device_data, self.options.memory_limit)
        speed = updates_per_second(population, chunks[0], device_data)
        self.progress.work.expect_updates(cohort.cohort_id, cohort.num_updates, self.flops[cohort.cohort_id], speed)
        return chunks, population

    def _train_chunks(self, chunks: list[Cohort], population: Population, device_data: DeviceData) -> None:
        """Train the memory chunks of a cohort. A chunk that runs out of memory is halved.

        If one trial per device runs out of memory, or on any other error, the chunk's trials are recorded as failed and
        the study continues.
        """
        predictor = Predictor(population.config, device_data)
        while chunks:
            chunk, *chunks = chunks
            try:
                self._train(CohortRun(chunk, population, device_data), predictor)
            except (OSError, Interrupted, UsageError):
                raise
            except Exception as error:  # any exception of a model or a device fails these trials, not the study
                halves = halve_chunk(chunk, population.num_devices) if is_out_of_memory(error) else []
                chunks = [*halves, *chunks]
                if halves:
                    count = f"{chunk.first.name}: {len(chunk.trials)} trials"
                    log(f"{count} at once ran out of memory; trying half as many")
                else:
                    self.recorder.record_failure(chunk.trials, error)
                    self.progress.work.add_updates(chunk.cohort_id, chunk.num_updates)

    def _train(self, run: CohortRun, predictor: Predictor) -> None:
        """Train a memory chunk to its end; each measurement is on disk before training continues."""
        cohort, progress = run.cohort, self.progress
        progress.phase("compile", f"{cohort.first.name}, {len(cohort.trials)} trials")
        self.training = tuple(trial.trial_id for trial in cohort.trials)
        progress.running(self.training)
        checkpoints = Checkpoints(self.workdir.path / "cohorts" / cohort.cohort_id / "checkpoints", log)
        recorded, interval = self.workdir.measured_steps(), self.options.save_seconds
        try:
            for event in train(run, checkpoints, save_seconds=interval, stop=self.watch, recorded=recorded):
                self._collect_fits()
                if isinstance(event, Measurement):
                    self._record(event, run, predictor)
                    continue
                if event.phase == "compile":
                    progress.work.add_updates(cohort.cohort_id, event.updates)  # made by an earlier run
                elif event.updates:
                    progress.add_updates(cohort.cohort_id, event.updates, cohort.first.budget.batch_size)
                    self.watch.unsaved = True
                progress.phase(event.phase)
        finally:
            self.training = ()
            progress.running([])
            checkpoints.close()
            self.watch.unsaved = False

    def _record(self, measurement: Measurement, run: CohortRun, predictor: Predictor) -> None:
        """Record a measurement of a trial in training; at the trial's end also save its artifacts."""
        trial = measurement.trial
        seconds = None
        if measurement.status == Status.DONE:
            params = run.params_of(trial)
            seconds = self._save_artifacts(trial, params, predictor)
            measurement = self._with_train_error(measurement, params, predictor)
        self.recorder.record(measurement, inference_seconds=seconds)
        if measurement.status != Status.RUNNING:
            self.progress.work.add_updates(run.cohort.cohort_id, trial.num_steps - measurement.step)  # stopped early

    def _save_artifacts(self, trial: Trial, params: Any, predictor: Predictor) -> float | None:
        """Save parameters, predictions and, for a language model of the first seed, a sampled text.

        Returns the inference seconds per example; None if there was no memory to predict.
        """
        self.workdir.check_exists()
        self.retention.save_params(trial, params)
        seconds = None
        try:
            stats = self.orders[trial.hold_out].normalization_stats(trial.subset_seed, trial.train_size)
            examples = predictor(params, stats)
        except Exception as error:  # a failed prediction pass does not fail the trial
            reason = str(error).partition("\n")[0][:200]
            log(f"{trial.name}, {trial.train_size:,} examples: predictions are not saved ({reason})")
        else:
            self.retention.save_predictions(trial, examples)
            seconds = predictor.inference_seconds
        if generates_text(trial) and trial.subset_seed == self.study.seeds[0]:  # type: ignore[index]
            self.retention.save_sample(trial, sample_text(trial, params))
        return seconds

    def _with_train_error(self, measurement: Measurement, params: Any, predictor: Predictor) -> Measurement:
        """The measurement with the training error, unless there is none or its computation failed."""
        trial = measurement.trial
        try:
            error = predictor.train_error(params, trial)
        except Exception as reason:  # does not fail the trial, as for predictions
            text = str(reason).partition("\n")[0][:200]
            log(f"{trial.name}, {trial.train_size:,} examples: the training error is not recorded ({text})")
            return measurement
        values = {} if error is None else {(TRAIN, ERROR): error}
        return dataclasses.replace(measurement, values=measurement.values | values)

"""From cells to rows: train and fit what is left to do, and append every number with its origin to the workdir."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm.baselines.evaluation import FitResult, fit_and_evaluate
from dlm.baselines.worker_pool import FOLDER, WorkerPool
from dlm.curves.from_records import curve_name
from dlm.data.dataset import Dataset
from dlm.data.subset_orders import SubsetOrders
from dlm.execution.preemption import Watch
from dlm.execution.record_rows import Origin, noise_of
from dlm.execution.retention import DEFAULT_MIB, Keeper
from dlm.report.progress.tracker import Cell, Progress
from dlm.storage import artifacts, record_log, workdir
from dlm.storage.artifacts import MEBIBYTE, Sample
from dlm.storage.record_log import Record
from dlm.study.study import Study
from dlm.study.trial import Cohort, Trial
from dlm.train import devices
from dlm.train.checkpoint import Checkpoints
from dlm.train.device_data import DeviceData, put_on_devices
from dlm.train.devices import Packing
from dlm.train.population import Population, population_of
from dlm.train.predict import Predictor, generates_text, sample_text
from dlm.train.profiling import halve_chunk, is_out_of_memory, memory_chunks, updates_per_second
from dlm.train.trainer import CohortRun, Measurement, train
from dlm.train.types import ResourceUsage
from dlm.utils.errors import Interrupted, UsageError

COLLECT_SECONDS = 0.5  # that a run without anything else to do waits for a fit before it looks around


@dataclasses.dataclass(frozen=True)
class Work:
    """The cells of a study that are not finished: gradient-trained ones as cohorts, and classical ones."""

    cohorts: tuple[Cohort, ...]
    classical: tuple[Trial, ...]

    @property
    def num_trials(self) -> int:
        """Cells left to do."""
        return sum(len(cohort.trials) for cohort in self.cohorts) + len(self.classical)

    @property
    def num_updates(self) -> int:
        """Updates left to do, those of members half-way counted whole."""
        return sum(cohort.num_updates for cohort in self.cohorts)


def subset_orders_of(study: Study, dataset: Dataset) -> SubsetOrders:
    """The pool's orders for the subset seeds of a study."""
    return SubsetOrders(dataset, (trial.subset_seed for trial in study.trials))


def tell(text: str) -> None:
    """Say what happened to the workdir's files, beside the progress."""
    print(f"dlm: {text}", file=sys.stderr, flush=True)


class Session:
    """One run's way from cells to rows, which it appends to the workdir."""

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        folder: Path,
        packing: Packing,
        watch: Watch,
        save_seconds: float | None,
        flops: Mapping[str, float],
        streamed: bool = False,
        workers: int = 0,
        fit_workers: int = 0,
        keep_bytes: int = DEFAULT_MIB * MEBIBYTE,
    ) -> None:
        self.study, self.dataset, self.folder, self.packing = study, dataset, folder, packing
        self.streamed, self.workers, self.fit_workers = streamed, workers, fit_workers
        self.watch, self.save_seconds = watch, save_seconds
        self.orders = subset_orders_of(study, dataset)
        self.flops = flops  # of an update, by cohort id
        self.origin = Origin(study, self.orders, packing, flops)
        self.keeper = Keeper(study, dataset, folder, keep_bytes)
        self.fitting: WorkerPool | None = None
        self.training: tuple[str, ...] = ()
        cells = [Cell(each.trial_id, curve_name(each.name, noise_of(each)), each.train_size) for each in study.trials]
        self.progress = Progress(study.name, cells, workdir=folder, memory=devices.memory_in_use, stopping=watch)

    def do(self, work: Work, memory_limit: int) -> None:
        """Train and fit everything that is left to do."""
        if not work.num_trials:
            return
        if work.cohorts:
            placed = put_on_devices(self.orders, streamed=self.streamed, workers=self.workers)
        for cohort in work.cohorts:
            self.progress.expect_updates(cohort.cohort_id, cohort.num_updates, self.flops[cohort.cohort_id])
        self.progress.expect_fits(((trial.name, trial.train_size) for trial in work.classical), self.fit_workers)
        # A cell that failed before is tried again.
        self.progress.wrote([row for row in record_log.rows(self.folder) if row.status != "failed"])
        self.watch.before_end.insert(0, self.progress.close)  # before the lock is let go
        self.watch.is_silent = lambda: self.progress.draws
        with self.progress, self.fits(_first_seeds_first(work.classical)):
            parts = []
            for cohort in work.cohorts:
                parts.append(self.compiled(cohort, placed, memory_limit))
                self.collect()
            for of_cohort, population in parts:
                self.train_all(of_cohort, population, placed)
            while self.fitting and self.fitting.remaining:
                self.watch.check()
                self.progress.phase("fit", f"{self.fitting.remaining:,} fits left")
                self.collect(COLLECT_SECONDS)

    @contextlib.contextmanager
    def fits(self, cells: Sequence[Trial]) -> Iterator[None]:
        """Fit classical cells: by processes of their own while the context lasts, or without any, before it begins."""
        if not (cells and self.fit_workers):
            for number, trial in enumerate(cells, start=1):
                self.watch.check()
                where = f"{number} of {len(cells)}: {trial.name}, {trial.train_size:,} examples"
                self.progress.phase("fit", where)
                self.fit(trial)
            yield
            return
        with WorkerPool(self.orders, cells, self.fit_workers, self.folder / FOLDER) as self.fitting:
            self.watch.before_end.insert(0, self.fitting.close)
            yield

    def collect(self, seconds: float = 0.0) -> None:
        """Write down what processes have fitted by now; waits for a first fit so long at most."""
        if self.fitting:
            for trial, found, took in self.fitting.collect(seconds):
                self.fitted(trial, found, took)
            self.progress.running([*self.training, *self.fitting.running])

    def compiled(self, cohort: Cohort, placed: DeviceData, memory_limit: int) -> tuple[list[Cohort], Population]:
        """A cohort's waves and programs; their speed is tried, so that the time left is known from the start."""
        self.watch.check()
        self.progress.phase("compile", cohort.first.name)
        population = population_of(cohort, placed, self.packing)
        parts = memory_chunks(population, cohort, placed, memory_limit)
        speed = updates_per_second(population, parts[0], placed)
        self.progress.expect_updates(cohort.cohort_id, cohort.num_updates, self.flops[cohort.cohort_id], speed)
        return parts, population

    def train_all(self, waiting: list[Cohort], population: Population, placed: DeviceData) -> None:
        """Train the waves of a cohort; one that runs out of memory all the same is halved.

        Members that fail even so, or for another reason, are recorded as failed, and the study goes on.
        """
        predictor = Predictor(population.config, placed)
        while waiting:
            wave, *waiting = waiting
            try:
                self.train(CohortRun(wave, population, placed), predictor)
            except (OSError, Interrupted, UsageError):
                raise
            except Exception as error:  # whatever a model or a device raises is these cells' failure
                halves = halve_chunk(wave, population.num_devices) if is_out_of_memory(error) else []
                waiting = [*halves, *waiting]
                if halves:
                    tell(f"{wave.first.name}: {len(wave.trials)} members ran out of memory; trying half as many")
                else:
                    self.fail(wave.trials, error)
                    self.progress.spared(wave.cohort_id, wave.num_updates)

    def train(self, members: CohortRun, predictor: Predictor) -> None:
        """Train members to their end; finished ones are on disk as soon as they are measured."""
        cohort = members.cohort
        folder = self.folder / "cohorts" / cohort.cohort_id / "checkpoints"
        written = record_log.measured_steps(record_log.rows(self.folder))
        checkpoints = Checkpoints(folder, tell)
        progress, batch_size = self.progress, cohort.first.budget.batch_size
        progress.phase("compile", f"{cohort.first.name}, {len(cohort.trials)} members")
        self.training = tuple(trial.trial_id for trial in cohort.trials)
        progress.running(self.training)
        try:
            for event in train(members, checkpoints, save_seconds=self.save_seconds, stop=self.watch, recorded=written):
                self.collect()
                if isinstance(event, Measurement):
                    seconds = self.keep(event, members, predictor) if event.status == "done" else None
                    self.write(self.origin.rows(event, inference_seconds=seconds))
                    if event.status != "running":
                        progress.spared(cohort.cohort_id, event.trial.num_steps - event.step)  # stopped early
                    continue
                if event.phase == "compile":
                    progress.spared(cohort.cohort_id, event.updates)  # an earlier run made them
                elif event.updates:
                    progress.updated(cohort.cohort_id, event.updates, batch_size)
                    self.watch.unsaved = True
                progress.phase(event.phase)
        finally:
            self.training = ()
            progress.running([])
            checkpoints.close()
            self.watch.unsaved = False

    def keep(self, measured: Measurement, members: CohortRun, predictor: Predictor) -> float | None:
        """At the end of a trial, what it leaves beside its numbers; of the first seed's language models also a text.

        Returns the seconds that its answer for an example takes, None where there was no memory for it.
        """
        trial, keeper = measured.trial, self.keeper
        writes = generates_text(trial) and trial.subset_seed == self.study.seeds[0]  # type: ignore[index]
        self.check_workdir()
        params = members.params_of(trial)
        if trial.trial_id in keeper.params:
            keeper.keep_params(trial, params)
        seconds = self.keep_predictions(trial, params, predictor)
        if writes:
            text = sample_text(trial, params)
            artifacts.append_samples(
                self.folder, Sample(trial.trial_id, trial.name, trial.train_size, trial.subset_seed, text)
            )
        return seconds

    def keep_predictions(self, trial: Trial, params: Any, predictor: Predictor) -> float | None:
        """Let a member predict the test set, and keep that where it is to be kept; seconds an example.

        That there is no memory for it, say, is no failure of its cell.
        """
        try:
            examples = predictor(params, self.orders.normalization_stats(trial.subset_seed, trial.train_size))
        except Exception as error:  # whatever a device raises
            reason = str(error).partition("\n")[0][:200]
            tell(f"{trial.name}, {trial.train_size:,} examples: its predictions are not kept ({reason})")
            return None
        if trial.trial_id in self.keeper.predictions:
            self.keeper.keep_predictions(trial, examples)
        return predictor.inference_seconds

    def fail(self, cells: Sequence[Trial], error: Exception) -> None:
        """Record cells that have no number yet as failed, with what was raised."""
        finished = record_log.finished(record_log.rows(self.folder))
        for trial in cells:
            if finished.get(trial.trial_id, "failed") == "failed":
                measured = Measurement(trial, 0, "failed", {}, ResourceUsage())
                self.write(self.origin.rows(measured, f"{type(error).__name__}: {error}"[:2000]))

    def fit(self, trial: Trial) -> None:
        """Fit a classical cell here."""
        self.progress.running([trial.trial_id])
        begin = time.monotonic()
        try:
            found: FitResult | Exception = fit_and_evaluate(trial, self.orders)
        except Exception as error:  # whatever a library raises is this cell's failure, not the study's
            found = error
        self.fitted(trial, found, time.monotonic() - begin)
        self.progress.running([])

    def fitted(self, trial: Trial, found: FitResult | Exception, seconds: float) -> None:
        """Write a classical cell's fit down; one that raised is recorded as failed, and the others go on."""
        if isinstance(found, Exception):
            self.fail([trial], found)
        else:
            if trial.trial_id in self.keeper.predictions:
                self.check_workdir()
                self.keeper.keep_predictions(trial, found.test_examples)
            measured = Measurement(trial, found.iterations, "done", found.values, ResourceUsage(found.seconds))
            self.write(self.origin.rows(measured, inference_seconds=found.inference_seconds))
        self.progress.fitted(trial.name, trial.train_size, seconds)

    def write(self, rows: Sequence[Record]) -> None:
        """Append rows to the workdir, if it is still there."""
        self.check_workdir()
        record_log.append(self.folder, rows)
        self.progress.wrote(rows)

    def check_workdir(self) -> None:
        """OSError if the workdir is gone: orbax would make it anew, and half would be elsewhere."""
        if not (self.folder / workdir.STUDY).exists():
            raise FileNotFoundError(errno.ENOENT, "the workdir has vanished", str(self.folder))


def _first_seeds_first(cells: Sequence[Trial]) -> list[Trial]:
    """Classical cells so that each learner is soon met at each size: then the time left is known, and the curve."""
    place = {seed: number for number, seed in enumerate(dict.fromkeys(trial.subset_seed for trial in cells))}
    return sorted(cells, key=lambda trial: (place[trial.subset_seed], trial.train_size))

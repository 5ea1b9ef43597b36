"""Runs a study: reads its data, trains the trials that remain, and records every measurement."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm.analysis.ensembles import ensembles_of
from dlm.baselines.evaluation import mean_chance_level
from dlm.data.leakage import check_leakage
from dlm.execution.preemption import EXIT_INTERRUPTED, Watch
from dlm.execution.preparation import DEFAULT_OPTIONS, RunOptions, folder_of, load_datasets, remaining, subset_orders
from dlm.execution.result import Result, write_report
from dlm.execution.trial_runner import TrialRunner, log
from dlm.storage import artifacts, records
from dlm.storage.description import provenance
from dlm.storage.workdir import Workdir
from dlm.study.names import Status
from dlm.train.population import summarize_program
from dlm.utils.errors import Interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from dlm.study.study import Study


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Numbers of trials: trained by a run, complete before it, and how many of the study failed or diverged."""

    trained: int
    before: int
    failed: int
    diverged: int

    def describe(self, folder: Path) -> str:
        """One line for the end of a run."""
        parts = [f"trained {self.trained} trials ({self.before} were complete)"]
        if self.diverged:
            parts.append(f"{self.diverged} diverged and are excluded")
        if self.failed:
            parts.append(f"{self.failed} failed and are retried by the next run")
        return "; ".join([*parts, f"results in {folder}"])


def run(
    study: Study,
    workdir: str | os.PathLike[str] | None = None,
    *,
    watch: Watch | None = None,
    console: Console | None = None,
    **options: Any,
) -> Result:
    """Train the trials of a study that `workdir` does not hold yet, write the report there, and return the result.

    A second call trains nothing and returns the same result. Progress is shown on standard error.

    Args:
        study: the study.
        workdir: folder of the run; by default `runs/<study.name>`.
        watch: handles signals; by default one for the duration of the call, which Ctrl-C never kills.
        console: prints the report; by default only a line about the trials is shown.
        **options: fields of `dlm.RunOptions`, such as `data_dir`, `download`, `packing` and `question`.

    Raises:
        UsageError: wrong usage, before anything is trained.
        Interrupted: after Ctrl-C (a notebook's stop button) or a signal. The state is saved; the same call resumes.
        OSError: the disk is full or gone.
    """
    run_options, folder = RunOptions(**options), folder_of(study, workdir)
    try:
        with contextlib.nullcontext(watch) if watch else Watch(hosted=True) as active:
            workdir, outcome = _run_trials(study, folder, run_options, active)
            active.check()
            if console is None:
                log(outcome.describe(folder))
            answer = write_report(workdir, console, study, run_options.question)
            trial_ids = {trial.trial_id for trial in study.trials}
            return Result.of(workdir, answer, study.name, run_options.question, trial_ids, outcome)
    except (Interrupted, KeyboardInterrupt) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else EXIT_INTERRUPTED
        message = f"stopped by a signal; finished trials and the last checkpoint are in {folder}; run again to resume"
        raise Interrupted(message, code) from None


def run_trials(
    study: Study, folder: str | Path, options: RunOptions = DEFAULT_OPTIONS, watch: Watch | None = None
) -> Outcome:
    """Train every trial of a study that the workdir `folder` does not hold yet, and export its records; no report.

    `watch` handles signals; by default one for the duration of the call. Raises UsageError for wrong usage, before
    anything is trained; Interrupted after a signal, with the state saved; OSError if the disk is full or gone.
    """
    return _run_trials(study, Path(folder), options, watch)[1]


def _run_trials(study: Study, folder: Path, options: RunOptions, watch: Watch | None) -> tuple[Workdir, Outcome]:
    options.configure_devices()
    with contextlib.ExitStack() as stack:
        watch = watch or stack.enter_context(Watch())
        # The data are checked before the workdir is made: a usage error leaves nothing behind.
        datasets, leaks = zip(*map(check_leakage, load_datasets(study, options)))
        watch.check()
        workdir = stack.enter_context(Workdir.create_or_resume(folder, report=log))
        watch.before_end.append(workdir.close)  # the process may end at a signal
        work = remaining(study, workdir)
        programs = {cohort: summarize_program(cohort.first, datasets[cohort.first.hold_out]) for cohort in work.cohorts}
        workdir.claim(
            study,
            data={"name": datasets[0].name, "fingerprint": ",".join(each.fingerprint for each in datasets)},
            provenance=provenance(programs, work.classical),
            question=options.question,
            command=options.command,
            chance=mean_chance_level(study.task, datasets, study.test_noise),
            pool_size=min(len(each.train) for each in datasets),
            remarks=datasets[0].remarks,
            report=log,
        )
        flops = {cohort.cohort_id: program.flops for cohort, program in programs.items()}
        orders = subset_orders(study, datasets)
        runner = TrialRunner(study, orders, workdir, options.resolve(datasets[0]), watch, flops)
        for hold_out, counts in enumerate(leaks):
            artifacts.write_leak_counts(folder, counts, hold_out)
        runner.run(work)
        artifacts.write_ensembles(folder, ensembles_of(study, orders, workdir.records, folder))
        records.write(workdir.table, folder)
    finished = workdir.finished()
    statuses = [finished.get(trial.trial_id) for trial in study.trials]
    before = len(statuses) - work.num_trials
    return workdir, Outcome(work.num_trials, before, statuses.count(Status.FAILED), statuses.count(Status.DIVERGED))

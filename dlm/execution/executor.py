"""Run a study: read the data, train what is not finished, write every number down."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from dlm.analysis.ensembles import ensembles_of
from dlm.data.corruption import check_noise
from dlm.data.dataset import Dataset, check_sizes
from dlm.data.leakage import searched
from dlm.execution.preemption import Watch
from dlm.execution.retention import DEFAULT_MIB
from dlm.execution.trial_runner import Session, Work, tell
from dlm.storage import artifacts, record_log, records
from dlm.storage.artifacts import MEBIBYTE
from dlm.storage.description import provenance
from dlm.storage.record_log import Record
from dlm.storage.workdir import Workdir
from dlm.study.learner import Learner
from dlm.study.names import Status
from dlm.study.study import Study
from dlm.study.trial import Trial, group_cohorts
from dlm.tasks import Task
from dlm.train import devices
from dlm.train.program import check_model, program_of
from dlm.utils.errors import UsageError, choose
from dlm.utils.optional_imports import require

MOST_RESIDENT = 0.5  # of the devices' memory that the pool may take; members need the rest


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run did: cells finished now and before it, and how many of the study's failed or diverged."""

    trained: int
    before: int
    failed: int
    diverged: int


def load(
    study: Study, data_dir: Path | None = None, *, download: bool = False, dataset: Dataset | None = None
) -> Dataset:
    """Read a study's data (or take the `dataset` it was read as) and check the study against it.

    UsageError for whatever is wrong with either.
    """
    for name, learner in study.learners.items():
        if not isinstance(learner, Learner) and not hasattr(learner, "fit"):
            raise UsageError(
                f"learners.{name}={learner!r} is no learner; use dlm.Learner(model) or a config of dlm.baselines"
            )
    if not isinstance(study.task, Task):
        raise UsageError(f"task={study.task!r} is no task; use one of dlm.tasks, or a subclass of dlm.tasks.Task")
    cells = study.trials
    options = _options(study, download)
    if dataset is None:
        dataset = study.data.load(data_dir, **options)
    check_sizes(dataset, study.train_sizes)
    study.task.check(dataset)
    for cell in {(cell.noise, cell.test_noise): cell for cell in cells}.values():
        for where, noise in (("noise", cell.noise), ("test_noise", cell.test_noise)):
            check_noise(noise, dataset.num_classes, tokens=dataset.vocabulary > 0, where=where)
    for cohort in group_cohorts([trial for trial in cells if isinstance(trial.learner, Learner)]):
        check_model(cohort.first, dataset)
    for learner in {cell.learner for cell in cells if hasattr(cell.learner, "check")}:
        learner.check(dataset)
    return dataset


def _options(study: Study, download: bool) -> dict[str, Any]:
    """What a source's load is told beside the folder. UsageError for a source that does not take it."""
    takes, name = inspect.signature(study.data.load).parameters, type(study.data).__name__
    if download and "download" not in takes:
        raise UsageError(f"--download is of no use with data={name}, which downloads nothing")
    if study.groups and "groups" not in takes:
        raise UsageError(f"groups={study.groups} are columns, and data={name} has none; leave groups out")
    return ({"download": True} if download else {}) | ({"groups": study.groups} if study.groups else {})


def remaining(study: Study, done: Sequence[Record]) -> Work:
    """What the records do not hold yet. A failed cell is tried again; a diverged one would only diverge again."""
    ends, steps = record_log.ends(done), record_log.measured_steps(done)

    def finished(trial: Trial) -> bool:
        end = ends.get(trial.trial_id)
        if end is None or end.status == "failed":
            return False
        every = trial.budget.eval_every if isinstance(trial.learner, Learner) else 0
        passed = set(range(every, end.step, every)) if every else set()
        return passed | {end.step} <= steps.get(trial.trial_id, set())  # lines may have been lost

    left = [trial for trial in study.trials if not finished(trial)]
    deep = [trial for trial in left if isinstance(trial.learner, Learner)]
    return Work(group_cohorts(deep), tuple(trial for trial in left if not isinstance(trial.learner, Learner)))


def run(
    study: Study,
    folder: str | Path,
    *,
    data_dir: Path | None = None,
    download: bool = False,
    dataset: Dataset | None = None,
    packing: str = "auto",
    input_mode: str = "auto",
    input_workers: int = 0,
    fit_workers: int | None = None,
    question: str = "",
    save_seconds: float | None = None,
    memory_limit: int | None = None,
    keep_mib: int = DEFAULT_MIB,
    command: str = "",
    watch: Watch | None = None,
) -> Outcome:
    """Train every cell of a study that the workdir `folder` does not hold yet, and export its records.

    `dataset`: the data, if they are read already; `download`: TFDS may fetch them. `input_mode`: "device", "stream" or
    "auto", see `is_streamed`; `input_workers`: processes that read a stream; 0: threads do. `memory_limit` in bytes,
    None for what the devices have: a cohort that takes more is trained in waves.
    `fit_workers`: processes that fit classical learners beside the training, None: one a core; 0: this one, before it.
    `keep_mib`: mebibytes of predictions, and as many of parameters, that cells may leave in the workdir.
    `command`: how the run was started, for its report.
    `save_seconds` between checkpoints, None for about a minute. `watch`: the one that hears signals already, if any.
    UsageError for wrong usage, before anything is trained; Interrupted when a signal asked to stop, with all saved;
    OSError where the disk is full or gone.
    """
    folder = Path(folder)
    devices.configure()
    with contextlib.ExitStack() as stack:
        watch = watch or stack.enter_context(Watch())
        # Before the workdir is made: a mistake in the study leaves nothing behind.
        dataset, leaks = searched(load(study, data_dir, download=download, dataset=dataset))
        watch.check()
        workdir = stack.enter_context(Workdir.create_or_resume(folder, report=tell))
        watch.before_end.append(workdir.close)  # the process may end at a signal
        work = remaining(study, workdir.records)
        flops = _claimed(study, workdir, dataset, work, question, command)
        streamed = is_streamed(input_mode, dataset)
        session = Session(
            study,
            dataset,
            folder,
            devices.packing(packing),
            watch,
            save_seconds,
            flops,
            streamed,
            input_workers,
            (default_fit_workers() if fit_workers is None else fit_workers),
            keep_mib * MEBIBYTE,
        )
        artifacts.write_leak_counts(folder, leaks)
        session.do(work, devices.memory_limit() if memory_limit is None else memory_limit)
        rows = record_log.rows(folder)
        artifacts.write_ensembles(folder, ensembles_of(study, dataset, session.orders, rows, folder))
        records.write(records.table_of(rows), folder)
        return _outcome(study, work, rows)


def default_fit_workers() -> int:
    """Processes for classical fits where nobody says how many: one a core, as they take only what training leaves."""
    return devices.num_usable_cores()


def is_streamed(input_mode: str, dataset: Dataset) -> bool:
    """Whether the pool stays on the host: where asked to, or where it would fill half of the devices' memory."""
    choose("input", input_mode, ("auto", "device", "stream"))
    large = dataset.train.nbytes * jax.local_device_count() > MOST_RESIDENT * devices.memory_limit()
    streamed = input_mode == "stream" or (input_mode == "auto" and large)
    if streamed:
        require("grain", "streaming the training pool from the host (see --input)")
    return streamed


def _claimed(
    study: Study, workdir: Workdir, dataset: Dataset, work: Work, question: str, command: str
) -> dict[str, float]:
    """Check that the workdir is this study's, made with this code, and set damaged lines aside.

    Returns the floating-point operations of an update by cohort id, which the same look at the programs tells.
    """
    programs = {cohort: program_of(cohort.first, dataset) for cohort in work.cohorts}
    workdir.claim(
        study,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint},
        provenance=provenance(programs, work.classical),
        question=question,
        command=command,
        report=tell,
    )
    return {cohort.cohort_id: program.flops for cohort, program in programs.items()}


def _outcome(study: Study, work: Work, now: Sequence[Record]) -> Outcome:
    finished = record_log.finished(now)
    statuses = [finished.get(trial.trial_id) for trial in study.trials]
    return Outcome(
        trained=work.num_trials,
        before=len(statuses) - work.num_trials,
        failed=statuses.count(Status.FAILED),
        diverged=statuses.count(Status.DIVERGED),
    )

"""Prepares a run: its options, its checked datasets, and the trials that remain."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from dlm.data.corruption import check_noise
from dlm.data.dataset import Dataset, check_train_sizes
from dlm.data.groups import hold_outs
from dlm.data.subset_orders import SubsetOrders
from dlm.execution.recording import DEFAULT_MIB
from dlm.study.learner import Learner
from dlm.study.names import Status
from dlm.study.trial import Cohort, Trial, group_cohorts
from dlm.tasks import Task
from dlm.train import devices
from dlm.train.program import check_model
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import local_folder
from dlm.utils.optional_imports import require

if TYPE_CHECKING:
    from dlm.storage.workdir import Workdir
    from dlm.study.study import Study

MAX_POOL_SHARE = 0.5  # of the devices' memory that the training pool may take


@dataclasses.dataclass(frozen=True, eq=False)
class RunOptions:
    """How a study is run; `dlm.run` and `dlm.plan` take the fields as keywords. Numbers depend on `packing` only.

    Attributes:
        data_dir: folder of prepared TFDS data; by default TFDS_DATA_DIR.
        download: let TFDS download and prepare data that are missing.
        dataset: the data, if already read.
        input: "device": keep the training pool in device memory; "stream": read it from the host; "auto": by its size.
        input_workers: processes that read a streamed pool; 0: threads.
        fit_workers: processes that fit classical learners during training; None: one per core; 0: fit before training.
        packing: "exact": each model as if trained alone; "fast": models batched; "auto": exact on CPU.
        num_cpu_devices: virtual CPU devices; 0: one per core, at least 2.
        memory_limit: bytes that training may take; None: what is available. Larger cohorts are trained in chunks.
        save_seconds: seconds between checkpoints; None: 60, or more if saving is slow.
        keep_mib: MiB of predictions, and as many of parameters, that are saved in the workdir.
        question: the question that the study answers, for the report.
        command: the command line, for the report.
    """

    data_dir: str | os.PathLike[str] | None = None
    download: bool = False
    dataset: Dataset | None = None
    input: str = "auto"
    input_workers: int = 0
    fit_workers: int | None = None
    packing: str = "auto"
    num_cpu_devices: int = 0
    memory_limit: int | None = None
    save_seconds: float | None = None
    keep_mib: int = DEFAULT_MIB
    question: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        choose("packing", self.packing, ("auto", "exact", "fast"))
        choose("input", self.input, ("auto", "device", "stream"))

    def configure_devices(self) -> None:
        """Set up the devices of this process, before JAX is used."""
        devices.configure(self.num_cpu_devices)

    def resolve(self, dataset: Dataset) -> RunOptions:
        """The options with packing, input, fit workers and memory limit chosen for the dataset and the devices."""
        return dataclasses.replace(
            self,
            packing=devices.packing(self.packing),
            input="stream" if is_streamed(self.input, dataset) else "device",
            fit_workers=default_fit_workers() if self.fit_workers is None else self.fit_workers,
            memory_limit=devices.memory_limit() if self.memory_limit is None else self.memory_limit,
        )


DEFAULT_OPTIONS = RunOptions()


@dataclasses.dataclass(frozen=True)
class Work:
    """The trials of a study that remain: gradient-trained ones as cohorts, and classical ones."""

    cohorts: tuple[Cohort, ...]
    classical: tuple[Trial, ...]

    @property
    def num_trials(self) -> int:
        """Number of trials that remain."""
        return sum(len(cohort.trials) for cohort in self.cohorts) + len(self.classical)


def folder_of(study: Study, workdir: str | os.PathLike[str] | None) -> Path:
    """The folder of a run, by default `runs/<study.name>`."""
    if workdir is None and not study.name:
        raise UsageError("the study has no name for its default workdir; pass workdir, or Study(name=…)")
    return local_folder(f"runs/{study.name}" if workdir is None else workdir, "workdir")


def load_datasets(study: Study, options: RunOptions = DEFAULT_OPTIONS) -> tuple[Dataset, ...]:
    """Read a study's data, unless `options.dataset` holds them, and check the study against each of its hold-outs.

    Raises UsageError if the data cannot be read, or do not fit the study's task, sizes, splits, noise or learners.
    """
    for name, learner in study.learners.items():
        if not isinstance(learner, Learner) and not hasattr(learner, "fit"):
            raise UsageError(
                f"learners.{name}={learner!r} is not a learner; use dlm.Learner(model) or a config of dlm.baselines"
            )
    if not isinstance(study.task, Task):
        raise UsageError(f"task={study.task!r} is not a task; use one of dlm.tasks, or a subclass of dlm.tasks.Task")
    data_dir = Path(options.data_dir).expanduser() if options.data_dir else None
    load_options = _load_options(study, options.download)
    loaded = options.dataset or study.data.load(data_dir, **load_options)
    if study.splits > 1 and is_streamed(options.input, loaded):
        raise UsageError(
            f"splits={study.splits} needs the training pool in memory, and --input={options.input} reads it from the "
            "host; set --input=device, or splits=1"
        )
    datasets = hold_outs(loaded, study.splits)
    dataset = min(datasets, key=lambda each: len(each.train))
    check_train_sizes(dataset, study.train_sizes)
    for each in datasets:
        study.task.check(each)
    for trial in {(trial.noise, trial.test_noise): trial for trial in study.trials}.values():
        for where, noise in (("noise", trial.noise), ("test_noise", trial.test_noise)):
            check_noise(noise, dataset.num_classes, tokens=dataset.vocabulary > 0, where=where)
    for cohort in study.cohorts:
        check_model(cohort.first, datasets[cohort.first.hold_out])
    for learner in {trial.learner for trial in study.trials if hasattr(trial.learner, "check")}:
        learner.check(dataset)
    return datasets


def _load_options(study: Study, download: bool) -> dict[str, Any]:
    """Keywords of a source's `load` besides `data_dir`. UsageError for a source that does not take them."""
    takes, name = inspect.signature(study.data.load).parameters, type(study.data).__name__
    if download and "download" not in takes:
        raise UsageError(f"--download has no effect with data={name}, which downloads nothing")
    if study.groups and "groups" not in takes:
        raise UsageError(f"groups={study.groups} names columns, but data={name} has none; omit groups")
    return ({"download": True} if download else {}) | ({"groups": study.groups} if study.groups else {})


def remaining(study: Study, workdir: Workdir) -> Work:
    """The trials that are not finished on record. A failed trial is retried; a diverged one would diverge again."""
    ends, steps = workdir.ends(), workdir.measured_steps()

    def finished(trial: Trial) -> bool:
        end = ends.get(trial.trial_id)
        if end is None or end.status == Status.FAILED:
            return False
        every = trial.budget.eval_every if isinstance(trial.learner, Learner) else 0
        passed = set(range(every, end.step, every)) if every else set()
        return passed | {end.step} <= steps.get(trial.trial_id, set())  # damaged lines are measured again

    unfinished = [trial for trial in study.trials if not finished(trial)]
    gradient_trained = [trial for trial in unfinished if isinstance(trial.learner, Learner)]
    classical = tuple(trial for trial in unfinished if not isinstance(trial.learner, Learner))
    return Work(group_cohorts(gradient_trained), classical)


def subset_orders(study: Study, datasets: Sequence[Dataset]) -> tuple[SubsetOrders, ...]:
    """The orders of each hold-out's pool, for the subset seeds that the study trains there."""
    return tuple(
        SubsetOrders(dataset, (trial.subset_seed for trial in study.trials if trial.hold_out == number))
        for number, dataset in enumerate(datasets)
    )


def default_fit_workers() -> int:
    """Processes for classical fits: one per core, since they run at low priority."""
    return devices.num_usable_cores()


def is_streamed(input_mode: str, dataset: Dataset) -> bool:
    """Whether the pool is read from the host: as chosen, or if it would fill half of the devices' memory."""
    large = dataset.train.nbytes * jax.local_device_count() > MAX_POOL_SHARE * devices.memory_limit()
    streamed = input_mode == "stream" or (input_mode == "auto" and large)
    if streamed:
        require("grain", "streaming the training pool from the host (see --input)")
    return streamed

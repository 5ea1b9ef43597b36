"""Estimates the cost of a run before training: operations are counted, and a few updates and fits are timed."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from dlm.baselines.evaluation import fit_and_evaluate
from dlm.curves.summary import summarize
from dlm.curves.types import Curve
from dlm.execution.preparation import RunOptions, folder_of, is_streamed, load_datasets, remaining, subset_orders
from dlm.report.figures import save_learning_curves
from dlm.report.formatting import duration
from dlm.storage.workdir import Workdir
from dlm.train import devices
from dlm.train.device_data import put_on_devices
from dlm.train.population import population_of, summarize_program
from dlm.train.profiling import memory_chunks, memory_usage, seconds_per_evaluation, seconds_per_update
from dlm.train.trainer import CohortRun

if TYPE_CHECKING:
    from rich.console import Group

    from dlm.data.subset_orders import SubsetOrders
    from dlm.study.study import Study
    from dlm.study.trial import Cohort, Trial
    from dlm.train.device_data import DeviceData
    from dlm.train.devices import Packing


TIMED_SECONDS = 2.0  # of training, for each cohort
FITTED_SECONDS = 3.0  # of classical fits, for each learner
LONGEST_WARM_UP = 60.0  # seconds of a first fit that is repeated


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a cohort or of a classical learner's trials. Seconds are estimates.

    `flops`: floating-point operations of the updates; `memory`: bytes of the largest memory chunk.
    """

    name: str
    trials: int
    programs: int = 0
    updates: int = 0
    flops: float = 0.0
    memory: int = 0
    compile_seconds: float = 0.0
    work_seconds: float = 0.0

    def texts(self) -> tuple[str, ...]:
        """The row of the plan's table."""
        texts = (f"{self.programs}", f"{self.updates:,}", _scaled(self.flops), _scaled(self.memory, "B"))
        own = (*texts, duration(self.compile_seconds)) if self.programs else ("–",) * 5
        return (self.name, f"{self.trials:,}", *own, duration(self.work_seconds))


@dataclasses.dataclass(frozen=True)
class Plan:
    """Cost of each part, and seconds before the first part (start, data) and after the last (report).

    test_precision: how precisely the test examples measure an error, in a sentence. remarks: how the data were read.
    """

    study_name: str
    parts: tuple[Cost, ...]
    start_seconds: float
    report_seconds: float
    trials_done: int
    test_precision: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Estimate of the whole run, with the compilation cache that planning has filled."""
        parts = sum(part.compile_seconds + part.work_seconds for part in self.parts)
        return self.start_seconds + parts + self.report_seconds

    def __str__(self) -> str:
        flops, memory = sum(part.flops for part in self.parts), max((part.memory for part in self.parts), default=0)
        programs = [part.programs for part in self.parts if part.programs]
        return (
            f"{sum(part.trials for part in self.parts):,} trials remain, {self.trials_done:,} are complete; "
            f"{len(programs)} cohorts, {sum(programs)} programs (now in the compilation cache), "
            f"{sum(part.updates for part in self.parts):,} updates, {_scaled(flops)} FLOPs, "
            f"at most {_scaled(memory, 'B')} of device memory.\n"
            f"The run takes about {duration(self.seconds)}: {duration(self.start_seconds)} to start and read the data, "
            f"{duration(self.report_seconds)} for the report, the rest as above."
            + "".join(f"\n{line}" for line in (*self.remarks, self.test_precision) if line)
        )

    def __rich__(self) -> Group:
        """Table of the parts, then the totals."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        title = Text(self.study_name) if self.study_name else None  # Text has no markup: names may hold brackets
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
        for name in ("part", "trials", "programs", "updates", "FLOPs", "memory", "compile", "work"):
            table.add_column(name, justify="left" if name == "part" else "right", no_wrap=True)
        for part in self.parts:
            table.add_row(*map(Text, part.texts()))
        return Group(table, Text(str(self)))


def _scaled(value: float, unit: str = "") -> str:
    """A number with an SI prefix, such as 1.2 GB."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}".strip()
        value /= 1000
    return f"{value:.3g} E{unit}"


def plan(study: Study, workdir: str | os.PathLike[str] | None = None, **options: Any) -> Plan:
    """Estimate the cost of the trials that `workdir` does not hold yet; by default of `runs/<study.name>`.

    Programs are compiled, and a few updates and fits timed. Nothing is saved but compiled programs. `options` are those
    of `dlm.run`; see `dlm.RunOptions`. Raises UsageError like `dlm.run`.
    """
    run_options, folder = RunOptions(**options), folder_of(study, workdir)
    devices.configure(run_options.num_cpu_devices)
    datasets = load_datasets(study, run_options)
    work = remaining(study, Workdir(folder, None))
    orders, streamed = subset_orders(study, datasets), is_streamed(run_options.input, datasets[0])
    start_seconds, parts = time.time() - psutil.Process().create_time(), []
    for number, own in enumerate(orders):
        if cohorts := [cohort for cohort in work.cohorts if cohort.first.hold_out == number]:
            device_data, packing = put_on_devices(own, streamed=streamed), devices.packing(run_options.packing)
            parts += [_cohort_cost(cohort, device_data, packing) for cohort in cohorts]
    for name in dict.fromkeys(trial.name for trial in work.classical):
        trials = [trial for trial in work.classical if trial.name == name]
        parts.append(_classical_cost(name, trials, orders))
    complete = len(study.trials) - work.num_trials
    remarks = () if run_options.dataset else datasets[0].remarks  # with `dataset`, the caller read them
    precision = "" if any(datasets[0].test_precision in remark for remark in remarks) else datasets[0].test_precision
    return Plan(study.name, tuple(parts), start_seconds, _report_seconds(study), complete, precision, remarks)


def _cohort_cost(cohort: Cohort, device_data: DeviceData, packing: Packing) -> Cost:
    population = population_of(cohort, device_data, packing)
    first, *more = memory_chunks(population, cohort, device_data, devices.memory_limit())
    fixed, each = memory_usage(population, cohort, device_data)
    CohortRun(first, population, device_data).compile()
    start = time.perf_counter()
    run = CohortRun(first, population_of(cohort, device_data, packing), device_data)
    run.compile()  # from the cache, as in the run
    compile_seconds = (time.perf_counter() - start) * (1 + len(more))
    updates = cohort.num_updates
    every = cohort.first.budget.eval_every
    evaluations = sum(1 + (trial.num_steps // every if every else 0) for trial in cohort.trials)
    return Cost(
        name=f"{cohort.first.name}, hold-out {cohort.first.hold_out}" if cohort.first.splits > 1 else cohort.first.name,
        trials=len(cohort.trials),
        programs=run.population.num_compiled,
        updates=updates,
        flops=updates * summarize_program(cohort.first, device_data.dataset).flops,
        memory=int(fixed + each * len(first.trials)),
        compile_seconds=compile_seconds,
        work_seconds=updates * seconds_per_update(run, TIMED_SECONDS) + evaluations * seconds_per_evaluation(run),
    )


def _classical_cost(name: str, trials: Sequence[Trial], orders: Sequence[SubsetOrders]) -> Cost:
    """Time fits of increasing size; beyond the largest timed size, time is proportional to the size."""
    trial_of_size = {trial.train_size: trial for trial in trials}
    timed: dict[int, float] = {}
    for size, trial in sorted(trial_of_size.items()):
        if sum(timed.values()) > FITTED_SECONDS:
            break
        # The first fit of a size also compiles, and the first of all imports libraries, however long that takes.
        for most in (1.0 if timed else LONGEST_WARM_UP, 0.0):
            start = time.perf_counter()
            fit_and_evaluate(trial, orders[trial.hold_out])
            timed[size] = time.perf_counter() - start
            if timed[size] > most:
                break
    largest = max(timed)
    seconds = sum(timed.get(t.train_size, timed[largest] * t.train_size / largest) for t in trials)
    return Cost(name, len(trials), work_seconds=seconds)


def _report_seconds(study: Study) -> float:
    """Seconds for a summary and its figure, timed with synthetic curves of this study's shape."""
    rng, num_seeds = np.random.default_rng(0), len(study.seeds)  # type: ignore[arg-type]
    errors = tuple(tuple(rng.uniform(0.9, 1.1, num_seeds) * size**-0.5) for size in study.train_sizes)
    curves = [Curve(name, study.train_sizes, errors) for name in study.learners]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        save_learning_curves(summarize(curves, targets=study.targets or (0.01,)), Path(folder) / "curve")
    return time.perf_counter() - start

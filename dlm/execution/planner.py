"""What a run would cost, said before anything is trained: counted where it can be, timed in a few steps where not."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from dlm.baselines.evaluation import fit_and_evaluate
from dlm.curves.summary import answer
from dlm.curves.types import Curve
from dlm.data.dataset import Dataset
from dlm.data.subset_orders import SubsetOrders
from dlm.execution.executor import is_streamed, load, remaining
from dlm.execution.trial_runner import subset_orders_of
from dlm.report.figures import learning_curve
from dlm.report.progress.eta import duration
from dlm.storage import record_log
from dlm.study.study import Study
from dlm.study.trial import Cohort, Trial
from dlm.train import devices
from dlm.train.device_data import DeviceData, place
from dlm.train.memory import memory, waves
from dlm.train.population import Packing
from dlm.train.program import population_of, program_of
from dlm.train.trainer import CohortRun

if TYPE_CHECKING:
    from rich.console import Console


def print_plan(plan: Plan, console: Console, *, title: str = "") -> None:
    """What each part costs, and the whole. Times are estimates; the others are counted."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=(0, 1), pad_edge=False)
    table.add_column("part", no_wrap=True)
    for name in ("trials", "programs", "updates", "FLOPs", "memory", "compile", "work"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in plan.parts:
        table.add_row(
            part.name,
            f"{part.trials:,}",
            f"{part.programs}" if part.programs else "–",
            f"{part.updates:,}" if part.updates else "–",
            _scaled(part.flops, "") if part.flops else "–",
            _scaled(part.memory, "B") if part.memory else "–",
            duration(part.compile_seconds) if part.programs else "–",
            duration(part.work_seconds),
        )
    console.print(table)
    cohorts = sum(part.programs > 0 for part in plan.parts)
    console.print(
        f"{sum(part.trials for part in plan.parts):,} trials to do, {plan.trials_done:,} done before; "
        f"{cohorts} cohorts, {sum(part.programs for part in plan.parts)} programs (now in the compilation cache), "
        f"{sum(part.updates for part in plan.parts):,} updates, {_scaled(sum(part.flops for part in plan.parts), '')} "
        f"floating-point operations, at most {_scaled(max((part.memory for part in plan.parts), default=0), 'B')} "
        "on the devices.",
        highlight=False,
    )
    console.print(
        f"The run takes about {duration(plan.seconds)}: {duration(plan.start_seconds)} to start and read the data, "
        f"{duration(plan.report_seconds)} for the report, the rest as above.",
        highlight=False,
    )


def _scaled(value: float, unit: str) -> str:
    """A number with its power of a thousand: 1.2 GB, 34 T."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}".strip()
        value /= 1000
    return f"{value:.3g} E{unit}"


TIMED_SECONDS = 2.0  # of training, for each cohort
FITTED_SECONDS = 3.0  # of classical fits, for each learner


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of one part of a study: a cohort, or a classical learner's cells. Seconds are estimates.

    `flops` counts the floating-point operations of the updates; `memory` is bytes while the part runs, its largest
    wave's where it does not fit at once.
    """

    name: str
    trials: int
    programs: int = 0
    updates: int = 0
    flops: float = 0.0
    memory: int = 0
    compile_seconds: float = 0.0
    work_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """The parts' costs, and the seconds before the first of them and after the last (start, data; forecast, figure)."""

    parts: tuple[Cost, ...]
    start_seconds: float
    report_seconds: float
    trials_done: int

    @property
    def seconds(self) -> float:
        """Estimate of the whole run, with the compilation cache that planning has filled."""
        parts = sum(part.compile_seconds + part.work_seconds for part in self.parts)
        return self.start_seconds + parts + self.report_seconds


def plan(
    study: Study,
    workdir: Path,
    *,
    data_dir: Path | None = None,
    download: bool = False,
    dataset: Dataset | None = None,
    packing: str = "auto",
    input_mode: str = "auto",
) -> Plan:
    """Cost of what the workdir does not hold yet. Keeps nothing that it trains and writes nothing into the workdir."""
    devices.configure()
    dataset = load(study, data_dir, download=download, dataset=dataset)
    work = remaining(study, record_log.rows(workdir))
    orders = subset_orders_of(study, dataset)
    placed = place(orders, streamed=is_streamed(input_mode, dataset))
    start_seconds = time.time() - psutil.Process().create_time()
    parts = [_cohort_cost(cohort, placed, devices.packing(packing)) for cohort in work.cohorts]
    for name in dict.fromkeys(trial.name for trial in work.classical):
        cells = [trial for trial in work.classical if trial.name == name]
        parts.append(_classical_cost(name, cells, orders))
    return Plan(tuple(parts), start_seconds, _report_seconds(study), len(study.trials) - work.num_trials)


def _cohort_cost(cohort: Cohort, placed: DeviceData, packing: Packing) -> Cost:
    population = population_of(cohort, placed, packing)
    first, *more = waves(population, cohort, placed, devices.memory_limit())
    fixed, each = memory(population, cohort, placed)
    CohortRun(first, population, placed).compile()
    start = time.perf_counter()
    run = CohortRun(first, population_of(cohort, placed, packing), placed)
    run.compile()  # again, as the run will find it: from the cache
    compile_seconds = (time.perf_counter() - start) * (1 + len(more))
    updates = cohort.num_updates
    every = cohort.first.budget.eval_every
    evaluations = sum(1 + (trial.num_steps // every if every else 0) for trial in cohort.trials)
    return Cost(
        name=cohort.first.name,
        trials=len(cohort.trials),
        programs=run.population.num_compiled,
        updates=updates,
        flops=updates * program_of(cohort.first, placed.dataset).flops,
        memory=int(fixed + each * len(first.trials)),
        compile_seconds=compile_seconds,
        work_seconds=updates * _seconds_per_update(run) + evaluations * _seconds_per_evaluation(run),
    )


def _seconds_per_update(run: CohortRun) -> float:
    """Of one member, while all of them train: the longest trials are dealt so that devices end together."""
    applied, seconds = run.advance(1)
    steps = 1
    while seconds < TIMED_SECONDS and applied:
        if seconds < TIMED_SECONDS / 8:  # too short to count, so a longer one in its place
            steps *= 4
            applied, seconds = run.advance(steps)
            continue
        more, longer = run.advance(steps)
        applied, seconds = applied + more, seconds + longer
        if not more:
            break
    return seconds / max(1, applied)


def _seconds_per_evaluation(run: CohortRun) -> float:
    run.evaluate_all()
    start = time.perf_counter()
    run.evaluate_all()
    return (time.perf_counter() - start) / len(run.rows)


def _classical_cost(name: str, cells: Sequence[Trial], orders: SubsetOrders) -> Cost:
    """Fit ever larger cells for a while; a fit's time is taken as proportional to the size beyond the largest timed."""
    one_a_size = {trial.train_size: trial for trial in cells}
    timed: dict[int, float] = {}
    for size, trial in sorted(one_a_size.items()):
        if sum(timed.values()) > FITTED_SECONDS:
            break
        for _ in range(2):  # the first time of a size imports and compiles what the others find
            start = time.perf_counter()
            fit_and_evaluate(trial, orders)
            timed[size] = time.perf_counter() - start
            if timed[size] > 1.0:
                break
    largest = max(timed)
    seconds = sum(timed.get(t.train_size, timed[largest] * t.train_size / largest) for t in cells)
    return Cost(name, len(cells), work_seconds=seconds)


def _report_seconds(study: Study) -> float:
    """Time of an answer and its figure for curves of this study's shape."""
    rng = np.random.default_rng(0)
    num_seeds = len(study.seeds)  # type: ignore[arg-type]
    curves = [
        Curve(
            name,
            study.train_sizes,
            tuple(tuple(rng.uniform(0.9, 1.1, num_seeds) * size**-0.5) for size in study.train_sizes),
        )
        for name in study.learners
    ]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        learning_curve(answer(curves, targets=study.targets or (0.01,)), Path(folder) / "curve")
    return time.perf_counter() - start

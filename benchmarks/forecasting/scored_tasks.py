"""Forecasts tasks in several processes and scores the forecasts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.scores import abs_log_error, interval_score, measured_draws, pit, rmsle, smallest_error
from dlm.curves.forecaster import Forecast, forecast, forecast_many

Array = NDArray[np.float64]
Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 32  # tasks per call of forecast_many in a worker process
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Row:
    """The scores of one task. `pit`, widths, interval score and `abs_log_error` refer to its last target.

    `low`, `median` and `high` are the forecast of the expected error with its 95 % interval; `score` is the interval
    score of the 95 % interval of the measured mean. `rmsle` and `pits` (PIT values) include all targets. `refused` is
    the forecaster's message if it refused the task.
    """

    archive: str
    curve: str
    dataset: str
    learner: str
    ratio: float
    seeds: int
    per_octave: int
    num_sizes: int
    target: float
    last: float
    pit: float = float("nan")
    low: float = float("nan")
    median: float = float("nan")
    high: float = float("nan")
    score: float = float("nan")
    abs_log_error: float = float("nan")
    rmsle: float = float("nan")
    pits: tuple[float, ...] = ()
    refused: str = ""

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval."""
        return (self.high - self.low) / 2


def forecast_tasks(tasks: Sequence[Task]) -> list[Forecast | str]:
    """The forecast for each task, or the message with which it was refused."""
    forecasts: list[Forecast | str] = [""] * len(tasks)
    for bound in dict.fromkeys(task.bound for task in tasks):
        indices = [k for k, task in enumerate(tasks) if task.bound == bound]
        for k, result in zip(indices, _forecast_same_bound([tasks[k] for k in indices])):
            forecasts[k] = result
    return forecasts


def _forecast_same_bound(tasks: Sequence[Task]) -> Sequence[Forecast | str]:
    """Forecasts for tasks with the same bound."""
    rows = [_columns(task) for task in tasks]
    at = [task.at for task in tasks]
    try:
        return forecast_many(rows, at=at, bound=tasks[0].bound, seed=_SEED)
    except ValueError:
        return [_forecast_one(task) for task in tasks]  # a refused task must not fail the others


def _columns(task: Task) -> tuple[Array | None, ...]:
    known = (task.train_sizes, task.errors, task.stderr, task.repeats)
    return known[:2] if task.stderr is None and task.repeats is None else known


def _forecast_one(task: Task) -> Forecast | str:
    try:
        return forecast(
            task.train_sizes,
            task.errors,
            stderr=task.stderr,
            repeats=task.repeats,
            at=task.at,
            bound=task.bound,
            seed=_SEED,
        )
    except ValueError as error:
        return str(error)


def score_tasks(tasks: Sequence[Task]) -> list[Row]:
    """Forecasts and scores each task."""
    return [score_forecast(task, result) for task, result in zip(tasks, forecast_tasks(tasks))]


def score_forecast(task: Task, result: Forecast | str) -> Row:
    """The scores of one forecast or refusal."""
    base = Row(
        archive=task.archive,
        curve=task.curve,
        dataset=task.dataset,
        learner=task.learner,
        ratio=task.ratio,
        seeds=task.seeds,
        per_octave=task.per_octave,
        num_sizes=len(task.train_sizes),
        target=float(task.targets[-1]),
        last=float(task.means[-1]),
    )
    if isinstance(result, str):
        return dataclasses.replace(base, refused=result)
    draws = measured_draws(result.samples, task.target_se, task.bound, task.key)
    pits = pit(draws, task.targets, task.key)
    low, median, high = result.quantile([0.025, 0.5, 0.975])
    least, most = np.quantile(draws[:, -1], [0.025, 0.975])
    return dataclasses.replace(
        base,
        pit=float(pits[-1]),
        low=float(low[-1]),
        median=float(median[-1]),
        high=float(high[-1]),
        score=float(interval_score(least, most, task.targets[-1], 0.95)),
        abs_log_error=float(abs_log_error(task.targets[-1], median[-1], smallest_error(task.bound))),
        rmsle=rmsle(task.targets, median),
        pits=tuple(map(float, pits)),
    )


def map_chunks(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], jobs: int) -> list[Result]:
    """Applies `work` to chunks of the items in `jobs` processes (1: in this one); results in the order of the items."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    if jobs == 1 or len(chunks) < 2:
        return list(itertools.chain.from_iterable(map(work, chunks)))
    # A fresh interpreter: a forked one may hold locks of threads that do not exist in it.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread)
    try:
        return list(itertools.chain.from_iterable(pool.map(work, chunks)))
    finally:
        pool.shutdown(cancel_futures=True)  # stops the workers after an interrupt


def _one_thread() -> None:
    """Limits BLAS to one thread: small matrices are faster on one, and the processes share the cores."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)

"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import functools
import time
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from dlm.data.arrays import Arrays, Split
from dlm.study import Trial
from dlm.train.evaluate import BATCH_SIZE


def fit_and_measure(trial: Trial, arrays: Arrays, order: np.ndarray) -> tuple[int, dict[tuple[str, str], float], float]:
    """(iterations, values by (split, measure), seconds) of one cell.

    order: the pool's order for the trial's subset seed, int [N]. Whatever the library raises is raised.
    """
    start = time.perf_counter()
    subset = arrays.train.take(order[: trial.train_size])
    # On a busy machine a second BLAS thread makes small fits 40 times slower (it spins), and numbers depend on cores.
    with threadpool_limits(1):
        fitted = trial.learner.fit(arrays.features(subset), subset.y, arrays.num_classes, trial.init_seed)
    seconds = time.perf_counter() - start
    values = {("train", "loss"): _measures(trial.task, fitted, arrays, subset)["loss"]}
    for name in ("validation", "test"):
        split = getattr(arrays, name)
        values |= {(name, measure): value for measure, value in _measures(trial.task, fitted, arrays, split).items()}
    return fitted.iterations, values, seconds


def _measures(task: Any, fitted: Any, arrays: Arrays, split: Split) -> dict[str, float]:
    """Means of the task's measures over a split, taken in batches of one shape: one program for all cells."""
    outputs = np.asarray(fitted.outputs(arrays.features(split)))
    sums: dict[str, float] = {}
    for start in range(0, len(split), BATCH_SIZE):
        count = min(BATCH_SIZE, len(split) - start)
        rows = np.arange(start, start + BATCH_SIZE) % len(split)
        for name, value in _compiled(task)(outputs[rows], split.y[rows]).items():
            sums[name] = sums.get(name, 0.0) + float(np.sum(np.asarray(value)[:count], dtype=np.float64))
    return {name: value / len(split) for name, value in sums.items()}


@functools.cache
def _compiled(task: Any) -> Any:
    return jax.jit(task.measures)

"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import functools
import time
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.fitted import Fitted
from dlm.data.arrays import Arrays, Split
from dlm.data.moments import Moments
from dlm.data.orders import Orders
from dlm.study import Trial
from dlm.train.evaluate import BATCH_SIZE

OUTPUTS_AT_ONCE = 2**24  # numbers that a learner is asked for in one go


def fit_and_measure(trial: Trial, orders: Orders) -> tuple[int, dict[tuple[str, str], float], float]:
    """(iterations, values by (split, measure), seconds) of one cell. Whatever the library raises is raised."""
    start = time.perf_counter()
    arrays, moments = orders.arrays, orders.moments(trial.subset_seed, trial.train_size)
    subset = orders.subset(trial.subset_seed, trial.train_size)
    targets = moments.targets(subset.y) if moments and arrays.has_numeric_targets else subset.y
    # On a busy machine a second BLAS thread makes small fits 40 times slower (it spins), and numbers depend on cores.
    with threadpool_limits(1):
        x = arrays.features(subset.x, moments)
        fitted = trial.learner.fit(x, targets, trial.task.num_outputs(arrays), trial.init_seed)
        seconds = time.perf_counter() - start
        measure = functools.partial(_measures, trial.task, fitted, arrays, moments)
        values = {("train", "loss"): measure(Split(subset.x, targets), in_targets_unit=False)["loss"]}
        for name in ("validation", "test"):
            values |= {(name, measured): value for measured, value in measure(getattr(arrays, name)).items()}
    return fitted.iterations, values, seconds


def _measures(
    task: Any, fitted: Fitted, arrays: Arrays, moments: Moments | None, split: Split, *, in_targets_unit: bool = True
) -> dict[str, float]:
    """The task's measures over a split, taken in batches of one shape: one program for all cells."""
    sums: dict[str, float] = {}
    wide = task.num_outputs(arrays) * (int(np.prod(split.y.shape[1:])) if not arrays.has_numeric_targets else 1)
    block = max(1, OUTPUTS_AT_ONCE // (wide * BATCH_SIZE)) * BATCH_SIZE
    for begin in range(0, len(split), block):
        outputs = np.asarray(fitted.outputs(arrays.features(split.x[begin : begin + block], moments)))
        if moments and arrays.has_numeric_targets and in_targets_unit:
            outputs = moments.outputs(outputs)
        targets = split.y[begin : begin + block]
        for start in range(0, len(outputs), BATCH_SIZE):
            count = min(BATCH_SIZE, len(outputs) - start)
            rows = np.arange(start, start + BATCH_SIZE) % len(outputs)
            for name, value in _compiled(task)(outputs[rows], targets[rows]).items():
                sums[name] = sums.get(name, 0.0) + float(np.sum(np.asarray(value)[:count], dtype=np.float64))
    finished: dict[str, float] = task.finish({name: value / len(split) for name, value in sums.items()})
    return finished


@functools.cache
def _compiled(task: Any) -> Any:
    return jax.jit(task.measures)

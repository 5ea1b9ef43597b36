"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dlm.data.arrays import Arrays, Split
from dlm.study import Trial


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
    outputs = fitted.outputs(arrays.features(split))
    return {name: float(np.mean(value)) for name, value in task.measures(outputs, split.y).items()}

"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.fitted import constant
from dlm.baselines.measuring import Seen, measured
from dlm.data.orders import Orders
from dlm.noise import Noise
from dlm.study import Trial
from dlm.train.evaluate import TEST_SEED


def fit_and_measure(trial: Trial, orders: Orders) -> tuple[int, dict[tuple[str, str], float], float]:
    """(iterations, values by (split, measure), seconds) of one cell. Whatever the library raises is raised."""
    start = time.perf_counter()
    arrays, task = orders.arrays, trial.task
    seen = Seen(arrays, orders.moments(trial.subset_seed, trial.train_size))
    subset = orders.subset(trial.subset_seed, trial.train_size)
    # On a busy machine a second BLAS thread makes small fits 40 times slower (it spins), and numbers depend on cores.
    with threadpool_limits(1):
        x, y = seen.examples(subset, trial.noise, trial.subset_seed)
        if arrays.num_classes and len(np.unique(y)) == 1:
            fitted = constant(int(y[0]), arrays.num_classes)
        else:
            fitted = trial.learner.fit(x, seen.targets(y), task.num_outputs(arrays), trial.init_seed)
        seconds = time.perf_counter() - start
        on_train = measured(task, fitted, seen, subset, trial.noise, trial.subset_seed)
        values = {("train", "loss"): on_train["loss"]}
        for name, noise, leaked in (("validation", Noise(), None), ("test", trial.test_noise, arrays.leaked)):
            found = measured(task, fitted, seen, getattr(arrays, name), noise, TEST_SEED, leaked)
            values |= {(name, measure): value for measure, value in found.items()}
    return fitted.iterations, values, seconds

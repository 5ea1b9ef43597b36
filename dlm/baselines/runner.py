"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.fitted import constant
from dlm.baselines.measuring import Seen, measured
from dlm.data.orders import Orders
from dlm.noise import Noise
from dlm.study import Trial
from dlm.train.evaluate import TEST_SEED


@dataclasses.dataclass(frozen=True)
class Fit:
    """A cell's fit: iterations it took, values by (split, measure), seconds, and what it says of each test example."""

    iterations: int
    values: dict[tuple[str, str], float]
    seconds: float
    test_examples: dict[str, np.ndarray]


def fit_and_measure(trial: Trial, orders: Orders) -> Fit:
    """Fit one cell and measure it. Whatever the library raises is raised."""
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
        validation = measured(task, fitted, seen, arrays.validation, Noise(), TEST_SEED)
        test = measured(task, fitted, seen, arrays.test, trial.test_noise, TEST_SEED, arrays.leaked)
    values = {("train", "loss"): on_train.values["loss"]}
    for name, found in (("validation", validation), ("test", test)):
        values |= {(name, measure): value for measure, value in found.values.items()}
    return Fit(fitted.iterations, values, seconds, test.examples)

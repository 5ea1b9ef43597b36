"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import contextlib
import dataclasses
import time

import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.fitted import Fitted, constant
from dlm.baselines.measuring import Seen, chosen_by, measured
from dlm.data.orders import Orders
from dlm.noise import Noise
from dlm.study import Trial
from dlm.train.evaluate import TEST_SEED

FEW = 64  # examples that show what a learner imports


@dataclasses.dataclass(frozen=True)
class Fit:
    """A cell's fit: iterations it took, values by (split, measure), and what it says of each test example.

    `seconds` of a processor the fit took, `inference_seconds` each test example: what else ran meanwhile is not in it.
    """

    iterations: int
    values: dict[tuple[str, str], float]
    seconds: float
    inference_seconds: float
    test_examples: dict[str, np.ndarray]


_imported: set[type] = set()


def _import_for(trial: Trial, x: np.ndarray, y: np.ndarray, num_outputs: int) -> None:
    """Let a learner that is met for the first time fit a few examples: what it imports is not a fit's time."""
    if type(trial.learner) not in _imported:
        _imported.add(type(trial.learner))
        with contextlib.suppress(Exception):  # it is told where it matters
            trial.learner.fit(x[:FEW], y[:FEW], num_outputs, trial.init_seed)


class _Timed:
    """What a learner learnt, with the seconds of a processor that its outputs take."""

    def __init__(self, fitted: Fitted) -> None:
        self.seconds, self._outputs = 0.0, fitted.outputs
        self.fitted = dataclasses.replace(fitted, outputs=self._timed)

    def _timed(self, x: np.ndarray) -> np.ndarray:
        start = time.thread_time()
        outputs = self._outputs(x)
        self.seconds += time.thread_time() - start
        return outputs


def fit_and_measure(trial: Trial, orders: Orders) -> Fit:
    """Fit one cell and measure it. Whatever the library raises is raised."""
    arrays, task = orders.arrays, trial.task
    seen = Seen(arrays, orders.moments(trial.subset_seed, trial.train_size))
    subset = orders.subset(trial.subset_seed, trial.train_size)
    # On a busy machine a second BLAS thread makes small fits 40 times slower (it spins), and numbers depend on cores.
    with threadpool_limits(1):
        x, y = seen.examples(subset, trial.noise, trial.subset_seed)
        _import_for(trial, x, seen.targets(y), task.num_outputs(arrays))
        start = time.thread_time()
        if arrays.num_classes and len(np.unique(y)) == 1:
            fitted = constant(int(y[0]), arrays.num_classes)
        else:
            fitted = trial.learner.fit(x, seen.targets(y), task.num_outputs(arrays), trial.init_seed)
        seconds = time.thread_time() - start
        chosen = chosen_by(task, fitted, seen)
        on_train = measured(task, fitted, seen, subset, trial.noise, trial.subset_seed, None, chosen)
        validation = measured(task, fitted, seen, arrays.validation, Noise(), TEST_SEED, None, chosen)
        timed = _Timed(fitted)
        test = measured(task, timed.fitted, seen, arrays.test, trial.test_noise, TEST_SEED, arrays.leaked, chosen)
    values = {("train", "loss"): on_train.values["loss"]}
    for name, found in (("validation", validation), ("test", test)):
        values |= {(name, measure): value for measure, value in found.values.items()}
    return Fit(fitted.iterations, values, seconds, timed.seconds / len(arrays.test), test.examples)

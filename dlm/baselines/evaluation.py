"""Fit classical learners cell by cell and measure them as the deep ones are measured."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.base import Fitted, constant
from dlm.data.corruption import noisy_inputs, noisy_labels
from dlm.data.dataset import Dataset, Split
from dlm.data.normalization import NormalizationStats
from dlm.data.subset_orders import SubsetOrders
from dlm.storage.artifacts import WITHOUT_LEAKS
from dlm.study.noise import Noise
from dlm.study.trial import Trial
from dlm.train.evaluate import BATCH_SIZE, TEST_SEED

OUTPUTS_AT_ONCE = 2**24  # numbers that a learner is asked for in one go


@dataclasses.dataclass(frozen=True)
class Seen:
    """A data set as one training subset lets it be seen."""

    dataset: Dataset
    stats: NormalizationStats | None

    def examples(self, split: Split, noise: Noise, seed: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Inputs [N, ...], and targets in their own unit, of a split that begins at rank `start`, with its noise."""
        dataset = self.dataset
        x = dataset.features(split.x, self.stats)
        ranks = np.arange(start, start + len(x), dtype=np.uint32)
        y = noisy_labels(split.y, ranks, np.uint32(seed), noise, dataset.num_classes)
        low, high = dataset.extent if "salt" in noise.kinds else (0.0, 1.0)
        return noisy_inputs(x, ranks, np.uint32(seed), noise, low, high), y

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Targets as the learner meets them."""
        return self.stats.targets(y) if self.stats and self.dataset.has_numeric_targets else y

    def outputs(self, outputs: np.ndarray) -> np.ndarray:
        """A learner's outputs in the targets' own unit."""
        return self.stats.outputs(outputs) if self.stats and self.dataset.has_numeric_targets else outputs


@dataclasses.dataclass(frozen=True)
class Measures:
    """A learner's measures over a split; of each example [N] too, and what the task keeps of its outputs [N, ...]."""

    values: dict[str, float]
    examples: dict[str, np.ndarray]


def chosen_by(task: Any, fitted: Fitted, seen: Seen) -> dict[str, Any]:
    """What a task that chooses something by a learner's outputs of validation chooses, such as a threshold."""
    if not task.chooses:
        return {}
    *_, whole = _of_each(task, fitted, seen, seen.dataset.validation, Noise(), TEST_SEED)
    found: dict[str, Any] = _compiled(task).choose(*whole)
    return found


def measured(
    task: Any,
    fitted: Fitted,
    seen: Seen,
    split: Split,
    noise: Noise,
    seed: int,
    leaked: np.ndarray | None = None,
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> Measures:
    """The task's measures over a split; with `leaked` rows also the error without them, as of deep learners.

    chosen: what the task has chosen on validation, see `chosen_by`.
    """
    values, outputs, whole = _of_each(task, fitted, seen, split, noise, seed)

    def over(rows: np.ndarray) -> dict[str, float]:
        means: dict[str, float] = task.finish({name: _mean(each[rows]) for name, each in values.items()})
        if not task.sees_whole_splits:
            return means
        *of, weight = whole
        weight[: len(rows)] = rows
        more = {name: float(value) for name, value in _compiled(task).over_split(*of, weight, dict(chosen)).items()}
        # Without a number there is no row, but for the error, which stands for the cell.
        return means | {name: value for name, value in more.items() if name == "error" or np.isfinite(value)}

    found = over(np.ones(len(split), bool))
    kept = ~np.isin(np.arange(len(split)), [] if leaked is None else leaked)
    if leaked is not None and kept.any():
        found[WITHOUT_LEAKS] = over(kept)["error"]
    return Measures(found, values | outputs)


def _mean(values: np.ndarray) -> float:
    return float(np.sum(values, dtype=np.float64)) / len(values)


def _of_each(
    task: Any, fitted: Fitted, seen: Seen, split: Split, noise: Noise, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], tuple[np.ndarray, ...]]:
    """Measures, and kept outputs, of each example [N, ...], in batches of one shape: one program for all cells.

    Where the task looks at whole splits also outputs, targets and weights [K·B, ...], filled up with weight 0.
    """
    dataset = seen.dataset
    places = 1 if dataset.has_numeric_targets else int(np.prod(split.y.shape[1:]))
    block = max(1, OUTPUTS_AT_ONCE // (task.num_outputs(dataset) * places * BATCH_SIZE)) * BATCH_SIZE
    parts: list[Any] = []
    whole: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(split), block):
        part = split.take(np.arange(start, min(start + block, len(split))))
        x, y = seen.examples(part, noise, seed, start)
        outputs = np.asarray(fitted.outputs(x))
        outputs = outputs if fitted.own_unit else seen.outputs(outputs)
        for first in range(0, len(outputs), BATCH_SIZE):
            count = min(BATCH_SIZE, len(outputs) - first)
            rows = np.arange(first, first + BATCH_SIZE) % len(outputs)
            taken = _compiled(task).of_each(outputs[rows], y[rows])
            parts.append(jax.tree.map(lambda each, count=count: np.asarray(each)[:count], taken))
            if task.sees_whole_splits or task.chooses:
                whole.append((outputs[rows], y[rows], (np.arange(BATCH_SIZE) < count).astype(np.float32)))
    values, kept = jax.tree.map(lambda *each: np.concatenate(each), *parts)
    return values, kept, tuple(np.concatenate(each) for each in zip(*whole))


class _Compiled(NamedTuple):
    """A task's functions as programs."""

    of_each: Any
    over_split: Any
    choose: Any


@functools.cache
def _compiled(task: Any) -> _Compiled:
    of_each = jax.jit(lambda outputs, targets: (task.measures(outputs, targets), task.kept(outputs)))
    return _Compiled(of_each, jax.jit(task.over_split), jax.jit(task.choose))


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


def fit_and_measure(trial: Trial, orders: SubsetOrders) -> Fit:
    """Fit one cell and measure it. Whatever the library raises is raised."""
    dataset, task = orders.dataset, trial.task
    seen = Seen(dataset, orders.normalization_stats(trial.subset_seed, trial.train_size))
    subset = orders.subset(trial.subset_seed, trial.train_size)
    # On a busy machine a second BLAS thread makes small fits 40 times slower (it spins), and numbers depend on cores.
    with threadpool_limits(1):
        x, y = seen.examples(subset, trial.noise, trial.subset_seed)
        _import_for(trial, x, seen.targets(y), task.num_outputs(dataset))
        start = time.thread_time()
        if dataset.num_classes and len(np.unique(y)) == 1:
            fitted = constant(int(y[0]), dataset.num_classes)
        else:
            fitted = trial.learner.fit(x, seen.targets(y), task.num_outputs(dataset), trial.init_seed)
        seconds = time.thread_time() - start
        chosen = chosen_by(task, fitted, seen)
        on_train = measured(task, fitted, seen, subset, trial.noise, trial.subset_seed, None, chosen)
        validation = measured(task, fitted, seen, dataset.validation, Noise(), TEST_SEED, None, chosen)
        timed = _Timed(fitted)
        test = measured(task, timed.fitted, seen, dataset.test, trial.test_noise, TEST_SEED, dataset.leaked, chosen)
    values = {("train", "loss"): on_train.values["loss"]}
    for name, found in (("validation", validation), ("test", test)):
        values |= {(name, measure): value for measure, value in found.values.items()}
    return Fit(fitted.iterations, values, seconds, timed.seconds / len(dataset.test), test.examples)

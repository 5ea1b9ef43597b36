"""Fits classical trials, and evaluates them and the chance level with the same tasks as deep learners."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from dlm.baselines.base import MIN_PROBABILITY, FittedBaseline, constant_classifier
from dlm.baselines.time_series import SeasonalNaive
from dlm.data.corruption import noisy_inputs, noisy_labels
from dlm.data.dataset import Dataset, Split
from dlm.data.normalization import NormalizationStats, normalization_stats
from dlm.data.subset_orders import SubsetOrders
from dlm.study.names import ERROR, ERROR_WITHOUT_LEAKS, ChanceLevel
from dlm.study.noise import Noise
from dlm.study.trial import Trial
from dlm.train.types import EVAL_BATCH_SIZE, TEST_SEED

OUTPUTS_PER_BLOCK = 2**24  # bounds memory


@dataclasses.dataclass(frozen=True)
class SubsetView:
    """A dataset normalized with the statistics of one training subset."""

    dataset: Dataset
    stats: NormalizationStats | None

    def examples(self, split: Split, noise: Noise, seed: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Noisy inputs [N, ...] and targets in the original unit; the split's first example has rank `start`."""
        dataset = self.dataset
        x = dataset.features(split.x, self.stats)
        ranks = np.arange(start, start + len(x), dtype=np.uint32)
        y = noisy_labels(split.y, ranks, np.uint32(seed), noise, dataset.num_classes)
        low, high = dataset.input_range if "salt" in noise.kinds else (0.0, 1.0)
        return noisy_inputs(x, ranks, np.uint32(seed), noise, low, high), y

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Targets as the learner is trained on them: standardized if numeric."""
        return self.stats.targets(y) if self.stats and self.dataset.has_numeric_targets else y

    def outputs(self, outputs: np.ndarray) -> np.ndarray:
        """A learner's outputs in the original unit of the targets."""
        return self.stats.outputs(outputs) if self.stats and self.dataset.has_numeric_targets else outputs


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of a split, and per-example metrics [N] and saved outputs [N, ...]."""

    values: dict[str, float]
    examples: dict[str, np.ndarray]


def choose_on_validation(task: Any, fitted: FittedBaseline, view: SubsetView) -> dict[str, Any]:
    """Values that a task selects on the validation split, for example a decision threshold."""
    if not task.fits_threshold:
        return {}
    *_, whole = _per_example(task, fitted, view, view.dataset.validation, Noise(), TEST_SEED)
    chosen: dict[str, Any] = _compiled(task).fit_threshold(*whole)
    return chosen


def evaluate_split(
    task: Any,
    fitted: FittedBaseline,
    view: SubsetView,
    split: Split,
    noise: Noise,
    seed: int,
    leaked: np.ndarray | None = None,
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> Evaluation:
    """The task's metrics of a split; with `leaked` rows also the error without them.

    chosen: values that the task selected on validation, see `choose_on_validation`.
    """
    values, outputs, whole = _per_example(task, fitted, view, split, noise, seed)

    def over(rows: np.ndarray) -> dict[str, float]:
        means: dict[str, float] = task.aggregate({name: _mean(each[rows]) for name, each in values.items()})
        if not task.needs_whole_split:
            return means
        *arguments, weight = whole
        weight[: len(rows)] = rows
        metrics = _compiled(task).whole_split_metrics(*arguments, weight, dict(chosen))
        more = {name: float(value) for name, value in metrics.items()}
        # An undefined metric has no record, except the error, which marks the trial as diverged.
        return means | {name: value for name, value in more.items() if name == "error" or np.isfinite(value)}

    metrics = over(np.ones(len(split), bool))
    clean = ~np.isin(np.arange(len(split)), [] if leaked is None else leaked)
    if leaked is not None and clean.any():
        metrics[ERROR_WITHOUT_LEAKS] = over(clean)["error"]
    return Evaluation(metrics, values | outputs)


def _mean(values: np.ndarray) -> float:
    return float(np.sum(values, dtype=np.float64)) / len(values)


def _per_example(
    task: Any, fitted: FittedBaseline, view: SubsetView, split: Split, noise: Noise, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], tuple[np.ndarray, ...]]:
    """Metrics and saved outputs of each example [N, ...], in batches of one shape, so that all trials share a program.

    For tasks that need whole splits also outputs, targets and weights [K·B, ...], padded with weight 0.
    """
    dataset = view.dataset
    positions = 1 if dataset.has_numeric_targets else int(np.prod(split.y.shape[1:]))
    block = max(1, OUTPUTS_PER_BLOCK // (task.num_outputs(dataset) * positions * EVAL_BATCH_SIZE)) * EVAL_BATCH_SIZE
    parts: list[Any] = []
    whole: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(split), block):
        part = split.take(np.arange(start, min(start + block, len(split))))
        x, y = view.examples(part, noise, seed, start)
        outputs = np.asarray(fitted.outputs(x))
        outputs = outputs if fitted.in_target_unit else view.outputs(outputs)
        for first in range(0, len(outputs), EVAL_BATCH_SIZE):
            count = min(EVAL_BATCH_SIZE, len(outputs) - first)
            rows = np.arange(first, first + EVAL_BATCH_SIZE) % len(outputs)
            batch = _compiled(task).per_example(outputs[rows], y[rows])
            parts.append(jax.tree.map(lambda array, count=count: np.asarray(array)[:count], batch))
            if task.needs_whole_split or task.fits_threshold:
                whole.append((outputs[rows], y[rows], (np.arange(EVAL_BATCH_SIZE) < count).astype(np.float32)))
    values, saved = jax.tree.map(lambda *values: np.concatenate(values), *parts)
    return values, saved, tuple(np.concatenate(column) for column in zip(*whole))


@functools.cache
def _compiled(task: Any) -> SimpleNamespace:
    """A task's compiled functions."""
    return SimpleNamespace(
        per_example=jax.jit(lambda outputs, y: (task.example_metrics(outputs, y), task.saved_outputs(outputs))),
        whole_split_metrics=jax.jit(task.whole_split_metrics),
        fit_threshold=jax.jit(task.fit_threshold),
    )


WARM_UP_EXAMPLES = 64


@dataclasses.dataclass(frozen=True)
class FitResult:
    """Iterations, metrics by (split, name) and per-example test results of a classical trial.

    `seconds` is the processor time of the fit, `inference_seconds` that of one test example.
    """

    iterations: int
    values: dict[tuple[str, str], float]
    seconds: float
    inference_seconds: float
    test_examples: dict[str, np.ndarray]


_warmed_up: set[type] = set()


def _warm_up(trial: Trial, x: np.ndarray, y: np.ndarray, num_outputs: int) -> None:
    """Fit a few examples the first time a learner is used, so that imports do not count as fitting time."""
    if type(trial.learner) not in _warmed_up:
        _warmed_up.add(type(trial.learner))
        with contextlib.suppress(Exception):  # the real fit raises it again
            trial.learner.fit(x[:WARM_UP_EXAMPLES], y[:WARM_UP_EXAMPLES], num_outputs, trial.init_seed)


class _Timed:
    """A fitted learner that measures the processor time of its outputs."""

    def __init__(self, fitted: FittedBaseline) -> None:
        self.seconds, self._outputs = 0.0, fitted.outputs
        self.fitted = dataclasses.replace(fitted, outputs=self._timed)

    def _timed(self, x: np.ndarray) -> np.ndarray:
        start = time.thread_time()
        outputs = self._outputs(x)
        self.seconds += time.thread_time() - start
        return outputs


def fit_and_evaluate(trial: Trial, orders: SubsetOrders) -> FitResult:
    """Fit and evaluate one trial; exceptions of the library are not caught."""
    dataset, task = orders.dataset, trial.task
    view = SubsetView(dataset, orders.normalization_stats(trial.subset_seed, trial.train_size))
    subset = orders.subset(trial.subset_seed, trial.train_size)
    # One BLAS thread: on a busy machine a second one makes small fits 40 times slower (it spins), and the number of
    # threads changes the last bits.
    with threadpool_limits(1):
        x, y = view.examples(subset, trial.noise, trial.subset_seed)
        _warm_up(trial, x, view.targets(y), task.num_outputs(dataset))
        start = time.thread_time()
        if dataset.num_classes and len(np.unique(y)) == 1:
            fitted = constant_classifier(int(y[0]), dataset.num_classes)
        else:
            fitted = trial.learner.fit(x, view.targets(y), task.num_outputs(dataset), trial.init_seed)
        seconds = time.thread_time() - start
        chosen = choose_on_validation(task, fitted, view)
        on_train = evaluate_split(task, fitted, view, subset, trial.noise, trial.subset_seed, None, chosen)
        validation = evaluate_split(task, fitted, view, dataset.validation, Noise(), TEST_SEED, None, chosen)
        timed = _Timed(fitted)
        test = evaluate_split(
            task, timed.fitted, view, dataset.test, trial.test_noise, TEST_SEED, dataset.leaked_rows, chosen
        )
    values = {("train", metric): on_train.values[metric] for metric in ("loss", "error")}
    for name, evaluation in (("validation", validation), ("test", test)):
        values |= {(name, metric): value for metric, value in evaluation.values.items()}
    return FitResult(fitted.iterations, values, seconds, timed.seconds / len(dataset.test), test.examples)


Outputs = Callable[[np.ndarray], np.ndarray]


def chance_level(task: Any, dataset: Dataset, test_noise: Noise) -> ChanceLevel | None:
    """Test error of the best constant prediction, which is estimated on the whole training pool.

    It is the majority class (by class frequencies, for errors of probabilities), the mean of numbers, the last value of
    a time series, the frequencies of tokens, or the most frequent items. None for other targets, and for an undefined
    error.
    """
    prediction = _constant(dataset)
    if prediction is None:
        return None
    outputs, name = prediction
    view = SubsetView(dataset, normalization_stats(dataset, np.arange(len(dataset.train))))
    fitted = FittedBaseline(0, outputs, in_target_unit=True)
    chosen = choose_on_validation(task, fitted, view)
    error = evaluate_split(task, fitted, view, dataset.test, test_noise, TEST_SEED, None, chosen).values[ERROR]
    return ChanceLevel(error, name) if np.isfinite(error) else None


def mean_chance_level(task: Any, datasets: Sequence[Dataset], test_noise: Noise) -> ChanceLevel | None:
    """The mean chance level of several hold-outs, see `chance_level`; None if one has none."""
    levels = [chance_level(task, dataset, test_noise) for dataset in datasets]
    known = [level for level in levels if level is not None]
    if len(known) < len(levels):
        return None
    return ChanceLevel(float(np.mean([level.error for level in known])), known[0].prediction)


def _constant(dataset: Dataset) -> tuple[Outputs, str] | None:
    """The constant prediction for a dataset: a function of inputs [N, ...], and its name."""
    y = dataset.train.y
    if dataset.num_classes and y.ndim == 1:
        return _repeated(_log_shares(y, dataset.num_classes)), "the majority class"
    if dataset.vocabulary and y.ndim == 2:
        shares = _log_shares(y, dataset.vocabulary)
        if y.shape[1] == 1 and dataset.train.x.shape != y.shape:
            return _repeated(shares), "the most frequent items"
        return _repeated(np.tile(shares, (y.shape[1], 1))), "token frequencies"
    if not dataset.has_numeric_targets:
        return None
    if dataset.time_ordered and dataset.train.x.ndim == 3 and y.ndim == 3:
        naive = SeasonalNaive().fit(dataset.train.x[:1], y[:1], int(np.prod(y.shape[1:])), 0)
        return naive.outputs, "the last value"
    return _repeated(y.reshape(len(y), -1).mean(axis=0, dtype=np.float64).astype(np.float32)), "the mean"


def _repeated(row: np.ndarray) -> Outputs:
    return lambda x: np.broadcast_to(row, (len(x), *row.shape))


def _log_shares(y: np.ndarray, num_classes: int) -> np.ndarray:
    """Log-frequencies [C] of the classes of the training pool."""
    counts = np.bincount(y.ravel(), minlength=num_classes)
    return np.log(np.maximum(counts / counts.sum(), MIN_PROBABILITY)).astype(np.float32)

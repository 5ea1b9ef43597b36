"""Analyses hyperparameter tuning: sweeps, the expected error of the best of k settings, drift of the best value."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.curves.exponent import Exponent, error_exponent, hyperparameter_trend
from dlm.curves.from_records import Setting, make_curve, settings_by_size
from dlm.curves.seed_spread import SeedSpread, seed_spread
from dlm.storage.record_log import Record
from dlm.study.config import flat
from dlm.study.names import NO_PRECISION, Status

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Validation errors against one hyperparameter of a learner.

    `values` are the values tried, ascending if they are numbers. `errors[size][index]` are the spreads over seeds at
    `values[index]`, with the other hyperparameters at their best; `means` the mean errors, which select.
    """

    learner: str
    path: str
    values: tuple[Any, ...]
    errors: Mapping[int, Mapping[int, SeedSpread]]
    means: Mapping[int, Mapping[int, float]]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(is_number(value) for value in self.values)

    def best(self, size: int) -> int:
        """The index of the value with the least mean error."""
        means = self.means[size]
        return min(means, key=lambda index: (means[index], index))


@dataclasses.dataclass(frozen=True)
class BoundaryOptimum:
    """A hyperparameter whose best value is the smallest or the largest one tried, at some sizes."""

    learner: str
    path: str
    value: float
    is_smallest: bool
    train_sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class BestOfK:
    """For k = 1 … N settings at one size: the mean validation error of the best of k, and the test error of that one.

    NaN where all of k settings may have diverged.
    """

    validation: tuple[float, ...]
    test: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class HyperparameterDrift:
    """How the best value of one hyperparameter changes with the training-set size.

    `values` are the best values at the smallest and the largest size, `train_sizes`. `untuned` is the exponent of the
    error with the first value at every size, `tuned` with the best value of each size.
    """

    path: str
    trend: Exponent
    train_sizes: tuple[int, int]
    values: tuple[float, float]
    untuned: Exponent | None
    tuned: Exponent | None


@dataclasses.dataclass(frozen=True)
class TunedLearner:
    """A learner: number of settings at its largest size, best of k by size, and drifts of hyperparameters."""

    learner: str
    unit: str
    num_settings: int
    best_of: Mapping[int, BestOfK]
    drifts: tuple[HyperparameterDrift, ...] = ()


@dataclasses.dataclass(frozen=True)
class TuningBudget:
    """Number of settings of a learner at its largest size; `is_deep`: it is gradient-trained."""

    learner: str
    num_settings: int
    is_deep: bool


def tuning_budgets(records: Iterable[Record], order: Sequence[str] = ()) -> list[TuningBudget]:
    """One for each learner that learns from data, in this `order`; with several noise levels, that of the first."""
    budgets: dict[str, TuningBudget] = {}
    for by_size in settings_by_size(records, order=order).values():
        settings = by_size[max(by_size)]
        row = settings[0].rows[0]
        if row.step or row.status != Status.DONE:  # naive baselines have no steps
            hypers = {setting.rows[0].hyper for setting in settings}
            budgets.setdefault(row.learner, TuningBudget(row.learner, len(hypers), row.precision != NO_PRECISION))
    return list(budgets.values())


def sweeps(records: Iterable[Record]) -> list[Sweep]:
    """One sweep for each learner and each field of its config that has several values."""
    return [sweep for name, by_size in settings_by_size(records).items() for sweep in _sweeps_of_learner(name, by_size)]


def _sweeps_of_learner(name: str, by_size: Mapping[int, list[Setting]]) -> Iterator[Sweep]:
    trials = [
        (size, flat_config(row.hyper), error)
        for size, settings in by_size.items()
        for setting in settings
        for row, error in zip(setting.rows, setting.validation)
        if math.isfinite(error)
    ]
    for path in dict.fromkeys(path for _, config, _ in trials for path in config):
        known = {_key(config.get(path)): config.get(path) for _, config, _ in trials}
        if len(known) < 2:
            continue
        numeric = all(is_number(value) for value in known.values())
        order = sorted(known, key=lambda key: (known[key] if numeric else 0, key))
        indices = {key: index for index, key in enumerate(order)}
        variants: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))  # size, value, whole config
        for size, config, error in trials:
            variants[size][indices[_key(config.get(path))]][_key(config)].append(error)
        seeds = {
            size: {index: min(errors.values(), key=fmean) for index, errors in sorted(by_value.items())}
            for size, by_value in sorted(variants.items())
        }
        spreads = {size: {index: seed_spread(errors) for index, errors in row.items()} for size, row in seeds.items()}
        means = {size: {index: fmean(errors) for index, errors in row.items()} for size, row in seeds.items()}
        yield Sweep(name, path.removeprefix("hyper."), tuple(known[key] for key in order), spreads, means)


def boundary_optima(sweeps: Iterable[Sweep]) -> list[BoundaryOptimum]:
    """The numeric sweeps whose best value is at an end of the values tried."""
    optima = []
    for sweep in sweeps:
        for index in (0, len(sweep.values) - 1) if sweep.numeric else ():
            several = [size for size, errors in sorted(sweep.errors.items()) if len(errors) > 1]
            if train_sizes := tuple(size for size in several if sweep.best(size) == index):
                value, is_smallest = sweep.values[index], index == 0
                optima.append(BoundaryOptimum(sweep.learner, sweep.path, value, is_smallest, train_sizes))
    return optima


def expected_best(ranks: Sequence[tuple[float, ...]], values: Sequence[float]) -> Array:
    """Mean value [N] of the best-ranked of k of N settings, k = 1 … N, over all ways to draw k different ones.

    `ranks` order the settings, least first; of equal ranks the first setting counts. `values` are the reported numbers:
    the error that ranks, or the test error of the setting that validation selects. A value that is not finite belongs
    to a setting that diverged and is never selected: the mean is NaN for k draws that may contain no other.

    Settings are drawn without replacement, so that the best of N is the selected setting. With replacement (Dodge et
    al. 2019, "Show Your Work") it is not, and the mean is biased (Tang et al. 2020, "Showing Your Work Doesn't Always
    Work").
    """
    numbers = np.asarray(values, dtype=float)
    order = sorted(range(len(numbers)), key=lambda index: (not math.isfinite(numbers[index]), ranks[index]))
    count, usable = len(order), int(np.isfinite(numbers).sum())
    means = np.full(count, np.nan)
    for k in range(count - usable + 1, count + 1):
        # The setting at a position is the best of k if the other k - 1 come after it.
        ways = np.array([float(math.comb(count - 1 - position, k - 1)) for position in range(usable)])
        means[k - 1] = ways @ numbers[order[:usable]] / math.comb(count, k)
    return means


def tuned_learners(records: Iterable[Record], order: Sequence[str] = ()) -> list[TunedLearner]:
    """Best of k settings and drifts of every curve's learner, in this `order`; both empty for a single setting."""
    learners = []
    for name, by_size in settings_by_size(records, order=order).items():
        largest = by_size[max(by_size)]
        best_of = {size: _best_of_k(settings) for size, settings in by_size.items() if len(settings) > 1}
        drifts = tuple(_drifts(name, by_size)) if best_of else ()
        learners.append(TunedLearner(name, largest[0].rows[0].unit, len(largest), best_of, drifts))
    return learners


def _best_of_k(settings: Sequence[Setting]) -> BestOfK:
    ranks = [setting.rank for setting in settings]
    tests = [[trial.value for trial in setting.rows if trial.value is not None] for setting in settings]
    means = [float(np.mean(errors)) if errors else math.nan for errors in tests]
    validation = expected_best(ranks, [rank[1] for rank in ranks])
    return BestOfK(tuple(map(float, validation)), tuple(map(float, expected_best(ranks, means))))


def _drifts(name: str, train_sizes: Mapping[int, list[Setting]]) -> Iterator[HyperparameterDrift]:
    hypers = [setting.rows[0].hyper for settings in train_sizes.values() for setting in settings]
    configs = {hyper: flat_config(hyper) for hyper in hypers}
    for path in dict.fromkeys(path for config in configs.values() for path in config):
        values: dict[str, Any] = {hyper: config.get(path) for hyper, config in configs.items()}
        known = {_key(value): value for value in values.values()}
        if len(known) < 2 or not all(is_number(value) and value > 0 for value in known.values()):
            continue
        best = {size: own for size, settings in train_sizes.items() if (own := _best_values(settings, values))}
        fitted = hyperparameter_trend(best, sorted(known.values()))
        if fitted is None:
            continue
        chosen = {size: values[min(train_sizes[size], key=lambda each: each.rank).rows[0].hyper] for size in best}
        ends = min(best), max(best)
        fixed = {
            size: [setting for setting in settings if values[setting.rows[0].hyper] == chosen[ends[0]]]
            for size, settings in train_sizes.items()
        }
        yield HyperparameterDrift(
            path=path.removeprefix("hyper."),
            trend=fitted,
            train_sizes=ends,
            values=(chosen[ends[0]], chosen[ends[1]]),
            untuned=_exponent(name, fixed),
            tuned=_exponent(name, train_sizes),
        )


def _best_values(settings: Sequence[Setting], values: Mapping[str, Any]) -> list[float]:
    """The value of the setting with the least validation error, for each seed that has several; ties are averaged."""
    seeds: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for setting in settings:
        for trial, error in zip(setting.rows, setting.validation):
            if trial.value is not None and math.isfinite(error):
                seeds[trial.subset_seed, trial.init_seed].append((error, values[trial.hyper]))
    return [
        float(np.exp(np.mean([np.log(value) for error, value in own if error == min(own)[0]])))
        for own in seeds.values()
        if len(own) > 1
    ]


def _exponent(name: str, train_sizes: Mapping[int, Sequence[Setting]]) -> Exponent | None:
    chosen = {size: min(own, key=lambda each: each.rank).rows for size, own in train_sizes.items() if own}
    return error_exponent(make_curve(name, chosen)) if chosen else None


def flat_config(text: str) -> dict[str, Any]:
    """The leaves of a learner's recorded config (JSON) by dotted path; empty where it cannot be parsed."""
    try:
        return {path: leaf for path, leaf in flat(json.loads(text)).items() if "type" not in path.split(".")}
    except (ValueError, RecursionError):
        return {}


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a float, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

"""What tuning did to each learner: how many settings it had, what the best of k is expected to reach, what drifts."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dlm.curves.best_of import expected_best
from dlm.curves.drift import Drift, drift
from dlm.curves.exponent import Exponent, exponent
from dlm.curves.from_records import Tried, curve_of, tried
from dlm.records import Record
from dlm.report.phrases import error_text
from dlm.report.sweeps import flat, is_number, key_of


@dataclasses.dataclass(frozen=True)
class BestOf:
    """At one size, for k = 1 … N settings: the mean validation error of the best of k, and the test error of that one.

    NaN where k settings may all have diverged.
    """

    validation: tuple[float, ...]
    test: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Drifting:
    """How the best value of one hyperparameter moves. `at` are its values at the smallest and the largest size.

    `untuned` is the exponent of the error with the value that is best at the smallest size, kept at every size; `tuned`
    with the best of each.
    """

    path: str
    drift: Drift
    sizes: tuple[int, int]
    at: tuple[float, float]
    untuned: Exponent | None
    tuned: Exponent | None


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A curve's learner: how many settings it had at its largest size, the best of k by size, and its drifts."""

    learner: str
    unit: str
    num_settings: int
    best_of: Mapping[int, BestOf]
    drifts: tuple[Drifting, ...] = ()


def tuned(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> list[Tuned]:
    """Every curve's learner, in this `order`; of one that had a single setting nothing but that."""
    return [_of_learner(name, sizes) for name, sizes in tried(records, trial_ids, order).items()]


def best_of_sentences(found: Sequence[Tuned]) -> list[str]:
    """What the best of k reaches at each learner's largest size, and who had other means; none if nobody was tuned."""
    several = [one for one in found if one.num_settings > 1]
    if not several:
        return []
    return [line for one in several if (line := _best_of_sentence(one))] + list(_means(found, several))


def drift_alarms(found: Iterable[Tuned]) -> list[str]:
    """A sentence for each hyperparameter whose best value clearly moves with the size."""
    return [_drift_sentence(one.learner, each) for one in found for each in one.drifts if each.drift.is_shown]


def _of_learner(name: str, sizes: Mapping[int, list[Tried]]) -> Tuned:
    largest = max(sizes)
    best_of = {size: _best_of(settings) for size, settings in sizes.items() if len(settings) > 1}
    first = sizes[largest][0].cells[0]
    drifts = tuple(_drifts(name, sizes)) if best_of else ()
    return Tuned(name, first.unit, len(sizes[largest]), best_of, drifts)


def _best_of(settings: Sequence[Tried]) -> BestOf:
    ranks = [one.rank for one in settings]
    tests = [[cell.value for cell in one.cells if cell.value is not None] for one in settings]
    means = [float(np.mean(errors)) if errors else math.nan for errors in tests]
    # Of a setting that validation never saw nothing is expected.
    validation = expected_best(ranks, [rank[1] for rank in ranks])
    return BestOf(tuple(map(float, validation)), tuple(map(float, expected_best(ranks, means))))


def _drifts(name: str, sizes: Mapping[int, list[Tried]]) -> Iterator[Drifting]:
    configs = {one.cells[0].hyper: flat(one.cells[0].hyper) for settings in sizes.values() for one in settings}
    for path in dict.fromkeys(path for config in configs.values() for path in config):
        values: dict[str, Any] = {hyper: config.get(path) for hyper, config in configs.items()}
        known = {key_of(value): value for value in values.values()}
        if len(known) < 2 or not all(is_number(value) and value > 0 for value in known.values()):
            continue
        best = {size: own for size, settings in sizes.items() if (own := _best_values(settings, values))}
        found = drift(best, sorted(known.values()))
        if found is None:
            continue
        chosen = {size: values[min(sizes[size], key=lambda one: one.rank).cells[0].hyper] for size in best}
        ends = min(best), max(best)
        kept = {
            size: [one for one in settings if values[one.cells[0].hyper] == chosen[ends[0]]]
            for size, settings in sizes.items()
        }
        at = (chosen[ends[0]], chosen[ends[1]])
        yield Drifting(path.removeprefix("hyper."), found, ends, at, _exponent(name, kept), _exponent(name, sizes))


def _best_values(settings: Sequence[Tried], values: Mapping[str, Any]) -> list[float]:
    """The value of the setting with the least validation error, for each seed that has one."""
    seeds: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for one in settings:
        for cell, error in zip(one.cells, one.validation):
            if cell.value is not None and math.isfinite(error):
                seeds[cell.subset_seed, cell.init_seed].append((error, values[cell.hyper]))
    # Of equals all: which came first says nothing.
    return [
        float(np.exp(np.mean([np.log(value) for error, value in own if error == min(own)[0]])))
        for own in seeds.values()
        if len(own) > 1
    ]


def _exponent(name: str, sizes: Mapping[int, Sequence[Tried]]) -> Exponent | None:
    chosen = {size: min(own, key=lambda one: one.rank).cells for size, own in sizes.items() if own}
    return exponent(curve_of(name, chosen)) if chosen else None


def _best_of_sentence(one: Tuned) -> str:
    if not one.best_of:
        return ""
    size = max(one.best_of)
    test = one.best_of[size].test
    known = [k for k, error in enumerate(test, start=1) if math.isfinite(error)]
    if len(known) < 2:
        return ""
    few, many = error_text(test[known[0] - 1], one.unit), error_text(test[known[-1] - 1], one.unit)
    return (
        f"{one.learner}: at {size:,} examples the best of {known[-1]} settings is expected to reach {many}, "
        f"of {known[0]}: {few}."
    )


def _means(found: Sequence[Tuned], several: Sequence[Tuned]) -> Iterator[str]:
    alone = [one.learner for one in found if one.num_settings == 1]
    if alone:
        yield f"Not tuned: {', '.join(alone)}."
    counts = {one.learner: one.num_settings for one in several}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield f"Unequal means: settings at the largest size are {told}; more settings find a lower error."


def _drift_sentence(learner: str, one: Drifting) -> str:
    power = one.drift
    verb = "falls" if power.power < 0 else "rises"
    told = (
        f"{learner}: the best {one.path} {verb} with the size, as n^{power.power:.2g} [{power.low:.2g}, "
        f"{power.high:.2g}]: {one.at[0]:g} at {one.sizes[0]:,} examples, {one.at[1]:g} at {one.sizes[1]:,}"
    )
    if one.untuned and one.tuned:
        told += (
            f"; {one.at[0]:g} kept at every size would bend the curve: the error would fall as n^{_power(one.untuned)} "
            f"in place of n^{_power(one.tuned)}"
        )
    return f"{told}."


def _power(one: Exponent) -> str:
    return f"{-one.power:.2g} [{-one.high:.2g}, {-one.low:.2g}]"

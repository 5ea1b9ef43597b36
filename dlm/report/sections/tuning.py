"""Hyperparameters on the page: alarms, the best of k settings of each learner that was tuned, and its sweeps."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.analysis.sweeps import Sweep, alarms, flat, is_number, key_of
from dlm.curves.exponent import Exponent, HyperparameterTrend, error_exponent, hyperparameter_trend
from dlm.curves.from_records import Setting, make_curve, settings_by_size
from dlm.report.formatting import error_number, error_text
from dlm.report.html.elements import Chart, Section, Sentences, error_axis
from dlm.report.tables import Table
from dlm.storage.record_log import Record

MOST_SIZES = 7  # lines of a chart


def sweep_chart(sweep: Sweep, unit: str) -> Chart:
    """Validation error against one hyperparameter, a line a size."""
    chosen = spread_over(sorted(sweep.errors), MOST_SIZES)
    positive = all(one.median > 0 for size in chosen for one in sweep.errors[size].values())
    is_log = sweep.numeric and min(sweep.values) > 0 and max(sweep.values) >= 8 * min(sweep.values)
    scale: dict[str, Any] = {"type": "log" if is_log else "linear" if sweep.numeric else "category"}
    return Chart(
        f"sweep-{sweep.learner}-{sweep.path}".replace(" ", "-").replace(".", "-"),
        f"{sweep.learner}: {sweep.path}",
        "; ".join(f"best at {size:,} examples: {_said(sweep.values[sweep.best(size)])}" for size in chosen) + ".",
        tuple(_sweep_lines(sweep, chosen, unit)),
        {
            "xaxis": {"title": {"text": sweep.path}, **scale},
            "yaxis": error_axis(unit, positive_only=positive, title=f"validation {unit}"),
            "showlegend": True,
            "height": 360,
        },
        table=_sweep_table(sweep, unit),
        scales="xy" if sweep.numeric else "y",
    )


def _sweep_lines(sweep: Sweep, train_sizes: Sequence[int], unit: str) -> Iterator[dict[str, Any]]:
    for k, size in enumerate(train_sizes):
        found = sweep.errors[size]
        yield {
            "x": [sweep.values[place] if sweep.numeric else _said(sweep.values[place]) for place in found],
            "y": [one.median for one in found.values()],
            "text": [f"{error_number(one.median, unit)} (median of {one.num_seeds})" for one in found.values()],
            "hovertemplate": f"n={size:,}<br>{sweep.path}=%{{x}}<br>%{{text}}<extra></extra>",
            "name": f"n={size:,}",
            "showlegend": True,
            "mode": "lines+markers",
            "marker": {"size": [13 if place == sweep.best(size) else 7 for place in found]},
            "meta": {"learner": sweep.learner, "colour": k, "role": "line"},
        }


def _sweep_table(sweep: Sweep, unit: str) -> Table:
    rows = []
    for size, found in sweep.errors.items():
        cells = [
            f"{error_number(found[place].median, unit)} ({found[place].num_seeds})" if place in found else "–"
            for place in range(len(sweep.values))
        ]
        rows.append((f"{size:,}", *cells))
    return Table(
        f"Median validation {unit} (number of seeds)",
        ("examples", *(f"{sweep.path}={_said(value)}" for value in sweep.values)),
        tuple(rows),
        text_columns=0,
    )


def spread_over(items: Sequence[int], most: int) -> list[int]:
    """At most so many of some items, the first and the last among them, evenly apart in place."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


Array = NDArray[np.float64]


def expected_best(ranks: Sequence[tuple[float, ...]], values: Sequence[float]) -> Array:
    """Mean value [N] of the best ranked of k of N settings, k = 1 … N, over all ways to draw k different ones.

    `ranks` order the settings, least first; of equals the first. `values` are what is reported of
    each: the error that ranks it, or the test error of what validation chose. A value that is not finite, of a setting
    that diverged, is never reported: where k draws may hold no other, there is no mean, and NaN stands there.

    Drawn without replacement, so that the best of N is the chosen setting. With replacement (Dodge et al. 2019, "Show
    Your Work") it is not, and the mean is biased (Tang et al. 2020, "Showing Your Work Doesn't Always Work").
    """
    found = np.asarray(values, dtype=float)
    order = sorted(range(len(found)), key=lambda place: (not math.isfinite(found[place]), ranks[place]))
    count, usable = len(order), int(np.isfinite(found).sum())
    out = np.full(count, np.nan)
    for k in range(count - usable + 1, count + 1):
        # The setting at a place is the best of k where the other k − 1 are of those after it.
        ways = np.array([float(math.comb(count - 1 - place, k - 1)) for place in range(usable)])
        out[k - 1] = ways @ found[order[:usable]] / math.comb(count, k)
    return out


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
    trend: HyperparameterTrend
    train_sizes: tuple[int, int]
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
    return [_of_learner(name, train_sizes) for name, train_sizes in settings_by_size(records, trial_ids, order).items()]


def best_of_sentences(found: Sequence[Tuned]) -> list[str]:
    """What the best of k reaches at each learner's largest size, and who had other means; none if nobody was tuned."""
    several = [one for one in found if one.num_settings > 1]
    if not several:
        return []
    return [line for one in several if (line := _best_of_sentence(one))] + list(_means(found, several))


def drift_alarms(found: Iterable[Tuned]) -> list[str]:
    """A sentence for each hyperparameter whose best value clearly moves with the size."""
    return [_drift_sentence(one.learner, each) for one in found for each in one.drifts if each.trend.is_significant]


def _of_learner(name: str, train_sizes: Mapping[int, list[Setting]]) -> Tuned:
    largest = max(train_sizes)
    best_of = {size: _best_of(settings) for size, settings in train_sizes.items() if len(settings) > 1}
    first = train_sizes[largest][0].rows[0]
    drifts = tuple(_drifts(name, train_sizes)) if best_of else ()
    return Tuned(name, first.unit, len(train_sizes[largest]), best_of, drifts)


def _best_of(settings: Sequence[Setting]) -> BestOf:
    ranks = [one.rank for one in settings]
    tests = [[cell.value for cell in one.rows if cell.value is not None] for one in settings]
    means = [float(np.mean(errors)) if errors else math.nan for errors in tests]
    # Of a setting that validation never saw nothing is expected.
    validation = expected_best(ranks, [rank[1] for rank in ranks])
    return BestOf(tuple(map(float, validation)), tuple(map(float, expected_best(ranks, means))))


def _drifts(name: str, train_sizes: Mapping[int, list[Setting]]) -> Iterator[Drifting]:
    configs = {one.rows[0].hyper: flat(one.rows[0].hyper) for settings in train_sizes.values() for one in settings}
    for path in dict.fromkeys(path for config in configs.values() for path in config):
        values: dict[str, Any] = {hyper: config.get(path) for hyper, config in configs.items()}
        known = {key_of(value): value for value in values.values()}
        if len(known) < 2 or not all(is_number(value) and value > 0 for value in known.values()):
            continue
        best = {size: own for size, settings in train_sizes.items() if (own := _best_values(settings, values))}
        found = hyperparameter_trend(best, sorted(known.values()))
        if found is None:
            continue
        chosen = {size: values[min(train_sizes[size], key=lambda one: one.rank).rows[0].hyper] for size in best}
        ends = min(best), max(best)
        kept = {
            size: [one for one in settings if values[one.rows[0].hyper] == chosen[ends[0]]]
            for size, settings in train_sizes.items()
        }
        at = (chosen[ends[0]], chosen[ends[1]])
        yield Drifting(
            path.removeprefix("hyper."), found, ends, at, _exponent(name, kept), _exponent(name, train_sizes)
        )


def _best_values(settings: Sequence[Setting], values: Mapping[str, Any]) -> list[float]:
    """The value of the setting with the least validation error, for each seed that has one."""
    seeds: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for one in settings:
        for cell, error in zip(one.rows, one.validation):
            if cell.value is not None and math.isfinite(error):
                seeds[cell.subset_seed, cell.init_seed].append((error, values[cell.hyper]))
    # Of equals all: which came first says nothing.
    return [
        float(np.exp(np.mean([np.log(value) for error, value in own if error == min(own)[0]])))
        for own in seeds.values()
        if len(own) > 1
    ]


def _exponent(name: str, train_sizes: Mapping[int, Sequence[Setting]]) -> Exponent | None:
    chosen = {size: min(own, key=lambda one: one.rank).rows for size, own in train_sizes.items() if own}
    return error_exponent(make_curve(name, chosen)) if chosen else None


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
    power = one.trend
    verb = "falls" if power.power < 0 else "rises"
    told = (
        f"{learner}: the best {one.path} {verb} with the size, as n^{power.power:.2g} [{power.low:.2g}, "
        f"{power.high:.2g}]: {one.at[0]:g} at {one.train_sizes[0]:,} examples, {one.at[1]:g} at {one.train_sizes[1]:,}"
    )
    if one.untuned and one.tuned:
        told += (
            f"; {one.at[0]:g} kept at every size would bend the curve: the error would fall as n^{_power(one.untuned)} "
            f"in place of n^{_power(one.tuned)}"
        )
    return f"{told}."


def _power(one: Exponent) -> str:
    return f"{-one.power:.2g} [{-one.high:.2g}, {-one.low:.2g}]"


MOST_COLUMNS = 9  # of a table, for numbers of settings


def tuning_section(sweeps: Sequence[Sweep], tuned: Sequence[Tuned], unit: str) -> Section | None:
    """Alarms first, the best of k settings, then a chart for each sweep; None where nothing was swept."""
    if not sweeps:
        return None
    told = [*alarms(sweeps), *drift_alarms(tuned)]
    several = [one for one in tuned if one.best_of]
    return Section(
        "sweeps",
        "Hyperparameters",
        (
            *((Sentences(tuple(told), "alarm"),) if told else ()),
            *((Sentences(tuple(lines)),) if (lines := best_of_sentences(tuned)) else ()),
            *map(best_of_chart, several),
            *(sweep_chart(sweep, unit) for sweep in sweeps),
        ),
        note="Best of k: the mean over all ways to draw k of the settings, of which validation chooses. Sweeps: "
        "median validation error of the seeds at each value, the other hyperparameters at their best there; a "
        "line for each size. The learning curve shows, at each size, the variant with the least mean validation error.",
    )


def best_of_chart(one: Tuned) -> Chart:
    """Test error of the best of k settings that validation chooses, a line a size."""
    train_sizes = spread_over(sorted(one.best_of), MOST_SIZES)
    positive = all(error > 0 for size in train_sizes for error in one.best_of[size].test if math.isfinite(error))
    last = one.best_of[train_sizes[-1]].test
    told = [f"{k}: {error_text(last[k - 1], one.unit)}" for k in (1, len(last)) if math.isfinite(last[k - 1])]
    return Chart(
        f"best-of-{one.learner}".replace(" ", "-").replace(".", "-"),
        f"{one.learner}: expected error of the best of k settings",
        f"At {train_sizes[-1]:,} examples, of " + ", of ".join(told) + ".",
        tuple(_lines(one, train_sizes)),
        {
            "xaxis": {"title": {"text": "settings tried"}, "type": "linear"},
            "yaxis": error_axis(one.unit, positive_only=positive),
            "showlegend": True,
            "height": 360,
        },
        table=_table(one),
        scales="xy",
    )


def _lines(one: Tuned, train_sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    for colour, size in enumerate(train_sizes):
        both = enumerate(zip(one.best_of[size].test, one.best_of[size].validation), start=1)
        known = [(k, test, seen) for k, (test, seen) in both if math.isfinite(test)]
        yield {
            "x": [k for k, _, _ in known],
            "y": [test for _, test, _ in known],
            "text": [
                f"test {error_text(test, one.unit)}"
                + (f", validation {error_text(seen, one.unit)}" * math.isfinite(seen))
                for _, test, seen in known
            ],
            "hovertemplate": f"n={size:,}<br>best of %{{x}}<br>%{{text}}<extra></extra>",
            "name": f"n={size:,}",
            "showlegend": True,
            "mode": "lines+markers",
            "meta": {"learner": one.learner, "colour": colour, "role": "line"},
        }


def _table(one: Tuned) -> Table:
    most = max(len(found.test) for found in one.best_of.values())
    shown = spread_over(range(1, most + 1), MOST_COLUMNS)
    rows = []
    for size, found in one.best_of.items():
        cells = [
            f"{error_number(found.test[k - 1], one.unit)} ({_or_dash(found.validation[k - 1], one.unit)})"
            if k <= len(found.test) and math.isfinite(found.test[k - 1])
            else "–"
            for k in shown
        ]
        rows.append((f"{size:,}", *cells))
    return Table(
        f"Expected test {one.unit} (validation {one.unit})",
        ("examples", *(f"best of {k}" for k in shown)),
        tuple(rows),
        text_columns=0,
    )


def _or_dash(value: float, unit: str) -> str:
    return error_number(value, unit) if math.isfinite(value) else "–"

"""Hyperparameter tuning: warnings, the expected error of the best of k settings, and a chart of each sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dlm.analysis.tuning import (
    BoundaryOptimum,
    HyperparameterDrift,
    Sweep,
    TunedLearner,
    TuningBudget,
    boundary_optima,
    is_number,
    sweeps,
    tuned_learners,
)
from dlm.curves.exponent import Exponent
from dlm.report.formatting import error_number, error_text, listed
from dlm.report.html.elements import Chart, Sentences, axis, error_axis, plotly_text, trace
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced, section_content
from dlm.report.tables import ABSENT, Table

MOST_SIZES = 7  # lines of a chart
MOST_COLUMNS = 9  # numbers of settings in a table
MOST_NAMED_SIZES = 3


def tuning_section(context: ReportContext) -> SectionContent:
    """Warnings first, then the best of k settings, then a chart for each sweep; empty where nothing was swept."""
    swept = sweeps(context.records)
    learners = tuned_learners(context.records, order=context.learners)
    optima = [boundary_sentence(optimum) for optimum in boundary_optima(swept)]
    drifts = drift_sentences(learners)
    best = best_of_k_sentences(learners)
    blocks = (
        Sentences((*optima, *drifts), style="alarm"),
        Sentences(best),
        *(_best_of_k_chart(learner) for learner in learners if learner.best_of),
        *(_sweep_chart(sweep, context.unit) for sweep in swept),
    )
    return section_content(
        "tuning",
        "Hyperparameter tuning",
        blocks if swept else (),
        note="Best of k: the mean over all ways to draw k of the settings, of which validation selects one. Sweeps: "
        "mean validation error over the seeds at each value, with the other hyperparameters at their best; one line "
        "a training-set size. The learning curve shows the setting with the least mean validation error of each size.",
        sentences={
            "Hyperparameter tuning": best,
            "Best hyperparameter values at the boundary of the search space": optima,
            "Best hyperparameter values that change with training-set size": drifts,
        },
    )


def boundary_sentence(optimum: BoundaryOptimum) -> str:
    """A warning that a better value may lie outside the range tried."""
    end, more = ("smallest", "smaller") if optimum.is_smallest else ("largest", "larger")
    return (
        f"{optimum.learner}: the best {optimum.path}, {optimum.value:g}, is the {end} value tried at "
        f"{_size_list(optimum.train_sizes)} examples; try {more} values."
    )


def _size_list(train_sizes: Sequence[int]) -> str:
    texts = [f"{size:,}" for size in train_sizes]
    return listed(texts) if len(texts) <= MOST_NAMED_SIZES else f"{texts[0]} to {texts[-1]}"


def best_of_k_sentences(learners: Sequence[TunedLearner]) -> list[str]:
    """The expected error of the best of k settings at each tuned learner's largest size."""
    return [line for learner in learners if learner.num_settings > 1 and (line := _best_of_k_sentence(learner))]


def _best_of_k_sentence(learner: TunedLearner) -> str:
    size = max(learner.best_of, default=0)
    test = learner.best_of[size].test if size else ()
    known = [k for k, error in enumerate(test, start=1) if math.isfinite(error)]
    if len(known) < 2:
        return ""
    few, many = (error_text(test[k - 1], learner.unit) for k in (known[0], known[-1]))
    return (
        f"{learner.learner}: at {size:,} examples the expected test error of the best of k settings is {few} for "
        f"k={known[0]} and {many} for k={known[-1]}."
    )


def budget_sentences(budgets: Sequence[TuningBudget]) -> list[str]:
    """What rankings and comparisons are of where learners have different tuning budgets, or none was tuned."""
    counts = sorted({budget.num_settings for budget in budgets}, reverse=True)
    if counts == [1]:
        deep = [budget.learner for budget in budgets if budget.is_deep]
        return [_untuned_sentence(deep)] if deep else []
    if len(counts) < 2:
        return []
    by_count = {count: [budget.learner for budget in budgets if budget.num_settings == count] for count in counts}
    (names, first), *others = [
        (" or ".join(names), f"the best of {count} settings" if count > 1 else "this configuration")
        for count, names in by_count.items()
    ]
    more = ", ".join(f"one about {other} {settings}" for other, settings in others)
    untuned = by_count.get(1)
    beginning = f"{_untuned_subject(untuned, budgets)} not tuned" if untuned else "Tuning budgets differ"
    return [f"{beginning}; a statement about {names} concerns {first}, {more}."]


def _untuned_sentence(deep: Sequence[str]) -> str:
    if len(deep) == 1:
        return f"{deep[0]} stands for this configuration of {deep[0]} (not tuned)."
    return f"{listed(deep)} stand for these configurations of them (not tuned)."


def _untuned_subject(untuned: Sequence[str], budgets: Sequence[TuningBudget]) -> str:
    classical = [budget.learner for budget in budgets if not budget.is_deep]
    if len(untuned) > 1 and list(untuned) == classical:
        return "The classical learners were"
    return f"{listed(untuned)} {'was' if len(untuned) == 1 else 'were'}"


def drift_sentences(learners: Iterable[TunedLearner]) -> list[str]:
    """A sentence for each hyperparameter whose best value clearly changes with training-set size."""
    drifts = [(learner.learner, drift) for learner in learners for drift in learner.drifts]
    return [_drift_sentence(name, drift) for name, drift in drifts if drift.trend.is_significant]


def _drift_sentence(learner: str, item: HyperparameterDrift) -> str:
    power, (first, last), (small, large) = item.trend, item.values, item.train_sizes
    sentence = (
        f"{learner}: the best {item.path} {'decreases' if power.power < 0 else 'increases'} with training-set size, as "
        f"n^{power.power:.2g} [{power.low:.2g}, {power.high:.2g}]: {first:g} at {small:,} examples, {last:g} at "
        f"{large:,}"
    )
    if item.untuned and item.tuned:
        sentence += (
            f"; with {item.path}={first:g} at every size the error would fall as n^{_power(item.untuned)} instead of "
            f"n^{_power(item.tuned)}"
        )
    return f"{sentence}."


def _power(fitted: Exponent) -> str:
    return f"{-fitted.power:.2g} [{-fitted.high:.2g}, {-fitted.low:.2g}]"


def _best_of_k_chart(learner: TunedLearner) -> Chart:
    """Test error of the best of k settings that validation selects, one line a size."""
    train_sizes = evenly_spaced(sorted(learner.best_of), MOST_SIZES)
    traces = list(_best_of_k_traces(learner, train_sizes))
    last = learner.best_of[train_sizes[-1]].test
    ends = [f"{error_text(last[k - 1], learner.unit)} for k={k}" for k in (1, len(last)) if math.isfinite(last[k - 1])]
    return Chart(
        f"best-of-k-{learner.learner}",
        f"{learner.learner}: expected test error of the best of k settings",
        f"At {train_sizes[-1]:,} examples: {', '.join(ends)}.",
        traces,
        axis("settings tried, k"),
        error_axis(learner.unit, traces),
        _best_of_k_table(learner),
    )


def _best_of_k_traces(learner: TunedLearner, train_sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    for colour, size in enumerate(train_sizes):
        pairs = enumerate(zip(learner.best_of[size].test, learner.best_of[size].validation), start=1)
        known = [(k, test, validation) for k, (test, validation) in pairs if math.isfinite(test)]
        yield trace(
            [k for k, _, _ in known],
            [test for _, test, _ in known],
            learner.learner,
            hover=f"n={size:,}<br>best of %{{x}}<br>%{{text}}",
            colour=colour,
            text=[
                f"test {error_text(test, learner.unit)}"
                + (f", validation {error_text(validation, learner.unit)}" if math.isfinite(validation) else "")
                for _, test, validation in known
            ],
            legend=f"n={size:,}",
        )


def _best_of_k_table(learner: TunedLearner) -> Table:
    most = max(len(best.test) for best in learner.best_of.values())
    numbers = evenly_spaced(range(1, most + 1), MOST_COLUMNS)
    rows = []
    for size, best in learner.best_of.items():
        texts = [[_number(error, learner.unit) for error in errors] for errors in (best.test, best.validation)]
        cells = [ABSENT if test == ABSENT else f"{test} ({validation})" for test, validation in zip(*texts)]
        rows.append((f"{size:,}", *(cells[k - 1] if k <= len(cells) else ABSENT for k in numbers)))
    title = f"Expected test {learner.unit} (validation {learner.unit})"
    return Table(title, ("examples", *(f"best of {k}" for k in numbers)), tuple(rows), text_columns=0)


def _number(value: float, unit: str) -> str:
    return error_number(value, unit) if math.isfinite(value) else ABSENT


def _sweep_chart(sweep: Sweep, unit: str) -> Chart:
    """Validation error against one hyperparameter, one line a size."""
    train_sizes = evenly_spaced(sorted(sweep.errors), MOST_SIZES)
    is_log = sweep.numeric and min(sweep.values) > 0 and max(sweep.values) >= 8 * min(sweep.values)
    bests = (f"best value at {size:,} examples: {_value_text(sweep.values[sweep.best(size)])}" for size in train_sizes)
    traces = list(_sweep_traces(sweep, train_sizes, unit))
    return Chart(
        f"sweep-{sweep.learner}-{sweep.path}",
        f"{sweep.learner}: validation {unit} against {sweep.path}",
        f"{'; '.join(bests)}.",
        traces,
        axis(sweep.path, "log" if is_log else "linear" if sweep.numeric else "category"),
        error_axis(unit, traces, f"validation {unit}"),
        _sweep_table(sweep, unit),
        scales="xy" if sweep.numeric else "y",
    )


def _sweep_traces(sweep: Sweep, train_sizes: Sequence[int], unit: str) -> Iterator[dict[str, Any]]:
    for colour, size in enumerate(train_sizes):
        errors = sweep.errors[size]
        yield trace(
            [sweep.values[k] if sweep.numeric else _value_text(sweep.values[k]) for k in errors],
            [of.mean for of in errors.values()],
            sweep.learner,
            hover=f"n={size:,}<br>{plotly_text(sweep.path)}=%{{x}}<br>%{{text}}",
            colour=colour,
            text=[f"{error_number(of.mean, unit)} (mean of {of.num_seeds})" for of in errors.values()],
            legend=f"n={size:,}",
            marker={"size": [13 if k == sweep.best(size) else 7 for k in errors]},
        )


def _sweep_table(sweep: Sweep, unit: str) -> Table:
    rows = []
    for size, errors in sweep.errors.items():
        cells = {k: f"{error_number(of.mean, unit)} ({of.num_seeds})" for k, of in errors.items()}
        rows.append((f"{size:,}", *(cells.get(k, ABSENT) for k in range(len(sweep.values)))))
    columns = ("examples", *(f"{sweep.path}={_value_text(value)}" for value in sweep.values))
    return Table(f"Median validation {unit} (number of seeds)", columns, tuple(rows), text_columns=0)


def _value_text(value: Any) -> str:
    return f"{value:g}" if is_number(value) else str(value)

"""Measures beside the test error: other measures of the test set, and validation errors during training."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.analysis.measures import TestMeasure, Trials, largest_sizes, other_measures, validation_histories
from dlm.report.formatting import error_number, is_rate
from dlm.report.html.elements import Chart, Choice, axis, band, error_axis, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced, section_content
from dlm.report.tables import ABSENT, Table

MOST_SIZES = 6  # charts of validation errors

Steps = Mapping[int, Sequence[float]]


def measures_section(context: ReportContext) -> SectionContent:
    """Charts and a table of every other measure of the test set; empty where there is none."""
    measures = other_measures(context.trials, context.records)
    if not measures:
        return SectionContent()
    options = tuple((_label(measure), (_measure_chart(measure),)) for measure in measures)
    last = {learner: {size: ()} for learner, size in largest_sizes(measures).items()}
    return section_content(
        "measures",
        "Other measures",
        (Choice("measures-of", "Measure", options), measure_table(measures, context.trials)),
        note="Medians over the seeds, of the trials that the learning curves show.",
        tables=(measure_table(measures, last, "at the largest size"),),
    )


def measure_table(measures: Sequence[TestMeasure], trials: Trials, where: str = "") -> Table:
    """Learners and sizes x measures."""
    rows = tuple(
        (learner, f"{size:,}", *(_text(measure, learner, size) for measure in measures))
        for learner, by_size in trials.items()
        for size in by_size
    )
    columns = ("learner", "examples", *(_label(measure) for measure in measures))
    units = ("", "", *("%" if is_rate(measure.unit) else "" for measure in measures))
    return Table(f"Other measures of the test set {where}".strip() + ", medians", columns, rows, units)


def _label(measure: TestMeasure) -> str:
    return measure.name.replace("_", " ")


def _text(measure: TestMeasure, learner: str, size: int) -> str:
    value = measure.medians.get(learner, {}).get(size)
    return ABSENT if value is None else error_number(value, measure.unit)


def _measure_chart(measure: TestMeasure) -> Chart:
    traces, ends = [], []
    for learner, by_size in measure.medians.items():
        train_sizes, medians = zip(*sorted(by_size.items()))
        traces.append(trace(train_sizes, medians, learner, hover=f"<b>{learner}</b><br>n=%{{x:,}}<br>%{{y}}"))
        ends.append(f"{learner} {_text(measure, learner, train_sizes[-1])}")
    name, rate = _label(measure), is_rate(measure.unit)
    unit = f" ({measure.unit})" if measure.unit and measure.unit.casefold() != name else ""
    return Chart(
        f"measure-{measure.name}",
        f"Test {name} against training examples",
        f"At each learner's largest size: {'; '.join(ends)}{' %' if rate else ''}.",
        traces,
        size_axis(),
        axis(f"test {name}{unit}", tickformat=".2~%" if rate else ".4~g"),
    )


def training_section(context: ReportContext) -> SectionContent:
    """Validation errors against updates, one chart a size; empty where nothing was evaluated during training."""
    histories = validation_histories(context.records, context.trials)
    train_sizes = sorted({size for by_size in histories.values() for size in by_size})
    if not train_sizes:
        return SectionContent()
    chosen = evenly_spaced(train_sizes, MOST_SIZES)
    options = tuple((f"{size:,}", (_training_chart(size, histories, context.unit),)) for size in chosen)
    return section_content(
        "training",
        "Training",
        (Choice("training-size", "Training examples", options, f"{chosen[-1]:,}"),),
        note="Median validation error over the seeds after each number of updates; bands show minimum and maximum.",
    )


def _training_chart(size: int, histories: Mapping[str, Mapping[int, Steps]], unit: str) -> Chart:
    here = {name: by_size[size] for name, by_size in histories.items() if size in by_size}
    ends = [f"{name} {error_number(statistics.median(list(steps.values())[-1]), unit)}" for name, steps in here.items()]
    traces = [trace for name, steps in here.items() for trace in _training_traces(name, steps, unit)]
    return Chart(
        f"training-{size}",
        f"Validation {unit} while training on {size:,} examples",
        f"Median validation {unit} at the last evaluation: {', '.join(ends)}{' %' if is_rate(unit) else ''}.",
        traces,
        axis("updates", tickformat="~s"),
        error_axis(unit, traces, f"validation {unit}"),
    )


def _training_traces(name: str, steps: Steps, unit: str) -> Iterator[dict[str, Any]]:
    updates, errors = list(steps), list(steps.values())
    yield band(updates, [min(own) for own in errors], [max(own) for own in errors], name)
    medians = [statistics.median(own) for own in errors]
    yield trace(
        updates,
        medians,
        name,
        hover=f"{name}<br>update %{{x:,}}<br>%{{text}}",
        # Trials that stopped early have no later evaluations: the number of seeds shows it.
        text=[f"{error_number(median, unit)} (median of {len(own)})" for median, own in zip(medians, errors)],
        mode="lines+markers" if len(updates) < 40 else "lines",
        marker={"size": 5},
    )

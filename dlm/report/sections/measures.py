"""Measures beside the test error: other measures of the test set, and validation errors during training."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.analysis.measures import TestMeasure, Trials, largest_sizes, other_measures, validation_histories
from dlm.report.formatting import error_number, is_rate
from dlm.report.html.elements import Chart, Choice, PageSection, band, error_axis, layout, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced
from dlm.report.tables import ABSENT, Table

MOST_SIZES = 6  # charts of validation errors

Steps = Mapping[int, Sequence[float]]


def measures_section(context: ReportContext) -> SectionContent:
    """Charts and a table of every other measure of the test set; empty where there is none."""
    measures = other_measures(context.trials, context.records)
    if not measures:
        return SectionContent()
    options = tuple((_label(measure), (_measure_chart(measure),)) for measure in measures)
    page = PageSection(
        "measures",
        "Other measures",
        (Choice("measures-of", "Measure", options), measure_table(measures, context.trials)),
        note="Medians over the seeds, of the trials that the learning curves show.",
    )
    last = {learner: {size: ()} for learner, size in largest_sizes(measures).items()}
    return SectionContent(tables=(measure_table(measures, last, "at the largest size"),), page=page)


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
    traces = tuple(
        trace(
            sorted(by_size),
            [by_size[size] for size in sorted(by_size)],
            learner,
            hover=f"<b>{learner}</b><br>n=%{{x:,}}<br>%{{y}}",
        )
        for learner, by_size in measure.medians.items()
    )
    last = "; ".join(
        f"{learner} {_text(measure, learner, max(by_size))}" for learner, by_size in measure.medians.items()
    )
    name, rate = _label(measure), is_rate(measure.unit)
    unit = f" ({measure.unit})" if measure.unit and measure.unit.casefold() != name else ""
    axis = {"title": {"text": f"test {name}{unit}"}, "tickformat": ".2~%" if rate else ".4~g"}
    return Chart(
        f"measure-{measure.name}",
        f"Test {name} against training examples",
        f"At each learner's largest size: {last}{' %' if rate else ''}.",
        traces,
        layout(size_axis(), axis),
        scales="xy",
    )


def training_section(context: ReportContext) -> SectionContent:
    """Validation errors against updates, one chart a size; empty where nothing was evaluated during training."""
    histories = validation_histories(context.records, context.trials)
    train_sizes = sorted({size for by_size in histories.values() for size in by_size})
    if not train_sizes:
        return SectionContent()
    chosen = evenly_spaced(train_sizes, MOST_SIZES)
    options = tuple((f"{size:,}", (_training_chart(size, histories, context.unit),)) for size in chosen)
    page = PageSection(
        "training",
        "Training",
        (Choice("training-size", "Training examples", options, f"{chosen[-1]:,}"),),
        note="Median validation error over the seeds after each number of updates; bands show minimum and maximum.",
    )
    return SectionContent(page=page)


def _training_chart(size: int, histories: Mapping[str, Mapping[int, Steps]], unit: str) -> Chart:
    here = {name: by_size[size] for name, by_size in histories.items() if size in by_size}
    ends = [f"{name} {error_number(statistics.median(list(steps.values())[-1]), unit)}" for name, steps in here.items()]
    positive = all(min(errors) > 0 for steps in here.values() for errors in steps.values())
    return Chart(
        f"training-{size}",
        f"Validation {unit} while training on {size:,} examples",
        f"Median validation {unit} at the last evaluation: {', '.join(ends)}{' %' if is_rate(unit) else ''}.",
        tuple(trace for name, steps in here.items() for trace in _training_traces(name, steps, unit)),
        layout(
            {"title": {"text": "updates"}, "tickformat": "~s", "type": "linear"},
            error_axis(unit, positive_only=positive, title=f"validation {unit}"),
        ),
        scales="xy",
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

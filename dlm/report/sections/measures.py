"""Measures beside the test error: training errors, other measures of the test set, validation errors in training."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.analysis.measures import (
    TestMeasure,
    TrainingGap,
    Trials,
    largest_sizes,
    other_measures,
    training_gaps,
    validation_histories,
)
from dlm.report.formatting import error_number, error_text, is_rate, unit_text
from dlm.report.html.elements import Chart, Choice, Sentences, axis, band, error_axis, plotly_text, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced, section_content
from dlm.report.tables import ABSENT, Table

MOST_SIZES = 6  # charts of validation errors
LARGE_SHARE = 0.5  # of the test error: a training error above it is not much smaller

Steps = Mapping[int, Sequence[float]]


def measures_section(context: ReportContext) -> SectionContent:
    """Training errors, and charts and a table of every other measure of the test set; empty where there is none."""
    measures, gaps = other_measures(context.trials, context.records), training_gaps(context.trials, context.records)
    blocks: list[Any] = []
    tables: list[Table] = []
    if gaps:
        tables.append(training_gap_table(gaps))
        blocks += [*tables, Sentences(list(map(training_gap_sentence, gaps)))]
    if measures:
        options = tuple((_label(measure), (_measure_chart(measure),)) for measure in measures)
        last = {learner: {size: ()} for learner, size in largest_sizes(measures).items()}
        blocks += [Choice("measures-of", "Measure", options), measure_table(measures, context.trials)]
        tables.append(measure_table(measures, last, "at the largest size"))
    return section_content(
        "measures",
        "Other measures",
        blocks,
        note="Medians over the seeds, of the trials that the learning curves show.",
        tables=tables,
        sentences={"Training and test error": list(map(training_gap_sentence, gaps))},
    )


def training_gap_table(gaps: Sequence[TrainingGap]) -> Table:
    """Training and test error of each learner."""
    rows = tuple(
        (gap.learner, f"{gap.size:,}", error_number(gap.train, gap.unit), error_number(gap.test, gap.unit))
        for gap in gaps
    )
    unit = unit_text(gaps[0].unit)
    columns = ("learner", "examples", "training error", "test error")
    return Table("Training and test error at the largest size, means", columns, rows, ("", "", unit, unit))


def training_gap_sentence(gap: TrainingGap) -> str:
    """What the gap between training and test error suggests."""
    train, test = error_text(gap.train, gap.unit), error_text(gap.test, gap.unit)
    if gap.train >= LARGE_SHARE * gap.test:
        return (
            f"{gap.learner}: training and test error are similar ({train}, {test}); if they are too high, a larger "
            "model, longer training or more informative inputs may help."
        )
    how = "perfectly" if gap.train == 0 else "better"
    than = "and has" if gap.train == 0 else "than new ones: it has"
    return (
        f"{gap.learner} fits its training examples {how} ({train}) {than} {test} on the test set; more data or "
        "regularization may help."
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
    return Table(f"Other measures of the test set {where}".strip() + ", means", columns, rows, units)


def _label(measure: TestMeasure) -> str:
    return measure.name.replace("_", " ")


def _text(measure: TestMeasure, learner: str, size: int) -> str:
    value = measure.means.get(learner, {}).get(size)
    return ABSENT if value is None else error_number(value, measure.unit)


def _measure_chart(measure: TestMeasure) -> Chart:
    traces, ends = [], []
    for learner, by_size in measure.means.items():
        train_sizes, means = zip(*sorted(by_size.items()))
        traces.append(
            trace(train_sizes, means, learner, hover=f"<b>{plotly_text(learner)}</b><br>n=%{{x:,}}<br>%{{y}}")
        )
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
    ends = [f"{name} {error_number(statistics.fmean(list(steps.values())[-1]), unit)}" for name, steps in here.items()]
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
    means = [statistics.fmean(own) for own in errors]
    yield trace(
        updates,
        means,
        name,
        hover=f"{plotly_text(name)}<br>update %{{x:,}}<br>%{{text}}",
        # Trials that stopped early have no later evaluations: the number of seeds shows it.
        text=[f"{error_number(mean, unit)} (mean of {len(own)})" for mean, own in zip(means, errors)],
        mode="lines+markers" if len(updates) < 40 else "lines",
        marker={"size": 5},
    )

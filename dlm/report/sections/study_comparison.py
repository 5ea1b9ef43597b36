"""Compares studies: data-equivalence ratios and error ratios of their learners, as sentences and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlm.analysis.learner_comparison import ratio_of
from dlm.curves.data_efficiency.equivalence import EquivalenceRatio
from dlm.curves.data_efficiency.study_comparison import ErrorDifference, StudyComparison
from dlm.curves.types import StudySummary
from dlm.report.formatting import percent, seeds
from dlm.report.html.elements import (
    Chart,
    Page,
    PageSection,
    Sentences,
    axis,
    error_bars,
    horizontal_line,
    plotly_text,
    size_axis,
    trace,
)
from dlm.report.sections.base import ReportContext, section_content
from dlm.report.sections.data_equivalence import equivalence_text
from dlm.report.sections.learning_curve import learning_curve_section
from dlm.report.tables import ABSENT, Table

SIGNIFICANT = 0.05  # p below which two errors are reported as different


def comparison_sentences(pair: StudyComparison) -> list[str]:
    """Relative data requirement, error ratio, and whether there are enough seeds to see a difference."""
    return [data_requirement_sentence(pair), error_ratio_sentence(pair), *_power_sentences(pair)]


def data_requirement_sentence(pair: StudyComparison) -> str:
    """ "a needs 0.6x [0.5, 0.8] of b's data for the same error", or how that changes with size."""
    needs = pair.data_ratio
    ratio = times(needs)
    if not ratio:
        return f"How much of {pair.b}'s data {pair.a} needs for the same error cannot be determined from these sizes."
    if needs.changes_with_size and needs.factor_per_doubling is not None:
        rates = [rate for rate in pair.data_ratios if rate.median is not None]
        if len(rates) > 1:
            first, last = times(rates[0]), times(rates[-1])
            return (
                f"How much of {pair.b}'s data {pair.a} needs for the same error changes with size: {first} at "
                f"{rates[0].train_sizes[0]:,} examples, {last} at {rates[-1].train_sizes[0]:,}."
            )
    where = (
        f" (from {needs.train_sizes[0]:,} to {needs.train_sizes[-1]:,} examples)" if len(needs.train_sizes) > 1 else ""
    )
    return f"{pair.a} needs {ratio} of {pair.b}'s data for the same error{where}."


def times(rate: EquivalenceRatio) -> str:
    """A ratio: "0.6x [0.5, 0.8]", "less than 0.1x"; empty without a finite end."""
    text = equivalence_text(rate.low, rate.median, rate.high)
    head, bracket, rest = text.partition(" [")
    return f"{head}x{bracket}{rest}" if text else ""


def error_ratio_sentence(pair: StudyComparison) -> str:
    """The ratio of the errors over all common sizes, paired by seed."""
    whole = pair.overall
    if whole is None:
        return f"{pair.a} and {pair.b} have no seed that used the same subsets, so their errors are not paired."
    ratio = f"error ratio of {pair.a} to {pair.b} is {ratio_text(whole)}"
    if whole.p is None:
        return f"The {ratio}, of one paired seed, which does not show the noise."
    paired = f"paired over {seeds(whole.num_seeds)} and {len(pair.differences)} sizes"
    remark = "" if whole.p < SIGNIFICANT else "; no difference is shown"
    return f"The {ratio}, {paired} (p={_p(whole.p)}){remark}."


def ratio_text(difference: ErrorDifference) -> str:
    """The error ratio of a relative difference: "0.88 [0.80, 0.97]"."""
    ratio = f"{ratio_of(difference.mean):.2f}"
    if difference.low is None or difference.high is None:
        return ratio
    return f"{ratio} [{ratio_of(difference.low):.2f}, {ratio_of(difference.high):.2f}]"


def _power_sentences(pair: StudyComparison) -> list[str]:
    """Whether the seeds are too few to show a small difference."""
    whole, detectable, enough = pair.overall, pair.detectable_difference, pair.num_seeds_needed
    if whole is None or whole.p is None or whole.p < SIGNIFICANT:
        return []
    if detectable is None or enough is None or enough <= whole.num_seeds:
        return []
    return [
        f"{seeds(whole.num_seeds)} detect a relative difference of {100 * detectable:.0f} % with probability 80 %; a "
        f"difference of 5 % needs about {enough:,} seeds."
    ]


def _p(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.{max(2, 1 - math.floor(math.log10(p)))}f}"


def comparison_page(
    summary: StudySummary, pairs: Sequence[StudyComparison], folder: Path, *, title: str, remarks: Sequence[str]
) -> Page:
    """The sentences of each pair first, then charts, learning curves, and differences between the studies."""
    heading = "Differences between the studies"
    sections = (
        _data_section(pairs, summary.level),
        _error_section(pairs, summary.level),
        learning_curve_section(ReportContext(summary, folder)).page,
        section_content("differences-of-studies", heading, [Sentences(remarks)]).page,
    )
    return Page(
        title=title,
        question="How much data does one study need for the error of the other, and which has the smaller error?",
        summary=tuple(line for pair in pairs for line in comparison_sentences(pair)),
        learners=tuple(learner.curve.learner for learner in summary.learners),
        sections=tuple(filter(None, sections)),
    )


def _data_section(pairs: Sequence[StudyComparison], level: float) -> PageSection:
    rows = tuple(
        (pair.a, pair.b, f"{rate.train_sizes[0]:,}", times(rate) or "undetermined")
        for pair in pairs
        for rate in pair.data_ratios
    )
    chart = Chart(
        "data-requirement",
        "Data requirement relative to the other study",
        " ".join(map(data_requirement_sentence, pairs)),
        [_ratio_trace(pair, points) for pair in pairs if (points := list(_data_points(pair)))],
        size_axis("training examples of the first"),
        axis("times the other's data", "log", tickformat=".2~g"),
        Table("", ("first", "other", "examples of the first", "times the other's data"), rows, text_columns=2),
        shapes=[horizontal_line(1)],
    )
    note = (
        f"Below 1 the first needs less data than the other for the same error. {percent(level)} intervals over seeds "
        "that used the same subsets; open-ended where the other's sizes end. Nothing is extrapolated."
    )
    return PageSection("data", "Data requirement", (chart,), note=note)


def _data_points(pair: StudyComparison) -> Iterator[_RatioPoint]:
    for rate in pair.data_ratios:
        if rate.median is not None:
            yield rate.train_sizes[0], rate.median, rate.low or rate.median, rate.high or rate.median, times(rate)


_RatioPoint = tuple[int | None, float, float, float, str]  # size, ratio, its interval, hover text


def _ratio_trace(pair: StudyComparison, points: Sequence[_RatioPoint]) -> dict[str, Any]:
    """Ratios of a pair of learners against size, with error bars."""
    train_sizes, ratios, lows, highs, texts = zip(*points)
    hover = f"{plotly_text(pair.a)} compared with {plotly_text(pair.b)}<br>n=%{{x:,}}<br>%{{text}}"
    bars = error_bars(np.subtract(ratios, lows).tolist(), np.subtract(highs, ratios).tolist())
    return trace(train_sizes, ratios, pair.a, hover=hover, error_y=bars, text=texts)


def _error_section(pairs: Sequence[StudyComparison], level: float) -> PageSection:
    rows = []
    for pair in pairs:
        for each in filter(None, (*pair.differences, pair.overall)):
            size = "all" if each.train_size is None else f"{each.train_size:,}"
            p = ABSENT if each.p is None else f"{each.p:.2g}"
            rows.append((pair.a, pair.b, size, ratio_text(each), p, str(each.num_seeds)))
    chart = Chart(
        "error-ratio",
        "Error ratio at common sizes",
        " ".join(map(error_ratio_sentence, pairs)),
        [_ratio_trace(pair, points) for pair in pairs if (points := list(_error_points(pair)))],
        size_axis(),
        axis("error ratio", "log", tickformat=".2~g"),
        Table("", ("first", "other", "examples", "error ratio", "p", "seeds"), tuple(rows), text_columns=2),
        shapes=[horizontal_line(1)],
    )
    note = (
        f"Below 1 the first has the smaller error. Paired by size, seed and subset; {percent(level)} intervals by "
        "Student's t over seeds, of the difference relative to the mean of both errors. The p of a single size is "
        "corrected for the number of sizes (Holm); that of all sizes counts each seed once."
    )
    return PageSection("errors", "Error ratio", (chart,), note=note)


def _error_points(pair: StudyComparison) -> Iterator[_RatioPoint]:
    for item in pair.differences:
        low, high = (item.mean if end is None else end for end in (item.low, item.high))
        ratio, text = ratio_of(item.mean), f"{ratio_text(item)}, {seeds(item.num_seeds)}"
        if 0 < ratio < math.inf:
            yield item.train_size, ratio, ratio_of(low), min(ratio_of(high), 1e6), text

"""Errors of groups: curves with forecasts, gaps whose intervals hold together, and what would close them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dlm.curves.results import Answer, LearnerAnswer
from dlm.fairness.gaps import Gap
from dlm.fairness.metrics import ColumnMetrics
from dlm.fairness.results import GroupCurve, GroupReport
from dlm.report.groups import gap_sentence, group_sentences
from dlm.report.page.learning import curve_chart
from dlm.report.page.parts import Chart, Choice, Section, Sentences, Table
from dlm.report.phrases import error_number, is_rate, need_phrase, percent


def fairness_section(report: GroupReport | None) -> Section | None:
    """One choice a learner and column; None where no groups are known."""
    if report is None or not report.curves:
        return None
    pairs = dict.fromkeys((one.learner, one.column) for one in report.curves)
    options = tuple((f"{learner}, {column}", tuple(_blocks(report, learner, column))) for learner, column in pairs)
    return Section(
        "groups",
        "Errors of groups",
        (Sentences(tuple(group_sentences(report))), Choice("groups-of", "Learner and column", options)),
        note=f"Gaps are to everyone else. Their {percent(report.level)} intervals hold for all groups, columns and "
        "learners of a size together, and hold the noise of the seeds and of the test examples.",
    )


def _blocks(report: GroupReport, learner: str, column: str) -> Iterator[Any]:
    own = [one for one in report.curves if (one.learner, one.column) == (learner, column)]
    gaps = [gap for gap in report.gaps if (gap.learner, gap.column) == (learner, column)]
    answer = Answer(tuple(_renamed(one) for one in own), (), (), report.level)
    if any(one.answer.curve.sizes for one in own):
        yield curve_chart(
            answer, {}, f"groups-{learner}-{column}", f"{learner}: test {report.unit} by {column}", plain=True
        )
    if gaps:
        yield _gap_chart(report, learner, column, gaps)
    yield _table(report, own, gaps)
    for one in report.metrics:
        if (one.learner, one.column) == (learner, column):
            yield _metrics(one)


def _renamed(one: GroupCurve) -> LearnerAnswer:
    """The group's curve by the name of the group alone."""
    return dataclasses.replace(one.answer, curve=dataclasses.replace(one.answer.curve, learner=one.group))


def _gap_chart(report: GroupReport, learner: str, column: str, gaps: list[Gap]) -> Chart:
    names = list(dict.fromkeys(gap.group for gap in gaps))
    traces = []
    for place, name in enumerate(names):
        found = [gap for gap in gaps if gap.group == name]
        traces.append(
            {
                "x": [gap.size * 1.03**place for gap in found],  # so that bars do not hide each other
                "y": [gap.gap for gap in found],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [gap.high - gap.gap for gap in found],
                    "arrayminus": [gap.gap - gap.low for gap in found],
                },
                "text": [gap_sentence(gap, report.unit) for gap in found],
                "hovertemplate": "%{text}<extra></extra>",
                "name": name,
                "showlegend": True,
                "mode": "lines+markers",
                "meta": {"colour": place, "role": "line"},
            }
        )
    last = [gap for gap in report.largest() if (gap.learner, gap.column) == (learner, column)]
    shown = [gap_sentence(gap, report.unit) for gap in last if gap.is_shown]
    return Chart(
        f"gaps-{learner}-{column}".replace(" ", "-"),
        f"{learner}: gap of each group of {column} to everyone else",
        " ".join(shown) or f"No gap between groups of {column} is shown at the largest size.",
        tuple(traces),
        {
            "xaxis": {"title": {"text": "training examples"}, "type": "log", "tickformat": "~s", "dtick": "D2"},
            "yaxis": {
                "title": {"text": "gap"},
                "type": "linear",
                "tickformat": "+.0%" if is_rate(report.unit) else "+.3g",
            },
            "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}],
            "height": 380,
        },
        scales="x",
    )


def _table(report: GroupReport, own: list[GroupCurve], gaps: list[Gap]) -> Table:
    last = {gap.group: gap for gap in sorted(gaps, key=lambda gap: gap.size)}
    rows = []
    for one in own:
        gap = last.get(one.group)
        in_pool = "–" if one.in_pool is None else f"{one.in_pool:,}"
        cells = ["–", "–", "–", "–"]
        if gap is not None:
            shown = gap.is_shown and gap.gap > 0 and one.need is not None
            cells = [
                error_number(gap.error, report.unit),
                error_number(gap.others, report.unit),
                f"{_points(gap.gap, report.unit)} [{_points(gap.low, report.unit)}, {_points(gap.high, report.unit)}]",
                need_phrase(one.need) if shown and one.need else "–",
            ]
        rows.append((one.group, in_pool, f"{one.answer.curve.num_test:,}", *cells))
    unit = f"{report.unit} in %" if is_rate(report.unit) else report.unit
    head = ("group", "in the pool", "test examples", "error", "everyone else's", "gap", "examples to be level")
    return Table(head, tuple(rows), f"At the largest size; {unit}")


def _points(value: float, unit: str) -> str:
    return f"{100 * value:+.1f}" if is_rate(unit) else f"{value:+.3g}"


def _metrics(one: ColumnMetrics) -> Table:
    rows = tuple(
        (metric.name, *("–" if value is None else f"{value:.3f}" for value in (*metric.by_group, metric.difference)))
        for metric in one.metrics
    )
    caption = f"fairlearn's metrics at the largest size{f'; positive: {one.positive}' if one.positive else ''}"
    return Table(("metric", *one.groups, "difference"), rows, caption)

"""Errors of groups: curves with forecasts, gaps with simultaneous intervals, and the data that would close them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dlm.analysis.fairness.analysis import GroupCurve, GroupReport, analyze_groups
from dlm.analysis.fairness.gaps import Gap, GroupRange
from dlm.analysis.fairness.metrics import ColumnMetrics
from dlm.curves.types import StudySummary
from dlm.report.formatting import error_number, is_rate, percent, required_size_text, unit_text
from dlm.report.html.elements import Chart, Choice, Sentences, axis, error_bars, horizontal_line, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.sections.learning_curve import curve_chart
from dlm.report.tables import ABSENT, Table

_COLUMNS = "group,pool examples,test examples,error,error of others,gap,falls as n^,examples to close"
_MOST_WORDS = 8  # gaps of a learner and column that get a sentence each, the largest first


def fairness_section(context: ReportContext) -> SectionContent:
    """Errors of the groups that the study declares; empty without groups."""
    if context.workdir is None:
        return SectionContent()
    level = context.summary.level
    return group_content(analyze_groups(context.workdir.path, context.records, targets=context.targets, level=level))


def group_content(report: GroupReport | None) -> SectionContent:
    """Sentences, tables and one choice of charts a learner and column."""
    if report is None or not report.curves:
        return SectionContent()
    pairs = dict.fromkeys((curve.learner, curve.column) for curve in report.curves)
    options = tuple((f"{learner}, {column}", tuple(_blocks(report, learner, column))) for learner, column in pairs)
    lines, heading = group_sentences(report), "Errors of groups"
    return section_content(
        "groups",
        heading,
        (Sentences(lines), Choice("groups-of", "Learner and column", options)),
        note=f"A gap is a group's error minus the error of all other test examples. The {percent(report.level)} "
        "intervals hold for all groups, columns and learners of a size together; they include the noise of seeds and "
        "of test examples.",
        sentences={heading: lines},
        tables=group_tables(report),
    )


def group_sentences(report: GroupReport) -> list[str]:
    """For each learner and column: significant gaps at its largest size and the data to close them; then caveats."""
    lines: list[str] = []
    gaps, curves = report.largest(), {(curve.learner, curve.column, curve.group): curve for curve in report.curves}
    for learner, column in dict.fromkeys((gap.learner, gap.column) for gap in gaps):
        own = [gap for gap in gaps if (gap.learner, gap.column) == (learner, column)]
        significant = sorted((gap for gap in own if gap.is_significant), key=lambda gap: -abs(gap.gap))
        if len(own) == 2:  # the same gap twice: report the group with the larger error
            significant = [gap for gap in significant if gap.gap > 0]
        lines += [gap_sentence(gap, report.unit, _of_two(own, gap)) for gap in significant[:_MOST_WORDS]]
        if (more := len(significant) - _MOST_WORDS) > 0:
            lines.append(f"{learner}: {more} more significant gaps of {column} are in the table.")
        if significant and len(own) > 2:
            lines += [
                spread_sentence(spread, report.unit)
                for spread in report.group_ranges
                if (spread.learner, spread.column, spread.size) == (learner, column, own[0].size)
            ]
        if not significant:
            lines.append(no_gap_sentence(own, report.unit))
        lines += [
            need_sentence(curves[learner, column, gap.group], gap, _of_two(own, gap))
            for gap in significant[:_MOST_WORDS]
            if gap.gap > 0
        ]
    return [*lines, *report.notes]


def gap_sentence(gap: Gap, unit: str, others: str = "all other examples") -> str:
    """ "cnn: sex=f has an error 1.9 points larger [0.4, 3.5] than sex=m at n=1,024 (5.0 and 3.1 %)."""
    more, ends = ("larger", (gap.low, gap.high)) if gap.gap > 0 else ("smaller", (-gap.high, -gap.low))
    size = _amount(abs(gap.gap), unit)
    low, high = (_signed(end, unit, abs(gap.gap)) for end in ends)
    both = f"{error_number(gap.error, unit)} and {error_number(gap.others, unit)} {unit_text(unit)}"
    return (
        f"{gap.learner}: {_named(gap.column, gap.group)} has an error {size} {more} [{low}, {high}] than {others} at "
        f"n={gap.size:,} ({both})."
    )


def spread_sentence(spread: GroupRange, unit: str) -> str:
    """The largest minus the smallest error of a column's groups."""
    low, high = (_signed(end, unit, spread.spread) for end in (spread.low, spread.high))
    return (
        f"{spread.learner}: groups of {spread.column} differ by {_amount(spread.spread, unit)} [{low}, {high}], from "
        f"{_named(spread.column, spread.least)} to {_named(spread.column, spread.most)}, at n={spread.size:,}."
    )


def no_gap_sentence(gaps: Sequence[Gap], unit: str) -> str:
    """No significant gap, with the largest gap inside the intervals."""
    first, tests = gaps[0], sum(gap.num_test for gap in gaps)
    widest = max(gaps, key=lambda gap: max(gap.high, -gap.low))
    most, whose = max(widest.high, -widest.low), ""
    if len(gaps) > 2:
        whose = f" of {_named(widest.column, widest.group)}, {widest.num_test:,} test examples,"
    return (
        f"{first.learner}: no significant gap between groups of {first.column} in {tests:,} test examples at "
        f"n={first.size:,}; the intervals include a gap{whose} of up to {_amount(most, unit)}."
    )


def need_sentence(curve: GroupCurve, gap: Gap, others: str = "all other examples") -> str:
    """The training-set size at which a group reaches the error of all other examples."""
    target = f"for {_named(gap.column, gap.group)} to reach the error of {others} at n={gap.size:,}"
    need = curve.need
    if need is None or need.kind == "undetermined":
        return f"{gap.learner}: the number of examples {target} cannot be determined from these measurements."
    if need.kind == "not reachable":
        return f"{gap.learner}: no number of examples is enough {target}, according to the forecast."
    return (
        f"{gap.learner}: {required_size_text(need)} examples, with the pool's group proportions, are needed {target}."
    )


def group_tables(report: GroupReport) -> list[Table]:
    """Gaps of each learner and column at its largest size; then fairlearn's metrics."""
    pairs = dict.fromkeys((gap.learner, gap.column) for gap in report.largest())
    return [
        *(_gap_table(report, learner, column) for learner, column in pairs),
        *(_metrics(curve) for curve in report.metrics if curve.positive),
    ]


def _gap_table(report: GroupReport, learner: str, column: str) -> Table:
    own = [curve for curve in report.curves if (curve.learner, curve.column) == (learner, column)]
    gaps = {gap.group: gap for gap in report.largest() if (gap.learner, gap.column) == (learner, column)}
    rows = tuple(_gap_row(curve, gaps.get(curve.group), report.unit) for curve in own)
    return Table(
        f"{learner}, {column}: test {report.unit}{' in %' if is_rate(report.unit) else ''} at the largest size, gap to "
        f"all other examples with {percent(report.level)} intervals for all groups together",
        tuple(_COLUMNS.split(",")),
        rows,
        bold=frozenset((k, 5) for k, one in enumerate(own) if one.group in gaps and gaps[one.group].is_significant),
    )


def _gap_row(curve: GroupCurve, gap: Gap | None, unit: str) -> tuple[str, ...]:
    errors, examples = (ABSENT, ABSENT, ABSENT), ABSENT
    if gap:
        size, low, high = (_signed(end, unit, abs(gap.gap)) for end in (gap.gap, gap.low, gap.high))
        errors = error_number(gap.error, unit), error_number(gap.others, unit), f"{size} [{low}, {high}]"
        if curve.need and gap.is_significant and gap.gap > 0:
            examples = required_size_text(curve.need)
    in_pool = ABSENT if curve.in_pool is None else f"{curve.in_pool:,}"
    num_test = gap.num_test if gap else curve.answer.curve.num_test
    return curve.group, in_pool, f"{num_test:,}", *errors, _exponent(curve), examples


def _exponent(curve: GroupCurve) -> str:
    exponent = curve.exponent
    return f"{-exponent.power:.2f} [{-exponent.high:.2f}, {-exponent.low:.2f}]".replace("-", "−") if exponent else "–"


def _of_two(gaps: Sequence[Gap], gap: Gap) -> str:
    """The name of the other group if there is only one."""
    others = [_named(curve.column, curve.group) for curve in gaps if curve.group != gap.group]
    return others[0] if len(gaps) == 2 else "all other examples"


def _named(column: str, group: str) -> str:
    """The group with its column, unless its name contains the column, such as `age ≤ 25`."""
    return group if column in group or any(sign in group for sign in "≤>") else f"{column}={group}"


def _amount(value: float, unit: str) -> str:
    return f"{error_number(value, unit)} {'points' if is_rate(unit) else unit}"


def _signed(value: float, unit: str, like: float) -> str:
    return f"−{error_number(-value, unit, like)}" if value < 0 else error_number(value, unit, like)


def _blocks(report: GroupReport, learner: str, column: str) -> Iterator[Any]:
    own = [curve for curve in report.curves if (curve.learner, curve.column) == (learner, column)]
    gaps = [gap for gap in report.gaps if (gap.learner, gap.column) == (learner, column)]
    renamed = {curve.group: dataclasses.replace(curve.answer.curve, learner=curve.group) for curve in own}
    groups = tuple(dataclasses.replace(curve.answer, curve=renamed[curve.group]) for curve in own)
    answer = StudySummary(groups, (), (), report.level)
    if any(curve.answer.curve.train_sizes for curve in own):
        yield curve_chart(
            answer, {}, f"groups-{learner}-{column}", f"{learner}: test {report.unit} by {column}", plain=True
        )
    if gaps:
        yield _gap_chart(report, learner, column, gaps)
    yield _gap_table(report, learner, column)
    yield from (_metrics(each) for each in report.metrics if (each.learner, each.column) == (learner, column))


def _gap_chart(report: GroupReport, learner: str, column: str, gaps: list[Gap]) -> Chart:
    names = list(dict.fromkeys(gap.group for gap in gaps))
    traces = []
    for index, name in enumerate(names):
        own = [gap for gap in gaps if gap.group == name]
        train_sizes = [gap.size * 1.03**index for gap in own]  # avoids overlapping error bars
        bars = error_bars([gap.gap - gap.low for gap in own], [gap.high - gap.gap for gap in own])
        texts = [gap_sentence(gap, report.unit) for gap in own]
        style: Any = {"hover": "%{text}", "colour": index, "legend": name}
        traces.append(trace(train_sizes, [gap.gap for gap in own], error_y=bars, text=texts, **style))
    last = [gap for gap in report.largest() if (gap.learner, gap.column) == (learner, column)]
    sentences = [gap_sentence(gap, report.unit) for gap in last if gap.is_significant]
    return Chart(
        f"gaps-{learner}-{column}",
        f"{learner}: gap of each group of {column} to all other examples",
        " ".join(sentences) or f"No significant gap between groups of {column} at the largest size.",
        traces,
        size_axis(),
        axis("gap", tickformat="+.0%" if is_rate(report.unit) else "+.3g"),
        scales="x",
        shapes=[horizontal_line(0)],
    )


def _metrics(curve: ColumnMetrics) -> Table:
    rows = tuple(
        (metric.name, *("–" if value is None else f"{value:.3f}" for value in (*metric.by_group, metric.difference)))
        for metric in curve.metrics
    )
    positive = f"; positive class: {curve.positive}" if curve.positive else ""
    caption = f"{curve.learner}, {curve.column}: fairlearn's metrics at the largest size{positive}"
    return Table(caption, ("metric", *curve.groups, "difference"), rows)

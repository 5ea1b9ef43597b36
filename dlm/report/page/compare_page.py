"""The page of several studies: their curves together, who needs how much of whose data, who errs less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dlm.curves.results import Answer
from dlm.curves.versus import Versus
from dlm.report.page.axes import size_axis
from dlm.report.page.learning import learning_section
from dlm.report.page.parts import Chart, Page, Section, Sentences, Table
from dlm.report.phrases import percent
from dlm.report.versus_words import difference_sentence, needs_sentence, times, versus_sentences


def compare_page(answer: Answer, found: Sequence[Versus], *, title: str, remarks: Sequence[str]) -> Page:
    """The answer first: a sentence on data and one on errors for each pair."""
    lead = [line for one in found for line in versus_sentences(one)]
    sections = [
        _needs_section(found, answer.level),
        _difference_section(found, answer.level),
        learning_section(answer, {}),
    ]
    if remarks:
        sections.append(Section("differ", "What differs between the studies", (Sentences(tuple(remarks)),)))
    names = tuple(learner.curve.learner for learner in answer.learners)
    question = "How much of the other's data does each need, and who errs less?"
    return Page(title, question, tuple(lead), names, tuple(sections))


def _needs_section(found: Sequence[Versus], level: float) -> Section:
    rows = [(one.a, one.b, f"{rate.size:,}", times(rate) or "cannot tell") for one in found for rate in one.needs_at]
    layout = {
        "xaxis": size_axis("training examples of the first"),
        "yaxis": {"title": {"text": "times the other's data"}, "type": "log", "dtick": "D2", "tickformat": ".2~g"},
        "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1}],
        "height": 380,
    }
    chart = Chart(
        "needs",
        "How many times the other's data is needed to err as little",
        " ".join(needs_sentence(one) for one in found),
        tuple(trace for one in found for trace in _needs_trace(one)),
        layout,
        table=Table(("first", "other", "examples of the first", "times the other's data"), tuple(rows), texts=2),
        scales="xy",
    )
    return Section(
        "data",
        "Who needs how much data",
        (chart,),
        note=f"Below 1 the first needs less data than the other. {percent(level)} intervals, by seeds that learnt from "
        "the same subsets; without an end where the other's sizes do not reach. Nothing is extrapolated.",
    )


def _needs_trace(one: Versus) -> Iterator[dict[str, Any]]:
    told = [rate for rate in one.needs_at if rate.median is not None]
    if not told:
        return
    medians = [rate.median or 1.0 for rate in told]
    yield {
        "x": [rate.size for rate in told],
        "y": medians,
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [(rate.high or 0.0) - middle if rate.high else 0.0 for rate, middle in zip(told, medians)],
            "arrayminus": [middle - (rate.low or middle) for rate, middle in zip(told, medians)],
        },
        "text": [times(rate) for rate in told],
        "hovertemplate": f"{one.a} against {one.b}<br>n=%{{x:,}}<br>%{{text}}<extra></extra>",
        "mode": "lines+markers",
        "meta": {"learner": one.a, "role": "line"},
    }


def _difference_section(found: Sequence[Versus], level: float) -> Section:
    rows = [
        (one.a, one.b, "all" if each.size is None else f"{each.size:,}", *_cells(each))
        for one in found
        for each in (*one.differences, *([one.whole] if one.whole else []))
    ]
    layout = {
        "xaxis": size_axis(),
        "yaxis": {"title": {"text": "difference of the errors"}, "type": "linear", "tickformat": "+.0%"},
        "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}],
        "height": 380,
    }
    chart = Chart(
        "differences",
        "Difference of the errors, relative to the mean of both",
        " ".join(difference_sentence(one) for one in found),
        tuple(trace for one in found for trace in _difference_trace(one)),
        layout,
        table=Table(("first", "other", "examples", "difference", "interval", "p", "seeds"), tuple(rows), texts=2),
        scales="x",
    )
    return Section(
        "errors",
        "Who errs less",
        (chart,),
        note=f"Below 0 the first errs less. Paired by size, seed and subset; {percent(level)} intervals by Student's t "
        "over seeds. The p of a single size is corrected for their number (Holm); that of all sizes counts each seed "
        "once.",
    )


def _cells(each: Any) -> tuple[str, str, str, str]:
    interval = "–" if each.low is None else f"[{100 * each.low:+.1f}, {100 * each.high:+.1f}] %"
    return (
        f"{100 * each.mean:+.1f} %",
        interval,
        "–" if each.p is None else f"{each.p:.2g}",
        str(each.num_seeds),
    )


def _difference_trace(one: Versus) -> Iterator[dict[str, Any]]:
    if not one.differences:
        return
    halves = [(each.high - each.mean) if each.high is not None else 0.0 for each in one.differences]
    yield {
        "x": [each.size for each in one.differences],
        "y": [each.mean for each in one.differences],
        "error_y": {"type": "data", "array": halves},
        "text": [f"{each.num_seeds} seeds" for each in one.differences],
        "hovertemplate": f"{one.a} against {one.b}<br>n=%{{x:,}}<br>%{{y:+.1%}}, %{{text}}<extra></extra>",
        "mode": "lines+markers",
        "meta": {"learner": one.a, "role": "line"},
    }

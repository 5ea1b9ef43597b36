"""The page of several studies: their curves together, who needs how much of whose data, who errs less."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from dlm.curves.data_efficiency.equivalence import EquivalenceRatio, OverallEquivalenceRatio
from dlm.curves.data_efficiency.study_comparison import ErrorDifference, StudyComparison
from dlm.curves.types import StudySummary
from dlm.report.formatting import percent, seeds
from dlm.report.html.elements import Chart, Page, Section, Sentences, size_axis
from dlm.report.sections.data_equivalence import worth
from dlm.report.sections.learning_curve import learning_section
from dlm.report.tables import Table

CLEAR = 0.05  # p below which a difference is said


def versus_sentences(one: StudyComparison) -> list[str]:
    """How much of the other's data, who errs less, and whether the seeds are enough to tell."""
    return [needs_sentence(one), difference_sentence(one), *_enough(one)]


def needs_sentence(one: StudyComparison) -> str:
    """ "a needs 0.6x [0.5, 0.8] of b's data", or that it cannot be told, or that it changes with the size."""
    needs = one.data_ratio
    said = times(needs)
    if not said:
        return f"How much of {one.b}'s data {one.a} needs to err as little cannot be told from these sizes."
    if needs.changes_with_size and needs.factor_per_doubling is not None:
        rates = [rate for rate in one.data_ratios if rate.median is not None]
        if len(rates) > 1:
            first, last = times(rates[0]), times(rates[-1])
            return (
                f"How much of {one.b}'s data {one.a} needs changes with the size: {first} at {rates[0].train_size:,} "
                f"examples, {last} at {rates[-1].train_size:,}."
            )
    where = (
        f" (from {needs.train_sizes[0]:,} to {needs.train_sizes[-1]:,} examples)" if len(needs.train_sizes) > 1 else ""
    )
    return f"{one.a} needs {said} of {one.b}'s data to err as little{where}."


def times(rate: EquivalenceRatio | OverallEquivalenceRatio) -> str:
    """A rate: "0.6x [0.5, 0.8]", "less than 0.1x"; nothing where it has no end."""
    text = worth(rate.low, rate.median, rate.high)
    head, bracket, rest = text.partition(" [")
    return f"{head}x{bracket}{rest}" if text else ""


def difference_sentence(one: StudyComparison) -> str:
    """Who errs less, over all common sizes, paired by seed."""
    whole = one.overall
    if whole is None:
        return f"{one.a} and {one.b} have no seed in common that learnt from the same subsets: nothing is paired."
    if whole.p is None:
        return f"{one.a} errs {_percent(whole.mean)} than {one.b}; one paired seed says nothing of the noise."
    paired = f"paired over {seeds(whole.num_seeds)} and {len(one.differences)} sizes"
    if whole.p < CLEAR:
        return f"{one.a} errs {_percent(whole.mean)} than {one.b}{_interval(whole)}, {paired} (p={_p(whole.p)})."
    return (
        f"No difference between {one.a} and {one.b} is shown: {_signed(whole.mean)}{_interval(whole)}, {paired} "
        f"(p={_p(whole.p)})."
    )


def _enough(one: StudyComparison) -> list[str]:
    """Whether the seeds are too few to have seen what may be there."""
    whole = one.overall
    if whole is None or whole.p is None or one.detectable_difference is None or one.num_seeds_needed is None:
        return []
    if whole.p < CLEAR or one.num_seeds_needed <= whole.num_seeds:
        return []
    return [
        f"{seeds(whole.num_seeds)} are too few to see a small difference: one of "
        f"{100 * one.detectable_difference:.0f} % would have shown with a chance of 80 %; "
        f"about {one.num_seeds_needed:,} seeds would show one of 5 %."
    ]


def _percent(mean: float) -> str:
    """ "12 % less" of a difference relative to the mean of both."""
    return f"{_number(abs(mean))} % {'less' if mean < 0 else 'more'}"


def _signed(mean: float) -> str:
    return f"{'−' if mean < 0 else '+'}{_number(abs(mean))} %"


def _interval(one: ErrorDifference) -> str:
    if one.low is None or one.high is None:
        return ""
    ends = sorted((one.low, one.high), key=abs) if one.low * one.high > 0 else (one.low, one.high)
    shown = [_number(abs(end)) if one.low * one.high > 0 else _signed(end).removesuffix(" %") for end in ends]
    return f" [{shown[0]}, {shown[1]}]"


def _number(share: float) -> str:
    value = 100 * share
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def _p(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.{max(2, 1 - math.floor(math.log10(p)))}f}"


def compare_page(answer: StudySummary, found: Sequence[StudyComparison], *, title: str, remarks: Sequence[str]) -> Page:
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


def _needs_section(found: Sequence[StudyComparison], level: float) -> Section:
    rows = [
        (one.a, one.b, f"{rate.train_size:,}", times(rate) or "undetermined")
        for one in found
        for rate in one.data_ratios
    ]
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
        table=Table(
            "", ("first", "other", "examples of the first", "times the other's data"), tuple(rows), text_columns=2
        ),
        scales="xy",
    )
    return Section(
        "data",
        "Who needs how much data",
        (chart,),
        note=f"Below 1 the first needs less data than the other. {percent(level)} intervals, by seeds that learnt from "
        "the same subsets; without an end where the other's sizes do not reach. Nothing is extrapolated.",
    )


def _needs_trace(one: StudyComparison) -> Iterator[dict[str, Any]]:
    told = [rate for rate in one.data_ratios if rate.median is not None]
    if not told:
        return
    medians = [rate.median or 1.0 for rate in told]
    yield {
        "x": [rate.train_size for rate in told],
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


def _difference_section(found: Sequence[StudyComparison], level: float) -> Section:
    rows = [
        (one.a, one.b, "all" if each.train_size is None else f"{each.train_size:,}", *_cells(each))
        for one in found
        for each in (*one.differences, *([one.overall] if one.overall else []))
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
        table=Table(
            "", ("first", "other", "examples", "difference", "interval", "p", "seeds"), tuple(rows), text_columns=2
        ),
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


def _difference_trace(one: StudyComparison) -> Iterator[dict[str, Any]]:
    if not one.differences:
        return
    halves = [(each.high - each.mean) if each.high is not None else 0.0 for each in one.differences]
    yield {
        "x": [each.train_size for each in one.differences],
        "y": [each.mean for each in one.differences],
        "error_y": {"type": "data", "array": halves},
        "text": [f"{each.num_seeds} seeds" for each in one.differences],
        "hovertemplate": f"{one.a} against {one.b}<br>n=%{{x:,}}<br>%{{y:+.1%}}, %{{text}}<extra></extra>",
        "mode": "lines+markers",
        "meta": {"learner": one.a, "role": "line"},
    }

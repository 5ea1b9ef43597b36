"""The learning curves: seeds, medians with their spread, forecasts with intervals, and crossovers."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm.analysis.measures import Trials
from dlm.curves.seed_spread import describe_spread, seed_spread
from dlm.curves.types import Crossover, LearnerSummary, StudySummary
from dlm.report import sentences
from dlm.report.figures import error_limits, forecast_part, positive_error
from dlm.report.formatting import error_number, forecast_text, is_rate, percent, probability_text
from dlm.report.html.elements import Chart, Choice, PageSection, Sentences, error_axis, size_axis
from dlm.report.sections.base import ReportContext, SectionContent
from dlm.report.tables import Table, forecast_table, measured_table, required_size_table
from dlm.storage.record_log import Record

MOST_INCUMBENTS = 8  # that a chart can be shown for
MOST_DOTS, FEWEST_DOTS = 2000, 3  # seeds drawn at first: in all, and at least of one size

Lines = dict[str, dict[int, float]]  # by challenger and size


def learning_curve_section(context: ReportContext) -> SectionContent:
    """The chart, tables of forecasts and required sizes, probabilities of being better, and the fitted laws.

    The terminal prints the same with `print_summary`.
    """
    summary = context.summary
    chart = curve_chart(summary, context.trials, "learning-curves", _title(summary))
    blocks = (
        dataclasses.replace(chart, still=_still(context.folder)),
        forecast_table(summary),
        required_size_table(summary),
        better_block(summary),
        Sentences(tuple(sentences.laws(summary)), heading="Fitted laws (n: training examples)"),
    )
    return SectionContent(
        page=PageSection("curves", "Learning curves", tuple(filter(None, blocks)), note=_note(summary))
    )


def _still(folder: Path) -> str:
    """The figure in the folder, which the page shows until the chart is drawn."""
    path = folder / "figures" / "learning_curve.svg"
    if not path.is_file():
        return ""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _note(answer: StudySummary) -> str:
    what = describe_spread([learner.curve for learner in answer.learners])
    parts = [f"Dots are seeds, lines their medians{f', bands their spread ({what})' if what else ''}."]
    if any(learner.predictions for learner in answer.learners):
        parts.append(f"Dashed lines are forecasts with their {percent(answer.level)} intervals.")
    if any(error == 0 for one in answer.learners for errors in one.curve.errors for error in errors):
        parts.append("On a logarithmic axis an error of zero is drawn at half of one test example.")
    return " ".join(parts)


def _title(answer: StudySummary) -> str:
    return f"Test {answer.learners[0].curve.unit} against training examples"


def curve_chart(answer: StudySummary, trials: Trials, name: str, title: str, *, plain: bool = False) -> Chart:
    """Curves as a chart. `plain` gives colours and a legend to curves that are not the page's learners."""
    counts = [len(errors) for learner in answer.learners for errors in learner.curve.errors]
    most = max(FEWEST_DOTS, MOST_DOTS // max(1, len(counts)))  # dots of one size
    traces = [trace for learner in answer.learners for trace in _traces(learner, trials, most)]
    if plain:
        traces = [_with_legend(trace, answer) for trace in traces]
    crossings = [one for one in answer.crossovers if one.median is not None]
    traces += [trace for one in crossings for trace in _crossing(one, answer)]
    ends = {
        learner.curve.train_sizes[-1]
        for learner in answer.learners
        if learner.curve.train_sizes and forecast_part(learner)
    }
    layout = {
        "xaxis": size_axis(),
        "yaxis": _error_axis(answer),
        "shapes": [{"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1} for x in sorted(ends)],
        "height": 480,
        "showlegend": plain,
    }
    return Chart(
        name.replace(" ", "-"),
        title,
        " ".join(sentences.ranking(answer)),
        tuple(traces),
        layout,
        table=measured_table([learner.curve for learner in answer.learners]),
        scales="xy",
        more=f"all {sum(counts):,} seeds" if max(counts, default=0) > most else "",
    )


def _with_legend(trace: dict[str, Any], answer: StudySummary) -> dict[str, Any]:
    names = [learner.curve.learner for learner in answer.learners]
    meta = {"colour": names.index(trace["meta"]["learner"]), "role": trace["meta"]["role"]}
    return trace | {"meta": meta, "name": trace["meta"]["learner"], "showlegend": meta["role"] == "median"}


def _error_axis(answer: StudySummary) -> dict[str, Any]:
    """Logarithmic where an error is above zero; limited so that wide forecast intervals leave the points readable."""
    curves = [learner.curve for learner in answer.learners]
    points = [positive_error(error, curve) for curve in curves for errors in curve.errors for error in errors]
    ahead = [one for learner in answer.learners for one in forecast_part(learner)]
    if not any(point > 0 for point in points):
        return error_axis(curves[0].unit, positive_only=False)
    ends = error_limits(points, ahead)
    return error_axis(curves[0].unit) | {"range": [math.log10(end) for end in ends]}


def _traces(learner: LearnerSummary, trials: Trials, most: int) -> Iterator[dict[str, Any]]:
    curve = learner.curve
    name, own = curve.learner, trials.get(curve.learner, {})
    ahead = forecast_part(learner)
    spreads = [seed_spread([positive_error(error, curve) for error in errors]) for errors in curve.errors]
    yield _band(name, curve.train_sizes, [one.low for one in spreads], [one.high for one in spreads], 0.2)
    if ahead:
        train_sizes = [one.train_size for one in ahead]
        yield _band(name, train_sizes, [max(one.low, 1e-12) for one in ahead], [one.high for one in ahead], 0.12)
        yield {
            "x": train_sizes,
            "y": [one.median for one in ahead],
            "text": [forecast_text(one, curve.unit) for one in ahead],
            "hovertemplate": f"<b>{_safe(name)}</b>, forecast<br>n=%{{x:,}}<br>%{{text}}<extra></extra>",
            "mode": "lines",
            "line": {"dash": "dash", "width": 2},
            "meta": {"learner": name, "role": "forecast"},
        }
    yield from _seeds(learner, own, most)
    yield {
        "x": curve.train_sizes,
        "y": [one.median for one in spreads],
        "text": [
            f"median {error_number(one.median, curve.unit)} of {one.num_seeds} seeds"
            f" [{error_number(one.low, curve.unit)}, {error_number(one.high, curve.unit)}]"
            for one in spreads
        ],
        "hovertemplate": f"<b>{_safe(name)}</b><br>n=%{{x:,}}<br>%{{text}}<extra></extra>",
        "mode": "lines+markers",
        "line": {"width": 2.2},
        "marker": {"size": 8},
        "meta": {"learner": name, "role": "median"},
    }


def _seeds(learner: LearnerSummary, own: Mapping[int, Sequence[Record]], most: int) -> Iterator[dict[str, Any]]:
    """Dots of the first seeds of each size, and of the others, which a button shows."""
    yield _dots(learner, own, "seed", slice(0, most))
    if any(len(errors) > most for errors in learner.curve.errors):
        yield _dots(learner, own, "more", slice(most, None))


def _dots(learner: LearnerSummary, own: Mapping[int, Sequence[Record]], role: str, which: slice) -> dict[str, Any]:
    """A dot for each seed. The hover text has n, error, seed, trial and subset where they are known."""
    curve = learner.curve
    x, y, text, about = [], [], [], []
    for size, errors in zip(curve.train_sizes, curve.errors, strict=True):
        known = [row for row in own.get(size, ()) if row.value is not None]
        for place, error in list(enumerate(errors))[which]:
            x.append(size)
            y.append(positive_error(error, curve))
            text.append(f"{error_number(error, curve.unit)}{' %' if is_rate(curve.unit) else ''}")
            row = known[place] if len(known) == len(errors) else None
            about.append([row.subset_seed, row.trial_id, row.subset_hash] if row else ["", "", ""])
    hover = f"<b>{_safe(curve.learner)}</b><br>n=%{{x:,}}<br>error %{{text}}"
    if own:
        hover += "<br>seed %{customdata[0]}<br>trial %{customdata[1]}<br>subset %{customdata[2]}"
    return {
        "x": x,
        "y": y,
        "text": text,
        "customdata": about if own else [],
        "hovertemplate": f"{hover}<extra></extra>",
        "mode": "markers",
        "marker": {"size": 5},
        "meta": {"learner": curve.learner, "role": role},
    }


def _band(
    name: str, train_sizes: Sequence[float], lows: Sequence[float], highs: Sequence[float], shade: float
) -> dict[str, Any]:
    return {
        "x": [*train_sizes, *reversed(train_sizes)],
        "y": [*highs, *reversed(lows)],
        "fill": "toself",
        "opacity": shade,
        "meta": {"learner": name, "role": "band"},
    }


def _crossing(one: Crossover, answer: StudySummary) -> Iterator[dict[str, Any]]:
    """A cross where the curves cross, with the interval of that size."""
    learner = next(item for item in answer.learners if item.curve.learner == one.challenger)
    assert one.median is not None
    y = _height(learner, one.median)
    if y is None:
        return
    low = one.median - one.low if one.low is not None else 0.0
    high = one.high - one.median if one.high is not None else 0.0
    yield {
        "x": [one.median],
        "y": [y],
        "error_x": {"type": "data", "symmetric": False, "array": [high], "arrayminus": [low], "thickness": 1.5},
        "text": [sentences.crossover_sentence(one)],
        "hovertemplate": "%{text}<extra></extra>",
        "mode": "markers",
        "marker": {"size": 12, "symbol": "x-thin", "line": {"width": 2}},
        "meta": {"learner": one.challenger, "role": "crossover"},
    }


def _height(learner: LearnerSummary, size: float) -> float | None:
    """The fitted error at a size, interpolated in its grid; None outside it."""
    points = [(one.train_size, one.median) for one in learner.fitted if one.median > 0]
    for (left, a), (right, b) in itertools.pairwise(points):
        if left <= size <= right:
            share = math.log(size / left) / math.log(right / left) if right > left else 0.0
            return a ** (1 - share) * b**share
    return None


def _safe(name: str) -> str:
    """A name for a hover text, in which Plotly interprets some HTML."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def better_block(answer: StudySummary) -> Chart | Choice | None:
    """Probabilities of being better than one learner, or than each of several; None where none are known."""
    known = [item for item in answer.crossovers if item.probabilities]
    if not known:
        return None
    # First the learner that is most often the incumbent.
    ranked = [name for name, _ in Counter(item.incumbent for item in known).most_common()]
    names = [*ranked, *(one.curve.learner for one in answer.learners if one.curve.learner not in ranked)]
    charts = [(name, lines) for name in names if (lines := against(known, name))][:MOST_INCUMBENTS]
    if len(known) == 1:
        return _chart(*charts[0], known)
    options = tuple((name, (_chart(name, lines, known),)) for name, lines in charts)
    return Choice("better-than", "Probability of being better than", options, charts[0][0])


def against(known: list[Crossover], incumbent: str) -> Lines:
    """P(other learner is better than the incumbent) by size, from the pairs that contain the incumbent."""
    lines: Lines = {}
    for item in known:
        if item.incumbent == incumbent:
            lines[item.challenger] = {one.train_size: one.probability for one in item.probabilities}
        elif item.challenger == incumbent:
            lines[item.incumbent] = {one.train_size: 1 - one.probability for one in item.probabilities}
    return lines


def _chart(incumbent: str, lines: Lines, known: list[Crossover]) -> Chart:
    train_sizes = sorted({size for line in lines.values() for size in line})
    measured = [one.train_size for item in known for one in item.probabilities if one.measured]
    rows = [
        (f"{size:,}", *(probability_text(line[size]) if size in line else "–" for line in lines.values()))
        for size in train_sizes
    ]
    layout: dict[str, Any] = {
        "xaxis": size_axis(),
        "yaxis": {"title": {"text": f"P(better than {incumbent})"}, "range": [-0.02, 1.02], "tickformat": ".0%"},
        "shapes": [{"type": "line", "x0": max(measured), "x1": max(measured), "yref": "paper", "y0": 0, "y1": 1}],
        "height": 300,
        "showlegend": False,
    }
    last = [f"{name} {probability_text(line[max(line)])} at {max(line):,}" for name, line in lines.items()]
    return Chart(
        f"better-than-{incumbent}".replace(" ", "-"),
        f"Probability of being better than {incumbent}",
        f"Probability of a smaller expected error than {incumbent}: {', '.join(last)}.",
        tuple(_line(name, line) for name, line in lines.items()),
        layout,
        table=Table(f"Probability of being better than {incumbent}", ("examples", *lines), tuple(rows), text_columns=0),
        scales="x",
    )


def _line(name: str, line: dict[int, float]) -> dict[str, Any]:
    return {
        "x": list(line),
        "y": list(line.values()),
        "text": [probability_text(p) for p in line.values()],
        "hovertemplate": "%{text}, n=%{x:,}<extra></extra>",
        "mode": "lines+markers",
        "line": {"width": 2.2},
        "marker": {"size": 6},
        "meta": {"learner": name, "role": "median"},
    }

"""The learning curves: seeds, means with their spread, forecasts with intervals, and crossovers."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlm.analysis.measures import Trials
from dlm.curves.seed_spread import SeedSpread, describe_spread, seed_spread
from dlm.curves.types import Crossover, LearnerSummary, StudySummary
from dlm.report import sentences
from dlm.report.figures import error_limits, forecast_part, positive_error
from dlm.report.formatting import error_number, forecast_text, is_rate, percent, probability_text
from dlm.report.html.elements import (
    Chart,
    Choice,
    Sentences,
    axis,
    band,
    error_axis,
    error_bars,
    horizontal_line,
    plotly_text,
    size_axis,
    trace,
    vertical_line,
)
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.tables import ABSENT, Table, forecast_table, measured_table, required_size_table
from dlm.storage.record_log import Record

MOST_INCUMBENTS = 8  # that a chart can be shown for
MOST_DOTS, FEWEST_DOTS = 2000, 3  # seeds drawn at first: in all, and at least of one size

Lines = dict[str, dict[int, float]]  # by challenger and size


def learning_curve_section(context: ReportContext) -> SectionContent:
    """The chart, tables of forecasts and required sizes, probabilities of being better, and the fitted laws.

    The terminal prints the same with `print_summary`.
    """
    summary = context.summary
    title = f"Test {context.unit} against training examples"
    chart = curve_chart(summary, context.trials, "learning-curves", title)
    blocks = (
        dataclasses.replace(chart, still=_still(context.folder)),
        forecast_table(summary),
        required_size_table(summary),
        better_block(summary),
        Sentences(sentences.laws(summary), "Laws of the measured sizes, which forecasts do not use"),
    )
    return section_content("curves", "Learning curves", blocks, note=_note(summary))


def _still(folder: Path) -> str:
    """The figure in the folder, which the page shows until the chart is drawn."""
    path = folder / "figures" / "learning_curve.svg"
    if not path.is_file():
        return ""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _note(answer: StudySummary) -> str:
    what = describe_spread([learner.curve for learner in answer.learners])
    parts = [f"Dots are seeds, lines their means{f', bands their spread ({what})' if what else ''}."]
    if any(learner.predictions for learner in answer.learners):
        parts.append(f"Dashed lines are forecasts with their {percent(answer.level)} intervals.")
    if any(error == 0 for one in answer.learners for errors in one.curve.errors for error in errors):
        parts.append("On a logarithmic axis an error of zero is drawn at half of one test example.")
    return " ".join(parts)


def curve_chart(answer: StudySummary, trials: Trials, name: str, title: str, *, plain: bool = False) -> Chart:
    """Curves as a chart. `plain` gives colours and a legend to curves that are not the page's learners."""
    counts = [len(errors) for learner in answer.learners for errors in learner.curve.errors]
    most = max(FEWEST_DOTS, MOST_DOTS // max(1, len(counts)))  # dots of one size
    traces = [each for learner in answer.learners for each in _traces(learner, trials, most)]
    if plain:
        traces = [_with_legend(each, answer) for each in traces]
    crossings = [crossing for crossing in answer.crossovers if crossing.median is not None]
    traces += [each for crossing in crossings for each in _crossing(crossing, answer)]
    ends = {learner.curve.train_sizes[-1] for learner in answer.learners if forecast_part(learner)}
    return Chart(
        name,
        title,
        " ".join(sentences.headline(answer)),
        traces,
        size_axis(),
        _error_axis(answer),
        measured_table([learner.curve for learner in answer.learners]),
        height=480,
        shapes=[*map(vertical_line, sorted(ends)), *_chance_line(answer)],
        more=f"all {sum(counts):,} seeds" if max(counts, default=0) > most else "",
    )


def _chance_line(answer: StudySummary) -> list[dict[str, Any]]:
    chance = answer.chance
    return [horizontal_line(chance.error, f"chance: {chance.prediction}")] if chance and chance.error > 0 else []


def _with_legend(each: dict[str, Any], answer: StudySummary) -> dict[str, Any]:
    names = [learner.curve.learner for learner in answer.learners]
    meta = {"colour": names.index(each["meta"]["learner"]), "role": each["meta"]["role"]}
    return each | {"meta": meta, "name": plotly_text(each["meta"]["learner"]), "showlegend": meta["role"] == "median"}


def _error_axis(answer: StudySummary) -> dict[str, Any]:
    """Logarithmic where an error is above zero; limited so that wide forecast intervals leave the points readable."""
    curves = [learner.curve for learner in answer.learners]
    points = [positive_error(error, curve) for curve in curves for errors in curve.errors for error in errors]
    ahead = [one for learner in answer.learners for one in forecast_part(learner)]
    if not any(point > 0 for point in points):
        return error_axis(curves[0].unit, [{"y": [0.0]}])
    ends = error_limits(points, ahead, answer.chance)
    return error_axis(curves[0].unit) | {"range": [math.log10(end) for end in ends]}


def _traces(learner: LearnerSummary, trials: Trials, most: int) -> Iterator[dict[str, Any]]:
    curve = learner.curve
    name, own = curve.learner, trials.get(curve.learner, {})
    ahead = forecast_part(learner)
    spreads = [seed_spread([positive_error(error, curve) for error in errors]) for errors in curve.errors]
    yield band(curve.train_sizes, [spread.low for spread in spreads], [spread.high for spread in spreads], name, 0.2)
    if ahead:
        train_sizes = [item.train_size for item in ahead]
        yield band(train_sizes, [max(item.low, 1e-12) for item in ahead], [item.high for item in ahead], name, 0.12)
        yield trace(
            train_sizes,
            [item.median for item in ahead],
            name,
            hover=f"<b>{plotly_text(name)}</b>, forecast<br>n=%{{x:,}}<br>%{{text}}",
            mode="lines",
            role="forecast",
            text=[forecast_text(item, curve.unit) for item in ahead],
            line={"dash": "dash", "width": 2},
        )
    yield _dots(learner, own, "seed", slice(0, most))
    if any(len(errors) > most for errors in curve.errors):
        yield _dots(learner, own, "more", slice(most, None))
    yield trace(
        curve.train_sizes,
        [spread.mean for spread in spreads],
        name,
        hover=f"<b>{plotly_text(name)}</b><br>n=%{{x:,}}<br>%{{text}}",
        role="median",
        text=[_spread_text(spread, curve.unit) for spread in spreads],
        line={"width": 2.2},
        marker={"size": 8},
    )


def _spread_text(spread: SeedSpread, unit: str) -> str:
    mean, low, high = (error_number(error, unit) for error in (spread.mean, spread.low, spread.high))
    return f"mean {mean} of {spread.num_seeds} seeds [{low}, {high}]"


def _dots(learner: LearnerSummary, own: Mapping[int, Sequence[Record]], role: str, which: slice) -> dict[str, Any]:
    """A dot for each of some seeds of each size. The hover text has n, error, seed, trial and subset where known."""
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
    hover = f"<b>{plotly_text(curve.learner)}</b><br>n=%{{x:,}}<br>error %{{text}}"
    if own:
        hover += "<br>seed %{customdata[0]}<br>trial %{customdata[1]}<br>subset %{customdata[2]}"
    custom, name = about if own else [], curve.learner
    return trace(x, y, name, hover=hover, mode="markers", role=role, text=text, customdata=custom, marker={"size": 5})


def _crossing(one: Crossover, answer: StudySummary) -> Iterator[dict[str, Any]]:
    """A cross where the curves cross, with the interval of that size."""
    learner = next(item for item in answer.learners if item.curve.learner == one.challenger)
    assert one.median is not None
    y = _height(learner, one.median)
    if y is None:
        return
    low = one.median - one.low if one.low is not None else 0.0
    high = one.high - one.median if one.high is not None else 0.0
    yield trace(
        [one.median],
        [y],
        one.challenger,
        hover="%{text}",
        mode="markers",
        role="crossover",
        error_x=error_bars([low], [high]) | {"thickness": 1.5},
        text=[sentences.crossover_sentence(one)],
        marker={"size": 12, "symbol": "x-thin", "line": {"width": 2}},
    )


def _height(learner: LearnerSummary, size: float) -> float | None:
    """The fitted error at a size, interpolated in its grid; None outside it."""
    points = [(one.train_size, one.median) for one in learner.fitted if one.median > 0]
    if not points or not points[0][0] <= size <= points[-1][0]:
        return None
    return float(np.exp(np.interp(math.log(size), *np.log(points).T)))


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
    title = f"Probability of being better than {incumbent}"
    train_sizes = sorted({size for line in lines.values() for size in line})
    measured = [one.train_size for item in known for one in item.probabilities if one.measured]
    rows = [
        (f"{size:,}", *(probability_text(line[size]) if size in line else ABSENT for line in lines.values()))
        for size in train_sizes
    ]
    last = [f"{name} {probability_text(line[max(line)])} at {max(line):,}" for name, line in lines.items()]
    style: dict[str, Any] = {
        "hover": "%{text}, n=%{x:,}",
        "role": "median",
        "line": {"width": 2.2},
        "marker": {"size": 6},
    }
    return Chart(
        f"better-than-{incumbent}",
        title,
        f"Probability of a smaller expected error than {incumbent}: {', '.join(last)}.",
        [
            trace(list(x), list(x.values()), name, text=[*map(probability_text, x.values())], **style)
            for name, x in lines.items()
        ],
        size_axis(),
        axis(f"P(better than {incumbent})", tickformat=".0%", range=[-0.02, 1.02]),
        Table(title, ("examples", *lines), tuple(rows), text_columns=0),
        scales="x",
        height=300,
        shapes=[vertical_line(max(measured))],
    )

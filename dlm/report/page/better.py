"""How likely one learner is better than another, against the number of examples."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dlm.curves.results import Answer, Overtake
from dlm.report.page.axes import size_axis
from dlm.report.page.parts import Chart, Choice, Table
from dlm.report.phrases import chance

MOST_INCUMBENTS = 8  # that can be chosen

Lines = dict[str, dict[int, float]]  # by challenger and size


def better_block(answer: Answer) -> Chart | Choice | None:
    """A chart against one learner, or one for each that can be chosen; None where no chance is known."""
    known = [item for item in answer.overtakes if item.chances]
    if not known:
        return None
    # First the one that others are most often said to overtake.
    ranked = [name for name, _ in Counter(item.incumbent for item in known).most_common()]
    names = [*ranked, *(one.curve.learner for one in answer.learners if one.curve.learner not in ranked)]
    charts = [(name, lines) for name in names if (lines := against(known, name))][:MOST_INCUMBENTS]
    if len(known) == 1:
        return _chart(*charts[0], known)
    options = tuple((name, (_chart(name, lines, known),)) for name, lines in charts)
    return Choice("better-than", "Chance to be better than", options, charts[0][0])


def against(known: list[Overtake], incumbent: str) -> Lines:
    """P(other learner is better than the incumbent) by size, whoever of the two is said to be the challenger."""
    lines: Lines = {}
    for item in known:
        if item.incumbent == incumbent:
            lines[item.challenger] = {one.size: one.p for one in item.chances}
        elif item.challenger == incumbent:
            lines[item.incumbent] = {one.size: 1 - one.p for one in item.chances}
    return lines


def _chart(incumbent: str, lines: Lines, known: list[Overtake]) -> Chart:
    sizes = sorted({size for line in lines.values() for size in line})
    measured = [one.size for item in known for one in item.chances if one.measured]
    rows = [(f"{size:,}", *(chance(line[size]) if size in line else "–" for line in lines.values())) for size in sizes]
    layout: dict[str, Any] = {
        "xaxis": size_axis(),
        "yaxis": {"title": {"text": f"P(better than {incumbent})"}, "range": [-0.02, 1.02], "tickformat": ".0%"},
        "shapes": [{"type": "line", "x0": max(measured), "x1": max(measured), "yref": "paper", "y0": 0, "y1": 1}],
        "height": 300,
        "showlegend": False,
    }
    last = [f"{name} {chance(line[max(line)])} at {max(line):,}" for name, line in lines.items()]
    return Chart(
        f"better-than-{incumbent}".replace(" ", "-"),
        f"The chance to be better than {incumbent}",
        f"Chance of a smaller expected error than {incumbent}: {', '.join(last)}.",
        tuple(_line(name, line) for name, line in lines.items()),
        layout,
        table=Table(("examples", *lines), tuple(rows), f"Chance to be better than {incumbent}"),
        scales="x",
    )


def _line(name: str, line: dict[int, float]) -> dict[str, Any]:
    return {
        "x": list(line),
        "y": list(line.values()),
        "text": [chance(p) for p in line.values()],
        "hovertemplate": "%{text}, n=%{x:,}<extra></extra>",
        "mode": "lines+markers",
        "line": {"width": 2.2},
        "marker": {"size": 6},
        "meta": {"learner": name, "role": "median"},
    }

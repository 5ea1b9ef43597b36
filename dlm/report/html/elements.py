"""The elements of a page as plain dataclasses, without HTML or JavaScript."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.report.formatting import is_rate
from dlm.report.tables import Table


def size_axis(title: str = "training examples") -> dict[str, Any]:
    """A logarithmic axis of training-set sizes with ticks such as 1k."""
    return {"title": {"text": title}, "type": "log", "tickformat": "~s", "dtick": "D2"}


def error_axis(unit: str, *, positive_only: bool = True, title: str = "") -> dict[str, Any]:
    """An axis of errors, rates in per cent; linear unless all errors are positive."""
    text = title or f"test {unit}"
    form = ".2~%" if is_rate(unit) else ".4~g"
    kind = {"type": "log", "dtick": "D2"} if positive_only else {"type": "linear"}
    return {"title": {"text": text}, "tickformat": form, **kind}


def layout(xaxis: Mapping[str, Any], yaxis: Mapping[str, Any], height: int = 380, **options: Any) -> dict[str, Any]:
    """A chart's Plotly layout."""
    return {"xaxis": xaxis, "yaxis": yaxis, "height": height, **options}


def trace(
    x: Sequence[Any],
    y: Sequence[Any],
    learner: str = "",
    *,
    hover: str = "",
    mode: str = "lines+markers",
    role: str = "line",
    colour: int | None = None,
    legend: str = "",
    **style: Any,
) -> dict[str, Any]:
    """A Plotly trace in the colour of a learner or of a number; `legend` names it in the legend."""
    meta = {"role": role, **({"learner": learner} if learner else {}), **({} if colour is None else {"colour": colour})}
    template = {"hovertemplate": f"{hover}<extra></extra>"} if hover else {}
    named = {"name": legend, "showlegend": True} if legend else {}
    return {"x": x, "y": y, "mode": mode, "meta": meta, **template, **named, **style}


def band(
    x: Sequence[float], lows: Sequence[float], highs: Sequence[float], learner: str, opacity: float = 0.15
) -> dict[str, Any]:
    """A Plotly trace that fills the area between `lows` and `highs`."""
    meta = {"learner": learner, "role": "band"}
    return {"x": [*x, *reversed(x)], "y": [*highs, *reversed(lows)], "fill": "toself", "opacity": opacity, "meta": meta}


def error_bars(below: Sequence[float], above: Sequence[float]) -> dict[str, Any]:
    """Plotly's error bars of these lengths."""
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below}


def horizontal_line(y: float) -> dict[str, Any]:
    """A Plotly shape across the whole width."""
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}


def vertical_line(x: float) -> dict[str, Any]:
    """A Plotly shape across the whole height."""
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}


Traces = tuple[Mapping[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Chart:
    """An interactive chart. `summary` describes it in words for screen readers; `table` has its numbers.

    `traces` are Plotly traces without colours: `meta` has the learner that sets colour and visibility, and the role.
    `scales` are the axes with a button for log and linear scale: "x", "y" or both; they start as in `layout`. `still`,
    an image as a data URI, is shown until the chart is drawn and without JavaScript. A button labelled `more` shows
    the traces of the role "more".
    """

    id: str
    title: str
    summary: str
    traces: Traces
    layout: Mapping[str, Any]
    table: Table | None = None
    scales: str = ""
    more: str = ""
    still: str = ""
    kind: str = "chart"


@dataclasses.dataclass(frozen=True)
class Sentences:
    """A list of sentences; the style "alarm" marks warnings."""

    lines: tuple[str, ...]
    style: str = ""
    heading: str = ""
    kind: str = "sentences"


@dataclasses.dataclass(frozen=True)
class Card:
    """One example: an image or sound as a data URI, or a text, with lines about it."""

    lines: tuple[str, ...]
    image: str = ""
    alt: str = ""
    audio: str = ""
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Cards:
    """Examples side by side below a heading, `columns` in a row on a wide screen (0: as many as fit)."""

    heading: str
    cards: tuple[Card, ...]
    columns: int = 0
    kind: str = "cards"


@dataclasses.dataclass(frozen=True)
class Marked:
    """A text below a heading; each piece is coloured by a number from −1 (against) to 1 (for)."""

    heading: str
    pieces: tuple[tuple[str, float], ...]
    kind: str = "marked"


@dataclasses.dataclass(frozen=True)
class Listing:
    """A text to copy, for example a command."""

    heading: str
    text: str
    kind: str = "listing"


@dataclasses.dataclass(frozen=True)
class Choice:
    """Options of which a menu with this `label` shows one at a time; without JavaScript all are shown."""

    id: str
    label: str
    options: tuple[tuple[str, tuple[Any, ...]], ...]
    chosen: str = ""
    kind: str = "choice"


@dataclasses.dataclass(frozen=True)
class PageSection:
    """A section of the page, listed in its contents."""

    id: str
    heading: str
    blocks: tuple[Any, ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Page:
    """A page: question, answer in sentences, learners that can be shown and hidden, and sections."""

    title: str
    question: str
    summary: tuple[str, ...]
    learners: tuple[str, ...]
    sections: tuple[PageSection, ...]
    made: str = ""


def charts(page: Page) -> list[Chart]:
    """Every chart of a page, also those inside choices."""

    def charts_in(blocks: tuple[Any, ...]) -> list[Chart]:
        charts = [block for block in blocks if isinstance(block, Chart)]
        for block in blocks:
            if isinstance(block, Choice):
                charts += [chart for _, chosen in block.options for chart in charts_in(chosen)]
        return charts

    return [chart for section in page.sections for chart in charts_in(section.blocks)]

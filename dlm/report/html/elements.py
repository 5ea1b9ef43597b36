"""The elements of a page as plain dataclasses, without HTML or JavaScript."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlm.report.formatting import is_rate
from dlm.report.tables import Table


def plotly_text(text: str) -> str:
    """Text in which Plotly, which reads some HTML and `%{...}`, finds neither."""
    return html.escape(text, quote=False).replace("%{", "% {")


def _plotly_texts(values: Any) -> Any:
    """The values with texts escaped, also in rows of values."""
    if isinstance(values, str):
        return plotly_text(values)
    if isinstance(values, list | tuple) and any(isinstance(value, str | list | tuple) for value in values):
        return [*map(_plotly_texts, values)]
    return values


def axis(title: str, kind: str = "linear", **options: Any) -> dict[str, Any]:
    """A Plotly axis; `kind` is "log", "linear" or "category"."""
    return {
        "title": {"text": plotly_text(title)},
        "type": kind,
        **({"dtick": "D2"} if kind == "log" else {}),
        **options,
    }


def size_axis(title: str = "training examples") -> dict[str, Any]:
    """A logarithmic axis of training-set sizes with ticks such as 1k."""
    return axis(title, "log", tickformat="~s")


def error_axis(unit: str, traces: Iterable[Mapping[str, Any]] = (), title: str = "") -> dict[str, Any]:
    """An axis of errors, rates in per cent; logarithmic if all errors of the traces are positive."""
    is_log = all(error > 0 for each in traces for error in each["y"])
    form = ".2~%" if is_rate(unit) else ".4~g"
    return axis(title or f"test {unit}", "log" if is_log else "linear", tickformat=form)


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
    """A Plotly trace in the colour of a learner or of a number; `legend` names it in the legend.

    Texts are escaped, but not `hover`, a template: names in it need `plotly_text`.
    """
    meta = {"role": role, **({"learner": learner} if learner else {}), **({} if colour is None else {"colour": colour})}
    template = {"hovertemplate": f"{hover}<extra></extra>"} if hover else {}
    named = {"name": plotly_text(legend), "showlegend": True} if legend else {}
    style = {key: _plotly_texts(value) if key in ("text", "customdata") else value for key, value in style.items()}
    return {"x": _plotly_texts(x), "y": _plotly_texts(y), "mode": mode, "meta": meta, **template, **named, **style}


def band(
    x: Sequence[float], lows: Sequence[float], highs: Sequence[float], learner: str, opacity: float = 0.15
) -> dict[str, Any]:
    """A Plotly trace that fills the area between `lows` and `highs`."""
    meta = {"learner": learner, "role": "band"}
    return {"x": [*x, *reversed(x)], "y": [*highs, *reversed(lows)], "fill": "toself", "opacity": opacity, "meta": meta}


def error_bars(below: Sequence[float], above: Sequence[float]) -> dict[str, Any]:
    """Plotly's error bars of these lengths."""
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below}


def horizontal_line(y: float, name: str = "") -> dict[str, Any]:
    """A dotted Plotly shape across the whole width."""
    label = {"text": plotly_text(name), "textposition": "start", "yanchor": "bottom", "font": {"size": 11}}
    shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": {"dash": "dot"}}
    return shape | ({"label": label} if name else {})


def vertical_line(x: float) -> dict[str, Any]:
    """A Plotly shape across the whole height."""
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}


@dataclasses.dataclass(frozen=True)
class Chart:
    """An interactive chart. `summary` describes it in words for screen readers; `table` has its numbers.

    `traces` are Plotly traces without colours: `meta` has the learner that sets colour and visibility, and the role.
    `scales` are the axes with a button for log and linear scale: "x", "y" or both; they start as in `xaxis` and
    `yaxis`. `still`, an image as a data URI, is shown until the chart is drawn and without JavaScript. A button
    labelled `more` shows the traces of the role "more".
    """

    id: str
    title: str
    summary: str
    traces: Sequence[Mapping[str, Any]]
    xaxis: Mapping[str, Any]
    yaxis: Mapping[str, Any]
    table: Table | None = None
    scales: str = "xy"
    height: int = 380
    shapes: Sequence[Mapping[str, Any]] = ()
    more: str = ""
    still: str = ""
    kind: str = "chart"

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", re.sub(r"[ .]", "-", self.id))  # an element's id has no spaces

    @property
    def layout(self) -> dict[str, Any]:
        """The Plotly layout, with a legend if a trace has a name for it."""
        legend = any(each.get("showlegend") for each in self.traces)
        axes = {"xaxis": self.xaxis, "yaxis": self.yaxis}
        return {**axes, "height": self.height, "shapes": list(self.shapes), "showlegend": legend}


@dataclasses.dataclass(frozen=True)
class Sentences:
    """A list of sentences, false if it is empty; the style "alarm" marks warnings."""

    lines: Sequence[str]
    heading: str = ""
    style: str = ""
    kind: str = "sentences"

    def __bool__(self) -> bool:
        return bool(self.lines)


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
    cards: Sequence[Card]
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
    blocks = [block for section in page.sections for block in section.blocks]
    charts = []
    while blocks:
        block = blocks.pop(0)
        if isinstance(block, Chart):
            charts.append(block)
        elif isinstance(block, Choice):
            blocks = [*(inner for _, own in block.options for inner in own), *blocks]
    return charts

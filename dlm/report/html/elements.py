"""What a page is made of, as plain dataclasses: no HTML and no JavaScript here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dlm.report.formatting import is_rate
from dlm.report.tables import Table


def size_axis(title: str = "training examples") -> dict[str, Any]:
    """Sizes, logarithmic; ticks as 1k, 10k."""
    return {"title": {"text": title}, "type": "log", "tickformat": "~s", "dtick": "D2"}


def error_axis(unit: str, *, positive_only: bool = True, title: str = "") -> dict[str, Any]:
    """Errors; rates in per cent. Linear where there is nothing above zero."""
    text = title or f"test {unit}"
    form = ".2~%" if is_rate(unit) else ".4~g"
    kind = {"type": "log", "dtick": "D2"} if positive_only else {"type": "linear"}
    return {"title": {"text": text}, "tickformat": form, **kind}


Traces = tuple[Mapping[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Chart:
    """A picture to work with. `summary` says in words what it shows, for whoever does not see it; `table` its numbers.

    `traces` are Plotly's, but for colours: `meta` holds the learner whose colour and visibility a trace has, and its
    role. `scales` are the axes that have a button for log and linear: "x", "y" or both; they begin as in `layout`.
    `still`, a picture as a data URI, stands there until the chart is drawn, and where no script runs.
    Traces of the role "more" are shown when a button is pressed, which is called by `more`.
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
    """A list of sentences; those of the style "alarm" are not to be missed."""

    lines: tuple[str, ...]
    style: str = ""
    heading: str = ""
    kind: str = "sentences"


@dataclasses.dataclass(frozen=True)
class Card:
    """One example: a picture or sound as a data URI, or a text; and lines about it."""

    lines: tuple[str, ...]
    image: str = ""
    alt: str = ""
    audio: str = ""
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Cards:
    """Examples side by side, below a heading; with `columns` so many in a row on a wide screen."""

    heading: str
    cards: tuple[Card, ...]
    columns: int = 0
    kind: str = "cards"


@dataclasses.dataclass(frozen=True)
class Marked:
    """A text below a heading, each piece coloured by a number from −1 (against) to 1 (for)."""

    heading: str
    pieces: tuple[tuple[str, float], ...]
    kind: str = "marked"


@dataclasses.dataclass(frozen=True)
class Listing:
    """A text to copy, such as a command."""

    heading: str
    text: str
    kind: str = "listing"


@dataclasses.dataclass(frozen=True)
class Choice:
    """Blocks of which one is shown at a time, chosen by `label`; all of them where no script runs."""

    id: str
    label: str
    options: tuple[tuple[str, tuple[Any, ...]], ...]
    chosen: str = ""
    kind: str = "choice"


@dataclasses.dataclass(frozen=True)
class PageSection:
    """A part of the page with a heading and a place in its list of contents."""

    id: str
    heading: str
    blocks: tuple[Any, ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole page: the question, the answer in words, the learners that can be shown and hidden, and sections."""

    title: str
    question: str
    lead: tuple[str, ...]
    learners: tuple[str, ...]
    sections: tuple[PageSection, ...]
    made: str = ""


def charts(page: Page) -> list[Chart]:
    """Every chart of a page, those inside choices too."""

    def inside(blocks: tuple[Any, ...]) -> list[Chart]:
        found = [block for block in blocks if isinstance(block, Chart)]
        for block in blocks:
            if isinstance(block, Choice):
                found += [chart for _, chosen in block.options for chart in inside(chosen)]
        return found

    return [chart for section in page.sections for chart in inside(section.blocks)]

"""Prints a study's summary to a terminal: sentences, lists and tables."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence

import rich.box
import rich.table
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from dlm.curves.types import StudySummary
from dlm.report import sentences
from dlm.report.formatting import percent
from dlm.report.tables import Table, forecast_table, measured_table, required_size_table
from dlm.utils.display import encodable

__all__ = ["print_list", "print_summary", "print_table", "say"]

_INDENT = 2
_GAP = 3  # columns of a table are this far apart
_NO_BREAK = "\u00a0"
_PART = r"\[[^\]]*\]|\([^)]*\)|± \S+|\S+"  # a part of a numeric cell


class TerminalConsole(Console):
    """A console that goes quiet when the reader of its pipe has ended, such as `head`; the program goes on."""

    def on_broken_pipe(self) -> None:
        """Discard this and all later output."""
        self.quiet = True
        discard_output(2 if self.stderr else 1)


def discard_output(descriptor: int) -> None:
    """Send what is written to a file descriptor to nowhere, also what a stream still holds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def print_summary(summary: StudySummary, console: Console, *, title: str = "", question: str = "") -> None:
    """Print the summary: measured errors, forecasts, required sizes, crossovers, laws and caveats.

    Lines are wrapped to the width of the console; output that is not a terminal is plain text.
    """
    if title or question:
        console.print()
    say(console, title, style="bold")
    say(console, question)
    console.print()
    for sentence in sentences.headline(summary):
        say(console, sentence)
    if not summary.learners:
        return
    curves = [learner.curve for learner in summary.learners]
    if any(curve.train_sizes for curve in curves):
        print_table(console, measured_table(curves, few_sizes=True))
    if table := forecast_table(summary):
        print_table(console, table)
    else:
        print_list(console, "Expected error with more data", ["No forecast is given for any learner."])
    if table := required_size_table(summary):
        print_table(console, table)
    print_list(console, f"Crossovers, with {percent(summary.level)} intervals", sentences.crossovers(summary))
    print_list(console, "Laws of the measured sizes, which forecasts do not use", sentences.laws(summary))
    print_list(console, "Noise of the error at the largest size", sentences.noise_levels(summary))
    print_list(console, "Caveats", sentences.caveats(summary))


def print_table(console: Console, table: Table) -> None:
    """Print the title and the table; a table that is too wide is split into several with the same first column."""
    for k, part in enumerate(_parts(console, table)):
        console.print()
        if k == 0 and table.title:
            say(console, table.title, style="bold")
        console.print(Padding(part, (0, 0, 0, _INDENT), expand=False))
    for note in table.notes:
        say(console, note, first=" " * _INDENT, rest=" " * 2 * _INDENT)


def _parts(console: Console, table: Table) -> Iterator[rich.table.Table]:
    """The rich tables of a table, split by the width of the console."""
    columns = [[row[k] for row in table.rows] for k in range(len(table.columns))]
    columns[table.text_columns :] = map(_aligned, columns[table.text_columns :])
    widths = [max(map(len, (head, *cells))) for head, cells in zip(table.headings, columns, strict=True)]
    chunk, used = [0], _INDENT + widths[0]
    for k, width in enumerate(widths[1:], start=1):
        if len(chunk) > 1 and used + _GAP + width > console.width:
            yield _rich_table(console, table, columns, chunk)
            chunk, used = [0], _INDENT + widths[0]
        chunk.append(k)
        used += _GAP + width
    yield _rich_table(console, table, columns, chunk)


def _rich_table(
    console: Console, table: Table, columns: Sequence[Sequence[str]], chosen: Sequence[int]
) -> rich.table.Table:
    # Without UTF-8 rich replaces the rule by ASCII characters, which are harder to read than none.
    box = rich.box.SIMPLE_HEAD if console.encoding.lower().startswith("utf") else None
    rendered = rich.table.Table(box=box, show_edge=False, pad_edge=False, padding=(0, 1), header_style="bold")
    for k in chosen:
        rendered.add_column(_text(console, table.headings[k]), justify="left" if k < table.text_columns else "right")
    for index in range(len(table.rows)):
        styles = ["bold" if (index, k) in table.bold else "" for k in chosen]
        rendered.add_row(*(_text(console, columns[k][index], style) for k, style in zip(chosen, styles)))
    return rendered


def _aligned(cells: Sequence[str]) -> list[str]:
    """Cells such as "1.4 [1.0–2.2] (8)" with their parts padded to equal widths."""
    parts = [re.findall(_PART, cell) for cell in cells]
    most = max(map(len, parts), default=0)
    widths = [max(len(part[k]) for part in parts if len(part) == most) for k in range(most)]
    padded = [" ".join(map(str.rjust, part, widths)) if len(part) == most else "" for part in parts]
    return [text or cell for text, cell in zip(padded, cells, strict=True)]


def print_list(console: Console, heading: str, lines: Sequence[str]) -> None:
    """Print a heading and the lines below it; nothing without lines."""
    if not lines:
        return
    console.print()
    say(console, heading, style="bold")
    for line in lines:
        say(console, line, first=" " * _INDENT, rest=" " * 2 * _INDENT)


def say(console: Console, text: str, *, style: str = "", first: str = "", rest: str = "") -> None:
    """Print text wrapped to the width, without markup, since a law may contain brackets."""
    for paragraph in filter(str.strip, text.splitlines()):
        unbroken, width = paragraph.replace(" %", f"{_NO_BREAK}%"), max(console.width, 20)
        wrapped = textwrap.fill(unbroken, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        console.print(_text(console, wrapped.replace(_NO_BREAK, " "), style))


def _text(console: Console, text: str, style: str = "") -> Text:
    """Text without characters that the encoding of the console lacks."""
    return Text(encodable(text, console.encoding), style)

"""The answer of a study in words and tables, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import rich.box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dlm.curves.summary import Spread, evenly, spread, spread_words
from dlm.curves.types import Curve, StudySummary
from dlm.report import sentences
from dlm.report.formatting import error_number, forecast_phrase, need_cell, percent, target_text, times_text, unit_text

__all__ = ["print_answer", "print_list", "say", "section", "table", "tables"]

_INDENT = 2
_GAP = 3  # columns of a table are this far apart
_ABSENT = "–"
_NO_BREAK = "\u00a0"
_NO_FORECAST = "no forecast"
_ASCII = str.maketrans({"–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "≈": "~", "≤": "<=", "≥": ">=", "…": "..."})


def print_answer(answer: StudySummary, console: Console, *, title: str = "", question: str = "") -> None:
    """Prints the answer: measured errors, forecasts, needs, overtakes, laws and notes.

    The numbers and sentences are those of `sentences(answer)`. Lines keep to the width of the console;
    one that is not a terminal gets plain text.
    """
    if title or question:
        console.print()
    if title:
        say(console, title, style="bold")
    if question:
        say(console, question)
    console.print()
    for sentence in sentences.lead(answer):
        say(console, sentence)
    if not answer.learners:
        return
    level = percent(answer.level)
    if any(learner.curve.train_sizes for learner in answer.learners):
        section(console, _measured_heading(answer), _measured(answer, console))
    if any(learner.predictions for learner in answer.learners):
        section(console, f"What more data would buy, with {level} intervals", _forecasts(answer, console))
    else:
        print_list(console, "What more data would buy", ["No forecast is given for any learner."])
    section(console, f"Examples needed, with {level} intervals", _needs(answer, console))
    print_list(console, f"Who overtakes whom, with {level} intervals", sentences.crossovers(answer))
    print_list(console, "The law of each learner (n: examples)", sentences.laws(answer))
    print_list(console, "Noise of the error at the largest size", sentences.noises(answer))
    print_list(console, "To know before trusting these numbers", sentences.notes(answer))
    console.print()


def _measured_heading(answer: StudySummary) -> str:
    curves = [learner.curve for learner in answer.learners]
    units = {curve.unit for curve in curves}
    # Learners of several units say theirs in the head of their column.
    unit = f"{curves[0].unit} in %" if unit_text(curves[0].unit) == "%" else curves[0].unit
    what = f"Measured {unit if len(units) == 1 else 'error'}{_share_of_sizes(curves)}:"
    if all(curve.stderr for curve in curves):
        return f"{what} mean ± standard error"
    what += " median"
    spreads = spread_words(curves)
    return f"{what}{f' [{spreads}]' if spreads else ''} (number of seeds)"


def _measured(answer: StudySummary, console: Console) -> Iterator[Table]:
    curves = [learner.curve for learner in answer.learners]
    train_sizes = evenly(_all_sizes(curves))
    best = {size: _best_at(size, curves) for size in train_sizes}
    columns = []
    for curve in curves:
        cells = [Text(cell) for cell in _cells(curve, train_sizes)]
        for size, cell in zip(train_sizes, cells, strict=True):
            if len(curves) > 1 and curve.learner == best[size]:
                cell.stylize("bold")
        head = curve.learner if len({one.unit for one in curves}) == 1 else f"{curve.learner}, {curve.unit}"
        columns.append((head, cells))
    return tables(console, "examples", [f"{size:,}" for size in train_sizes], columns)


def _all_sizes(curves: Sequence[Curve]) -> Sequence[int]:
    return sorted({size for curve in curves for size in curve.train_sizes})


def _share_of_sizes(curves: Sequence[Curve]) -> str:
    train_sizes = _all_sizes(curves)
    shown = len(evenly(train_sizes))
    return f" at {shown} of {len(train_sizes):,} sizes" if shown < len(train_sizes) else ""


def _cells(curve: Curve, train_sizes: Sequence[int]) -> list[str]:
    """Cells such as "1.4 [1.0–2.2] (8)", their parts padded so that they stand in line."""
    spreads = {size: spread(errors) for size, errors in zip(curve.train_sizes, curve.errors, strict=True)}
    stderr = dict(zip(curve.train_sizes, curve.stderr))
    parts = [
        _parts(spreads[size], curve.unit, stderr.get(size)) if size in spreads else ("", "", "") for size in train_sizes
    ]
    widths = [max(len(part[k]) for part in parts) for k in range(3)]
    padded = [[text.rjust(width) for text, width in zip(part, widths, strict=True)] for part in parts]
    lines = [" ".join(text for text, width in zip(part, widths, strict=True) if width) for part in padded]
    return [line if size in spreads else _ABSENT for size, line in zip(train_sizes, lines, strict=True)]


def _parts(cell: Spread, unit: str, stderr: float | None) -> tuple[str, str, str]:
    if stderr is not None:
        return error_number(cell.median, unit), f"± {error_number(stderr, unit)}", ""
    low, high = (error_number(end, unit, cell.median) for end in (cell.low, cell.high))
    interval = f"[{low}–{high}]" if cell.num_seeds > 1 else ""
    return error_number(cell.median, unit), interval, f"({cell.num_seeds:,})"


def _best_at(size: int, curves: Sequence[Curve]) -> str:
    medians = [
        (spread(curve.errors[curve.train_sizes.index(size)]).median, curve.learner)
        for curve in curves
        if size in curve.train_sizes
    ]
    return min(medians)[1]


def _forecasts(answer: StudySummary, console: Console) -> Iterator[Table]:
    learners = answer.learners
    names = [learner.curve.learner for learner in learners]
    columns = []
    for k in range(max(len(learner.predictions) for learner in learners)):
        ahead = [learner.predictions[k] if k < len(learner.predictions) else None for learner in learners]
        times = {times_text(item, one.curve) for item, one in zip(ahead, learners, strict=True) if item}
        train_sizes = {item.size for item in ahead if item}
        # Learners measured up to different sizes have unlike forecasts side by side: each says its own size.
        shared = len(train_sizes) == 1
        head = " or ".join(sorted(times)) + (f", n={min(train_sizes):,}" if shared else "")
        cells = [
            f"{'' if shared else f'n={item.size:,}: '}{forecast_phrase(item, one.curve.unit)}" if item else _NO_FORECAST
            for item, one in zip(ahead, learners, strict=True)
        ]
        columns.append((head, [Text(cell) for cell in cells]))
    return tables(console, "learner", names, columns)


def _needs(answer: StudySummary, console: Console) -> Iterator[Table]:
    """One row for each target and learner, so that the learners of a target stand together."""
    asked = [(need, learner.curve) for learner in answer.learners for need in learner.needs]
    rows, names, cells = [], [], []
    for target in dict.fromkeys(need.target for need, _ in asked):
        for k, (need, curve) in enumerate((need, curve) for need, curve in asked if need.target == target):
            rows.append(target_text(target, curve.unit) if k == 0 else "")
            names.append(Text(curve.learner))
            cells.append(Text(need_cell(need)))
    if rows:
        yield table(console, "error", rows, [("learner", names), ("examples", cells)])


def tables(
    console: Console, corner: str, rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Text]]]
) -> Iterator[Table]:
    """One table, or several of the same rows where the columns do not fit side by side."""
    first = max(len(text) for text in (corner, *rows))
    room = console.width - _INDENT - first
    chunk: list[tuple[str, Sequence[Text]]] = []
    used = 0
    for head, cells in columns:
        needed = _GAP + max(len(head), *(len(cell) for cell in cells))
        if chunk and used + needed > room:
            yield table(console, corner, rows, chunk)
            chunk, used = [], 0
        chunk.append((head, cells))
        used += needed
    if chunk:
        yield table(console, corner, rows, chunk)


def table(console: Console, corner: str, rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Text]]]) -> Table:
    """A table of columns (head, cells) beside the names of its rows."""
    # A rule under the head is all the drawing; without UTF-8 there is none, since its stand-ins are ugly.
    box = rich.box.SIMPLE_HEAD if console.encoding.lower().startswith("utf") else None
    table = Table(box=box, show_edge=False, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(_text(console, corner), justify="right" if corner == "examples" else "left")
    for head, _ in columns:
        table.add_column(_text(console, head), justify="right" if corner == "examples" else "left")
    for k, row in enumerate(rows):
        table.add_row(_text(console, row), *(_text(console, cells[k]) for _, cells in columns))
    return table


def section(console: Console, heading: str, below: Iterator[Table]) -> None:
    """A heading and the tables below it."""
    for k, table in enumerate(below):
        console.print()
        if k == 0:
            say(console, heading, style="bold")
        console.print(Padding(table, (0, 0, 0, _INDENT), expand=False))


def print_list(console: Console, heading: str, lines: Sequence[str]) -> None:
    """A heading and a line below it for each of `lines`; nothing where there are none."""
    if not lines:
        return
    console.print()
    say(console, heading, style="bold")
    for line in lines:
        say(console, line, first=" " * _INDENT, rest=" " * 2 * _INDENT)


def say(console: Console, text: str, *, style: str = "", first: str = "", rest: str = "") -> None:
    """Prints text wrapped to the width; never read as markup, since a law may hold brackets."""
    for paragraph in text.splitlines():
        lines = textwrap.wrap(
            paragraph.replace(" %", f"{_NO_BREAK}%"),
            max(console.width, 20),
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
        for line in lines:
            console.print(_text(console, Text(line.replace(_NO_BREAK, " "), style)))


def _text(console: Console, text: str | Text) -> Text:
    """Text that the console's encoding can carry."""
    text = Text(text) if isinstance(text, str) else text
    try:
        text.plain.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode()
        return Text(plain, text.style)
    return text

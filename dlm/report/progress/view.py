"""A run's status drawn for a terminal of any size: by learner and size where there is room, else by learner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from dlm.curves.seed_spread import MOST_SEEDS_FOR_RANGE
from dlm.report.formatting import error_number, is_rate
from dlm.report.progress.eta import duration
from dlm.report.progress.status import About, Row, Status

RUNNING, FAILED = "▸", "✗"
LEAST_LAW = 24  # columns that a law is worth


def view(status: Status, width: int, height: int) -> RenderableType:
    """All of a status in at most `height` lines of `width` columns."""
    head = [_title(status, width), _bar(status, width), _line(counts(status, marked=True))]
    foot = [_line(_speeds(status), style="dim"), _line([f"time: {spent(status)}"], style="dim")]
    room = height - len(head) - len(foot)
    laws = [_law(about) for about in status.about if about.law]
    lines, table = _table(status, width, room)
    has_room = bool(laws) and lines + len(laws) <= room
    if not has_room and lines <= len(status.about) + 1:
        table = _folded(status, width, room, with_laws=True)
    gaps = [Text()] * (room - lines - len(laws) * has_room >= 2)
    return Group(*[*head, *gaps, table, *gaps, *laws * has_room, *foot][: max(1, height)])


def _title(status: Status, width: int) -> Text:
    title = Text(status.study, style="bold")
    title.append(" · ".join(["", status.phase, *([status.detail] if status.detail else [])]), style="not bold")
    title.truncate(width, overflow="ellipsis")
    return title


def _bar(status: Status, width: int) -> RenderableType:
    facts = [f"{int(100 * status.share)} %" if status.share is not None else "", *times(status)]
    text = Text(" · ".join(fact for fact in facts if fact))
    line = Table.grid(Column(), Column(no_wrap=True, overflow="ellipsis"), padding=(0, 1))
    wide = max(8, min(24, width - len(text) - 2))
    line.add_row(ProgressBar(total=1.0, completed=status.share or 0.0, width=wide), text)
    return line


def times(status: Status) -> list[str]:
    """Time left, if it is known, and the time so far."""
    left = [f"about {duration(status.left)} left"] if status.left is not None and status.state == "running" else []
    return [*left, f"{duration(status.elapsed)} so far"]


def counts(status: Status, *, marked: bool = False) -> list[str]:
    """Cells trained, running, and failed if there are any; `marked` as the table marks them."""
    parts = [f"{status.total('trained'):,} of {status.total('cells'):,} cells"]
    for field, word, mark in (("running", "running", RUNNING), ("failed", "failed or diverged", FAILED)):
        if number := status.total(field):
            parts.append(f"{mark if marked else ''}{number:,} {word}")
    return parts


def _speeds(status: Status) -> list[str]:
    parts = [f"{speed_text(status.examples_per_second)} examples/s"] if status.examples_per_second else []
    if status.memory is not None:
        parts.append(f"{_bytes(status.memory)} of memory")
    if status.device_memory is not None:
        parts.append(f"{_bytes(status.device_memory)} on the devices")
    return parts


def _line(parts: Sequence[str], style: str = "") -> Text:
    return Text(" · ".join(parts), style=style, no_wrap=True, overflow="ellipsis")


def spent(status: Status) -> str:
    """Shares of the time by phase, the longest first: "train 62 %, compile 20 %"."""
    whole = sum(seconds for _, seconds in status.spent) or 1.0
    longest = sorted(status.spent, key=lambda item: -item[1])
    shares = [(phase, 100 * seconds / whole) for phase, seconds in longest]
    return ", ".join(f"{phase} {share:.0f} %" for phase, share in shares if share >= 0.5)


def _law(about: About) -> Text:
    return Text.assemble((f"{about.learner}: ", "bold"), about.law, no_wrap=True, overflow="ellipsis")


def _table(status: Status, width: int, room: int) -> tuple[int, RenderableType]:
    """(lines, table) in the first form that fits: a row a cell; sizes as columns; a row a learner."""
    for lines, form in ((len(status.rows) + 1, _each), (3 * len(_units(status)) + 1, _across)):
        if lines <= room and _width(table := form(status)) <= width:
            return lines, table
    folded = _folded(status, width, room)
    return folded.row_count + 1, folded


def _width(table: Table) -> int:
    """Columns that a table takes where nothing is cut short."""
    cells = [[column.header, *column.cells] for column in table.columns]
    return sum(max(_len(cell) for cell in column) for column in cells) + table.padding[1] * (len(cells) - 1)


def _len(cell: RenderableType) -> int:
    return cell.cell_len if isinstance(cell, Text) else len(str(cell))


def _new(*heads: str, gap: int = 2) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _each(status: Status) -> Table:
    """A row for each learner and size."""
    unit = _units(status)
    table = _new("learner", "examples", "trained", "running", "failed", _heading(unit.values()), _between(status))
    last = ""
    for row in status.rows:
        name, last = (row.learner if row.learner != last else ""), row.learner
        counted = (f"{row.size:,}", f"{row.trained} of {row.cells}", _count(row.running), _count(row.failed))
        table.add_row(Text(name), *counted, *_error(row, unit[row.learner]))
    return table


def _across(status: Status) -> Table:
    """Three lines a learner, a column a size."""
    unit, train_sizes = _units(status), sorted({row.size for row in status.rows})
    table = _new("learner", *(f"{size:,}" for size in train_sizes), gap=1)
    for name in unit:
        own = {row.size: row for row in status.rows if row.learner == name}
        table.add_row(Text(name, style="bold"), *(_progress(own[size]) if size in own else "" for size in train_sizes))
        errors = [_error(own[size], unit[name]) if size in own else ("", "") for size in train_sizes]
        table.add_row(f"  {_heading([unit[name]])}", *(middle for middle, _ in errors))
        spreads = [f"  {_between(status)}", *(between for _, between in errors)]
        table.add_row(*(Text(spread, style="dim") for spread in spreads))
    return table


def _folded(status: Status, width: int, room: int, *, with_laws: bool = False) -> Table:
    """A row for each learner, those under way first where not all fit; laws beside where there is room for them."""
    unit = _units(status)
    law = {about.learner: about.law for about in status.about}
    own = {name: [row for row in status.rows if row.learner == name] for name in unit}
    shown = list(unit)
    if len(shown) + 1 > room:
        shown.sort(key=lambda name: -sum(row.running for row in own[name]))
        shown = [name for name in unit if name in shown[: max(0, room - 2)]]
    heads = ["learner", "trained", "running", "failed", "at n =", _heading(unit.values()), _between(status)]
    lines = [[name, *_sums(own[name]), *_farthest(own[name], unit[name])] for name in shown]
    hidden = [row for name in unit if name not in shown for row in own[name]]
    if hidden:
        lines.append([f"{len(unit) - len(shown)} more", *_sums(hidden), "", "", ""])
    for column in (4, 6, 3, 2):  # what a narrow terminal does without, in this order
        if _width(_filled(heads, lines)) > width:
            heads[column] = ""
    kept = [number for number, head in enumerate(heads) if head]
    heads, lines = [heads[number] for number in kept], [[line[number] for number in kept] for line in lines]
    if with_laws and width - _width(_filled(heads, lines)) >= LEAST_LAW:
        heads, lines = [*heads, "law"], [[*line, law.get(line[0], "")] for line in lines]
    return _filled(heads, lines)


def _filled(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """A table of the columns that have a head."""
    table = _new(*(head for head in heads if head))
    for line in lines:
        table.add_row(*(Text(text) for head, text in zip(heads, line) if head))
    if heads[-1] == "law":
        table.columns[-1].justify = "left"
    return table


def _farthest(rows: Sequence[Row], unit: str) -> tuple[str, str, str]:
    """The largest size measured, with its error and spread."""
    measured = [row for row in rows if row.median is not None]
    if not measured:
        return "", "", ""
    largest = max(measured, key=lambda row: row.size)
    return f"{largest.size:,}", *_error(largest, unit)


def _units(status: Status) -> dict[str, str]:
    """The unit of each learner's errors; before its first one, that of another."""
    known = {about.learner: about.unit for about in status.about}
    other = next(iter(known.values()), "")
    return {row.learner: known.get(row.learner, other) for row in status.rows}


def _sums(rows: Sequence[Row]) -> tuple[str, str, str]:
    trained, cells, running, failed = (
        sum(getattr(row, field) for row in rows) for field in ("trained", "cells", "running", "failed")
    )
    return f"{trained} of {cells}", _count(running), _count(failed)


def _progress(row: Row) -> str:
    """Such as "3 ▸5": three trained, five running."""
    parts = [f"{row.trained}" if row.trained else ""]
    parts += [f"{mark}{count}" for mark, count in ((RUNNING, row.running), (FAILED, row.failed)) if count]
    return " ".join(part for part in parts if part) or "·"


def _count(number: int) -> str:
    return f"{number}" if number else "·"


def _error(row: Row, unit: str) -> tuple[str, str]:
    """Median and spread of a row."""
    if row.median is None or row.low is None or row.high is None:
        return "", ""
    low, high = (error_number(end, unit, row.median) for end in (row.low, row.high))
    return error_number(row.median, unit), f"{low}–{high}" if row.trained > 1 else ""


def _heading(units: Iterable[str]) -> str:
    return "error %" if all(is_rate(unit) for unit in units) else "error"


def _between(status: Status) -> str:
    return "central 80 %" if any(row.trained > MOST_SEEDS_FOR_RANGE for row in status.rows) else "min–max"


def speed_text(speed: float) -> str:
    """Two significant digits: "41,000", "3.2"."""
    return f"{speed:.1f}" if speed < 10 else f"{float(f'{speed:.2g}'):,.0f}"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

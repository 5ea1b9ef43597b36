"""Displays a run's status: a live view on a terminal, one line in a notebook, a line per interval elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from dlm.curves.seed_spread import MOST_SEEDS_FOR_RANGE
from dlm.report.formatting import duration, error_number, is_rate
from dlm.report.progress.status import RunStatus, SizeProgress

RUNNING, FAILED = "▸", "✗"


class NotebookLine:
    """A line of output below a notebook cell; each text replaces the previous one."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Replace the line."""
        from IPython.display import display

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def announce(text: str) -> None:
    """Show a message below the notebook cell, or on standard error."""

    if Console(stderr=True).is_jupyter:
        NotebookLine().show(text)
    else:
        print(text, file=sys.stderr, flush=True)


class ProgressDisplay:
    """Displays statuses on standard error, because standard output is for results; `close` prints a last line.

    A terminal shows a live view that each `show` redraws. A notebook shows a line that is replaced at most every
    second. Otherwise a line is printed at most every `interval_seconds`. `clock` gives seconds that never decrease.
    """

    def __init__(
        self,
        console: Console | None = None,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._notebook = NotebookLine() if self._console.is_jupyter else None
        self._interval, self._clock = 1.0 if self._notebook else interval_seconds, clock
        self._printed_at: float | None = None
        self._live: Live | None = None
        self.is_live = _supports_live(self._console)

    def show(self, status: RunStatus) -> None:
        """Redraw the view, or print a line if the interval has passed."""
        if self.is_live:
            self._draw(status)
        elif self._printed_at is None or self._clock() - self._printed_at >= self._interval:
            self._print(status_line(status))
            self._printed_at = self._clock()

    def close(self, status: RunStatus) -> None:
        """Remove the view and print the last line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._print(status_line(status))

    def _draw(self, status: RunStatus) -> None:
        self._measure()
        width, height = self._console.size
        # The last line and the last column stay empty, because some terminals wrap there.
        renderable = view(status, width - 1, height - 1)
        if self._live is None:
            self._live = Live(
                renderable,
                console=self._console,
                auto_refresh=False,
                transient=True,
                vertical_overflow="crop",
                redirect_stdout=sys.stdout.isatty(),  # not if standard output goes to a file
            )
            self._live.start()
            self._console.show_cursor(True)  # a killed process could not restore it
        self._live.update(renderable, refresh=True)

    def _measure(self) -> None:
        """Read the size of the terminal; the variable COLUMNS may be outdated."""
        with contextlib.suppress(OSError, ValueError):  # not a real terminal
            self._console.size = ConsoleDimensions(*os.get_terminal_size(self._console.file.fileno()))

    def _print(self, line: str) -> None:
        if self._notebook:
            self._notebook.show(line)
        elif self.is_live:
            self._measure()
            self._console.print(Text(line), no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(Text(line), soft_wrap=True)


def _supports_live(console: Console) -> bool:
    """Whether the console is a terminal that can redraw; with FORCE_COLOR rich takes a file for one."""
    isatty = getattr(console.file, "isatty", None)
    with contextlib.suppress(ValueError):  # a closed file
        return console.is_interactive and console.encoding.lower().startswith("utf") and bool(isatty and isatty())
    return False


def status_line(status: RunStatus) -> str:
    """The status as one line of plain text."""
    is_running = status.state == "running"
    parts = [" ".join([status.phase if is_running else status.state, *_percent(status)]), *_counts(status)]
    if is_running:
        parts += [*_speed(status), *_eta(status), status.detail]
    elif status.phase_seconds:
        parts.append(f"{duration(status.elapsed)}: {_phases(status)}")
    return " · ".join(part for part in parts if part)


def view(status: RunStatus, width: int, height: int) -> RenderableType:
    """The status in at most `height` lines of `width` columns."""
    title = Text.assemble((status.study, "bold"), *(f" · {text}" for text in (status.phase, status.detail) if text))
    title.truncate(width, overflow="ellipsis")
    times = _joined([*_percent(status), *_eta(status), f"{duration(status.elapsed)} elapsed"])
    bar = Table.grid(Column(), Column(no_wrap=True, overflow="ellipsis"), padding=(0, 1))
    bar_width = max(8, min(24, width - len(times) - 2))
    bar.add_row(ProgressBar(total=1.0, completed=status.fraction or 0.0, width=bar_width), times)
    memory = [f"{_bytes(status.memory)} of memory"] if status.memory is not None else []
    if status.device_memory is not None:
        memory.append(f"{_bytes(status.device_memory)} of device memory")
    head: list[RenderableType] = [title, bar, _joined(_counts(status, RUNNING, FAILED))]
    foot = [_joined([*_speed(status), *memory], "dim"), _joined([f"time: {_phases(status)}"], "dim")]
    room = height - len(head) - len(foot)
    table = _by_size(status)
    if table.row_count + 1 > room or _table_width(table) > width:
        table = _by_learner(status, width, room)
    gap: list[RenderableType] = [Text()] if room - table.row_count >= 3 else []
    return Group(*[*head, *gap, table, *gap, *foot][: max(1, height)])


def _by_size(status: RunStatus) -> Table:
    """Three lines per learner with one column per size: counts, error, spread."""
    sizes = sorted({row.train_size for row in status.rows})
    table = _new_table(["learner", *(f"{size:,}" for size in sizes)], gap=1)
    for learner, rows in _rows_by_learner(status).items():
        by_size = {row.train_size: row for row in rows}
        columns = [by_size.get(size) for size in sizes]
        table.add_row(Text(learner, style="bold"), *(_trial_counts(row) if row else "" for row in columns))
        errors = [_error(row) if row else ("", "") for row in columns]
        table.add_row(f"  {_error_heading(rows)}", *(median for median, _ in errors))
        table.add_row(f"  {_spread_heading(rows)}", *(spread for _, spread in errors), style="dim")
    return table


def _by_learner(status: RunStatus, width: int, room: int) -> Table:
    """A row per learner with the error at its largest measured size; running learners first if not all fit."""
    by_learner = _rows_by_learner(status)
    names = list(by_learner)
    if len(names) + 1 > room:
        names.sort(key=lambda name: -sum(row.running for row in by_learner[name]))
        names = [name for name in by_learner if name in names[: max(0, room - 2)]]
    lines = [[name, *_sums(by_learner[name]), *_largest(by_learner[name])] for name in names]
    if hidden := [row for name, rows in by_learner.items() if name not in names for row in rows]:
        lines.append([f"{len(by_learner) - len(names)} more", *_sums(hidden), "", "", ""])
    headings = ["learner", "trained", "running", "failed", "size"]
    lines = [[*headings, _error_heading(status.rows), _spread_heading(status.rows)], *lines]
    for heading in ("size", lines[0][-1], "failed", "running"):  # dropped in this order on a narrow terminal
        if sum(max(map(len, column)) + 2 for column in zip(*lines)) - 2 > width:
            dropped = lines[0].index(heading)
            lines = [[*line[:dropped], *line[dropped + 1 :]] for line in lines]
    table = _new_table(lines[0], gap=2)
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    return table


def _new_table(headings: Sequence[str], gap: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _table_width(table: Table) -> int:
    """Width of a table without truncation."""
    widths = [max(len(str(cell)) for cell in (column.header, *column.cells)) for column in table.columns]
    return sum(widths) + table.padding[1] * (len(widths) - 1)


def _rows_by_learner(status: RunStatus) -> dict[str, list[SizeProgress]]:
    names = dict.fromkeys(row.learner for row in status.rows)
    return {name: [row for row in status.rows if row.learner == name] for name in names}


def _trial_counts(row: SizeProgress) -> str:
    """For example "3 ▸5": three trials trained, five running."""
    counts = (("", row.trained), (RUNNING, row.running), (FAILED, row.failed))
    return " ".join(f"{mark}{count}" for mark, count in counts if count) or "·"


def _sums(rows: Iterable[SizeProgress]) -> tuple[str, str, str]:
    rows = list(rows)
    trained, trials, running, failed = (
        sum(getattr(row, field) for row in rows) for field in ("trained", "num_trials", "running", "failed")
    )
    return f"{trained} of {trials}", f"{running or '·'}", f"{failed or '·'}"


def _largest(rows: Iterable[SizeProgress]) -> tuple[str, str, str]:
    """The largest measured size with its error and spread."""
    measured = [row for row in rows if row.median is not None]
    if not measured:
        return "", "", ""
    row = max(measured, key=lambda row: row.train_size)
    return f"{row.train_size:,}", *_error(row)


def _error(row: SizeProgress) -> tuple[str, str]:
    """Median error and spread."""
    if row.median is None or row.low is None or row.high is None:
        return "", ""
    low, high = (error_number(end, row.unit, row.median) for end in (row.low, row.high))
    return error_number(row.median, row.unit), f"{low}–{high}" if row.trained > 1 else ""


def _error_heading(rows: Iterable[SizeProgress]) -> str:
    units = {row.unit for row in rows if row.unit}
    return "error %" if units and all(map(is_rate, units)) else "error"


def _spread_heading(rows: Iterable[SizeProgress]) -> str:
    return "central 80 %" if any(row.trained > MOST_SEEDS_FOR_RANGE for row in rows) else "min–max"


def _percent(status: RunStatus) -> list[str]:
    return [f"{int(100 * status.fraction)} %"] if status.fraction is not None else []


def _eta(status: RunStatus) -> list[str]:
    is_known = status.eta is not None and status.state == "running"
    return [f"about {duration(status.eta or 0.0)} left"] if is_known else []


def _counts(status: RunStatus, running_mark: str = "", failed_mark: str = "") -> list[str]:
    counts = [f"{status.total('trained'):,} of {status.total('num_trials'):,} trials"]
    if running := status.total("running"):
        counts.append(f"{running_mark}{running:,} running")
    if failed := status.total("failed"):
        counts.append(f"{failed_mark}{failed:,} failed or diverged")
    return counts


def _speed(status: RunStatus) -> list[str]:
    """With two significant digits: "41,000 examples/s", "3.2 examples/s"."""
    speed = status.examples_per_second
    if not speed:
        return []
    return [f"{speed:.1f} examples/s" if speed < 10 else f"{float(f'{speed:.2g}'):,.0f} examples/s"]


def _phases(status: RunStatus) -> str:
    """Percentages of the time by phase, in descending order: "train 62 %, compile 20 %"."""
    total = sum(status.phase_seconds.values()) or 1.0
    shares = sorted(((100 * seconds / total, phase) for phase, seconds in status.phase_seconds.items()), reverse=True)
    return ", ".join(f"{phase} {share:.0f} %" for share, phase in shares if share >= 0.5)


def _joined(parts: Sequence[str], style: str = "") -> Text:
    return Text(" · ".join(parts), style=style, no_wrap=True, overflow="ellipsis")


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

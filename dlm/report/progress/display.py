"""Displays a run's status: a live view on a terminal, one line in a notebook, a line per interval elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from dlm.report.formatting import duration, error_number, is_rate
from dlm.report.progress.status import RunStatus, SizeProgress
from dlm.report.terminal import TerminalConsole

COUNTS = ("trained", "num_trials", "running", "failed")  # fields of SizeProgress


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
        # The variables COLUMNS and LINES may be outdated.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self._console = console or TerminalConsole(stderr=True, _environ=environment)
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
        width, height = self._console.size
        # The last line and the last column stay empty, because some terminals wrap there.
        renderable = view(status, width - 1, height - 1)
        if self._live is None:
            redirect = sys.stdout.isatty()  # not if standard output goes to a file
            self._live = Live(
                renderable, console=self._console, auto_refresh=False, transient=True, redirect_stdout=redirect
            )
            self._live.start()
            self._console.show_cursor(True)  # a killed process could not restore it
        self._live.update(renderable, refresh=True)

    def _print(self, line: str) -> None:
        if self._notebook:
            self._notebook.show(line)
        elif self.is_live:
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
    first = f"{status.phase if is_running else status.state} {_percent(status)}".strip()
    parts = [_speed(status), _eta(status), status.detail] if is_running else []
    if not is_running and status.phase_seconds:
        parts = [f"{duration(status.elapsed)}: {_phases(status)}"]
    return _joined([first, *_counts(status), *parts]).plain


def view(status: RunStatus, width: int, height: int) -> RenderableType:
    """The status in at most `height` lines of `width` columns."""
    title = _joined([status.study, status.phase, status.detail], "bold")
    times = _joined([_percent(status), _eta(status), f"{duration(status.elapsed)} elapsed"])
    bar = Table.grid(Column(), Column(no_wrap=True, overflow="ellipsis"), padding=(0, 1))
    bar_width = max(8, min(24, width - len(times) - 2))
    bar.add_row(ProgressBar(total=1.0, completed=status.fraction or 0.0, width=bar_width), times)
    memory = f"{_bytes(status.memory)} of memory" if status.memory is not None else ""
    device = f"{_bytes(status.device_memory)} of device memory" if status.device_memory is not None else ""
    head: list[RenderableType] = [title, bar, _joined(_counts(status))]
    foot = [_joined([_speed(status), memory, device], "dim"), _joined([f"time: {_phases(status)}"], "dim")]
    room = height - len(head) - len(foot)
    table = _trials_table(status, width, room)
    gap: list[RenderableType] = [Text()] if room - table.row_count >= 3 else []
    return Group(*[*head, *gap, table, *gap, *foot][: max(1, height)])


def _trials_table(status: RunStatus, width: int, room: int) -> Table:
    """A row per learner: counts of its trials, then counts and mean error at each size, the largest sizes that fit.

    If not all learners fit, those with running trials are first.
    """
    by_learner: dict[str, dict[int, SizeProgress]] = {}
    for row in status.rows:
        by_learner.setdefault(row.learner, {})[row.train_size] = row
    names, sizes = list(by_learner), sorted({row.train_size for row in status.rows})
    if len(names) + 1 > room:
        names.sort(key=lambda name: not any(row.running for row in by_learner[name].values()))
        names = names[: max(0, room - 2)]
    lines = [("learner", "trained", "running", "failed", *(f"n={size:,}" for size in sizes))]
    for name in names:
        own = by_learner[name]
        trained, trials, *other = (sum(getattr(row, field) for row in own.values()) for field in COUNTS)
        counts = (f"{trained} of {trials}", *(f"{count or '·'}" for count in other))
        lines.append((name, *counts, *(_size_cell(own.get(size)) for size in sizes)))
    columns = list(zip(*lines))
    while len(columns) > 4 and sum(max(map(len, column)) + 2 for column in columns) - 2 > width:
        del columns[4]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, (heading, *_) in enumerate(columns):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    for cells in zip(*(column[1:] for column in columns)):
        table.add_row(*map(Text, cells))
    if len(names) < len(by_learner):
        table.add_row(f"{len(by_learner) - len(names)} more")
    return table


def _size_cell(row: SizeProgress | None) -> str:
    """For example "3/8 12.5": three of eight trials are trained, with a mean error of 12.5 %."""
    if row is None:
        return ""
    error = "" if row.mean is None else f" {error_number(row.mean, row.unit)}{'%' if is_rate(row.unit) else ''}"
    return f"{row.trained}/{row.num_trials}{error}"


def _percent(status: RunStatus) -> str:
    return f"{int(100 * status.fraction)} %" if status.fraction is not None else ""


def _eta(status: RunStatus) -> str:
    return f"about {duration(status.eta)} left" if status.eta is not None and status.state == "running" else ""


def _counts(status: RunStatus) -> list[str]:
    trained, trials, running, failed = (sum(getattr(row, field) for row in status.rows) for field in COUNTS)
    more = [f"{running:,} running"] if running else []
    return [f"{trained:,} of {trials:,} trials", *more, *([f"{failed:,} failed or diverged"] if failed else [])]


def _speed(status: RunStatus) -> str:
    """With two significant digits: "41,000 examples/s", "3.2 examples/s"."""
    speed = status.examples_per_second
    if not speed:
        return ""
    return f"{speed:.1f} examples/s" if speed < 10 else f"{float(f'{speed:.2g}'):,.0f} examples/s"


def _phases(status: RunStatus) -> str:
    """Percentages of the time by phase, in descending order: "train 62 %, compile 20 %"."""
    total = sum(status.phase_seconds.values()) or 1.0
    shares = sorted(((100 * seconds / total, phase) for phase, seconds in status.phase_seconds.items()), reverse=True)
    return ", ".join(f"{phase} {share:.0f} %" for share, phase in shares if share >= 0.5)


def _joined(parts: Sequence[str], style: str = "") -> Text:
    return Text(" · ".join(filter(None, parts)), style=style, no_wrap=True, overflow="ellipsis")


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

"""Where a status is shown: a live view on a terminal, one line in a notebook, a line an interval everywhere else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlm.report.progress.eta import duration
from dlm.report.progress.status import Status
from dlm.report.progress.view import counts, speed_text, spent, times, view

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


class NotebookLine:
    """A line of a cell's output that each text replaces."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Put the text in place of the one before."""
        from IPython.display import display

        told = {"text/plain": text}
        if self._handle is None:
            self._handle = display(told, raw=True, display_id=True)
        else:
            self._handle.update(told, raw=True)


def announce(text: str) -> None:
    """Say something beside the answer: below the cell of a notebook, else on standard error."""
    from rich.console import Console

    if Console(stderr=True).is_jupyter:
        NotebookLine().show(text)
    else:
        print(text, file=sys.stderr, flush=True)


class Screen:
    """Shows statuses on standard error, so that standard output holds the answer alone; closed, it leaves one line.

    `clock` gives seconds; it must not go backwards. On a terminal a view is drawn at each `show`. In a notebook a line
    is written anew, at most every second; elsewhere it is a line at most every `interval_seconds`, the first at once.
    """

    def __init__(
        self,
        console: Console | None = None,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._cell = NotebookLine() if self._console.is_jupyter else None
        self._interval, self._clock = 1.0 if self._cell else interval_seconds, clock
        self._printed_at: float | None = None
        self._live: Live | None = None
        self.draws = _can_draw(self._console)

    def show(self, status: Status) -> None:
        """Draw it, or print its line if it is time for one."""
        if self.draws:
            self._draw(status)
        elif self._printed_at is None or self._clock() - self._printed_at >= self._interval:
            self._print(line(status))
            self._printed_at = self._clock()

    def close(self, status: Status) -> None:
        """Take the view away, and leave the last line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._print(line(status))

    def _draw(self, status: Status) -> None:
        from rich.live import Live

        self._measure()
        width, height = self._console.size
        # The line below stays free, and so does the last column, where some terminals wrap.
        drawn = view(status, width - 1, height - 1)
        if self._live is None:
            self._live = Live(
                drawn,
                console=self._console,
                auto_refresh=False,
                transient=True,
                vertical_overflow="crop",
                redirect_stdout=sys.stdout.isatty(),  # standard output that goes to a file must stay there
            )
            self._live.start()
            self._console.show_cursor(True)  # a process that is killed cannot bring it back
        self._live.update(drawn, refresh=True)

    def _measure(self) -> None:
        """Take the terminal's own word for its size: COLUMNS may be of another one, or of before it was resized."""
        from rich.console import ConsoleDimensions

        with contextlib.suppress(OSError, ValueError):  # there is none behind the file
            self._console.size = ConsoleDimensions(*os.get_terminal_size(self._console.file.fileno()))

    def _print(self, text: str) -> None:
        from rich.text import Text

        if self._cell:
            self._cell.show(text)
            return
        # One report is one line, whatever the width: of a terminal as much as fits, of a log all of it.
        if self.draws:
            self._measure()
            self._console.print(Text(text), no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(Text(text), soft_wrap=True)


def line(status: Status) -> str:
    """A status in one line of plain text."""
    percent = f" {int(100 * status.share)} %" if status.share is not None else ""
    if status.state != "running":
        rest = [f"{duration(status.elapsed)}: {spent(status)}"] if status.spent else []
        return " · ".join([f"{status.state}{percent}", *counts(status), *rest])
    parts = [f"{status.phase}{percent}", *counts(status)]
    if status.examples_per_second:
        parts.append(f"{speed_text(status.examples_per_second)} examples/s")
    left = times(status)[:-1]
    return " · ".join([*parts, *left, *([status.detail] if status.detail else [])])


def _can_draw(console: Console) -> bool:
    """Whether this is a terminal that can be drawn on. With FORCE_COLOR rich takes a file for one."""
    isatty = getattr(console.file, "isatty", None)
    with contextlib.suppress(ValueError):  # a file that is closed
        return console.is_interactive and console.encoding.lower().startswith("utf") and bool(isatty and isatty())
    return False

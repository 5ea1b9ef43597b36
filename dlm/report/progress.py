"""How far a run is: a bar on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from dlm.report.speed import Speed, duration

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console


class Progress:
    """Shows progress on standard error, so that standard output holds the answer alone.

    On a terminal it is one bar. Elsewhere it is one line an interval, the first at the first report and the
    last at the end. `clock` gives seconds; it must not go backwards. Where updates differ in cost, `total_work` is
    that of all of them (in FLOPs, say): percent and time left then go by the work reported.
    """

    def __init__(
        self,
        total_updates: int,
        console: Console | None = None,
        interval_seconds: float = 10.0,
        *,
        total_work: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._total = total_updates
        self._total_work = total_work or float(total_updates)
        self._work_done = 0.0
        self._interval = interval_seconds
        self._clock = clock
        self._work, self._examples = Speed(), Speed()
        self._bar: rich.progress.Progress | None = None
        self._printed_at: float | None = None
        self._unprinted = ""

    def __enter__(self) -> Progress:
        if _draws_bars(self._console):
            self._bar = _make_bar(self._console, self._clock)
            self._bar.add_task("starting", total=max(self._total_work, 1.0), percent="", detail="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self._unprinted:
            self._print(self._unprinted)
            self._unprinted = ""

    def update(
        self,
        updates_done: int,
        *,
        phase: str,
        detail: str = "",
        examples_done: int | None = None,
        work_done: float | None = None,
    ) -> None:
        """Reports that `updates_done` updates are done in all, also by earlier runs, and what comes now.

        Call it also when a phase without updates begins and when it ends (compilation, evaluation): that
        names the phase, and keeps a long one out of the speed.
        """
        now = self._clock()
        self._work_done = updates_done if work_done is None else work_done
        moved = self._work.report(self._work_done, now, phase)
        if examples_done is not None:
            self._examples.report(examples_done, now, phase)
        # While nothing moves, a speed of before would mislead.
        facts = self._facts(updates_done, moved and examples_done is not None, detail)
        percent = f"{self._percent()} %" if self._total > 0 else ""
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=self._work_done if self._total > 0 else 1,
                description=phase,
                percent=percent,
                detail=" · ".join(facts),
            )
            return
        self._unprinted = " · ".join([f"{phase} {percent}".strip(), self._counts(updates_done), *facts])
        if self._printed_at is None or now - self._printed_at >= self._interval:
            self._print(self._unprinted)
            self._printed_at, self._unprinted = now, ""

    def _percent(self) -> int:
        # Rounded down: 100 % means done.
        return min(100, int(100 * self._work_done / self._total_work))

    def _counts(self, updates_done: int) -> str:
        return f"{updates_done:,} of {self._total:,} updates"

    def _facts(self, updates_done: int, shows_speed: bool, detail: str) -> list[str]:
        facts = []
        if shows_speed and self._examples.value:
            facts.append(f"{_speed_text(self._examples.value)} examples/s")
        left = self._total_work - self._work_done
        if left > 0 and updates_done < self._total and self._work.value:
            facts.append(f"about {duration(left / self._work.value)} left")
        return [*facts, detail] if detail else facts

    def _print(self, text: str) -> None:
        from rich.text import Text

        # One report is one line of the log, whatever the width.
        self._console.print(Text(text), soft_wrap=self._bar is None)


def _draws_bars(console: Console) -> bool:
    # FORCE_COLOR makes rich take a file for a terminal; a bar in a log is never wanted.
    isatty = getattr(console.file, "isatty", None)
    return console.is_interactive and isatty is not None and bool(isatty())


def _make_bar(console: Console, clock: Callable[[], float]) -> rich.progress.Progress:
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", style="bold", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[percent]}", markup=False, justify="right", table_column=Column(no_wrap=True)),
        # The detail gives way first where the terminal is narrow.
        TextColumn(
            "{task.fields[detail]}",
            markup=False,
            style="dim",
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=console,
        get_time=clock,
        refresh_per_second=4,
        expand=True,
        # Standard output that goes to a file must stay there.
        redirect_stdout=sys.stdout.isatty(),
    )


def _speed_text(speed: float) -> str:
    """Two significant digits: "41,000", "3.2"."""
    return f"{speed:.1f}" if speed < 10 else f"{float(f'{speed:.2g}'):,.0f}"

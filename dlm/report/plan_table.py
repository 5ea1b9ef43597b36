"""A plan as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlm.report.speed import duration

if TYPE_CHECKING:
    from rich.console import Console

    from dlm.plan import Plan


def print_plan(plan: Plan, console: Console, *, title: str = "") -> None:
    """What each part costs, and the whole. Times are estimates; the others are counted."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=(0, 1), pad_edge=False)
    table.add_column("part", no_wrap=True)
    for name in ("trials", "programs", "updates", "FLOPs", "memory", "compile", "work"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in plan.parts:
        table.add_row(
            part.name,
            f"{part.trials:,}",
            f"{part.programs}" if part.programs else "–",
            f"{part.updates:,}" if part.updates else "–",
            _scaled(part.flops, "") if part.flops else "–",
            _scaled(part.memory, "B") if part.memory else "–",
            duration(part.compile_seconds) if part.programs else "–",
            duration(part.work_seconds),
        )
    console.print(table)
    cohorts = sum(part.programs > 0 for part in plan.parts)
    console.print(
        f"{sum(part.trials for part in plan.parts):,} trials to do, {plan.trials_done:,} done before; "
        f"{cohorts} cohorts, {sum(part.programs for part in plan.parts)} programs (now in the compilation cache), "
        f"{sum(part.updates for part in plan.parts):,} updates, {_scaled(sum(part.flops for part in plan.parts), '')} "
        f"floating-point operations, at most {_scaled(max((part.memory for part in plan.parts), default=0), 'B')} "
        "on the devices.",
        highlight=False,
    )
    console.print(
        f"The run takes about {duration(plan.seconds)}: {duration(plan.start_seconds)} to start and read the data, "
        f"{duration(plan.report_seconds)} for the report, the rest as above.",
        highlight=False,
    )


def _scaled(value: float, unit: str) -> str:
    """A number with its power of a thousand: 1.2 GB, 34 T."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}".strip()
        value /= 1000
    return f"{value:.3g} E{unit}"

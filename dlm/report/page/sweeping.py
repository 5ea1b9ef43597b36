"""Slices through the hyperparameters that a study swept: validation error against each, size by size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dlm.report.page.axes import error_axis
from dlm.report.page.parts import Chart, Table
from dlm.report.phrases import error_number
from dlm.report.sweeps import Sweep

MOST_SIZES = 7  # lines of a chart


def sweep_chart(sweep: Sweep, unit: str) -> Chart:
    """Validation error against one hyperparameter, a line a size."""
    chosen = spread_over(sorted(sweep.errors), MOST_SIZES)
    positive = all(one.median > 0 for size in chosen for one in sweep.errors[size].values())
    is_log = sweep.numeric and min(sweep.values) > 0 and max(sweep.values) >= 8 * min(sweep.values)
    scale: dict[str, Any] = {"type": "log" if is_log else "linear" if sweep.numeric else "category"}
    return Chart(
        f"sweep-{sweep.learner}-{sweep.path}".replace(" ", "-").replace(".", "-"),
        f"{sweep.learner}: {sweep.path}",
        "; ".join(f"best at {size:,} examples: {_said(sweep.values[sweep.best(size)])}" for size in chosen) + ".",
        tuple(_lines(sweep, chosen, unit)),
        {
            "xaxis": {"title": {"text": sweep.path}, **scale},
            "yaxis": error_axis(unit, positive_only=positive, title=f"validation {unit}"),
            "showlegend": True,
            "height": 360,
        },
        table=_table(sweep, unit),
        scales="xy" if sweep.numeric else "y",
    )


def _lines(sweep: Sweep, sizes: Sequence[int], unit: str) -> Iterator[dict[str, Any]]:
    for k, size in enumerate(sizes):
        found = sweep.errors[size]
        yield {
            "x": [sweep.values[place] if sweep.numeric else _said(sweep.values[place]) for place in found],
            "y": [one.median for one in found.values()],
            "text": [f"{error_number(one.median, unit)} (median of {one.num_seeds})" for one in found.values()],
            "hovertemplate": f"n={size:,}<br>{sweep.path}=%{{x}}<br>%{{text}}<extra></extra>",
            "name": f"n={size:,}",
            "showlegend": True,
            "mode": "lines+markers",
            "marker": {"size": [13 if place == sweep.best(size) else 7 for place in found]},
            "meta": {"learner": sweep.learner, "colour": k, "role": "line"},
        }


def _table(sweep: Sweep, unit: str) -> Table:
    rows = []
    for size, found in sweep.errors.items():
        cells = [
            f"{error_number(found[place].median, unit)} ({found[place].num_seeds})" if place in found else "–"
            for place in range(len(sweep.values))
        ]
        rows.append((f"{size:,}", *cells))
    return Table(
        ("examples", *(f"{sweep.path}={_said(value)}" for value in sweep.values)),
        tuple(rows),
        f"Median validation {unit} (number of seeds)",
    )


def spread_over(items: Sequence[int], most: int) -> list[int]:
    """At most so many of some items, the first and the last among them, evenly apart in place."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)

"""Hyperparameters on the page: alarms, the best of k settings of each learner that was tuned, and its sweeps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from dlm.report.page.axes import error_axis
from dlm.report.page.parts import Chart, Section, Sentences, Table
from dlm.report.page.sweeping import MOST_SIZES, spread_over, sweep_chart
from dlm.report.phrases import error_number, error_text
from dlm.report.sweeps import Sweep, alarms
from dlm.report.tuning import Tuned, best_of_sentences, drift_alarms

MOST_COLUMNS = 9  # of a table, for numbers of settings


def tuning_section(sweeps: Sequence[Sweep], tuned: Sequence[Tuned], unit: str) -> Section | None:
    """Alarms first, the best of k settings, then a chart for each sweep; None where nothing was swept."""
    if not sweeps:
        return None
    told = [*alarms(sweeps), *drift_alarms(tuned)]
    several = [one for one in tuned if one.best_of]
    return Section(
        "sweeps",
        "Hyperparameters",
        (
            *((Sentences(tuple(told), "alarm"),) if told else ()),
            *((Sentences(tuple(lines)),) if (lines := best_of_sentences(tuned)) else ()),
            *map(best_of_chart, several),
            *(sweep_chart(sweep, unit) for sweep in sweeps),
        ),
        note="Best of k: the mean over all ways to draw k of the settings, of which validation chooses. Sweeps: "
        "median validation error of the seeds at each value, the other hyperparameters at their best there; a "
        "line for each size. The learning curve shows, at each size, the variant with the least mean validation error.",
    )


def best_of_chart(one: Tuned) -> Chart:
    """Test error of the best of k settings that validation chooses, a line a size."""
    sizes = spread_over(sorted(one.best_of), MOST_SIZES)
    positive = all(error > 0 for size in sizes for error in one.best_of[size].test if math.isfinite(error))
    last = one.best_of[sizes[-1]].test
    told = [f"{k}: {error_text(last[k - 1], one.unit)}" for k in (1, len(last)) if math.isfinite(last[k - 1])]
    return Chart(
        f"best-of-{one.learner}".replace(" ", "-").replace(".", "-"),
        f"{one.learner}: expected error of the best of k settings",
        f"At {sizes[-1]:,} examples, of " + ", of ".join(told) + ".",
        tuple(_lines(one, sizes)),
        {
            "xaxis": {"title": {"text": "settings tried"}, "type": "linear"},
            "yaxis": error_axis(one.unit, positive_only=positive),
            "showlegend": True,
            "height": 360,
        },
        table=_table(one),
        scales="xy",
    )


def _lines(one: Tuned, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    for colour, size in enumerate(sizes):
        both = enumerate(zip(one.best_of[size].test, one.best_of[size].validation), start=1)
        known = [(k, test, seen) for k, (test, seen) in both if math.isfinite(test)]
        yield {
            "x": [k for k, _, _ in known],
            "y": [test for _, test, _ in known],
            "text": [
                f"test {error_text(test, one.unit)}"
                + (f", validation {error_text(seen, one.unit)}" * math.isfinite(seen))
                for _, test, seen in known
            ],
            "hovertemplate": f"n={size:,}<br>best of %{{x}}<br>%{{text}}<extra></extra>",
            "name": f"n={size:,}",
            "showlegend": True,
            "mode": "lines+markers",
            "meta": {"learner": one.learner, "colour": colour, "role": "line"},
        }


def _table(one: Tuned) -> Table:
    most = max(len(found.test) for found in one.best_of.values())
    shown = spread_over(range(1, most + 1), MOST_COLUMNS)
    rows = []
    for size, found in one.best_of.items():
        cells = [
            f"{error_number(found.test[k - 1], one.unit)} ({_or_dash(found.validation[k - 1], one.unit)})"
            if k <= len(found.test) and math.isfinite(found.test[k - 1])
            else "–"
            for k in shown
        ]
        rows.append((f"{size:,}", *cells))
    return Table(
        ("examples", *(f"best of {k}" for k in shown)), tuple(rows), f"Expected test {one.unit} (validation {one.unit})"
    )


def _or_dash(value: float, unit: str) -> str:
    return error_number(value, unit) if math.isfinite(value) else "–"

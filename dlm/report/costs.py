"""What an error costs, in sentences: training and an answer, at each learner's largest size."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from dlm.records import Record
from dlm.report.phrases import error_text
from dlm.report.speed import duration

_SMALL = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))  # from, times, unit


def cost_sentences(cells: Mapping[str, Mapping[int, Sequence[Record]]]) -> list[str]:
    """Median error of each learner's largest size, with the time, and energy where told, of training and an answer."""
    told = []
    for learner, by_size in cells.items():
        finished = {size: [row for row in rows if row.value is not None] for size, rows in by_size.items()}
        rows = next((finished[size] for size in sorted(finished, reverse=True) if finished[size]), [])
        if not rows:
            continue
        error = error_text(statistics.median([row.value for row in rows if row.value is not None]), rows[0].unit)
        told.append(f"{learner}: {error} for {', '.join(_costs(rows))} (n={rows[0].train_size:,}).")
    return told


def _costs(rows: Sequence[Record]) -> list[str]:
    """Medians of the seeds: training, its energy, an answer."""
    parts = [f"{brief(statistics.median([row.seconds for row in rows]))} of training"]
    joules = [row.joules for row in rows if row.joules is not None]
    if joules:
        parts.append(f"{statistics.median(joules):.3g} J")
    answers = [row.inference_seconds for row in rows if row.inference_seconds is not None]
    return parts + ([f"{brief(statistics.median(answers))} an answer"] if answers else [])


def brief(seconds: float) -> str:
    """A time with three digits and the unit that suits it: "2.61 s", "148 µs", "3 min 20 s"."""
    if seconds >= 60:
        return duration(seconds)
    _, times, unit = next(of for of in _SMALL if seconds >= of[0])
    return f"{seconds * times:.3g} {unit}"

"""What the numbers took: error against training time, operations and energy."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.report.formatting import error_number, error_text, is_rate
from dlm.report.html.elements import Chart, Choice, Section, Sentences, error_axis
from dlm.report.progress.eta import duration
from dlm.report.sections.learning_curve import Cells
from dlm.report.tables import Table
from dlm.storage.record_log import Record

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


MEASURES = {  # a record's field: what it is called, its unit
    "seconds": ("training time", "s"),
    "flops": ("operations", "FLOPs"),
    "joules": ("energy", "J"),
    "inference_seconds": ("inference time per example", "s"),
}
SUMMED = ("seconds", "flops", "joules")  # over cells


def cost_section(cells: Cells, unit: str) -> Section:
    """A chart for each measure that records hold, a table of all, and the sum."""
    known = [field for field in MEASURES if any(_medians(by_size, field) for by_size in cells.values())]
    options = tuple((MEASURES[field][0], (_chart(field, cells, unit),)) for field in known)
    return Section(
        "cost",
        "Cost",
        (
            Sentences(tuple(_totals(cells, known))),
            *((Choice("cost-of", "Error against", options),) if options else ()),
            _table(cells, known, unit),
        ),
        note="Medians of the seeds. Members of one program train side by side: the time and energy of one is its share "
        "of theirs. Operations are what the compiled program counts; of classical learners they are not known. Energy "
        "is told by NVIDIA's GPUs and, to root, by processors; it counts all that the device does. Classical learners "
        "are timed on one processor, networks on all devices of the run, in batches.",
    )


def _medians(by_size: Mapping[int, Sequence[Record]], field: str) -> dict[int, float]:
    """The median of a measure at each size that has it."""
    found = {size: [value for row in rows if (value := getattr(row, field))] for size, rows in by_size.items()}
    return {size: statistics.median(values) for size, values in found.items() if values}


def _totals(cells: Cells, known: Sequence[str]) -> Iterator[str]:
    rows = [row for by_size in cells.values() for own in by_size.values() for row in own]
    for field in [field for field in known if field in SUMMED]:
        total = sum(getattr(row, field) or 0.0 for row in rows)
        name, unit = MEASURES[field]
        said = duration(total) if field == "seconds" else f"{total:.3g} {unit}"
        yield f"All {len(rows):,} cells of the curves together: {said} of {name}."


def _chart(field: str, cells: Cells, unit: str) -> Chart:
    name, cost_unit = MEASURES[field]
    traces: list[dict[str, Any]] = []
    said = []
    for learner, by_size in cells.items():
        costs = _medians(by_size, field)
        errors = {size: _error(by_size[size]) for size in costs}
        train_sizes = [size for size in sorted(costs) if errors[size] is not None]
        if not train_sizes:
            continue
        traces.append(
            {
                "x": [costs[size] for size in train_sizes],
                "y": [errors[size] for size in train_sizes],
                "text": [f"n={size:,}" for size in train_sizes],
                "hovertemplate": f"<b>{learner}</b><br>%{{text}}<br>%{{x:.3s}}{cost_unit}<br>%{{y}}<extra></extra>",
                "mode": "lines+markers",
                "meta": {"learner": learner, "role": "line"},
            }
        )
        last = train_sizes[-1]
        said.append(f"{learner} {costs[last]:.3g} {cost_unit} for {error_number(errors[last] or 0.0, unit)}")
    positive = all(min(trace["y"]) > 0 for trace in traces)
    return Chart(
        f"cost-{field}",
        f"Test {unit} against {name} of a cell",
        f"At each learner's largest size: {'; '.join(said)}{' %' if is_rate(unit) else ''}.",
        tuple(traces),
        {
            "xaxis": {"title": {"text": f"{name} ({cost_unit})"}, "type": "log", "tickformat": "~s", "dtick": 1},
            "yaxis": error_axis(unit, positive_only=positive),
            "height": 380,
        },
        scales="xy",
    )


def _error(rows: Sequence[Record]) -> float | None:
    values = [row.value for row in rows if row.value is not None]
    return statistics.median(values) if values else None


def _table(cells: Cells, known: Sequence[str], unit: str) -> Table:
    rows = []
    for learner, by_size in cells.items():
        costs = {field: _medians(by_size, field) for field in known}
        for size, own in by_size.items():
            error = _error(own)
            told = [f"{costs[field][size]:.3g}" if size in costs[field] else "–" for field in known]
            shown = "–" if error is None else error_number(error, unit)
            rows.append((learner, f"{size:,}", shown, *told, str(len(own))))
    heads = [f"{MEASURES[field][0]}, {MEASURES[field][1]}" for field in known]
    return Table("", ("learner", "examples", f"error{' %' if is_rate(unit) else ''}", *heads, "seeds"), tuple(rows))

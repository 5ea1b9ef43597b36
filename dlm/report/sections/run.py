"""The run itself: what it cost, and what is needed to reproduce its numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dlm.analysis.measures import SUMMED, Resource, Trials, mean_error, resources
from dlm.report.formatting import duration, error_number, error_text, is_rate
from dlm.report.html.elements import Chart, Choice, Listing, Sentences, axis, error_axis, plotly_text, trace
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.tables import ABSENT, Table
from dlm.storage.record_log import Record, ends

if TYPE_CHECKING:
    from dlm.storage.description import StudyDescription

RESOURCES = {  # field of the records: name, unit
    "seconds": ("training time", "s"),
    "flops": ("operations", "FLOPs"),
    "joules": ("energy", "J"),
    "inference_seconds": ("inference time per example", "s"),
}
MOST_SUBSETS = 300
_SMALL = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))  # from, factor, unit


def cost_section(context: ReportContext) -> SectionContent:
    """Error against time, operations and energy: a chart of each, a table of all, and the sums."""
    if not context.trials:
        return SectionContent()
    used = resources(context.trials, RESOURCES)
    options = tuple((RESOURCES[item.field][0], (_cost_chart(item, context),)) for item in used)
    return section_content(
        "cost",
        "Cost",
        (
            Sentences(list(_totals(used, context.trials))),
            Choice("cost-of", "Error against", options) if options else None,
            _cost_table(used, context),
        ),
        note="Medians over the seeds. Trials of one program train side by side: the time and energy of one is its "
        "share of theirs. Operations are counted by the compiled program and unknown for classical learners. Energy "
        "is reported by NVIDIA GPUs and, for root, by processors; it includes everything that the device does. "
        "Classical learners run on one processor, networks on all devices of the run, in batches.",
        sentences={"Cost at the largest size: mean errors, median times": cost_sentences(context.trials)},
    )


def cost_sentences(trials: Trials) -> list[str]:
    """Each learner's mean error at its largest size, with its training time, energy and inference time."""
    sentences = []
    for learner, by_size in trials.items():
        finished = {size: [row for row in rows if row.value is not None] for size, rows in by_size.items()}
        if rows := next((finished[size] for size in sorted(finished, reverse=True) if finished[size]), []):
            error = error_text(mean_error(rows) or 0.0, rows[0].unit)
            sentences.append(f"{learner}: {error} with {', '.join(_costs(rows))} (n={rows[0].train_size:,}).")
    return sentences


def _costs(rows: Sequence[Record]) -> list[str]:
    joules = [row.joules for row in rows if row.joules is not None]
    inference = [row.inference_seconds for row in rows if row.inference_seconds is not None]
    return [
        f"{short_duration(statistics.median([row.seconds for row in rows]))} of training",
        *([f"{statistics.median(joules):.3g} J"] if joules else []),
        *([f"{short_duration(statistics.median(inference))} of inference per example"] if inference else []),
    ]


def short_duration(seconds: float) -> str:
    """A duration with three digits and a suitable unit: "2.61 s", "148 µs", "3 min 20 s"."""
    if seconds >= 60:
        return duration(seconds)
    _, factor, unit = next(row for row in _SMALL if seconds >= row[0])
    return f"{seconds * factor:.3g} {unit}"


def _totals(used: Sequence[Resource], trials: Trials) -> Iterator[str]:
    count = sum(len(rows) for by_size in trials.values() for rows in by_size.values())
    for item in (item for item in used if item.field in SUMMED):
        name, unit = RESOURCES[item.field]
        total = duration(item.total) if item.field == "seconds" else f"{item.total:.3g} {unit}"
        yield f"Total {name} of the {count:,} trials of the curves: {total}."


def _cost_chart(item: Resource, context: ReportContext) -> Chart:
    (name, cost_unit), unit = RESOURCES[item.field], context.unit
    traces: list[dict[str, Any]] = []
    texts_at_end = []
    for learner, by_size in context.trials.items():
        costs = item.medians[learner]
        points = [(size, error) for size in sorted(costs) if (error := mean_error(by_size[size])) is not None]
        if not points:
            continue
        hover = f"<b>{plotly_text(learner)}</b><br>%{{text}}<br>%{{x:.3s}}{cost_unit}<br>%{{y}}"
        of_points = [costs[size] for size, _ in points]
        texts = [f"n={size:,}" for size, _ in points]
        traces.append(trace(of_points, [error for _, error in points], learner, hover=hover, text=texts))
        size, error = points[-1]
        texts_at_end.append(f"{learner} {error_number(error, unit)} with {costs[size]:.3g} {cost_unit}")
    return Chart(
        f"cost-{item.field}",
        f"Test {unit} against {name} of a trial",
        f"At each learner's largest size{', errors in %' if is_rate(unit) else ''}: {'; '.join(texts_at_end)}.",
        traces,
        axis(f"{name} ({cost_unit})", "log", tickformat="~s", dtick=1),
        error_axis(unit, traces),
    )


def _cost_table(used: Sequence[Resource], context: ReportContext) -> Table:
    rows = []
    for learner, by_size in context.trials.items():
        for size, own in by_size.items():
            costs = [item.medians[learner].get(size) for item in used]
            error = mean_error(own)
            error_cell = ABSENT if error is None else error_number(error, context.unit)
            cost_cells = (ABSENT if cost is None else f"{cost:.3g}" for cost in costs)
            rows.append((learner, f"{size:,}", error_cell, *cost_cells, str(len(own))))
    columns = ("learner", "examples", "error", *(RESOURCES[item.field][0] for item in used), "seeds")
    units = ("", "", "%" if is_rate(context.unit) else "", *(RESOURCES[item.field][1] for item in used), "")
    return Table("Mean error and median cost over the seeds", columns, tuple(rows), units)


def reproducibility_section(context: ReportContext) -> SectionContent:
    """Command, resolved study, versions, data, subsets and devices."""
    if context.workdir is None:
        return SectionContent()
    finished, about = list(ends(context.records).values()), context.workdir.description
    subsets = sorted({(row.train_size, row.subset_seed, row.subset_hash) for row in finished})
    title = f"Subsets{f', the first {MOST_SUBSETS} of {len(subsets):,}' if len(subsets) > MOST_SUBSETS else ''}"
    rows = tuple((f"{size:,}", str(seed), digest) for size, seed, digest in subsets[:MOST_SUBSETS])
    blocks = (
        Listing("Command", about.command) if about.command else None,
        Table("Versions, data and devices", ("property", "value"), tuple(_facts(about, finished)), text_columns=2),
        Listing("Resolved study", json.dumps(about.study, indent=1)),
        Table(title, ("examples", "seed", "content hash"), rows, text_columns=3) if rows else None,
    )
    return section_content("reproducibility", "Reproducibility", blocks)


def _facts(about: StudyDescription, finished: Sequence[Record]) -> Iterator[tuple[str, str]]:
    for name, version in about.versions.items():
        yield f"version of {name}", str(version)
    for field, label in (("data", "data, with content hash"), ("device", "device"), ("packing", "packing")):
        for value in sorted({str(getattr(row, field)) for row in finished} - {"none", ""}):
            yield label, value
    for key, made in about.provenance.items():
        if digest := made.get("program") or made.get("code"):
            yield f"code hash of {made.get('learner', key)}", digest

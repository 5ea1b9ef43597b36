"""How validation errors fell while members trained, where that was measured on the way."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dlm.report.formatting import error_number
from dlm.report.html.elements import Chart, Choice, Section, error_axis
from dlm.report.sections.learning_curve import Cells
from dlm.report.sections.tuning import spread_over
from dlm.storage.record_log import Record

MOST_SIZES = 6

Steps = Mapping[int, Sequence[float]]


def training_section(records: Iterable[Record], cells: Cells, unit: str) -> Section | None:
    """A chart for a few sizes of which one is shown; None where nothing was measured on the way."""
    paths = _paths(records, cells)
    train_sizes = sorted({size for by_size in paths.values() for size in by_size})
    if not train_sizes:
        return None
    chosen = spread_over(train_sizes, MOST_SIZES)
    options = tuple((f"{size:,}", (_chart(size, paths, unit),)) for size in chosen)
    return Section(
        "training",
        "Training",
        (Choice("training-size", "Training examples", options, f"{chosen[-1]:,}"),),
        note="Median validation error of the seeds after so many updates; the band is their spread.",
    )


def _paths(records: Iterable[Record], cells: Cells) -> dict[str, dict[int, dict[int, list[float]]]]:
    """Validation errors by curve, size and step, of the cells that the curve is made of and measured on their way."""
    records = list(records)
    on_the_way = {row.trial_id for row in records if row.status == "running"}
    whose = {
        row.trial_id: (name, size)
        for name, train_sizes in cells.items()
        for size, own in train_sizes.items()
        for row in own
        if row.trial_id in on_the_way
    }
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in records:
        if (row.split, row.metric) == ("validation", "error") and row.trial_id in whose and row.value is not None:
            name, size = whose[row.trial_id]
            found[name][size][row.step].append(row.value)
    return {
        name: {size: dict(sorted(steps.items())) for size, steps in by_size.items()} for name, by_size in found.items()
    }


def _chart(size: int, paths: Mapping[str, Mapping[int, Steps]], unit: str) -> Chart:
    here = {name: by_size[size] for name, by_size in paths.items() if size in by_size}
    ends = [f"{name} {error_number(statistics.median(list(steps.values())[-1]), unit)}" for name, steps in here.items()]
    positive = all(min(errors) > 0 for steps in here.values() for errors in steps.values())
    return Chart(
        f"training-{size}",
        f"Validation {unit} while training on {size:,} examples",
        f"Median validation {unit} at the last measurement: {', '.join(ends)}.",
        tuple(trace for name, steps in here.items() for trace in _traces(name, steps, unit)),
        {
            "xaxis": {"title": {"text": "updates"}, "tickformat": "~s", "type": "linear"},
            "yaxis": error_axis(unit, positive_only=positive, title=f"validation {unit}"),
            "height": 380,
        },
        scales="xy",
    )


def _traces(name: str, steps: Steps, unit: str) -> Iterator[dict[str, Any]]:
    places = list(steps)
    # Members that stopped early are missing from late steps: the number of seeds says so.
    yield {
        "x": [*places, *reversed(places)],
        "y": [*(max(errors) for errors in steps.values()), *(min(errors) for errors in reversed(list(steps.values())))],
        "fill": "toself",
        "opacity": 0.15,
        "meta": {"learner": name, "role": "band"},
    }
    medians = [statistics.median(errors) for errors in steps.values()]
    yield {
        "x": places,
        "y": medians,
        "text": [
            f"{error_number(median, unit)} (median of {len(errors)})"
            for median, errors in zip(medians, steps.values(), strict=True)
        ],
        "hovertemplate": f"{name}<br>update %{{x:,}}<br>%{{text}}<extra></extra>",
        "mode": "lines+markers" if len(places) < 40 else "lines",
        "marker": {"size": 5},
        "meta": {"learner": name, "role": "line"},
    }

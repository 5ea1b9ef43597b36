"""Other measures of the test set on the page: a chart of each, and a table of all."""

from __future__ import annotations

from collections.abc import Sequence

from dlm.report.other_measures import Measured
from dlm.report.page.axes import size_axis
from dlm.report.page.learning import Cells
from dlm.report.page.parts import Chart, Choice, Section, Table
from dlm.report.phrases import is_rate


def measures_section(measured: Sequence[Measured], cells: Cells) -> Section | None:
    """None where nothing else was measured."""
    if not measured:
        return None
    options = tuple((one.name.replace("_", " "), (_chart(one),)) for one in measured)
    return Section(
        "measures",
        "Other measures",
        (Choice("measures-of", "Test", options), _table(measured, cells)),
        note="Medians of the seeds, of the cells that the learning curves are made of.",
    )


def _chart(one: Measured) -> Chart:
    traces = tuple(
        {
            "x": sorted(by_size),
            "y": [by_size[size] for size in sorted(by_size)],
            "hovertemplate": f"<b>{learner}</b><br>n=%{{x:,}}<br>%{{y}}<extra></extra>",
            "mode": "lines+markers",
            "meta": {"learner": learner, "role": "line"},
        }
        for learner, by_size in one.medians.items()
    )
    said = "; ".join(f"{learner} {one.text(learner, max(by_size))}" for learner, by_size in one.medians.items())
    form = ".2~%" if is_rate(one.unit) else ".4~g"
    name = one.name.replace("_", " ")
    unit = f" ({one.unit})" if one.unit and one.unit.casefold() != name else ""
    return Chart(
        f"measure-{one.name}",
        f"Test {name} against training examples",
        f"At each learner's largest size: {said}{' %' if is_rate(one.unit) else ''}.",
        traces,
        {"xaxis": size_axis(), "yaxis": {"title": {"text": f"test {name}{unit}"}, "tickformat": form}, "height": 380},
        scales="xy",
    )


def _table(measured: Sequence[Measured], cells: Cells) -> Table:
    rows = [
        (learner, f"{size:,}", *(one.text(learner, size) for one in measured))
        for learner, by_size in cells.items()
        for size in by_size
    ]
    return Table(("learner", "examples", *(one.head for one in measured)), tuple(rows))

"""Calibration and confusion at chosen sizes: whether learners are as sure as they are right, and what they mix up."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlm.analysis.calibration import Reliability, confusion, reliability
from dlm.analysis.predictions import TestSet, predictions
from dlm.report.formatting import percent
from dlm.report.html.elements import Chart, Choice, Section, size_axis
from dlm.report.sections.learning_curve import Cells
from dlm.report.sections.tuning import spread_over
from dlm.report.tables import Table

MOST_SIZES, SHOWN_SIZES = 12, 4  # whose calibration error is drawn; whose reliability and confusion are
MOST_CLASSES, MOST_PAIRS = 20, 15

Found = dict[str, dict[int, list[np.ndarray]]]


def trust_section(workdir: Path, cells: Cells, test: TestSet) -> Section | None:
    """None where there are no classes, or no probabilities were kept."""
    if not test.has_classes:
        return None
    train_sizes = spread_over(sorted({size for by_size in cells.values() for size in by_size}), MOST_SIZES)
    found: Found = {
        name: {size: kept for size in train_sizes if (kept := _probabilities(workdir, by_size, size, test))}
        for name, by_size in cells.items()
    }
    told = {
        name: {size: reliability(kept, test.y) for size, kept in by_size.items()} for name, by_size in found.items()
    }
    there = [size for size in train_sizes if any(size in by_size for by_size in told.values())]
    if not there:
        return None
    shown = spread_over(there, SHOWN_SIZES)
    return Section(
        "trust",
        "Calibration and confusion",
        (
            _errors_chart(told),
            Choice(
                "trust-size",
                "Training examples",
                tuple((f"{size:,}", tuple(_at(size, told, found, test))) for size in shown),
                f"{shown[-1]:,}",
            ),
        ),
        note="A calibrated learner is right as often as it is sure. The calibration error (ECE: 15 bins of the most "
        "likely class's probability) of a finite test set is never zero: beside it stands, dotted, what a calibrated "
        "learner that is as sure would show by chance.",
    )


def _probabilities(workdir: Path, by_size: Mapping[int, Any], size: int, test: TestSet) -> list[np.ndarray]:
    kept = predictions(workdir, by_size.get(size, ()), len(test.y))
    return [np.asarray(each["probabilities"], float) for each in kept if "probabilities" in each]


def _errors_chart(told: Mapping[str, Mapping[int, Reliability]]) -> Chart:
    rows, said = [], []
    for name, by_size in told.items():
        for size, one in by_size.items():
            rows.append(
                (
                    name,
                    f"{size:,}",
                    percent(round(statistics.median(one.errors), 4)),
                    percent(round(one.by_chance, 4)),
                    f"{statistics.median(one.brier):.3f}",
                    str(len(one.errors)),
                )
            )
        if by_size:
            size, one = max(by_size.items())
            said.append(
                f"{name}, n={size:,}: {percent(round(statistics.median(one.errors), 3))}, "
                f"by chance {percent(round(one.by_chance, 3))}"
            )
    return Chart(
        "calibration-error",
        "Calibration error against training examples",
        f"Median expected calibration error. {'; '.join(said)}.",
        tuple(trace for name, by_size in told.items() if by_size for trace in _error_traces(name, by_size)),
        {
            "xaxis": size_axis(),
            "yaxis": {
                "title": {"text": "calibration error"},
                "tickformat": ".2~%",
                "type": "linear",
                "rangemode": "tozero",
            },
            "height": 360,
        },
        table=Table("", ("learner", "examples", "calibration error", "by chance", "Brier score", "seeds"), tuple(rows)),
        scales="xy",
    )


def _error_traces(name: str, by_size: Mapping[int, Reliability]) -> Iterator[dict[str, Any]]:
    train_sizes = list(by_size)
    medians = [statistics.median(one.errors) for one in by_size.values()]
    yield {
        "x": [*train_sizes, *reversed(train_sizes)],
        "y": [
            *(max(one.errors) for one in by_size.values()),
            *(min(one.errors) for one in reversed(list(by_size.values()))),
        ],
        "fill": "toself",
        "opacity": 0.15,
        "meta": {"learner": name, "role": "band"},
    }
    yield {
        "x": train_sizes,
        "y": [one.by_chance for one in by_size.values()],
        "hovertemplate": f"{name}, by chance<br>n=%{{x:,}}<br>%{{y:.2%}}<extra></extra>",
        "mode": "lines",
        "line": {"dash": "dot", "width": 1.3},
        "meta": {"learner": name, "role": "line"},
    }
    yield {
        "x": train_sizes,
        "y": medians,
        "text": [f"median of {len(one.errors)} seeds" for one in by_size.values()],
        "hovertemplate": f"<b>{name}</b><br>n=%{{x:,}}<br>%{{y:.2%}}, %{{text}}<extra></extra>",
        "mode": "lines+markers",
        "meta": {"learner": name, "role": "line"},
    }


def _at(size: int, told: Mapping[str, Mapping[int, Reliability]], found: Found, test: TestSet) -> Iterator[Any]:
    here = {name: by_size[size] for name, by_size in told.items() if size in by_size}
    yield _reliability_chart(size, here)
    options = tuple(
        (name, (_confused(name, confusion(found[name][size], test.y, len(test.class_names)), test.class_names),))
        for name in here
    )
    yield Choice(f"confusion-{size}", "Learner", options)


def _reliability_chart(size: int, here: Mapping[str, Reliability]) -> Chart:
    diagonal = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "hoverinfo": "skip",
        "line": {"dash": "dot", "width": 1},
        "meta": {"colour": 6, "role": "line"},
    }
    lines = [
        {
            "x": one.confidence,
            "y": one.accuracy,
            "text": [f"{count:,} predictions" for count in one.count],
            "hovertemplate": f"<b>{name}</b><br>sure %{{x:.1%}}<br>right %{{y:.1%}}<br>%{{text}}<extra></extra>",
            "mode": "lines+markers",
            "marker": {"size": [4 + 14 * (count / max(one.count)) ** 0.5 for count in one.count]},
            "meta": {"learner": name, "role": "line"},
        }
        for name, one in here.items()
    ]
    axis = {"tickformat": ".0%", "range": [0, 1.02], "type": "linear"}
    words = [f"{name} {_surer(one)}" for name, one in here.items()]
    return Chart(
        f"reliability-{size}",
        f"How often right against how sure, with {size:,} training examples",
        f"{'; '.join(words)}. Larger marks stand for more predictions; below the dotted line a learner is too sure.",
        (diagonal, *lines),
        {
            "xaxis": {"title": {"text": "how sure"}, **axis},
            "yaxis": {"title": {"text": "how often right"}, **axis},
            "height": 380,
        },
    )


def _surer(one: Reliability) -> str:
    counts = np.array(one.count)
    gap = float(((np.array(one.confidence) - np.array(one.accuracy)) * counts).sum() / counts.sum())
    if abs(gap) < 0.005:
        return "is on average as sure as it is right"
    return f"is on average {100 * abs(gap):.1f} points {'surer' if gap > 0 else 'less sure'} than it is right"


def _confused(name: str, shares: np.ndarray, names: tuple[str, ...]) -> Table:
    if len(names) <= MOST_CLASSES:
        rows = tuple((truth, *(_share(value) for value in row)) for truth, row in zip(names, shares))
        shades = tuple((None, *(float(value) for value in row)) for row in shares)
        return Table(
            f"{name}: of each class (row), the share taken for each (column)", ("class", *names), rows, shades=shades
        )
    wrong = shares - np.diag(np.diag(shares))
    worst = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None)[:MOST_PAIRS], wrong.shape))[0]
    rows = tuple((names[a], names[b], _share(wrong[a, b])) for a, b in worst if wrong[a, b] > 0)
    return Table(f"{name}: what is mixed up most", ("class", "taken for", "share"), rows, text_columns=2)


def _share(value: float) -> str:
    return "·" if value == 0 else f"{100 * value:.0f} %" if value >= 0.005 else "<1 %"

"""Calibration and confusion of classifiers at several training-set sizes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dlm.analysis.calibration import Reliability, confusion, reliability
from dlm.analysis.predictions import predictions
from dlm.report.formatting import percent
from dlm.report.html.elements import Chart, Choice, axis, band, plotly_text, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced, section_content
from dlm.report.tables import Table

MOST_ERROR_SIZES, MOST_DIAGRAM_SIZES = 12, 4  # of calibration errors; of reliability diagrams and confusion matrices
MOST_CLASSES, MOST_PAIRS = 20, 15

Predictions = tuple[list[np.ndarray], list[np.ndarray]]  # probabilities and labels of each seed
Probabilities = Mapping[str, Mapping[int, Predictions]]  # by learner and size
Reliabilities = Mapping[str, Mapping[int, Reliability]]


def calibration_section(context: ReportContext) -> SectionContent:
    """Calibration errors, reliability diagrams and confusion matrices; empty without saved class probabilities."""
    if not context.test_sets or not context.test_sets[0].has_classes:
        return SectionContent()
    probabilities = _probabilities(context)
    reliabilities = {
        name: {size: reliability(*seeds) for size, seeds in by_size.items()} for name, by_size in probabilities.items()
    }
    train_sizes = sorted({size for by_size in reliabilities.values() for size in by_size})
    if not train_sizes:
        return SectionContent()
    chosen = evenly_spaced(train_sizes, MOST_DIAGRAM_SIZES)
    names = context.test_sets[0].class_names
    diagrams = tuple((f"{size:,}", tuple(_diagrams(size, reliabilities, probabilities, names))) for size in chosen)
    return section_content(
        "calibration",
        "Calibration and confusion",
        (_errors_chart(reliabilities), Choice("calibration-size", "Training examples", diagrams, f"{chosen[-1]:,}")),
        note="Of a calibrated classifier's predictions with confidence p, a share p is correct. The expected "
        "calibration error (ECE, 15 bins of the top class's probability) is above zero on any finite test set: the "
        "dotted lines show what a calibrated classifier with the same confidences would have.",
    )


def _probabilities(context: ReportContext) -> Probabilities:
    train_sizes = sorted({size for by_size in context.trials.values() for size in by_size})
    result: dict[str, dict[int, Predictions]] = {name: {} for name in context.trials}
    for name, by_size in context.trials.items():
        for size in evenly_spaced(train_sizes, MOST_ERROR_SIZES):
            probabilities: list[np.ndarray] = []
            labels: list[np.ndarray] = []
            for test in context.test_sets:
                saved = predictions(context.folder, by_size.get(size, ()), test)
                seeds = [np.asarray(each["probabilities"], float) for each in saved if "probabilities" in each]
                probabilities, labels = [*probabilities, *seeds], [*labels, *[test.y] * len(seeds)]
            if probabilities:
                result[name][size] = probabilities, labels
    return result


def _errors_chart(reliabilities: Reliabilities) -> Chart:
    ends = []
    for name, by_size in reliabilities.items():
        if by_size:
            last = by_size[max(by_size)]
            error, expected = (percent(round(p, 3)) for p in (statistics.median(last.errors), last.expected_error))
            ends.append(f"{name}, n={max(by_size):,}: {error}, expected if calibrated {expected}")
    return Chart(
        "calibration-error",
        "Calibration error against training examples",
        f"Median expected calibration error. {'; '.join(ends)}.",
        [trace for name, by_size in reliabilities.items() if by_size for trace in _error_traces(name, by_size)],
        size_axis(),
        axis("calibration error", tickformat=".2~%", rangemode="tozero"),
        table=_errors_table(reliabilities),
    )


def _errors_table(reliabilities: Reliabilities) -> Table:
    rows = []
    for name, by_size in reliabilities.items():
        for size, of in by_size.items():
            errors = [percent(round(error, 4)) for error in (statistics.median(of.errors), of.expected_error)]
            rows.append((name, f"{size:,}", *errors, f"{statistics.median(of.brier):.3f}", str(len(of.errors))))
    columns = ("learner", "examples", "calibration error", "expected if calibrated", "Brier score", "seeds")
    return Table("Calibration, medians over the seeds", columns, tuple(rows))


def _error_traces(name: str, by_size: Mapping[int, Reliability]) -> Iterator[dict[str, Any]]:
    train_sizes, of_sizes = list(by_size), list(by_size.values())
    yield band(train_sizes, [min(of.errors) for of in of_sizes], [max(of.errors) for of in of_sizes], name)
    yield trace(
        train_sizes,
        [of.expected_error for of in of_sizes],
        name,
        hover=f"{plotly_text(name)}, expected if calibrated<br>n=%{{x:,}}<br>%{{y:.2%}}",
        mode="lines",
        line={"dash": "dot", "width": 1.3},
    )
    yield trace(
        train_sizes,
        [statistics.median(of.errors) for of in of_sizes],
        name,
        hover=f"<b>{plotly_text(name)}</b><br>n=%{{x:,}}<br>%{{y:.2%}}, %{{text}}",
        text=[f"median of {len(of.errors)} seeds" for of in of_sizes],
    )


def _diagrams(
    size: int, reliabilities: Reliabilities, probabilities: Probabilities, names: tuple[str, ...]
) -> Iterator[Chart | Choice]:
    here = {name: by_size[size] for name, by_size in reliabilities.items() if size in by_size}
    yield _reliability_chart(size, here)
    options = tuple(
        (name, (_confusion_table(name, confusion(*probabilities[name][size], len(names)), names),)) for name in here
    )
    yield Choice(f"confusion-{size}", "Learner", options)


def _reliability_chart(size: int, here: Mapping[str, Reliability]) -> Chart:
    style = {"dash": "dot", "width": 1}
    diagonal = trace([0, 1], [0, 1], colour=6, mode="lines", hoverinfo="skip", line=style)
    lines = [
        trace(
            of.confidence,
            of.accuracy,
            name,
            hover=f"<b>{plotly_text(name)}</b><br>confidence %{{x:.1%}}, accuracy %{{y:.1%}}<br>%{{text}}",
            text=[f"{count:,} predictions" for count in of.count],
            marker={"size": [4 + 14 * (count / max(of.count)) ** 0.5 for count in of.count]},
        )
        for name, of in here.items()
    ]
    confidence, accuracy = (axis(name, tickformat=".0%", range=[0, 1.02]) for name in ("confidence", "accuracy"))
    gaps = "; ".join(f"{name} {_overconfidence(of.overconfidence)}" for name, of in here.items())
    return Chart(
        f"reliability-{size}",
        f"Reliability diagram, with {size:,} training examples",
        f"{gaps}. Larger marks stand for more predictions; below the dotted line a learner is overconfident.",
        (diagonal, *lines),
        confidence,
        accuracy,
        scales="",
    )


def _overconfidence(gap: float) -> str:
    if abs(gap) < 0.005:
        return "has a mean confidence equal to its accuracy"
    return f"has a mean confidence {100 * abs(gap):.1f} points {'above' if gap > 0 else 'below'} its accuracy"


def _confusion_table(name: str, shares: np.ndarray, classes: tuple[str, ...]) -> Table:
    if len(classes) <= MOST_CLASSES:
        rows = tuple((label, *map(_share, row)) for label, row in zip(classes, shares))
        shades = tuple((None, *map(float, row)) for row in shares)
        title = f"{name}: confusion matrix, share of each true class (row) by predicted class (column)"
        return Table(title, ("class", *classes), rows, shades=shades)
    wrong = shares - np.diag(np.diag(shares))
    worst = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None)[:MOST_PAIRS], wrong.shape))[0]
    rows = tuple((classes[a], classes[b], _share(wrong[a, b])) for a, b in worst if wrong[a, b] > 0)
    return Table(f"{name}: most frequent confusions", ("class", "predicted as", "share"), rows, text_columns=2)


def _share(value: float) -> str:
    return "·" if value == 0 else f"{100 * value:.0f} %" if value >= 0.005 else "<1 %"

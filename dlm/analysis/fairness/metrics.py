"""Group metrics by fairlearn: errors, selection rates, false positive and false negative rates, and their differences.

fairlearn is an optional dependency: it needs pandas (84 MB) and takes seconds to import.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.analysis.fairness.groups import Array, GroupColumn, Measure
from dlm.utils.optional_imports import require

Codes = NDArray[np.integer]

ERROR = "error"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric of each group, in the order of the groups shown; None where it has no value, such as false negatives
    among no positives. `difference`: largest minus smallest; `ratio`: smallest over largest."""

    name: str
    by_group: tuple[float | None, ...]
    overall: float | None
    difference: float | None
    ratio: float | None


@dataclasses.dataclass(frozen=True)
class ColumnMetrics:
    """Metrics of a column's groups for one learner at one size, of all its seeds' predictions together.

    `positive` is the class that rates of a binary target are about, empty for others: then parity and odds are None.
    """

    learner: str
    column: str
    size: int
    groups: tuple[str, ...]
    metrics: tuple[Metric, ...]
    positive: str = ""
    demographic_parity_difference: float | None = None
    equalized_odds_difference: float | None = None


def column_metrics(
    learner: str,
    size: int,
    column: GroupColumn,
    errors: Array,
    *,
    measure: Measure,
    truth: Codes | None = None,
    predicted: Codes | None = None,
    positive: str = "",
) -> ColumnMetrics:
    """Metrics from errors [S, N]; for a binary target also classes `truth` [N] and `predicted` [S, N], 1: positive.

    Raises UsageError where fairlearn is not installed.
    """
    fairlearn = _fairlearn()
    known, num_seeds = column.known(), len(errors)
    groups = np.tile(np.array(column.groups)[column.codes[known]], num_seeds)
    values = errors[:, known].ravel().astype(np.float64)

    def error(_: Any, value: Any) -> float:
        return float(measure.finish(fairlearn.mean_prediction(value, value)))

    frame = fairlearn.MetricFrame(metrics={ERROR: error}, y_true=values, y_pred=values, sensitive_features=groups)
    names = tuple(name for name in column.groups if name in frame.by_group.index)
    metrics = ColumnMetrics(learner, column.name, size, names, tuple(_metrics(frame, names)))
    if truth is None or predicted is None:
        return metrics
    true, guessed = np.tile(truth[known], num_seeds), predicted[:, known].ravel()
    rates = _rates(fairlearn, true, guessed, groups, names)
    common = {"y_true": true, "y_pred": guessed, "sensitive_features": groups}
    both = all(set(true[groups == name]) == {0, 1} for name in names)
    return dataclasses.replace(
        metrics,
        metrics=(*metrics.metrics, *rates),
        positive=positive,
        demographic_parity_difference=_number(fairlearn.demographic_parity_difference(**common)),
        equalized_odds_difference=_number(fairlearn.equalized_odds_difference(**common)) if both else None,
    )


def _rates(
    fairlearn: Any, true: Codes, guessed: Codes, groups: NDArray[np.str_], names: tuple[str, ...]
) -> list[Metric]:
    """Selection rate of all examples, false negatives of the positive, false positives of the negative ones."""
    metrics = []
    for name, metric, label in (
        ("selection rate", fairlearn.selection_rate, None),
        ("false negative rate", fairlearn.false_negative_rate, 1),
        ("false positive rate", fairlearn.false_positive_rate, 0),
    ):
        rows = np.ones(len(true), bool) if label is None else true == label
        if rows.any():
            frame = fairlearn.MetricFrame(
                metrics={name: metric}, y_true=true[rows], y_pred=guessed[rows], sensitive_features=groups[rows]
            )
            metrics += _metrics(frame, names)
    return metrics


def _metrics(frame: Any, names: tuple[str, ...]) -> list[Metric]:
    overall, difference, ratio = frame.overall, frame.difference(), frame.ratio()
    return [
        Metric(
            name,
            tuple(_number(frame.by_group[name].get(group)) for group in names),
            _number(overall[name]),
            _number(difference[name]),
            _number(ratio[name]),
        )
        for name in frame.by_group
    ]


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _fairlearn() -> Any:
    require("fairlearn", "computing group metrics")
    return importlib.import_module("fairlearn.metrics")

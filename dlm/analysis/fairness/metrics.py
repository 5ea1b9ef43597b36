"""Group metrics by fairlearn: errors, selection rates, false positive and false negative rates.

fairlearn is an optional dependency: it needs pandas (84 MB) and takes seconds to import.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any

import numpy as np

from dlm.analysis.fairness.groups import GroupColumn, LearnerErrors, Measure
from dlm.utils.optional_imports import require


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of each group; None where it has no value, for example false negatives among no positives.

    `difference`: largest minus smallest.
    """

    name: str
    by_group: tuple[float | None, ...]
    difference: float | None


@dataclasses.dataclass(frozen=True)
class ColumnMetrics:
    """Metrics of a column's groups for one learner at its largest size, over the predictions of all its seeds.

    `positive` is the class that rates of a binary target are about, empty for other targets.
    """

    learner: str
    column: str
    groups: tuple[str, ...]
    metrics: tuple[Metric, ...]
    positive: str = ""


def column_metrics(learner: LearnerErrors, column: GroupColumn) -> ColumnMetrics:
    """Error of each group; for a binary target also its rates. Raises UsageError where fairlearn is not installed.

    The selection rate is of all examples, false negatives are of the positive, false positives of the negative ones.
    """
    require("fairlearn", "computing group metrics")
    fairlearn = importlib.import_module("fairlearn.metrics")
    measure, known, num_seeds = Measure.of(learner.unit), column.known(), len(learner.last)
    groups = np.tile(np.array(column.groups)[column.codes[known]], num_seeds)
    values = learner.last[:, known].ravel().astype(np.float64)

    def metric(name: str, of: Any, true: np.ndarray, predicted: np.ndarray, rows: Any = slice(None)) -> Metric:
        frame = fairlearn.MetricFrame(
            metrics={name: of}, y_true=true[rows], y_pred=predicted[rows], sensitive_features=groups[rows]
        )
        by_group = tuple(_number(frame.by_group[name].get(group)) for group in names)
        return Metric(name, by_group, _number(frame.difference()[name]))

    def error(_: Any, value: Any) -> float:
        return float(measure.finish(fairlearn.mean_prediction(value, value)))

    names = tuple(name for name in column.groups if name in groups)
    metrics = [metric("error", error, values, values)]
    if learner.truth is not None and learner.predicted is not None:
        true, predicted = np.tile(learner.truth[known], num_seeds), learner.predicted[:, known].ravel()
        for name, of, rows in (
            ("selection rate", fairlearn.selection_rate, true >= 0),
            ("false negative rate", fairlearn.false_negative_rate, true == 1),
            ("false positive rate", fairlearn.false_positive_rate, true == 0),
        ):
            if rows.any():
                metrics.append(metric(name, of, true, predicted, rows))
    return ColumnMetrics(learner.learner, column.name, names, tuple(metrics), learner.positive)


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None

"""The learning curves that a workdir's records hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np

from dlm.curves.results import Curve
from dlm.records import FINAL, Record

BOUNDS: dict[str, tuple[float, float | None]] = {"error rate": (0.0, 1.0)}


def curves(records: Iterable[Record], trial_ids: Collection[str] | None = None) -> list[Curve]:
    """One curve a learner, of final test errors; only of the trials named, if any are.

    Where a learner was swept over hyperparameters, each size takes the variant with the least mean validation error.
    """
    final = [row for row in records if row.status in FINAL and (trial_ids is None or row.trial_id in trial_ids)]
    by_learner: dict[str, list[Record]] = defaultdict(list)
    for row in final:
        by_learner[row.learner].append(row)
    return [_curve(name, rows) for name, rows in by_learner.items()]


def _curve(name: str, rows: list[Record]) -> Curve:
    test: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    validation: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ends = [row for row in rows if (row.split, row.metric) == ("test", "error")]
    for row in sorted(rows, key=lambda row: row.subset_seed):
        if row.metric == "error" and row.value is not None:
            table = {"test": test, "validation": validation}[row.split]
            table[row.train_size][row.hyper].append(row.value)
    sizes = sorted(test)
    errors = tuple(tuple(test[size][_chosen(test[size], validation[size])]) for size in sizes)
    unit = ends[0].unit
    return Curve(
        learner=name,
        sizes=tuple(sizes),
        errors=errors,
        unit=unit,
        bound=BOUNDS.get(unit, (0.0, None)),
        num_test=ends[0].num_examples,
        failed=sum(row.value is None for row in ends),
    )


def _chosen(test: dict[str, list[float]], validation: dict[str, list[float]]) -> str:
    if len(test) == 1:
        return next(iter(test))
    return min(test, key=lambda variant: float(np.mean(validation.get(variant, [np.inf]))))

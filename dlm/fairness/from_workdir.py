"""What a workdir holds of groups: predictions of its cells, and the groups of its test examples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dlm import artifacts
from dlm.curves.from_records import BOUNDS, cells
from dlm.fairness.columns import Column
from dlm.fairness.report import Measured, group_report
from dlm.fairness.results import GroupReport
from dlm.records import Record

Kept = dict[str, np.ndarray]


def groups_in(
    workdir: Path,
    records: Iterable[Record],
    trial_ids: Collection[str] | None = None,
    *,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
) -> GroupReport | None:
    """The report of the trials named, or of all; None where the study names no groups, or kept no predictions.

    A learner's hyperparameters at each size are those that its own curve chose.
    """
    test = artifacts.read_test_set(workdir)
    if test is None or "groups" not in test:
        return None
    learners = [
        one
        for name, sizes in cells(records, trial_ids).items()
        if (one := _measured(workdir, name, sizes, test)) is not None
    ]
    if not learners:
        return None
    return group_report(learners, columns_of(test), targets=targets, multiples=multiples, level=level)


def columns_of(test: Mapping[str, np.ndarray]) -> list[Column]:
    """The columns that a kept test set says tell groups apart."""
    return [
        Column(
            str(name),
            tuple(map(str, test[f"group_names_{place}"])),
            test["groups"][:, place],
            tuple(map(int, test[f"group_pool_{place}"])),
        )
        for place, name in enumerate(test["group_columns"])
    ]


def _measured(
    workdir: Path, name: str, sizes: Mapping[int, Sequence[Record]], test: Mapping[str, np.ndarray]
) -> Measured | None:
    """A learner's errors, of the cells whose predictions were kept."""
    count = len(test["groups"])
    kept: dict[int, list[Kept]] = {}
    for size, row in sizes.items():
        found = [
            artifacts.read(workdir, cell.trial_id, artifacts.PREDICTIONS) for cell in row if cell.value is not None
        ]
        fit = [one for one in found if one is not None and one.get("error", np.zeros(0)).shape == (count,)]
        if fit:
            kept[size] = fit
    if not kept:
        return None
    unit = next(iter(sizes.values()))[0].unit
    errors = {size: np.stack([one["error"] for one in row]).astype(np.float64) for size, row in kept.items()}
    binary = _binary(kept[max(kept)], test)
    return Measured(name, errors, unit, BOUNDS.get(unit, (0.0, None)), *binary)


def _binary(row: Sequence[Kept], test: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str] | tuple[()]:
    """(true classes [N], predicted ones [S, N], name of the second) where there are two classes; else nothing."""
    if any(one.get("probabilities", np.zeros((0, 0))).shape[-1] != 2 for one in row):
        return ()
    names = test.get("class_names", np.zeros(0))
    return test["y"], np.stack([one["probabilities"].argmax(axis=1) for one in row]), str(names[1] if len(names) else 1)

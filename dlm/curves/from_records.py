"""The learning curves that a workdir's records hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from dlm.curves.results import Curve
from dlm.records import Record, ends

BOUNDS: dict[str, tuple[float, float | None]] = {"error rate": (0.0, 1.0)}


def curves(records: Iterable[Record], trial_ids: Collection[str] | None = None) -> list[Curve]:
    """One curve a learner and noise, of final test errors; only of the trials named, if any are.

    Where a learner was swept over hyperparameters, or computed in both precisions, each size takes the variant
    with the least mean validation error, among those with the most finished seeds: one that diverged on all
    but a lucky seed is none to choose.
    """
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    validation = {
        (row.trial_id, row.step): row.value
        for row in rows
        if (row.split, row.metric) == ("validation", "error") and row.value is not None
    }
    by_learner: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in ends(rows).values():
        by_learner[row.learner, row.noise].append(row)
    return [_curve(name, noise, cells, validation) for (name, noise), cells in by_learner.items()]


def curve_name(learner: str, noise: str) -> str:
    """What a learner's curve is called: its name, and what was wrong with the examples."""
    return f"{learner} ({noise})" if noise else learner


def _curve(name: str, noise: str, cells: Sequence[Record], validation: Mapping[tuple[str, int], float]) -> Curve:
    table: dict[int, dict[tuple[str, str], list[Record]]] = defaultdict(lambda: defaultdict(list))
    for cell in sorted(cells, key=lambda cell: (cell.train_size, cell.subset_seed, cell.init_seed)):
        table[cell.train_size][cell.hyper, cell.precision].append(cell)
    chosen = {size: _chosen(variants.values(), validation) for size, variants in table.items()}
    errors = {size: tuple(cell.value for cell in row if cell.value is not None) for size, row in chosen.items()}
    sizes = tuple(size for size in errors if errors[size])
    unit = cells[0].unit
    return Curve(
        learner=curve_name(name, noise),
        noise=noise,
        sizes=sizes,
        errors=tuple(errors[size] for size in sizes),
        unit=unit,
        bound=BOUNDS.get(unit, (0.0, None)),
        num_test=cells[0].num_examples,
        failed=sum(cell.value is None for row in chosen.values() for cell in row),
    )


def _chosen(variants: Iterable[list[Record]], validation: Mapping[tuple[str, int], float]) -> list[Record]:
    def rank(cells: list[Record]) -> tuple[int, float]:
        finished = [cell for cell in cells if cell.value is not None]
        seen = [validation.get((cell.trial_id, cell.step), np.inf) for cell in finished]
        return -len(finished), float(np.mean(seen)) if seen else np.inf

    return min(variants, key=rank)

"""The learning curves that a workdir's records hold."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from dlm.curves.types import Curve
from dlm.storage.record_log import Record, ends

BOUNDS: dict[str, tuple[float, float | None]] = {"error rate": (0.0, 1.0), "missed AUPRC": (0.0, 1.0)}


def curves(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> list[Curve]:
    """One curve a learner and noise, of final test errors; only of the trials named, if any are. See `cells`."""
    return [curve_of(name, train_sizes) for name, train_sizes in cells(records, trial_ids, order).items()]


@dataclasses.dataclass(frozen=True)
class Tried:
    """One setting of a learner at one size: the row that ends each seed's trial, in the order of the seeds.

    `validation` [S] are the errors that choose, of the state that the test error is of; infinite where there is none.
    """

    cells: tuple[Record, ...]
    validation: tuple[float, ...]

    @property
    def rank(self) -> tuple[int, float]:
        """What chooses, the least: most seeds finished, then the mean validation error of those."""
        seen = [error for cell, error in zip(self.cells, self.validation) if cell.value is not None]
        return -len(seen), sum(seen) / len(seen) if seen else math.inf


def tried(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> dict[str, dict[int, list[Tried]]]:
    """Every setting of each curve's learner at each of its sizes, which ascend. `order` is as for `cells`."""
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    validation = {
        (row.trial_id, row.step): row.value
        for row in rows
        if (row.split, row.metric) == ("validation", "error") and row.value is not None
    }
    table: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))  # name, size, setting
    places = {name: place for place, name in enumerate(order)}
    for cell in sorted(ends(rows).values(), key=lambda cell: places.get(cell.learner, len(places))):
        table[curve_name(cell.learner, cell.noise)][cell.train_size][cell.hyper, cell.precision].append(cell)

    def setting(cells: list[Record]) -> Tried:
        found = tuple(sorted(cells, key=_seeds))
        return Tried(found, tuple(validation.get((cell.trial_id, cell.step), math.inf) for cell in found))

    return {
        name: {size: [setting(cells) for cells in settings.values()] for size, settings in sorted(train_sizes.items())}
        for name, train_sizes in table.items()
    }


def cells(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> dict[str, dict[int, tuple[Record, ...]]]:
    """The cells that each curve is made of, by its name and size: the row of the test error that ends each trial.

    Learners come in this `order`, then others in that of the records, which tells what was finished first.

    Where a learner was swept over hyperparameters, or computed in both precisions, each size takes the variant
    with the least mean validation error, among those with the most finished seeds: one that diverged on all
    but a lucky seed is none to choose. One variant for all seeds: a choice for each would take the luckiest of many
    trainings, which bends the curve (docs/tuning.md has the measurement).
    """
    return {
        name: {size: min(settings, key=lambda one: one.rank).cells for size, settings in train_sizes.items()}
        for name, train_sizes in tried(records, trial_ids, order).items()
    }


def _seeds(cell: Record) -> tuple[int, int]:
    return cell.subset_seed, cell.init_seed


def curve_name(learner: str, noise: str) -> str:
    """What a learner's curve is called: its name, and what was wrong with the examples."""
    return f"{learner} ({noise})" if noise else learner


def curve_of(name: str, train_sizes: Mapping[int, Sequence[Record]]) -> Curve:
    """The curve that some cells make, by size."""
    errors = {size: tuple(cell.value for cell in row if cell.value is not None) for size, row in train_sizes.items()}
    measured = tuple(size for size in errors if errors[size])
    first = next(iter(train_sizes.values()))[0]
    return Curve(
        learner=name,
        noise=first.noise,
        train_sizes=measured,
        errors=tuple(errors[size] for size in measured),
        unit=first.unit,
        bound=BOUNDS.get(first.unit, (0.0, None)),
        num_test=first.num_examples,
        failed=sum(cell.value is None for row in train_sizes.values() for cell in row),
    )

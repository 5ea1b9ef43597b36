"""Builds learning curves from records: the final test errors of each learner's best setting at each size."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from dlm.curves.types import Curve
from dlm.storage.record_log import Record, ends
from dlm.study.names import ERROR, UNIT_ERROR_RATE, UNIT_MISSED_AUPRC, VALIDATION

BOUNDS: dict[str, tuple[float, float | None]] = {UNIT_ERROR_RATE: (0.0, 1.0), UNIT_MISSED_AUPRC: (0.0, 1.0)}


@dataclasses.dataclass(frozen=True)
class Setting:
    """Results of one hyperparameter setting of a learner at one size, one entry per seed, ordered by seed.

    Attributes:
        rows: the final row of each trial, with its test error.
        validation: [S] the validation error of the same state; infinite without one.
    """

    rows: tuple[Record, ...]
    validation: tuple[float, ...]

    @property
    def rank(self) -> tuple[int, float]:
        """Selection criterion, smaller is better: most finished seeds, then their mean validation error."""
        errors = [error for row, error in zip(self.rows, self.validation) if row.value is not None]
        return -len(errors), sum(errors) / len(errors) if errors else math.inf


def learning_curves(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> list[Curve]:
    """One curve of final test errors per learner and noise level. Arguments as for `selected_rows`."""
    return [make_curve(name, by_size) for name, by_size in selected_rows(records, trial_ids, order).items()]


def selected_rows(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> dict[str, dict[int, tuple[Record, ...]]]:
    """The final rows behind each curve, by curve name and ascending size, one row per seed.

    If a learner has several settings (a sweep, or both precisions), each size uses the one with the smallest mean
    validation error among those with the most finished seeds, so that a setting that diverges on most seeds is not
    selected. All seeds share one setting: selecting per seed takes the minimum over many noisy runs, which bends the
    curve (measured in docs/tuning.md).

    Args:
        records: rows of a workdir.
        trial_ids: the trials to use; None: all.
        order: learner names in the order of the result; other learners follow in the order of the records.
    """
    return {
        name: {size: min(settings, key=lambda setting: setting.rank).rows for size, settings in by_size.items()}
        for name, by_size in settings_by_size(records, trial_ids, order).items()
    }


def settings_by_size(
    records: Iterable[Record], trial_ids: Collection[str] | None = None, order: Sequence[str] = ()
) -> dict[str, dict[int, list[Setting]]]:
    """All settings of each curve's learner, by curve name and ascending size. Arguments as for `selected_rows`."""
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    validation = {
        (row.trial_id, row.step): row.value
        for row in rows
        if (row.split, row.metric) == (VALIDATION, ERROR) and row.value is not None
    }
    # Curve name -> size -> (hyperparameters, precision) -> final rows.
    table: dict[str, dict[int, dict[tuple[str, str], list[Record]]]] = defaultdict(lambda: defaultdict(dict))
    rank = {name: index for index, name in enumerate(order)}
    for row in sorted(ends(rows).values(), key=lambda row: rank.get(row.learner, len(rank))):
        by_size = table[curve_name(row.learner, row.noise)]
        by_size[row.train_size].setdefault((row.hyper, row.precision), []).append(row)

    def setting(ends: list[Record]) -> Setting:
        ordered = tuple(sorted(ends, key=lambda row: (row.subset_seed, row.init_seed)))
        return Setting(ordered, tuple(validation.get((row.trial_id, row.step), math.inf) for row in ordered))

    return {
        name: {size: [setting(ends) for ends in settings.values()] for size, settings in sorted(by_size.items())}
        for name, by_size in table.items()
    }


def curve_name(learner: str, noise: str) -> str:
    """Name of a curve: the learner's, with the noise in parentheses."""
    return f"{learner} ({noise})" if noise else learner


def make_curve(name: str, by_size: Mapping[int, Sequence[Record]], pool_size: int = 0) -> Curve:
    """The curve of final rows by size; a row without a value counts as a failed trial."""
    errors = {size: tuple(row.value for row in rows if row.value is not None) for size, rows in by_size.items()}
    measured = tuple(size for size in errors if errors[size])
    first = next(iter(by_size.values()))[0]
    num_test, hold_outs = test_counts(by_size[measured[-1]] if measured else (first,))
    return Curve(
        learner=name,
        noise=first.noise,
        train_sizes=measured,
        errors=tuple(errors[size] for size in measured),
        unit=first.unit,
        bound=BOUNDS.get(first.unit, (0.0, None)),
        num_test=num_test,
        num_failed=sum(row.value is None for rows in by_size.values() for row in rows),
        pool_size=pool_size,
        hold_outs=hold_outs,
    )


def test_counts(rows: Iterable[Record]) -> tuple[int, int]:
    """Numbers of distinct test examples and of hold-outs behind the values of some rows."""
    counts = {row.hold_out: row.num_examples for row in rows if row.value is not None} or {
        row.hold_out: row.num_examples for row in rows
    }
    return sum(counts.values()), len(counts)

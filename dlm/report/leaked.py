"""What examples that are in two places do to a study, in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np

from dlm.curves.from_records import curve_name
from dlm.leak_counts import WITHOUT_LEAKS, LeakCounts
from dlm.records import Record, ends
from dlm.report.phrases import error_text


def leak_sentences(
    counts: LeakCounts | None, records: Iterable[Record], trial_ids: Collection[str] | None = None
) -> list[str]:
    """How many examples are where else, and each learner's error at its largest size with and without them."""
    if counts is None:
        return []
    told = []
    if counts.leaked:
        told.append(
            f"{counts.leaked:,} of {counts.test:,} test examples are in the training pool too"
            f"{_near(counts.leaked, counts.leaked_near)}."
        )
    if counts.repeated:
        told.append(
            f"{counts.repeated:,} of {counts.pool:,} pool examples repeat an earlier one"
            f"{_near(counts.repeated, counts.repeated_near)}."
        )
    if counts.note:
        told.append(f"Not all could be looked for: {counts.note}.")
    if counts.leaked:
        rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
        told += _errors(rows)
    return told


def _near(count: int, near: int) -> str:
    if not near:
        return ", equal in every number"
    return ", all nearly equal" if near == count else f", {near:,} of them nearly equal, the others in every number"


def _errors(rows: list[Record]) -> list[str]:
    """Mean errors at each learner's largest size, of the seeds that have both."""
    without = {
        (row.trial_id, row.step): row.value for row in rows if row.metric == WITHOUT_LEAKS and row.value is not None
    }
    cells: dict[str, dict[int, list[tuple[float, float, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in ends(rows).values():
        other = without.get((row.trial_id, row.step))
        if row.value is not None and other is not None:
            cells[curve_name(row.learner, row.noise)][row.train_size].append((row.value, other, row.unit))
    told = []
    for name, sizes in cells.items():
        size = max(sizes)
        all_of, others = (float(np.mean([cell[place] for cell in sizes[size]])) for place in (0, 1))
        unit = sizes[size][0][2]
        told.append(
            f"{name}: {error_text(all_of, unit)} with them, {error_text(others, unit)} without "
            f"(n={size:,}, mean of {len(sizes[size])})."
        )
    return told

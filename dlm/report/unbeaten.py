"""Which learners that train are not shown to err less than one that learns nothing, such as the last value again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from dlm.curves.from_records import cells
from dlm.curves.versus import Difference, difference
from dlm.records import Record
from dlm.report.phrases import error_text
from dlm.report.predictions import TestSet, predictions, read_test_set

Cells = Mapping[int, Sequence[Record]]
FEWEST = 2  # stretches or examples to compare by


def unbeaten_sentences(
    workdir: Path, records: Iterable[Record], trial_ids: Collection[str] | None, level: float = 0.95
) -> list[str]:
    """Where a learner of the study learns nothing: who is not shown to err less than the best of such, and by how much.

    At the largest size that all learners have, paired by test example, of the predictions that were kept: another test
    set would move learners together. None where everyone errs less, or no predictions were kept.
    """
    found = {name: sizes for name, sizes in cells(records, trial_ids).items() if not _rows(sizes)[0].noise}
    shared = set.intersection(*(_measured(sizes) for sizes in found.values())) if found else set()
    naive = [
        name for name, sizes in found.items() if all(row.step == 0 and row.status == "done" for row in _rows(sizes))
    ]
    test = read_test_set(workdir) if shared and naive and len(naive) < len(found) else None
    if test is None:
        return []
    at = {name: sizes[max(shared)] for name, sizes in found.items()}
    best = min(naive, key=lambda name: _mean(at[name]))
    against = {name: _against(workdir, rows, at[best], test, level) for name, rows in at.items() if name not in naive}
    open_yet = {name: one for name, one in against.items() if one and not (one.high is not None and one.high < 0)}
    if not open_yet:
        return []
    few = len(open_yet) < len(against)
    who = f"{len(open_yet)} of {len(against)} learners that train are not" if few else "no learner that trains is"
    naive_error = error_text(_mean(at[best]), at[best][0].unit)
    head = (
        f"With {max(shared):,} examples {who} shown to err less than {best}, which learns nothing from data "
        f"({naive_error})."
    )
    return [head, *(f"{name} {_more(one)} than {best}, {_paired(one, test)}." for name, one in open_yet.items())]


def _against(
    workdir: Path, rows: Sequence[Record], others: Sequence[Record], test: TestSet, level: float
) -> Difference | None:
    """How much more one errs, relative to the mean of both, by stretches of test examples; None without predictions."""
    kept = [predictions(workdir, each, len(test.y)) for each in (rows, others)]
    stretch = _stretch(test)
    number = len(test.y) // stretch
    if number < FEWEST or not all(kept):
        return None
    a, b = (np.mean([seed["error"] for seed in seeds], axis=0, dtype=np.float64) for seeds in kept)
    middle = float(a.mean() + b.mean()) / 2 or 1.0
    parts = np.array_split((a - b) / middle, number)
    return difference([float(part.mean()) for part in parts], level, rows[0].train_size)


def _stretch(test: TestSet) -> int:
    """Test examples that hang together: forecasts [N, H, C] of steps in common are H in a row, other examples one."""
    return test.y.shape[1] if test.y.ndim == 3 and test.y.dtype.kind == "f" else 1


def _more(one: Difference) -> str:
    """ "errs 12.0 % more [10.0, 14.0]"; an end of the other sign is below 0."""
    sign = -1 if one.mean < 0 else 1
    text = f"errs {100 * abs(one.mean):.1f} % {'less' if sign < 0 else 'more'}"
    low, high = sorted(100 * sign * (end or 0.0) for end in (one.low, one.high))
    return f"{text} [{low:.1f}, {high:.1f}]"


def _paired(one: Difference, test: TestSet) -> str:
    stretch = _stretch(test)
    of = f"stretches of {stretch:,} test windows" if stretch > 1 else "test examples"
    return f"paired over {one.num_seeds:,} {of}"


def _rows(sizes: Cells) -> list[Record]:
    return [row for rows in sizes.values() for row in rows]


def _measured(sizes: Cells) -> set[int]:
    return {size for size, rows in sizes.items() if any(row.value is not None for row in rows)}


def _mean(rows: Sequence[Record]) -> float:
    return fmean(row.value for row in rows if row.value is not None)

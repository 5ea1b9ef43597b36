"""Which learners that train are not shown to err less than one that learns nothing, such as the last value again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from dlm.curves.from_records import cells
from dlm.records import Record
from dlm.report.by_tests import by_test_examples, more_text, paired_text
from dlm.report.phrases import error_text
from dlm.report.predictions import read_test_set

Cells = Mapping[int, Sequence[Record]]


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
    against = {
        name: by_test_examples(workdir, rows, at[best], test, level) for name, rows in at.items() if name not in naive
    }
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
    return [
        head,
        *(f"{name} {more_text(one)} than {best}, {paired_text(one, test)}." for name, one in open_yet.items()),
    ]


def _rows(sizes: Cells) -> list[Record]:
    return [row for rows in sizes.values() for row in rows]


def _measured(sizes: Cells) -> set[int]:
    return {size for size, rows in sizes.items() if any(row.value is not None for row in rows)}


def _mean(rows: Sequence[Record]) -> float:
    return fmean(row.value for row in rows if row.value is not None)

"""Which learners that train do not err less than one that learns nothing, such as the last value again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean

from dlm.curves.from_records import cells
from dlm.curves.versus import Difference, difference, relative
from dlm.records import Record
from dlm.report.phrases import error_text, seeds

Cells = Mapping[int, Sequence[Record]]


def unbeaten_sentences(records: Iterable[Record], trial_ids: Collection[str] | None, level: float = 0.95) -> list[str]:
    """Where a learner of the study learns nothing: who is not shown to err less than the best of such, and by how much.

    At the largest size that all learners have, paired by seed and subset; none where everyone errs less.
    """
    found = {name: sizes for name, sizes in cells(records, trial_ids).items() if not _noise(sizes)}
    shared = set.intersection(*(_measured(sizes) for sizes in found.values())) if found else set()
    naive = [
        name for name, sizes in found.items() if all(row.step == 0 and row.status == "done" for row in _rows(sizes))
    ]
    if not shared or not naive or len(naive) == len(found):
        return []
    size = max(shared)
    best = min(naive, key=lambda name: _mean(found[name][size]))
    against = {
        name: _against(sizes[size], found[best][size], level) for name, sizes in found.items() if name not in naive
    }
    beaten = [name for name, one in against.items() if one is not None and one.high is not None and one.high < 0]
    told = [
        f"{name}: {_more(one)} than {best}, {_paired(one)}."
        for name, one in against.items()
        if one is not None and name not in beaten
    ]
    if not told:
        return []
    row = found[best][size][0]
    who = "no learner that trains is" if not beaten else f"{len(told)} of {len(against)} learners that train are not"
    head = (
        f"With {size:,} examples {who} shown to err less than {best}, which learns nothing from data "
        f"({error_text(_mean(found[best][size]), row.unit)})."
    )
    return [head, *told]


def _against(rows: Sequence[Record], others: Sequence[Record], level: float) -> Difference | None:
    """Relative differences of errors, paired by seed and subset; None where there is no pair."""
    known = {(row.subset_seed, row.subset_hash): row.value for row in others if row.value is not None}
    pairs = [(row.value, known.get((row.subset_seed, row.subset_hash))) for row in rows]
    values = [relative(a, b) for a, b in pairs if a is not None and b is not None]
    return difference(values, level, rows[0].train_size) if values else None


def _more(one: Difference) -> str:
    """ "errs 12 % more [10, 14]"; both ends with their sign where they have different ones."""
    word = "less" if one.mean < 0 else "more"
    text = f"errs {100 * abs(one.mean):.1f} % {word}"
    if one.low is None or one.high is None:
        return text
    sign = -1 if one.mean < 0 else 1
    low, high = sorted((100 * sign * one.low, 100 * sign * one.high))
    return f"{text} [{low:.1f}, {high:.1f}]"


def _paired(one: Difference) -> str:
    if one.p is None:
        return "by 1 paired seed, which says nothing of the noise"
    return f"paired over {seeds(one.num_seeds)} of one test set"


def _rows(sizes: Cells) -> Iterable[Record]:
    return (row for rows in sizes.values() for row in rows)


def _noise(sizes: Cells) -> str:
    return next(iter(_rows(sizes))).noise


def _measured(sizes: Cells) -> set[int]:
    return {size for size, rows in sizes.items() if any(row.value is not None for row in rows)}


def _mean(rows: Sequence[Record]) -> float:
    return fmean(row.value for row in rows if row.value is not None)

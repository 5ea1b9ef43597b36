"""Does deep learning beat classical learners here, and from how many examples on: the best of each kind compared.

At each size the best of a kind is the learner with the least mean validation error, and its test errors are the kind's.
So what is compared was not chosen by the numbers that compare it. Which learner that is may change from size to size;
the forecast takes the kind for one learner, so beyond the measured sizes it knows of no later change.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from dlm.curves.compare import overtake
from dlm.curves.from_records import BOUNDS, cells
from dlm.curves.results import Curve
from dlm.records import Record
from dlm.report.by_tests import by_test_examples, more_text, paired_text
from dlm.report.predictions import read_test_set
from dlm.report.words import overtakes_sentence

HEADING = "Deep learning against classical learners"
CLASSICAL, DEEP = "the best classical learner", "deep learning"
_NO_PRECISION = "none"  # what records say of a learner that is not gradient-trained


@dataclasses.dataclass(frozen=True)
class Best:
    """The best of a kind: its curve, which learner it is at each size, and its cells at the largest."""

    curve: Curve
    chosen: tuple[str, ...]
    last: tuple[Record, ...]


def family_sentences(
    workdir: Path, records: Sequence[Record], trial_ids: Collection[str] | None, level: float
) -> list[str]:
    """Where deep learning overtakes, what the test examples say of it, and who was chosen.

    Nothing where a kind or its validation errors are missing.
    """
    told = best_of_each(records, trial_ids)
    if told is None:
        return []
    classical, deep = told
    found = overtake(classical.curve, deep.curve, level, as_given=True)
    named = dataclasses.replace(
        found,
        incumbent=f"{CLASSICAL} ({_names(classical)})",
        challenger=f"{DEEP} ({_names(deep)})",
    )
    sentence = overtakes_sentence(named)
    by_tests = _by_tests(workdir, classical, deep, level)
    return [sentence[0].upper() + sentence[1:], *by_tests, *_choices(classical, deep)]


def _by_tests(workdir: Path, classical: Best, deep: Best, level: float) -> list[str]:
    """The two at the largest size, paired by test example, as far as predictions were kept."""
    test = read_test_set(workdir)
    one = test and by_test_examples(workdir, deep.last, classical.last, test, level)
    if not test or not one or one.low is None or one.high is None:
        return []
    open_yet = " So another test set might say otherwise." if one.low <= 0 <= one.high else ""
    return [
        f"At {deep.curve.sizes[-1]:,} examples {deep.chosen[-1]} {more_text(one)} than {classical.chosen[-1]}, "
        f"{paired_text(one, test)}.{open_yet}"
    ]


def best_of_each(records: Sequence[Record], trial_ids: Collection[str] | None = None) -> tuple[Best, Best] | None:
    """The best classical and the best deep learner at each size that both kinds were measured at; None without such.

    Cells with noise on purpose are left out.
    """
    validation = {
        (row.trial_id, row.step): row.value
        for row in records
        if (row.split, row.metric) == ("validation", "error") and row.value is not None
    }
    found: dict[bool, dict[int, list[tuple[float, str, list[Record]]]]] = {True: {}, False: {}}
    for sizes in cells(records, trial_ids).values():
        for size, row in sizes.items():
            finished = [cell for cell in row if cell.value is not None and not cell.noise]
            seen = [
                validation[cell.trial_id, cell.step] for cell in finished if (cell.trial_id, cell.step) in validation
            ]
            if finished and len(seen) == len(finished):
                kind = finished[0].precision == _NO_PRECISION
                found[kind].setdefault(size, []).append((float(np.mean(seen)), finished[0].learner, finished))
    shared = sorted(set(found[True]) & set(found[False]))
    if not shared:
        return None
    classical, deep = (
        _best(name, {size: min(found[kind][size], key=lambda one: one[:2]) for size in shared})
        for kind, name in ((True, CLASSICAL), (False, DEEP))
    )
    return (classical, deep) if classical.curve.unit == deep.curve.unit else None


def _best(name: str, chosen: dict[int, tuple[float, str, list[Record]]]) -> Best:
    first = next(iter(chosen.values()))[2][0]
    errors = tuple(tuple(float(cell.value or 0.0) for cell in row) for _, _, row in chosen.values())
    bound = BOUNDS.get(first.unit, (0.0, None))
    curve = Curve(name, tuple(chosen), errors, first.unit, bound, first.num_examples)
    _, learners, rows = zip(*chosen.values())
    return Best(curve, learners, tuple(rows[-1]))


def _names(best: Best) -> str:
    """The learner at the largest size first."""
    return " or ".join(dict.fromkeys(best.chosen[::-1]))


def _choices(*kinds: Best) -> list[str]:
    """Who was chosen where, of kinds with more than one choice."""
    lines = []
    for best in kinds:
        if len(set(best.chosen)) > 1:
            runs = itertools.groupby(zip(best.curve.sizes, best.chosen), key=lambda one: one[1])
            parts = [f"{name} at {_span([size for size, _ in run])}" for name, run in runs]
            lines.append(f"By validation error {best.curve.learner} is {', '.join(parts)} examples.")
    return lines


def _span(sizes: list[int]) -> str:
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"

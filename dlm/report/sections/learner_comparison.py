"""Does deep learning beat classical learners here, and from how many examples on: the best of each kind compared.

At each size the best of a kind is the learner with the least mean validation error, and its test errors are the kind's.
So what is compared was not chosen by the numbers that compare it. Which learner that is may change from size to size;
the forecast takes the kind for one learner, so beyond the measured sizes it knows of no later change.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from dlm.analysis.predictions import TestSet, predictions, read_test_set
from dlm.curves.crossover import crossover
from dlm.curves.data_efficiency.study_comparison import ErrorDifference, error_difference
from dlm.curves.from_records import BOUNDS, selected_rows
from dlm.curves.types import Curve
from dlm.report.formatting import error_text
from dlm.report.sentences import overtakes_sentence
from dlm.storage.record_log import Record

FEWEST = 2  # stretches or examples to compare by
_ROUNDING = 1e-3  # of an error: predictions are kept in fewer digits than records


def by_test_examples(
    workdir: Path, rows: Sequence[Record], others: Sequence[Record], test: TestSet, level: float
) -> ErrorDifference | None:
    """How much more one cell errs than another, relative to the mean of both, by stretches of test examples.

    Each example's error is the mean over seeds. Where the error is the root of a mean of squares, as RMSE is, it
    changes half as much as that mean, to first order. None where no predictions were kept, and where the error is
    neither.
    """
    kept = [predictions(workdir, each, len(test.y)) for each in (rows, others)]
    stretch = stretch_of(test)
    number = len(test.y) // stretch
    if number < FEWEST or not all(kept):
        return None
    power, *other_power = {_power(seeds, each) for seeds, each in zip(kept, (rows, others))}
    if power is None or other_power:
        return None
    a, b = (np.mean([seed["error"] for seed in seeds], axis=0, dtype=np.float64) for seeds in kept)
    middle = float(a.mean() + b.mean()) / 2 or 1.0
    parts = np.array_split(power * (a - b) / middle, number)
    return error_difference([float(part.mean()) for part in parts], level, rows[0].train_size)


def stretch_of(test: TestSet) -> int:
    """Test examples that hang together: forecasts [N, H, C] of steps in common are H in a row, other examples one."""
    return test.y.shape[1] if test.y.ndim == 3 and test.y.dtype.kind == "f" else 1


def more_text(one: ErrorDifference) -> str:
    """ "errs 12.0 % more [10.0, 14.0]"; an end of the other sign is below 0."""
    sign = -1 if one.mean < 0 else 1
    text = f"errs {100 * abs(one.mean):.1f} % {'less' if sign < 0 else 'more'}"
    low, high = sorted(round(100 * sign * (end or 0.0), 1) + 0.0 for end in (one.low, one.high))  # no −0.0
    return f"{text} [{low:.1f}, {high:.1f}]"


def paired_text(one: ErrorDifference, test: TestSet) -> str:
    """ "in per cent of their mean, paired over 300 test examples"."""
    stretch = stretch_of(test)
    of = f"stretches of {stretch:,} test windows" if stretch > 1 else "test examples"
    return f"in per cent of their mean, paired over {one.num_seeds:,} {of}"


def _power(seeds: Sequence[dict[str, np.ndarray]], rows: Sequence[Record]) -> float | None:
    """Of which power of the mean over examples the recorded errors are: 1, or 1/2 for its root; None: of neither."""
    mean = fmean(float(np.mean(seed["error"], dtype=np.float64)) for seed in seeds)
    told = fmean(row.value for row in rows[: len(seeds)] if row.value is not None)
    near = (power for power in (1.0, 0.5) if math.isclose(mean**power, told, rel_tol=_ROUNDING, abs_tol=_ROUNDING / 10))
    return next(near, None)


Cells = Mapping[int, Sequence[Record]]


def unbeaten_sentences(
    workdir: Path, records: Iterable[Record], trial_ids: Collection[str] | None, level: float = 0.95
) -> list[str]:
    """Where a learner of the study learns nothing: who is not shown to err less than the best of such, and by how much.

    At the largest size that all learners have, paired by test example, of the predictions that were kept: another test
    set would move learners together. None where everyone errs less, or no predictions were kept.
    """
    found = {
        name: train_sizes
        for name, train_sizes in selected_rows(records, trial_ids).items()
        if not _rows(train_sizes)[0].noise
    }
    shared = set.intersection(*(_measured(train_sizes) for train_sizes in found.values())) if found else set()
    naive = [
        name
        for name, train_sizes in found.items()
        if all(row.step == 0 and row.status == "done" for row in _rows(train_sizes))
    ]
    test = read_test_set(workdir) if shared and naive and len(naive) < len(found) else None
    if test is None:
        return []
    at = {name: train_sizes[max(shared)] for name, train_sizes in found.items()}
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


def _rows(train_sizes: Cells) -> list[Record]:
    return [row for rows in train_sizes.values() for row in rows]


def _measured(train_sizes: Cells) -> set[int]:
    return {size for size, rows in train_sizes.items() if any(row.value is not None for row in rows)}


def _mean(rows: Sequence[Record]) -> float:
    return fmean(row.value for row in rows if row.value is not None)


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
    found = crossover(classical.curve, deep.curve, level, as_given=True)
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
        f"At {deep.curve.train_sizes[-1]:,} examples {deep.chosen[-1]} {more_text(one)} than {classical.chosen[-1]}, "
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
    for train_sizes in selected_rows(records, trial_ids).values():
        for size, row in train_sizes.items():
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
            runs = itertools.groupby(zip(best.curve.train_sizes, best.chosen), key=lambda one: one[1])
            parts = [f"{name} at {_span([size for size, _ in run])}" for name, run in runs]
            lines.append(f"By validation error {best.curve.learner} is {', '.join(parts)} examples.")
    return lines


def _span(train_sizes: list[int]) -> str:
    return f"{train_sizes[0]:,}" if len(train_sizes) == 1 else f"{train_sizes[0]:,} to {train_sizes[-1]:,}"

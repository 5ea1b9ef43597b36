"""The cells that have no number, and what to do about them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

import numpy as np

from dlm.curves.from_records import curve_name
from dlm.report.formatting import error_text
from dlm.storage.artifacts import WITHOUT_LEAKS, LeakCounts
from dlm.storage.record_log import Record, ends


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
    for name, train_sizes in cells.items():
        size = max(train_sizes)
        all_of, others = (float(np.mean([cell[place] for cell in train_sizes[size]])) for place in (0, 1))
        unit = train_sizes[size][0][2]
        told.append(
            f"{name}: {error_text(all_of, unit)} with them, {error_text(others, unit)} without "
            f"(n={size:,}, mean of {len(train_sizes[size])})."
        )
    return told


MOST_LINES = 8


def without_a_number(records: Iterable[Record], trial_ids: Collection[str] | None = None) -> list[str]:
    """A sentence for each diverged or failed cell, the first few; then advice where all of a learner's diverged."""
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    finished = list(ends(rows).values())
    losses = {(row.trial_id, row.step): row for row in rows if (row.split, row.metric) == ("train", "loss")}
    lost = [row for row in finished if row.status in ("diverged", "failed")]
    lost.sort(key=lambda row: (row.status, row.learner, row.train_size, row.subset_seed))
    told = [_said(row, losses.get((row.trial_id, row.step))) for row in lost]
    more = [f"and {len(told) - MOST_LINES:,} more: records.csv has them all"] if len(told) > MOST_LINES else []
    return [*told[:MOST_LINES], *more, *_advice(finished)]


def _said(row: Record, loss: Record | None) -> str:
    cell = f"{row.learner}, {row.train_size:,} examples, seed {row.subset_seed}"
    if row.status == "failed":
        return f"{cell}: failed, and the same command tries it again: {row.note or 'no reason is known'}"
    known = (
        f"; its last finite training loss was {loss.value:.4g} {loss.unit}" if loss and loss.value is not None else ""
    )
    return f"{cell}: diverged after update {row.step:,}{known}"


def _advice(finished: Iterable[Record]) -> list[str]:
    """What to change for learners of which every cell diverged."""
    finished = list(finished)
    all_cells = Counter(row.learner for row in finished)
    diverged = Counter(row.learner for row in finished if row.status == "diverged")
    rates = {row.learner: rate for row in finished if (rate := _rate(row))}
    return [
        f"Every cell of {name} diverged: try a tenth of its learning rate "
        f"(--set learners.{name}.hyper.lr={rate / 10:.3g}) or clip its gradient "
        f"(--set learners.{name}.optimizer.clip=1), in a new --workdir."
        for name, rate in rates.items()
        if all_cells[name] == diverged[name]
    ]


def _rate(row: Record) -> float | None:
    """The learning rate that a row tells, if it does."""
    try:
        return float(json.loads(row.hyper)["hyper"]["lr"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

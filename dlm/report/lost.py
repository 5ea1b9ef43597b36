"""The cells that have no number, and what to do about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable

from dlm.records import Record, ends

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

"""The loop around a cohort: advance, measure, tell, save; what it tells is for others to write down."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from dlm.errors import Interrupted
from dlm.train.checkpoint import Checkpoints
from dlm.train.cohort_run import CohortRun, Measured

FIRST_STEPS = 4  # updates of the first chunk, which only tells how long a chunk should be
MOST_STEPS = 2**20  # in one chunk
CHUNK_SECONDS = 1.0  # between two looks at signals, progress and finished members
SAVE_SECONDS, MOST_COPYING = 60.0, 0.01  # between checkpoints, or as long as keeps copying below this share


@dataclasses.dataclass(frozen=True)
class Tick:
    """Progress: what begins now, and how many updates were just applied."""

    phase: str
    updates: int = 0


def train(
    run: CohortRun,
    checkpoints: Checkpoints | None,
    *,
    save_seconds: float | None = None,
    stop: Callable[[], int] = lambda: 0,
    written: Mapping[str, Collection[int]] | None = None,
) -> Iterator[Tick | Measured]:
    """Train a cohort to its end, telling progress and numbers as they come.

    `stop()` returns an exit code once a signal asks to stop: the state is saved and Interrupted raised. What is saved
    was told before, so whoever writes it down loses nothing: after a crash it is told again, the same. `written` says
    which of these numbers are on record (see `CohortRun.restore`). `save_seconds` None: SAVE_SECONDS, or more.
    """
    if checkpoints:
        run.restore(checkpoints, written)
    yield Tick("compile", int(run.steps().sum()))
    run.compile()
    told: set[str] = set()
    steps, updates, since_save, saved_at = FIRST_STEPS, 0, 0, time.monotonic()
    interval = SAVE_SECONDS if save_seconds is None else save_seconds
    while True:
        yield Tick("evaluate", updates)
        for measured in run.measure(told):
            if measured.status != "running":
                told.add(measured.trial.trial_id)
            yield measured
        if len(told) == len(run.cohort.trials):
            if checkpoints and since_save:
                yield Tick("save")
                run.save(checkpoints, since_save)
            return
        run.regroup(told)
        code = stop()
        if checkpoints and since_save and (code or time.monotonic() - saved_at > interval):
            yield Tick("save")
            begin = time.monotonic()
            run.save(checkpoints, since_save)
            since_save, saved_at = 0, time.monotonic()
            if save_seconds is None:
                interval = save_interval(saved_at - begin)
        if code:
            raise Interrupted("stopped by a signal; the state is saved, run the same command again to go on", code)
        yield Tick("train")
        updates, _ = run.advance(steps)
        since_save += updates
        steps = int(np.clip(CHUNK_SECONDS / max(run.seconds_per_step, 1e-9), 1, min(8 * steps, MOST_STEPS)))


def save_interval(copying: float) -> float:
    """Seconds between checkpoints of which each makes training wait `copying` seconds."""
    return max(SAVE_SECONDS, copying / MOST_COPYING)

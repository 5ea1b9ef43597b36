"""How fast a cohort will train, tried before it does: a few updates that nobody keeps."""

from __future__ import annotations

import math
import time

import numpy as np

from dlm.study.trial import Cohort
from dlm.train.device_data import DeviceData
from dlm.train.population import Population
from dlm.train.trainer import CohortRun
from dlm.utils.errors import UsageError

TRIED_SECONDS = 0.4  # of updates, for each cohort


def updates_per_second(population: Population, cohort: Cohort, placed: DeviceData) -> float | None:
    """Updates of all members a second, with the measurements that come with them; None where it was not to be had.

    Compiles what training needs too. A stream is not tried, for its windows have their own length.
    """
    if placed.streamed:
        return None
    try:
        run = CohortRun(cohort, population, placed)
        run.compile()
        update, measurement = _seconds_per_update(run), _seconds_per_measurement(run)
    except (OSError, UsageError):
        raise
    except Exception:  # whatever a model or a device raises is met again in training, and told of its cells there
        return None
    every = cohort.first.budget.eval_every
    measurements = sum(1 + (trial.num_steps // every if every else 0) for trial in cohort.trials)
    return 1 / (update + measurement * measurements / max(1, cohort.num_updates))


def _seconds_per_update(run: CohortRun) -> float:
    """The least of a few calls: what else the machine did in such a moment says nothing of the hours to come."""
    made, seconds = _advanced(run, 1)  # slower than what follows
    steps, spent, found = 1, seconds, seconds / max(1, made)
    while spent < TRIED_SECONDS and not run.finished().all():
        made, seconds = _advanced(run, steps)
        spent, found = spent + seconds, min(found, seconds / max(1, made))
        if seconds < TRIED_SECONDS / 4:
            steps *= 4
    return found


def _advanced(run: CohortRun, steps: int) -> tuple[int, float]:
    """(updates made by all members, seconds)."""
    before, start = run.steps().sum(), time.perf_counter()
    for group in run.groups:
        asked = np.full(len(group.rows), steps, np.int32)
        group.states = run.population.advance(group.members, group.states, run.data, asked)
    after = run.steps().sum()  # which waits for them
    return int(after - before), time.perf_counter() - start


def _seconds_per_measurement(run: CohortRun) -> float:
    """Of one member on both splits, while all are measured."""
    group, exact = run.groups[0], run.population.packing == "exact"
    wanted = np.arange(len(group.rows)) == 0 if exact else np.ones(len(group.rows), bool)
    found = math.inf
    for _ in range(2):  # the first time is slower
        start = time.perf_counter()
        group.states, _measures = run.population.evaluate(group.members, group.states, wanted, wanted, run.data)
        found = min(found, time.perf_counter() - start)
        if found > TRIED_SECONDS:
            break
    return found / (run.population.num_devices if exact else len(group.rows))

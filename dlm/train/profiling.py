"""Measures the memory and the speed of a cohort's programs before training, and splits a cohort that does not fit."""

from __future__ import annotations

import math
import time

import jax
import numpy as np

from dlm.study.trial import Cohort
from dlm.train.device_data import DeviceData, window_shapes
from dlm.train.packing import group_widths, longest_first
from dlm.train.population import Population
from dlm.train.program import members_of
from dlm.train.trainer import CohortRun
from dlm.utils.errors import UsageError

HOST_COPIES = 2  # of the states, while a checkpoint is saved
PROBE_SECONDS = 0.4  # of updates for each cohort


def memory_chunks(population: Population, cohort: Cohort, device_data: DeviceData, limit: int) -> list[Cohort]:
    """Splits a cohort into the fewest parts that fit into `limit` bytes, longest trials first.

    The order is fixed, so that a resumed run has the members of its unfinished chunk in the first one. UsageError if
    one member a device does not fit.
    """
    shared, per_member = memory_usage(population, cohort, device_data)
    num_devices = population.num_devices
    fitting = int((limit - shared) // per_member) // num_devices * num_devices
    if fitting < 1:
        raise UsageError(
            f"learners.{cohort.first.name}: {num_devices} members and the data take "
            f"{_format_bytes(shared + num_devices * per_member)} of memory, and {_format_bytes(limit)} are free; "
            "choose a smaller model, batch_size or data set"
        )
    number = -(-len(cohort.trials) // fitting)
    width = -(-len(cohort.trials) // number)
    trials = longest_first(cohort.trials) if number > 1 else cohort.trials
    return [Cohort(tuple(trials[start : start + width])) for start in range(0, len(trials), width)]


def halve_chunk(cohort: Cohort, num_devices: int) -> list[Cohort]:
    """Halves a chunk that ran out of memory; empty for a chunk of one member a device."""
    half = -(-len(cohort.trials) // 2)
    is_small = len(cohort.trials) <= num_devices
    return [] if is_small else [Cohort(cohort.trials[:half]), Cohort(cohort.trials[half:])]


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error means that a device or the host ran out of memory."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def memory_usage(population: Population, cohort: Cohort, device_data: DeviceData) -> tuple[float, float]:
    """(bytes shared by all members, bytes of each member) while a cohort trains and is saved.

    Compiles the program for the whole cohort; puts nothing on the devices.
    """
    count, devices = len(cohort.trials), population.num_devices
    width = -(-count // devices) * devices if population.packing == "exact" else group_widths(count, devices)[0]
    members = population.shard(members_of([cohort.first] * width, device_data.orders))
    states = population.state_shapes(members)
    steps = population.shard(np.zeros(width, np.int32))
    window = window_shapes(device_data, population.config, width)
    population.compile("advance", states, members, device_data.data, steps, window)
    state_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states)) / width
    total, scratch = population.memory()
    shared = total - scratch - state_bytes * width
    on_host = HOST_COPIES * state_bytes if jax.default_backend() == "cpu" else 0.0
    if population.packing == "exact":
        return shared + scratch, state_bytes + on_host
    return shared, state_bytes + on_host + scratch / width


def _format_bytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def updates_per_second(population: Population, cohort: Cohort, device_data: DeviceData) -> float | None:
    """Updates of all members per second, including evaluations; None if it cannot be measured.

    Compiles what training needs too. A stream is not measured, because its windows fix the number of updates.
    """
    if device_data.streamed:
        return None
    try:
        run = CohortRun(cohort, population, device_data)
        run.compile()
        update, evaluation = seconds_per_update(run), seconds_per_evaluation(run)
    except (OSError, UsageError):
        raise
    except Exception:  # an error of a model or device occurs again in training, which reports the failed trials
        return None
    every = cohort.first.budget.eval_every
    num_evaluations = sum(1 + (trial.num_steps // every if every else 0) for trial in cohort.trials)
    return 1 / (update + evaluation * num_evaluations / max(1, cohort.num_updates))


def seconds_per_update(run: CohortRun, probe_seconds: float = PROBE_SECONDS) -> float:
    """Seconds per update of one member while all train: the least of a few calls, so that other work does not count."""
    applied, seconds = run.advance(1)  # slower than later calls
    steps, elapsed, least = 1, seconds, seconds / max(1, applied)
    while elapsed < probe_seconds and not run.finished().all():
        applied, seconds = run.advance(steps)
        elapsed, least = elapsed + seconds, min(least, seconds / max(1, applied))
        if seconds < probe_seconds / 4:
            steps *= 4
    return least


def seconds_per_evaluation(run: CohortRun) -> float:
    """Seconds to evaluate one member on both splits, when all members are evaluated."""
    group, exact = run.groups[0], run.population.packing == "exact"
    evaluated = np.arange(len(group.rows)) == 0 if exact else np.ones(len(group.rows), bool)
    least = math.inf
    for _ in range(2):  # the first call is slower
        start = time.perf_counter()
        group.states, _ = run.population.evaluate(group.members, group.states, evaluated, evaluated, run.data)
        least = min(least, time.perf_counter() - start)
        if least > PROBE_SECONDS:
            break
    return least / (run.population.num_devices if exact else len(group.rows))

"""A cohort that does not fit into memory, cut into waves that do; one is trained after another."""

from __future__ import annotations

import jax
import numpy as np

from dlm.study.trial import Cohort
from dlm.train.device_data import DeviceData, window_shapes
from dlm.train.packing import longest_first, widths
from dlm.train.population import Population
from dlm.train.program import members_of
from dlm.utils.errors import UsageError

CHECKPOINT_COPIES = 2  # of the states on the host, while they are saved


def waves(run: Population, cohort: Cohort, placed: DeviceData, limit: int) -> list[Cohort]:
    """The cohort in as few parts as fit into `limit` bytes, the longest trials first. UsageError if not one fits.

    The order is fixed, so that a run that goes on finds the members of the wave that it left in its first one.
    """
    fixed, each = memory(run, cohort, placed)
    fit = int((limit - fixed) // each) // run.num_devices * run.num_devices
    if fit < 1:
        raise UsageError(
            f"learners.{cohort.first.name}: {run.num_devices} members and the data take "
            f"{_size(fixed + run.num_devices * each)} of memory, and {_size(limit)} are free; choose a smaller model, "
            "batch_size or data set"
        )
    number = -(-len(cohort.trials) // fit)
    width = -(-len(cohort.trials) // number)
    trials = longest_first(cohort.trials) if number > 1 else cohort.trials
    return [Cohort(tuple(trials[start : start + width])) for start in range(0, len(trials), width)]


def halved(cohort: Cohort, num_devices: int) -> list[Cohort]:
    """A wave that did not fit after all, as two; none if it is down to one member a device."""
    width = -(-len(cohort.trials) // 2)
    if len(cohort.trials) <= num_devices:
        return []
    return [Cohort(cohort.trials[:width]), Cohort(cohort.trials[width:])]


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the host had no memory left."""
    return isinstance(error, MemoryError) or (
        isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def memory(run: Population, cohort: Cohort, placed: DeviceData) -> tuple[float, float]:
    """(bytes whatever the number of members, bytes a member) while a cohort trains and is saved.

    From the program that the whole cohort would be trained with, compiled here; nothing is put on the devices.
    """
    count, devices = len(cohort.trials), run.num_devices
    width = -(-count // devices) * devices if run.packing == "exact" else widths(count, devices)[0]
    members = run.shard(members_of([cohort.first] * width, placed.orders))
    states = run.shapes(members)
    steps, window = run.shard(np.zeros(width, np.int32)), window_shapes(placed, run.spec, width)
    run.compile("advance", states, members, placed.data, steps, window)
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states)) / width
    scratch = run.scratch()
    shared = run.memory() - scratch - held * width
    on_host = CHECKPOINT_COPIES * held if jax.default_backend() == "cpu" else 0.0
    if run.packing == "exact":
        return shared + scratch, held + on_host
    return shared, held + on_host + scratch / width


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

"""Assigns members to rows of groups that are advanced together, and sets how far each row advances.

With fast packing each row costs an update whether or not its member is finished. Unfinished members therefore form few
groups whose widths are powers of two (few programs to compile, little padding), and a group advances to the next step
at which one of its members has to stop. With exact packing a device with fewer unfinished members advances each of them
further in the same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from dlm.data.streaming import StreamBlock
from dlm.study.trial import Trial
from dlm.train.devices import Packing
from dlm.train.types import Member, State

MAX_PADDING = 0.1  # share of a group's rows; with more the group is split


@dataclasses.dataclass
class Group:
    """Members [W] in rows (None for padding) with their states and their stream of windows."""

    rows: list[Trial | None]
    members: Member
    states: State
    stream: Iterator[StreamBlock] | None = None

    @property
    def num_steps(self) -> np.ndarray:
        """Largest number of updates of each row, 0 for padding. int [W]."""
        return np.array([trial.num_steps if trial else 0 for trial in self.rows])

    @property
    def steps(self) -> np.ndarray:
        """Updates applied to each row. int [W]."""
        return np.asarray(self.states.step)

    @property
    def finished(self) -> np.ndarray:
        """Rows that are at their last step, stopped early, diverged, or padding. bool [W]."""
        return (self.steps >= self.num_steps) | np.asarray(self.states.stopped) | np.asarray(self.states.diverged)


def assign(num_steps: Sequence[int], num_devices: int) -> list[int | None]:
    """Assigns members to devices so that the devices get about the same number of updates.

    num_steps: updates of each member. Returns member indices, device after device, with the same number of rows for
    each device (None for padding): the longest members are dealt out first, back and forth.
    """
    padding = [None] * (-len(num_steps) % num_devices)
    longest_first = [*sorted(range(len(num_steps)), key=lambda index: (-num_steps[index], index)), *padding]
    rows_of: list[list[int | None]] = [[] for _ in range(num_devices)]
    for start in range(0, len(longest_first), num_devices):
        turn = longest_first[start : start + num_devices]
        for rows, index in zip(rows_of, turn if (start // num_devices) % 2 == 0 else turn[::-1]):
            rows.append(index)
    return [index for rows in rows_of for index in rows]


def group_widths(count: int, num_devices: int) -> list[int]:
    """Widths of the groups for `count` members with fast packing: powers of two times the number of devices.

    At most a tenth of a group is padding, except for rows that fill up the devices.
    """
    remaining, widths = -(-count // num_devices), []
    while remaining:
        width = 1 << (remaining - 1).bit_length()
        if width - remaining > MAX_PADDING * width:
            width //= 2
        widths.append(width * num_devices)
        remaining -= min(remaining, width)
    return widths


def longest_first(trials: Sequence[Trial]) -> list[Trial]:
    """Trials in order of decreasing number of updates (stable)."""
    return sorted(trials, key=lambda trial: -trial.num_steps)


def steps_ahead(group: Group, steps: int, packing: Packing, num_devices: int, eval_every: int) -> np.ndarray:
    """Updates that each row may apply before the host looks again; `steps` on the busiest device. int32 [W]."""
    unfinished = ~group.finished
    if packing == "exact":
        by_device = unfinished.reshape(num_devices, -1)
        busy = by_device.sum(axis=1)
        share = steps * busy.max() // np.maximum(busy, 1)
        return np.repeat(np.clip(share, 1, 2**30), by_device.shape[1]).astype(np.int32)
    step, end = group.steps, group.num_steps
    if eval_every:
        end = np.minimum(end, (step // eval_every + 1) * eval_every)
    nearest = int((end - step)[unfinished].min(initial=steps))
    return np.full(len(unfinished), min(steps, nearest), np.int32)


def gather_states(groups: Sequence[Group], trials: Sequence[Trial]) -> State:
    """The states of some trials, stacked in their order. NumPy arrays [len(trials), ...]."""
    numbers = {trial: number for number, trial in enumerate(trial for group in groups for trial in group.rows)}
    rows = [numbers[trial] for trial in trials]
    gathered: State = jax.tree.map(lambda *leaves: np.concatenate(leaves)[rows], *(group.states for group in groups))
    return gathered

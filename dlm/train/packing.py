"""Rows of members that are advanced together: who sits where, and how far each goes before the host looks again.

Where members run side by side, each row costs an update whether or not its member has one left. So the live ones sit in
few groups whose widths are powers of two (few programs to compile, little padding), and go to the next place where one
of them has to stop. Where they run one after another, a device with fewer live members lets each go further meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.streaming import Part
from dlm.study.trial import Trial
from dlm.train.population import Packing
from dlm.train.types import Member, State

MOST_PADDING = 0.1  # of a group's rows; more, and the group becomes two


@dataclasses.dataclass
class Group:
    """Members [W] in rows, None for padding, with their states, and what is streamed to them."""

    rows: list[Trial | None]
    members: Member
    states: State
    stream: Iterator[Part] | None = None

    @property
    def limits(self) -> np.ndarray:
        """Updates of each row at most; padding has none. int [W]."""
        return np.array([trial.num_steps if trial else 0 for trial in self.rows])

    @property
    def steps(self) -> np.ndarray:
        """Updates applied to each row. int [W]."""
        return np.asarray(self.states.step)

    @property
    def finished(self) -> np.ndarray:
        """Rows that train no further: at their limit, stopped early or diverged; padding too. bool [W]."""
        return (self.steps >= self.limits) | np.asarray(self.states.stopped) | np.asarray(self.states.diverged)


def widths(count: int, num_devices: int) -> list[int]:
    """Widths of the groups that `count` members sit in side by side: powers of two times the number of devices.

    At most a tenth of a group is padding, but for what fills up the devices.
    """
    left, out = -(-count // num_devices), []
    while left:
        width = 1 << (left - 1).bit_length()
        if width - left > MOST_PADDING * width:
            width //= 2
        out.append(width * num_devices)
        left -= min(left, width)
    return out


def longest_first(trials: Sequence[Trial]) -> list[Trial]:
    """Trials by updates, the most first, else in their order."""
    return sorted(trials, key=lambda trial: -trial.num_steps)


def reach(group: Group, steps: int, packing: Packing, num_devices: int, eval_every: int) -> np.ndarray:
    """Updates that each row may make in a chunk, `steps` for those of the busiest device. int32 [W]."""
    live = ~group.finished
    if packing == "exact":
        hands = live.reshape(num_devices, -1)
        busy = hands.sum(axis=1)
        share = steps * busy.max() // np.maximum(busy, 1)
        return np.repeat(np.clip(share, 1, 2**30), hands.shape[1]).astype(np.int32)
    done, end = group.steps, group.limits
    if eval_every:
        end = np.minimum(end, (done // eval_every + 1) * eval_every)
    nearest = int((end - done)[live].min(initial=steps))
    return np.full(len(live), min(steps, nearest), np.int32)


def gathered(groups: Sequence[Group], wanted: Sequence[Trial]) -> State:
    """The states of some trials, stacked in their order. NumPy arrays [len(wanted), ...]."""
    place = {trial: (group, row) for group in groups for row, trial in enumerate(group.rows) if trial}
    leaves = [[np.asarray(leaf) for leaf in jax.tree.leaves(group.states)] for group in groups]
    by_group = {id(group): each for group, each in zip(groups, leaves, strict=True)}
    picked = [(by_group[id(place[trial][0])], place[trial][1]) for trial in wanted]
    structure = jax.tree.structure(groups[0].states)
    stacked: list[Any] = [np.stack([each[number][row] for each, row in picked]) for number in range(len(leaves[0]))]
    return jax.tree.unflatten(structure, stacked)

"""Streams a pool that does not fit on the devices: windows of examples for each member, read ahead by grain.

Which examples a window has is arithmetic on the step, the same as for a pool on the device; so a stream has no state to
save and starts at any step. Threads or processes read windows ahead while the devices train. Each host reads the
windows of its own devices' members only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dlm.data.dataset import Split
from dlm.data.permutation import stream_rows

WINDOW_BYTES = 32 * 2**20  # a window of all members; two are read ahead, one is in use
MAX_UPDATES = 256  # of a window
READ_AHEAD, THREADS = 2, 2


@dataclasses.dataclass(frozen=True)
class StreamMember:
    """A member's stream: the order of its pool [N], subset size and seed, and its first and last update."""

    order: np.ndarray
    train_size: int
    seed: int
    first: int
    limit: int


class StreamBlock(NamedTuple):
    """Examples of all members: x [M, W·B, ...], y [M, W·B, ...], and the updates before each window, int32 [M].

    Positions after a member's last update are padding.
    """

    x: np.ndarray
    y: np.ndarray
    first: np.ndarray


class WindowSource:
    """All windows from the members' first updates on, by number: a grain data source.

    `every`: no window crosses a multiple of it, where members are validated; 0 for none. A member None is padding.
    """

    def __init__(self, pool: Split, members: Sequence[StreamMember | None], batch_size: int, every: int = 0):
        self.pool, self.members, self.batch_size = pool, list(members), batch_size
        self.updates = window_updates(pool, len(self.members), batch_size)
        self._ends = [_ends(each, self.updates, every) if each else np.zeros(1, np.int64) for each in self.members]

    def __len__(self) -> int:
        return max(len(ends) for ends in self._ends) - 1

    def __getitem__(self, number: int) -> StreamBlock:
        length = self.updates * self.batch_size
        x = np.zeros((len(self.members), length, *self.pool.x.shape[1:]), self.pool.x.dtype)
        y = np.zeros((len(self.members), length, *self.pool.y.shape[1:]), self.pool.y.dtype)
        first = np.zeros(len(self.members), np.int32)
        for row, (member, ends) in enumerate(zip(self.members, self._ends)):
            start, end = ends[min(number, len(ends) - 1)], ends[min(number + 1, len(ends) - 1)]
            first[row], count = start, (end - start) * self.batch_size
            if member and count:
                ranks = stream_rows(np.uint32(start * self.batch_size), int(count), member.train_size, member.seed)
                index = member.order[ranks]
                x[row, :count], y[row, :count] = self.pool.x[index], self.pool.y[index]
        return StreamBlock(x, y, first)


def window_updates(pool: Split, num_members: int, batch_size: int) -> int:
    """Updates of a window."""
    update_bytes = num_members * batch_size * pool.nbytes / len(pool)
    return int(np.clip(WINDOW_BYTES / update_bytes, 1, MAX_UPDATES))


def streamed(windows: WindowSource, workers: int = 0) -> Iterator[StreamBlock]:
    """The windows in order, read ahead by threads, or by `workers` processes if > 0."""
    import grain
    from absl import flags

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=READ_AHEAD)
    dataset = grain.MapDataset.source(windows).to_iter_dataset(options)
    if workers:
        if not flags.FLAGS.is_parsed():  # grain's processes read flags, which scripts and notebooks do not parse
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=1))
    return (StreamBlock(*window) for window in dataset)


def _ends(member: StreamMember, updates: int, every: int) -> np.ndarray:
    """Updates before the first window and after each. int64 [number of windows + 1]."""
    ends, at = [member.first], member.first
    while at < member.limit:
        at = min(at + updates, member.limit, (at // every + 1) * every if every else member.limit)
        ends.append(at)
    return np.array(ends, np.int64)

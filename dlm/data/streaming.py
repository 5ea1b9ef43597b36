"""A pool that is streamed, by grain: each member's examples in the order in which it meets them.

Which examples those are is arithmetic on the step (`batches`), the same for a pool on the device; so a stream has no
state to save, and begins at any step. It comes in windows of so many updates of every member, made ahead by threads or
processes while the devices train. A host makes the windows of its own devices' members and of no others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dlm.data.dataset import Split
from dlm.data.permutation import stream_rows

WINDOW_BYTES = 32 * 2**20  # of all members' windows; two wait, one is trained on
MOST_UPDATES = 256  # in a window
READ_AHEAD, THREADS = 2, 2


@dataclasses.dataclass(frozen=True)
class Seat:
    """Whose examples: the order of the member's pool [N], its size and seed, the updates it has had and may have."""

    order: np.ndarray
    size: int
    seed: int
    first: int
    limit: int


class Part(NamedTuple):
    """The windows of all seats: x [M, W·B, ...], y [M, W·B, ...], and the updates before each, int32 [M].

    Behind a member's last update in the window stands whatever: it is not looked at.
    """

    x: np.ndarray
    y: np.ndarray
    first: np.ndarray


class Windows:
    """All windows from the seats' first updates on, by number: a source as grain takes it.

    `every`: no window goes past a multiple of it, where members are validated; 0 for none. None is an empty seat.
    """

    def __init__(self, pool: Split, seats: Sequence[Seat | None], batch_size: int, every: int = 0):
        self.pool, self.seats, self.batch_size = pool, list(seats), batch_size
        self.updates = window_updates(pool, len(self.seats), batch_size)
        self._ends = [_ends(seat, self.updates, every) if seat else np.zeros(1, np.int64) for seat in self.seats]

    def __len__(self) -> int:
        return max(len(ends) for ends in self._ends) - 1

    def __getitem__(self, number: int) -> Part:
        held = self.updates * self.batch_size
        x = np.zeros((len(self.seats), held, *self.pool.x.shape[1:]), self.pool.x.dtype)
        y = np.zeros((len(self.seats), held, *self.pool.y.shape[1:]), self.pool.y.dtype)
        first = np.zeros(len(self.seats), np.int32)
        for row, (seat, ends) in enumerate(zip(self.seats, self._ends)):
            start, end = ends[min(number, len(ends) - 1)], ends[min(number + 1, len(ends) - 1)]
            first[row], count = start, (end - start) * self.batch_size
            if seat and count:
                ranks = stream_rows(np.uint32(start * self.batch_size), int(count), seat.size, seat.seed)
                index = seat.order[ranks]
                x[row, :count], y[row, :count] = self.pool.x[index], self.pool.y[index]
        return Part(x, y, first)


def window_updates(pool: Split, num_seats: int, batch_size: int) -> int:
    """Updates in a window."""
    each = num_seats * batch_size * pool.nbytes / len(pool)
    return int(np.clip(WINDOW_BYTES / each, 1, MOST_UPDATES))


def streamed(windows: Windows, workers: int = 0) -> Iterator[Part]:
    """The windows one after another, read ahead by threads, or by `workers` processes where there are any."""
    import grain
    from absl import flags

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=READ_AHEAD)
    dataset = grain.MapDataset.source(windows).to_iter_dataset(options)
    if workers:
        if not flags.FLAGS.is_parsed():  # grain's processes read flags, which a script or notebook has none of
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=1))
    return (Part(*part) for part in dataset)


def _ends(seat: Seat, updates: int, every: int) -> np.ndarray:
    """The updates had before the first window, and after each. int64 [number of windows + 1]."""
    ends, at = [seat.first], seat.first
    while at < seat.limit:
        at = min(at + updates, seat.limit, (at // every + 1) * every if every else seat.limit)
        ends.append(at)
    return np.array(ends, np.int64)

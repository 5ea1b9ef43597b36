"""The form every source ends in, NumPy arrays: a pool to draw subsets from, validation and test splits."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cached_property

import numpy as np

from dlm.data.subsets import row_digests, stratified_order
from dlm.errors import UsageError

HOLD_OUT_SEED = 2**32  # beyond every subset seed, so that the split's order is no subset's


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of one split. x: [N, ...] in storage type (uint8, float32, …); y: int32 [N] classes."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Split:
        """The rows asked for, in that order."""
        return Split(self.x[rows], self.y[rows])


@dataclasses.dataclass(frozen=True)
class Arrays:
    """A data set in memory. A learner sees `x * scale + shift` as float32; `num_classes` counts labels."""

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    scale: float = 1.0
    shift: float = 0.0

    @cached_property
    def digests(self) -> np.ndarray:
        """Content hash of each row of the pool. uint64 [N]."""
        return row_digests(self.train.x, self.train.y)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name the content of all three splits, whatever the order of rows."""
        splits = (self.digests, *(row_digests(part.x, part.y) for part in (self.validation, self.test)))
        return hashlib.sha256(b"|".join(np.sort(split).tobytes() for split in splits)).hexdigest()[:16]

    def order(self, subset_seed: int) -> np.ndarray:
        """The order of the pool whose first n rows are the subset of size n. int32 [N]."""
        return stratified_order(self.digests, self.train.y, subset_seed)

    def features(self, split: Split) -> np.ndarray:
        """Inputs as a learner sees them: float32 [N, ...]."""
        return (split.x * np.float32(self.scale) + np.float32(self.shift)).astype(np.float32)


def hold_out(pool: Split, count: int, name: str) -> tuple[Split, Split]:
    """(held out, the rest): a stratified `count` of the pool, chosen by content alone."""
    if not 0 < count < len(pool):
        raise UsageError(f"{name}={count} must lie between 1 and {len(pool) - 1}: {len(pool)} examples are there")
    order = stratified_order(row_digests(pool.x, pool.y), pool.y, HOLD_OUT_SEED)
    return pool.take(order[:count]), pool.take(np.sort(order[count:]))


def check_sizes(arrays: Arrays, sizes: tuple[int, ...]) -> None:
    """UsageError for a size above the pool or below the number of classes."""
    for size in sizes:
        if size > len(arrays.train):
            raise UsageError(
                f"train_size={size} exceeds the {len(arrays.train)} examples in the training pool of "
                f"{arrays.name!r}; choose at most {len(arrays.train)}"
            )
        if size < arrays.num_classes:
            raise UsageError(
                f"train_size={size} is below the {arrays.num_classes} classes of {arrays.name!r}; "
                f"choose at least {arrays.num_classes}"
            )

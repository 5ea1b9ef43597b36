"""The order of the training pool for each subset seed; the first n rows of an order are the subset of size n."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from dlm.data.dataset import Arrays, Split
from dlm.data.normalization import NormalizationStats, moments
from dlm.data.subsets import subset_hash


class SubsetOrders:
    """The pool's order for each subset seed: the first n rows are the seed's subset of size n."""

    def __init__(self, arrays: Arrays, seeds: Iterable[int]):
        self.arrays = arrays
        self._orders = {seed: arrays.order(seed) for seed in sorted(set(seeds))}
        self.moments = functools.cache(self._moments)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "moments"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, moments=functools.cache(self._moments))

    def __getitem__(self, seed: int) -> np.ndarray:
        return self._orders[seed]

    @property
    def stacked(self) -> np.ndarray:
        """All orders, int32 [S, N]."""
        return np.stack(list(self._orders.values()))

    def place(self, seed: int) -> int:
        """The row of a seed in `stacked`."""
        return list(self._orders).index(seed)

    def subset(self, seed: int, size: int) -> Split:
        """The subset's examples, in its order."""
        return self.arrays.train.take(self[seed][:size])

    def hash(self, seed: int, size: int) -> str:
        """What names the subset's content, see `subset_hash`."""
        return subset_hash(self.arrays.digests[self[seed][:size]], size)

    def _moments(self, seed: int, size: int) -> NormalizationStats | None:
        """Statistics of the subset, see `moments`."""
        return moments(self.arrays, self[seed][:size])

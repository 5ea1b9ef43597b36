"""One order of the training pool per subset seed; the first n rows of an order are the subset of size n."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dlm.data.dataset import Dataset, Split
from dlm.data.normalization import NormalizationStats, normalization_stats
from dlm.data.subsets import subset_hash


class SubsetOrders:
    """Orders of a dataset's training pool, by subset seed. `orders[seed]` is int32 [N]."""

    def __init__(self, dataset: Dataset, seeds: Iterable[int]):
        self.dataset = dataset
        self._orders = {seed: dataset.order(seed) for seed in sorted(set(seeds))}
        self._stats: dict[tuple[int, int], NormalizationStats | None] = {}

    def __getitem__(self, seed: int) -> np.ndarray:
        return self._orders[seed]

    @property
    def stacked(self) -> np.ndarray:
        """All orders, sorted by seed. int32 [S, N]."""
        return np.stack(list(self._orders.values()))

    def index(self, seed: int) -> int:
        """The row of `stacked` that holds the order of a seed."""
        return list(self._orders).index(seed)

    def subset(self, seed: int, train_size: int) -> Split:
        """The subset's examples, in its order."""
        return self.dataset.train.take(self[seed][:train_size])

    def hash(self, seed: int, train_size: int) -> str:
        """Hash of the subset's content, see `subset_hash`."""
        return subset_hash(self.dataset.digests[self[seed][:train_size]], train_size)

    def normalization_stats(self, seed: int, train_size: int) -> NormalizationStats | None:
        """Statistics of the subset, see `normalization_stats`; computed once."""
        if (seed, train_size) not in self._stats:
            self._stats[seed, train_size] = normalization_stats(self.dataset, self[seed][:train_size])
        return self._stats[seed, train_size]

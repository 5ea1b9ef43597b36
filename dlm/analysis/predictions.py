"""What the cells of a workdir said of the test examples, as far as it was kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from dlm.storage import artifacts
from dlm.storage.record_log import Record

MOST_SEEDS = 8  # of a cell that are read
NUM_BYTES = 256  # kinds of tokens of a text


@dataclasses.dataclass(frozen=True)
class TestSet:
    """The test examples of a workdir: targets, what they are called, and inputs where they were kept."""

    __test__ = False  # this is no class of tests

    arrays: Mapping[str, np.ndarray]

    @property
    def y(self) -> np.ndarray:
        """Targets [N, ...]."""
        return self.arrays["y"]

    @property
    def x(self) -> np.ndarray | None:
        """Inputs as they are stored [N, ...]; None where they are too many bytes to be kept."""
        return self.arrays.get("x")

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class; its number where it has none."""
        names = [str(name) for name in self.arrays["class_names"]]
        highest = len(self.arrays["pool_classes"])
        return tuple(names) if names else tuple(map(str, range(highest)))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each number of a table's row; empty where they are not known."""
        return tuple(str(name) for name in self.arrays["feature_names"])

    @cached_property
    def usual(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each number of a table's row; inputs must have been kept."""
        x = np.asarray(self.x, float)
        return np.nanmean(x, axis=0), np.nanstd(x, axis=0)

    @property
    def has_classes(self) -> bool:
        """Whether there is one class an example."""
        return len(self.arrays["pool_classes"]) > 0

    @property
    def has_tokens(self) -> bool:
        """Whether inputs are tokens: bytes of texts, or others."""
        return int(self.arrays["vocabulary"]) > 0

    @property
    def has_bytes(self) -> bool:
        """Whether inputs are bytes of texts."""
        return int(self.arrays["vocabulary"]) == NUM_BYTES


def read_test_set(workdir: Path) -> TestSet | None:
    """The test set of a workdir, None where it was not kept."""
    arrays = artifacts.read_test_set(workdir)
    return TestSet(arrays) if arrays is not None and "y" in arrays and "pool_classes" in arrays else None


def predictions(workdir: Path, cells: Sequence[Record], num_test: int) -> list[dict[str, np.ndarray]]:
    """What was kept of some cells, the first few seeds that are there; of another number of examples is passed over."""
    found: list[dict[str, np.ndarray]] = []
    for row in cells:
        kept = artifacts.read(workdir, row.trial_id, artifacts.PREDICTIONS) if len(found) < MOST_SEEDS else None
        if kept is not None and all(len(each) == num_test for each in kept.values()) and "error" in kept:
            found.append(kept)
    return found

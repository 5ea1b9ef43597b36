"""Reads the saved test set and predictions, and ranks test examples that are hard or whose label looks wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np

from dlm.storage import artifacts
from dlm.storage.record_log import Record

MOST_SEEDS = 8  # whose predictions are read
MOST_EXAMPLES = 12  # that a ranking returns
_ROUNDING = 1e-3  # of an error: predictions are saved with fewer digits than records
NUM_BYTES = 256  # vocabulary of byte tokens

Predictions = Mapping[str, Sequence[Mapping[str, np.ndarray]]]  # by learner, one entry a seed


@dataclasses.dataclass(frozen=True)
class TestSet:
    """The test examples of a hold-out of a workdir: targets, names, and inputs where they were saved."""

    __test__ = False  # not a test case

    content: Mapping[str, np.ndarray]
    hold_out: int = 0

    @property
    def y(self) -> np.ndarray:
        """Targets [N, ...]."""
        return self.content["y"]

    @property
    def x(self) -> np.ndarray | None:
        """Inputs as they are stored [N, ...]; None where they were too large to save."""
        return self.content.get("x")

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, or its number."""
        return tuple(map(str, self.content["class_names"])) or tuple(map(str, range(len(self.content["pool_classes"]))))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of tabular inputs; empty where unknown."""
        return tuple(str(name) for name in self.content["feature_names"])

    @cached_property
    def feature_stats(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each column of tabular inputs, which must have been saved."""
        x = np.asarray(self.x, float)
        return np.nanmean(x, axis=0), np.nanstd(x, axis=0)

    @property
    def has_classes(self) -> bool:
        """Whether targets are one class an example."""
        return len(self.content["pool_classes"]) > 0

    @property
    def has_tokens(self) -> bool:
        """Whether inputs are tokens: bytes of text, or others."""
        return int(self.content["vocabulary"]) > 0

    @property
    def has_bytes(self) -> bool:
        """Whether inputs are bytes of text."""
        return int(self.content["vocabulary"]) == NUM_BYTES


def read_test_sets(folder: Path) -> list[TestSet]:
    """The saved test sets of a workdir, one a hold-out."""
    read = (read_test_set(folder, hold_out) for hold_out in artifacts.saved_test_sets(folder))
    return [test for test in read if test is not None]


def read_test_set(folder: Path, hold_out: int = 0) -> TestSet | None:
    """The test set of a hold-out; None where it was not saved."""
    content = artifacts.read_test_set(folder, hold_out)
    return TestSet(content, hold_out) if content is not None and "y" in content and "pool_classes" in content else None


def on_test_set(rows: Sequence[Record], test: TestSet) -> list[Record]:
    """The rows that were measured on a test set."""
    return [row for row in rows if row.hold_out == test.hold_out]


def predictions(folder: Path, trials: Sequence[Record], test: TestSet) -> list[dict[str, np.ndarray]]:
    """Saved predictions of a test set by the first few seeds; those of another number of examples are ignored."""
    saved: list[dict[str, np.ndarray]] = []
    for row in on_test_set(trials, test):
        content = artifacts.read_predictions(folder, row.trial_id) if len(saved) < MOST_SEEDS else None
        if content is not None and all(len(each) == len(test.y) for each in content.values()) and "error" in content:
            saved.append(content)
    return saved


def block_size(test: TestSet) -> int:
    """Test examples that are not independent: H consecutive forecasts [N, H, C] share steps; other examples none."""
    return test.y.shape[1] if test.y.ndim == 3 and test.y.dtype.kind == "f" else 1


def power_of_mean(seeds: Sequence[dict[str, np.ndarray]], rows: Sequence[Record]) -> float | None:
    """The power of the mean over examples that the recorded error is: 1, 1/2 for a root, or None for neither."""
    mean = fmean(float(np.mean(seed["error"], dtype=np.float64)) for seed in seeds)
    error = fmean(row.value for row in rows[: len(seeds)] if row.value is not None)
    powers = (
        power for power in (1.0, 0.5) if math.isclose(mean**power, error, rel_tol=_ROUNDING, abs_tol=_ROUNDING / 10)
    )
    return next(powers, None)


@dataclasses.dataclass(frozen=True)
class HardExample:
    """One test example: its row in the test split and its loss, mean over learners and seeds.

    `rank`: the greater, the harder or the more suspicious. With classes: `label`, and `predicted` by learner: the class
    with the greatest mean probability over the seeds, that probability, and the probability of the label.
    """

    row: int
    loss: float
    label: int | None = None
    predicted: Mapping[str, tuple[int, float, float]] = dataclasses.field(default_factory=dict)
    rank: float = 0.0


def hardest_examples(saved: Predictions, y: np.ndarray, most: int = MOST_EXAMPLES) -> list[HardExample]:
    """The examples with the greatest mean loss; every learner has the same weight."""
    losses, probabilities = _mean_loss(saved), _mean_probabilities(saved)
    order = np.argsort(-losses, kind="stable")[:most]
    return [_hard_example(int(row), losses, probabilities, y, float(losses[row])) for row in order]


def suspicious_labels(saved: Predictions, y: np.ndarray) -> list[HardExample]:
    """Examples to which the mean of all learners gives another class than the label with probability above one half.

    Ranked by the difference to the label's probability: the idea of Northcutt et al. 2021, "Confident learning", for a
    test set, whose labels no learner has seen. Empty without probabilities.
    """
    probabilities = _mean_probabilities(saved)
    if not probabilities:
        return []
    overall = np.mean(list(probabilities.values()), axis=0)
    rows = np.arange(len(y))
    other = overall.copy()
    other[rows, y] = -1.0
    highest = other.max(axis=1)
    rank = np.where(highest > 0.5, highest - overall[rows, y], -np.inf)
    losses = _mean_loss(saved)
    order = np.argsort(-rank, kind="stable")[:MOST_EXAMPLES]
    return [_hard_example(int(k), losses, probabilities, y, float(rank[k])) for k in order if np.isfinite(rank[k])]


def _mean_loss(saved: Predictions) -> np.ndarray:
    return np.mean([np.mean([each["loss"] for each in seeds], axis=0) for seeds in saved.values() if seeds], axis=0)


def _mean_probabilities(saved: Predictions) -> dict[str, np.ndarray]:
    return {
        name: np.mean([np.asarray(each["probabilities"], float) for each in seeds], axis=0)
        for name, seeds in saved.items()
        if seeds and all("probabilities" in each for each in seeds)
    }


def _hard_example(
    row: int, losses: np.ndarray, probabilities: Mapping[str, np.ndarray], y: np.ndarray, rank: float
) -> HardExample:
    if not probabilities:
        return HardExample(row, float(losses[row]), rank=rank)
    label = int(y[row])
    predicted = {
        name: (int(each[row].argmax()), float(each[row].max()), float(each[row, label]))
        for name, each in probabilities.items()
    }
    return HardExample(row, float(losses[row]), label, predicted, rank)

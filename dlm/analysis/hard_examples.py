"""The test examples that learners err on most, and those whose label most of them confidently deny."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

MOST = 12


@dataclasses.dataclass(frozen=True)
class Hard:
    """One test example. `row` in the test split; `loss` its mean over learners and seeds.

    With classes: `label`, and `said` by learner the class that its seeds find most likely on average, how likely, and
    how likely they find the label.
    """

    row: int
    loss: float
    label: int | None = None
    said: Mapping[str, tuple[int, float, float]] = dataclasses.field(default_factory=dict)


Kept = Mapping[str, Sequence[Mapping[str, np.ndarray]]]


def hardest(kept: Kept, y: np.ndarray, most: int = MOST) -> list[Hard]:
    """The examples with the greatest mean loss, learners alike; `kept` holds the predictions of their seeds."""
    losses, means = _mean_loss(kept), _mean_probabilities(kept)
    return [_told(row, losses, means, y) for row in np.argsort(-losses, kind="stable")[:most]]


def doubtful(kept: Kept, y: np.ndarray, most: int = MOST) -> list[Hard]:
    """Examples whose label looks wrong: by the mean of all learners another class is likelier than not.

    Ranked by how much likelier it is than the label (the idea of Northcutt et al. 2021, "Confident learning", for a
    test set, of which no learner has seen a label). Empty without probabilities.
    """
    means = _mean_probabilities(kept)
    if not means:
        return []
    overall = np.mean(list(means.values()), axis=0)
    rows = np.arange(len(y))
    other = overall.copy()
    other[rows, y] = -1.0
    denied = other.max(axis=1)
    rank = np.where(denied > 0.5, denied - overall[rows, y], -np.inf)
    losses = _mean_loss(kept)
    order = np.argsort(-rank, kind="stable")[:most]
    return [_told(row, losses, means, y) for row in order if np.isfinite(rank[row])]


def _mean_loss(kept: Kept) -> np.ndarray:
    """[N], each learner's seeds together counting once."""
    return np.mean([np.mean([each["loss"] for each in seeds], axis=0) for seeds in kept.values() if seeds], axis=0)


def _mean_probabilities(kept: Kept) -> dict[str, np.ndarray]:
    return {
        name: np.mean([np.asarray(each["probabilities"], float) for each in seeds], axis=0)
        for name, seeds in kept.items()
        if seeds and all("probabilities" in each for each in seeds)
    }


def _told(row: np.int64, losses: np.ndarray, means: Mapping[str, np.ndarray], y: np.ndarray) -> Hard:
    if not means:
        return Hard(int(row), float(losses[row]))
    label = int(y[row])
    said = {
        name: (int(each[row].argmax()), float(each[row].max()), float(each[row, label])) for name, each in means.items()
    }
    return Hard(int(row), float(losses[row]), label, said)

"""Which cells of a study leave their predictions and parameters in the workdir, and writing them there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dlm.data.dataset import Dataset
from dlm.storage import artifacts
from dlm.study.learner import Learner
from dlm.study.study import Study
from dlm.study.trial import Trial
from dlm.train.program import params_shapes

MOST_INPUTS = 64 * artifacts.MEBIBYTE  # of the test set, to show examples by
DEFAULT_MIB = 512  # of predictions, and as much of parameters


class Keeper:
    """What is kept of a study's cells: of every one, or of as many as `limit` bytes go, the first seeds first.

    Predictions and parameters have that limit each. Which cells depends on the study alone.
    """

    def __init__(self, study: Study, dataset: Dataset, folder: Path, limit: int) -> None:
        self.folder = folder
        cells = study.trials
        order = _by_seed([(cell.trial_id, cell.train_size, cell.subset_seed) for cell in cells])
        by_id = {cell.trial_id: cell for cell in cells}
        each = prediction_bytes(study.task, dataset)
        first_of = {cell.learner.model: cell for cell in cells if _is_deep(cell)}  # a look takes milliseconds
        train_sizes = {model: _nbytes(params_shapes(cell, dataset)) for model, cell in first_of.items()}
        self.predictions = _within(limit, [(one, each) for one in order])
        deep = [cell for cell in map(by_id.__getitem__, order) if _is_deep(cell)]
        self.params = _within(limit, [(cell.trial_id, train_sizes[cell.learner.model]) for cell in deep])
        if limit:
            artifacts.write_test_set(folder, test_set(dataset))

    def keep_params(self, trial: Trial, params: Any) -> None:
        """Keep a member's parameters, a tree of arrays."""
        artifacts.write_parameters(self.folder, trial.trial_id, params)

    def keep_predictions(self, trial: Trial, examples: dict[str, np.ndarray]) -> None:
        """Keep a cell's measures of each test example and what its task keeps of outputs."""
        artifacts.write_predictions(self.folder, trial.trial_id, examples)


def _within(limit: int, sizes: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Trial ids, in their order, whose bytes add up to at most `limit`; one that does not fit is skipped."""
    saved, used = set(), 0
    for trial_id, size in sizes:
        if used + size <= limit:
            saved.add(trial_id)
            used += size
    return frozenset(saved)


def _by_seed(trials: Sequence[tuple[str, int, int]]) -> list[str]:
    """Ids of (trial id, train size, seed): all sizes of the first seed, largest first, then of the second seed."""
    rank = {seed: index for index, seed in enumerate(dict.fromkeys(seed for *_, seed in trials))}
    return [trial_id for trial_id, size, seed in sorted(trials, key=lambda trial: (rank[trial[2]], -trial[1]))]


def test_set(dataset: Dataset) -> dict[str, np.ndarray]:
    """What a report shows of the test examples: targets, names, groups; inputs too if they are not too many bytes."""
    test = dataset.test
    small = test.nbytes <= MOST_INPUTS
    return {
        "y": test.y,
        "class_names": np.array(dataset.class_names, np.str_),
        "feature_names": np.array(dataset.feature_names, np.str_),
        "vocabulary": np.array(dataset.vocabulary),
        "pool_classes": np.bincount(dataset.train.y, minlength=dataset.num_classes)
        if dataset.num_classes and dataset.train.y.ndim == 1
        else np.zeros(0, np.int64),
        **({"x": np.asarray(test.x)} if small else {}),
        **_heard(dataset),
        **({} if test.groups is None else _groups(dataset)),
    }


def _heard(dataset: Dataset) -> dict[str, np.ndarray]:
    """The test split's sounds, if there are any and not too many bytes."""
    sounds = dataset.test.sounds
    if sounds is None or sounds.nbytes > MOST_INPUTS:
        return {}
    return {"sounds": sounds, "rate": np.array(dataset.rate)}


def _groups(dataset: Dataset) -> dict[str, np.ndarray]:
    """Group of each test example, counts in the pool, and names, by column."""
    assert dataset.test.groups is not None
    assert dataset.train.groups is not None
    found = {"groups": dataset.test.groups, "group_columns": np.array([name for name, _ in dataset.groups], np.str_)}
    for place, (_, names) in enumerate(dataset.groups):
        pool = dataset.train.groups[:, place]
        found[f"group_names_{place}"] = np.array(names, np.str_)
        found[f"group_pool_{place}"] = np.bincount(pool[pool >= 0], minlength=len(names))
    return found


def prediction_bytes(task: Any, dataset: Dataset) -> int:
    """Bytes of one cell's predictions: error and loss of each example, and what the task keeps of its outputs."""
    outputs = jax.ShapeDtypeStruct((1, task.num_outputs(dataset)), np.float32)
    return len(dataset.test) * (8 + _nbytes(jax.eval_shape(task.saved_outputs, outputs)))


def _is_deep(trial: Trial) -> bool:
    return isinstance(trial.learner, Learner)


def _nbytes(shapes: Any) -> int:
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))

"""Saves predictions and parameters of trials, and the test set that they belong to, in the workdir."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from dlm.data.dataset import Dataset
from dlm.storage import artifacts
from dlm.storage.artifacts import Sample
from dlm.storage.workdir import Workdir
from dlm.study.learner import Learner
from dlm.study.study import Study
from dlm.study.trial import Trial
from dlm.train.program import params_shapes

MEBIBYTE = 2**20
MAX_INPUT_BYTES = 64 * MEBIBYTE  # of the test set, for examples in the report
DEFAULT_MIB = 512  # of predictions, and as much of parameters


class Retention:
    """Saves predictions and parameters of trials in the workdir, each up to `limit` bytes.

    First seeds and large sizes have priority; the choice depends on the study alone.

    Attributes:
        predictions: ids of the trials whose predictions are saved.
        params: ids of the trials whose parameters are saved.
    """

    def __init__(self, study: Study, dataset: Dataset, workdir: Workdir, limit: int) -> None:
        self.workdir = workdir
        rank = {seed: index for index, seed in enumerate(dict.fromkeys(trial.subset_seed for trial in study.trials))}
        ordered = sorted(study.trials, key=lambda trial: (rank[trial.subset_seed], -trial.train_size))
        num_bytes = prediction_bytes(study.task, dataset)
        self.predictions = _within(limit, [(trial.trial_id, num_bytes) for trial in ordered])
        networks = [trial for trial in ordered if isinstance(trial.learner, Learner)]
        first_of = {trial.learner.model: trial for trial in networks}  # tracing a model's shapes takes milliseconds
        params_bytes = {model: _nbytes(params_shapes(trial, dataset)) for model, trial in first_of.items()}
        self.params = _within(limit, [(trial.trial_id, params_bytes[trial.learner.model]) for trial in networks])
        if limit:
            artifacts.write_test_set(workdir, test_set(dataset))

    def save_params(self, trial: Trial, params: Any) -> None:
        """Save a model's parameters, a tree of arrays, if the limit allows."""
        if trial.trial_id in self.params:
            artifacts.write_parameters(self.workdir, trial.trial_id, params)

    def save_predictions(self, trial: Trial, examples: dict[str, np.ndarray]) -> None:
        """Save error, loss and outputs of each test example, if the limit allows."""
        if trial.trial_id in self.predictions:
            self.workdir.check_exists()
            artifacts.write_predictions(self.workdir, trial.trial_id, examples)

    def save_sample(self, trial: Trial, text: str) -> None:
        """Save a text sampled from a language model."""
        sample = Sample(trial.trial_id, trial.name, trial.train_size, trial.subset_seed, text)
        artifacts.append_samples(self.workdir, sample)


def test_set(dataset: Dataset) -> dict[str, np.ndarray]:
    """Test targets, class and feature names, and groups for the report; inputs too if small."""
    test = dataset.test
    small = test.nbytes <= MAX_INPUT_BYTES
    return {
        "y": test.y,
        "class_names": np.array(dataset.class_names, np.str_),
        "feature_names": np.array(dataset.feature_names, np.str_),
        "vocabulary": np.array(dataset.vocabulary),
        "pool_classes": np.bincount(dataset.train.y, minlength=dataset.num_classes)
        if dataset.num_classes and dataset.train.y.ndim == 1
        else np.zeros(0, np.int64),
        **({"x": np.asarray(test.x)} if small else {}),
        **_sounds(dataset),
        **({} if test.groups is None else _groups(dataset)),
    }


def _sounds(dataset: Dataset) -> dict[str, np.ndarray]:
    """The test split's sounds, if any and if small."""
    sounds = dataset.test.sounds
    if sounds is None or sounds.nbytes > MAX_INPUT_BYTES:
        return {}
    return {"sounds": sounds, "rate": np.array(dataset.rate)}


def _groups(dataset: Dataset) -> dict[str, np.ndarray]:
    """Group of each test example, counts in the pool, and names, by column."""
    assert dataset.test.groups is not None
    assert dataset.train.groups is not None
    arrays = {"groups": dataset.test.groups, "group_columns": np.array([name for name, _ in dataset.groups], np.str_)}
    for column, (_, names) in enumerate(dataset.groups):
        pool = dataset.train.groups[:, column]
        arrays[f"group_names_{column}"] = np.array(names, np.str_)
        arrays[f"group_pool_{column}"] = np.bincount(pool[pool >= 0], minlength=len(names))
    return arrays


def prediction_bytes(task: Any, dataset: Dataset) -> int:
    """Bytes of one trial's predictions: error, loss and the task's saved outputs of each test example."""
    outputs = jax.ShapeDtypeStruct((1, task.num_outputs(dataset)), np.float32)
    return len(dataset.test) * (8 + _nbytes(jax.eval_shape(task.saved_outputs, outputs)))


def _nbytes(shapes: Any) -> int:
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def _within(limit: int, sizes: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Trial ids, in their order, whose bytes add up to at most `limit`; one that does not fit is skipped."""
    saved, used = set(), 0
    for trial_id, size in sizes:
        if used + size <= limit:
            saved.add(trial_id)
            used += size
    return frozenset(saved)

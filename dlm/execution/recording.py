"""Writes what trials produce into the workdir: records, and predictions and parameters up to a limit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dlm.curves.from_records import curve_name
from dlm.report.progress.status import CurveSize
from dlm.storage import artifacts, description
from dlm.storage.record_log import Record
from dlm.study.config import canonical
from dlm.study.learner import Learner
from dlm.study.names import ERROR, ERROR_WITHOUT_LEAKS, TEST, TRAIN, Status
from dlm.study.noise import noise_text
from dlm.study.trial import Cohort, Trial
from dlm.train import devices
from dlm.train.predict import num_train_examples
from dlm.train.program import params_shapes
from dlm.train.types import Measurement, ResourceUsage

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset
    from dlm.data.subset_orders import SubsetOrders
    from dlm.report.progress.tracker import ProgressTracker
    from dlm.storage.workdir import Workdir
    from dlm.study.study import Study

MAX_NOTE_CHARACTERS = 2000
MEBIBYTE = 2**20
MAX_INPUT_BYTES = 64 * MEBIBYTE  # of the test set, for examples in the report
DEFAULT_MIB = 512  # of predictions, and as much of parameters


class Recorder:
    """Appends measurements to a workdir, each with its provenance, and counts them in the progress.

    `orders` are those of each hold-out; `flops` are the floating-point operations per update, by cohort id.
    """

    def __init__(
        self,
        study: Study,
        orders: Sequence[SubsetOrders],
        workdir: Workdir,
        packing: str,
        flops: Mapping[str, float],
        progress: ProgressTracker,
    ) -> None:
        self.study, self.orders = study, orders
        self.workdir, self.packing, self.flops, self.progress = workdir, packing, flops, progress
        self.versions = " ".join(f"{name}={version}" for name, version in description.versions().items())

    def record(self, measurement: Measurement, note: str = "", inference_seconds: float | None = None) -> None:
        """Append one row per value of a measurement; on disk on return.

        The last rows of a trial end with its test error, None if there is none.
        """
        values: dict[tuple[str, str], float | None] = dict(measurement.values)
        if measurement.status != Status.RUNNING:
            values[TEST, ERROR] = values.pop((TEST, ERROR), None)
        trial = measurement.trial
        units = trial.task.units | {ERROR_WITHOUT_LEAKS: trial.task.unit}
        shared = self._shared_fields(measurement) | {"note": note, "inference_seconds": inference_seconds}
        rows = [
            Record(
                **shared,
                split=split,
                metric=metric,
                value=value,
                unit=units.get(metric, ""),
                num_examples=self._num_examples(trial, split, metric),
                together=len(values),
            )
            for (split, metric), value in values.items()
        ]
        self.workdir.append(rows)
        self.progress.add_records(rows)

    def record_failure(self, trials: Sequence[Trial], error: Exception) -> None:
        """Record trials without a result as failed, with the error."""
        statuses = self.workdir.finished()
        for trial in trials:
            if statuses.get(trial.trial_id, Status.FAILED) == Status.FAILED:
                failed = Measurement(trial, 0, Status.FAILED, {}, ResourceUsage())
                self.record(failed, f"{type(error).__name__}: {error}"[:MAX_NOTE_CHARACTERS])

    def _num_examples(self, trial: Trial, split: str, metric: str) -> int:
        dataset = self.orders[trial.hold_out].dataset
        if split != TRAIN:
            leaked = dataset.leaked_rows if metric == ERROR_WITHOUT_LEAKS else None
            return len(getattr(dataset, split)) - (0 if leaked is None else len(leaked))
        if not isinstance(trial.learner, Learner):
            return trial.train_size
        return num_train_examples(trial.train_size, dataset) if metric == ERROR else trial.budget.batch_size

    def _shared_fields(self, measurement: Measurement) -> dict[str, Any]:
        """The fields that all rows of one measurement share."""
        trial, usage = measurement.trial, measurement.usage
        orders = self.orders[trial.hold_out]
        trained: dict[str, Any] = {"packing": "none", "precision": "none", "device": "host", "flops": None}
        if isinstance(trial.learner, Learner):
            flops = measurement.step * self.flops.get(Cohort((trial,)).cohort_id, 0.0)
            trained = {"packing": self.packing, "precision": trial.precision, "flops": flops or None}
            trained["device"] = devices.describe()
        return trained | {
            "study": self.study.name,
            "trial_id": trial.trial_id,
            "learner": trial.name,
            "train_size": trial.train_size,
            "subset_seed": trial.subset_seed,
            "init_seed": trial.init_seed,
            "hyper": json.dumps(canonical(trial.learner), sort_keys=True),
            "step": measurement.step,
            "status": measurement.status,
            "subset_hash": orders.hash(trial.subset_seed, trial.train_size),
            "data": f"{orders.dataset.name}@{orders.dataset.fingerprint}",
            "seconds": round(usage.seconds, 6),
            "joules": usage.joules,
            "versions": self.versions,
            "noise": trial_noise_text(trial),
            "hold_out": trial.hold_out,
        }


def trial_noise_text(trial: Trial) -> str:
    """The noise of a trial's examples, as in its records."""
    return ", ".join([*noise_text(trial.noise), *(f"test {part}" for part in noise_text(trial.test_noise))])


def curve_sizes(study: Study) -> dict[str, CurveSize]:
    """Curve name and size of each trial by id, by which the progress counts them."""
    return {
        trial.trial_id: (curve_name(trial.name, trial_noise_text(trial)), trial.train_size) for trial in study.trials
    }


class Retention:
    """Saves predictions and parameters of trials in the workdir, each up to `limit` bytes.

    First seeds and large sizes have priority; the choice depends on the study alone.

    Attributes:
        predictions: ids of the trials whose predictions are saved.
        params: ids of the trials whose parameters are saved.
    """

    def __init__(self, study: Study, datasets: Sequence[Dataset], workdir: Workdir, limit: int) -> None:
        self.workdir = workdir
        rank = {seed: index for index, seed in enumerate(dict.fromkeys(trial.subset_seed for trial in study.trials))}
        ordered = sorted(study.trials, key=lambda trial: (rank[trial.subset_seed], -trial.train_size))
        num_bytes = [prediction_bytes(study.task, dataset) for dataset in datasets]
        self.predictions = _within(limit, [(trial.trial_id, num_bytes[trial.hold_out]) for trial in ordered])
        networks = [trial for trial in ordered if isinstance(trial.learner, Learner)]
        first_of = {trial.learner.model: trial for trial in networks}  # tracing a model's shapes takes milliseconds
        params_bytes = {model: _nbytes(params_shapes(trial, datasets[0])) for model, trial in first_of.items()}
        self.params = _within(limit, [(trial.trial_id, params_bytes[trial.learner.model]) for trial in networks])
        for hold_out, dataset in enumerate(datasets if limit else ()):
            artifacts.write_test_set(workdir, test_set(dataset), hold_out)

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
        sample = artifacts.Sample(trial.trial_id, trial.name, trial.train_size, trial.subset_seed, text)
        artifacts.append_samples(self.workdir, sample)


def test_set(dataset: Dataset) -> dict[str, np.ndarray]:
    """Test targets, names of classes and columns, and groups for the report; inputs and sounds too if small."""
    test, train = dataset.test, dataset.train
    has_classes = dataset.num_classes and train.y.ndim == 1
    saved = {
        "y": test.y,
        "class_names": np.array(dataset.class_names, np.str_),
        "feature_names": np.array(dataset.feature_names, np.str_),
        "vocabulary": np.array(dataset.vocabulary),
        "pool_classes": np.bincount(train.y, minlength=dataset.num_classes) if has_classes else np.zeros(0, np.int64),
    }
    if test.nbytes <= MAX_INPUT_BYTES:
        saved["x"] = np.asarray(test.x)
    if test.sounds is not None and test.sounds.nbytes <= MAX_INPUT_BYTES:
        saved |= {"sounds": test.sounds, "rate": np.array(dataset.rate)}
    if dataset.test_groups is not None:
        saved["test_groups"] = dataset.test_groups
    if test.groups is not None and train.groups is not None:
        saved |= {"groups": test.groups, "group_columns": np.array([name for name, _ in dataset.groups], np.str_)}
        for column, (_, names) in enumerate(dataset.groups):
            pool = train.groups[:, column]
            saved[f"group_names_{column}"] = np.array(names, np.str_)
            saved[f"group_pool_{column}"] = np.bincount(pool[pool >= 0], minlength=len(names))
    return saved


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

"""Predicts the test split with one trained member, its batches distributed over the devices; its training error."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dlm.data.dataset import Dataset
from dlm.data.normalization import NormalizationStats
from dlm.models.transformer import Transformer, sample
from dlm.study.noise import Noise
from dlm.study.trial import Trial
from dlm.train.device_data import DeviceData, evaluation_batches
from dlm.train.evaluate import example_metrics, split_metrics
from dlm.train.types import EvaluationBatches, ProgramConfig

SAMPLE_LENGTH, TEMPERATURE = 160, 0.8
AXIS = "batch"
MAX_TRAIN_EXAMPLES = 1024  # of which the training error is measured


def generates_text(trial: Trial) -> bool:
    """Whether a trial's model is a language model that text can be sampled from."""
    model = getattr(trial.learner, "model", None)
    return isinstance(model, Transformer) and model.head == "tokens"


def sample_text(trial: Trial, params: Any) -> str:
    """A text sampled from the model, starting at the beginning of a text; a function of parameters and seed."""
    key = jax.random.key(trial.init_seed)
    local = jax.tree.map(np.asarray, params)  # on one device, apart from the other members' devices
    tokens = sample(trial.learner.model, local, np.zeros(1, np.uint8), SAMPLE_LENGTH, key, TEMPERATURE)
    return tokens[1:].tobytes().decode(errors="replace")


def num_train_examples(train_size: int, dataset: Dataset) -> int:
    """Number of training examples that the error of a gradient-trained trial is measured on.

    The test set is a limit too: so many examples are known to fit in memory.
    """
    return min(train_size, MAX_TRAIN_EXAMPLES, len(dataset.test))


class Predictor:
    """Predicts the test split with the members of a cohort, one after another; compiles one program a cohort.

    `inference_seconds` is the device time of the last call for each example, None before the first call.
    """

    def __init__(self, config: ProgramConfig, device_data: DeviceData) -> None:
        self._config, self._device_data = config, device_data
        self._test, self._num_examples = device_data.data.test, len(device_data.dataset.test)
        mesh = Mesh(np.array(sorted(device_data.devices, key=lambda device: device.id)), (AXIS,))
        self._replicated = NamedSharding(mesh, P())
        num_batches = len(self._test.weight)
        batches_per_device = -(-num_batches // mesh.size)

        def predict(params: Any, stats: NormalizationStats | None, test: EvaluationBatches) -> dict[str, jax.Array]:
            def predict_batch(index: jax.Array) -> dict[str, jax.Array]:
                number = jnp.minimum(index * mesh.size + jax.lax.axis_index(AXIS), num_batches - 1)
                batch = jax.tree.map(lambda leaf: leaf[number], test)
                is_noisy = config.test_noise != Noise()
                values, outputs, _ = example_metrics(config, stats, params, batch, number, is_noisy)
                return values | config.task.saved_outputs(outputs)

            return jax.lax.map(predict_batch, jnp.arange(batches_per_device))

        mapped = jax.shard_map(predict, mesh=mesh, in_specs=(P(), P(), P()), out_specs=P(None, AXIS), check_vma=False)
        self._program = jax.jit(mapped)
        self._compiled: Any = None
        self.inference_seconds: float | None = None

    def __call__(self, params: Any, stats: NormalizationStats | None) -> dict[str, np.ndarray]:
        """The task's metrics of each example [N], and the outputs that it saves [N, ...]."""
        params, stats = jax.device_put((params, stats), self._replicated)
        if self._compiled is None:  # compiled first, so that compilation is not timed
            self._compiled = self._program.lower(params, stats, self._test).compile()
        start = time.perf_counter()
        outputs = jax.block_until_ready(self._compiled(params, stats, self._test))
        self.inference_seconds = (time.perf_counter() - start) / self._num_examples
        outputs = jax.device_get(outputs)
        # [batches of a device, devices × B, ...] holds the batches in order, with repeats at the end.
        return {name: value.reshape(-1, *value.shape[2:])[: self._num_examples] for name, value in outputs.items()}

    def train_error(self, params: Any, trial: Trial) -> float | None:
        """The error on the first examples of the trial's subset, see `num_train_examples`; None if undefined.

        None with noise too, because the examples that it was trained on are not those of the subset. The batches of
        all trials have one shape, so that a cohort compiles one program.
        """
        if trial.noise != Noise():
            return None
        orders, dataset = self._device_data.orders, self._device_data.dataset
        count = num_train_examples(trial.train_size, dataset)
        rows = np.arange(num_train_examples(MAX_TRAIN_EXAMPLES, dataset)) % count
        batches = evaluation_batches(orders.subset(trial.subset_seed, count).take(rows))
        weight = np.arange(batches.weight.size, dtype=np.int32).reshape(batches.weight.shape) < count
        stats = orders.normalization_stats(trial.subset_seed, trial.train_size)
        validation = jax.device_get(self._device_data.data.validation) if self._config.task.fits_threshold else None
        batches = batches._replace(weight=weight.astype(np.float32))
        error = float(split_metrics(self._config, stats, params, batches, False, validation)["error"])
        return error if np.isfinite(error) else None

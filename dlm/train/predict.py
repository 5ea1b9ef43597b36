"""What one trained member says of each test example, the batches of the split shared out among the devices."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dlm.data.normalization import NormalizationStats
from dlm.models.generation import sample
from dlm.models.transformer import Transformer
from dlm.study.noise import Noise
from dlm.study.trial import Trial
from dlm.train.device_data import DeviceData
from dlm.train.evaluate import of_each
from dlm.train.types import Batches, ProgramConfig

LENGTH, TEMPERATURE = 160, 0.8


def writes_texts(trial: Trial) -> bool:
    """Whether a trial's model gives a distribution of the next token to draw from."""
    model = getattr(trial.learner, "model", None)
    return isinstance(model, Transformer) and model.head == "tokens"


def text_of(trial: Trial, params: Any) -> str:
    """A text drawn from the model, from the beginning of a text on: the same for the same parameters and seed."""
    key = jax.random.key(trial.init_seed)
    local = jax.tree.map(np.asarray, params)  # of one member, away from the others' devices
    tokens = sample(trial.learner.model, local, np.zeros(1, np.uint8), LENGTH, key, TEMPERATURE)
    return tokens[1:].tobytes().decode(errors="replace")


AXIS = "batch"


class Predictor:
    """Predictions of the test split by a cohort's members, one member after another: one program a cohort.

    `inference_seconds` is what the last call took on the devices for each example, None before the first.
    """

    def __init__(self, spec: ProgramConfig, placed: DeviceData) -> None:
        self._test, self._num_examples = placed.data.test, len(placed.dataset.test)
        mesh = Mesh(np.array(sorted(placed.devices, key=lambda device: device.id)), (AXIS,))
        self._everywhere = NamedSharding(mesh, P())
        num_batches = len(self._test.weight)
        each = -(-num_batches // mesh.size)  # batches of a device

        def predict(params: Any, stats: NormalizationStats | None, test: Batches) -> dict[str, jax.Array]:
            def one(place: jax.Array) -> dict[str, jax.Array]:
                number = jnp.minimum(place * mesh.size + jax.lax.axis_index(AXIS), num_batches - 1)
                batch = jax.tree.map(lambda leaf: leaf[number], test)
                values, outputs, _ = of_each(spec, stats, params, batch, number, spec.test_noise != Noise())
                return values | spec.task.kept(outputs)

            return jax.lax.map(one, jnp.arange(each))

        mapped = jax.shard_map(predict, mesh=mesh, in_specs=(P(), P(), P()), out_specs=P(None, AXIS), check_vma=False)
        self._program = jax.jit(mapped)
        self._compiled: Any = None
        self.inference_seconds: float | None = None

    def __call__(self, params: Any, stats: NormalizationStats | None) -> dict[str, np.ndarray]:
        """The task's measures of each example [N], and what it keeps of outputs [N, ...]."""
        params, stats = jax.device_put((params, stats), self._everywhere)
        if self._compiled is None:  # apart, so that it is not in the time
            self._compiled = self._program.lower(params, stats, self._test).compile()
        start = time.perf_counter()
        outputs = jax.block_until_ready(self._compiled(params, stats, self._test))
        self.inference_seconds = (time.perf_counter() - start) / self._num_examples
        found = jax.device_get(outputs)
        # [batches of a device, devices × B, ...] are the batches in their order, but for repeats at the end.
        return {name: value.reshape(-1, *value.shape[2:])[: self._num_examples] for name, value in found.items()}

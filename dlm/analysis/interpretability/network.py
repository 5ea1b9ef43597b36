"""A trained network of a study's cell, with what turns stored examples into its inputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Dataset
from dlm.data.normalization import NormalizationStats
from dlm.data.subset_orders import SubsetOrders
from dlm.models.layers import EMBEDDING
from dlm.storage import artifacts
from dlm.study.trial import Trial
from dlm.train.program import program_config_of
from dlm.train.types import ProgramConfig
from dlm.utils.errors import UsageError

CONTROL = 1000  # and on: the purposes of a draw of weights to compare with, beyond those of training


@dataclasses.dataclass(frozen=True)
class Network:
    """A cell's spec, its parameters, and the normalization statistics of its training subset.

    `vocabulary`: kinds of tokens, 0 where inputs are numbers.
    """

    trial: Trial
    spec: ProgramConfig
    params: Any
    stats: NormalizationStats | None
    vocabulary: int = 0

    def inputs(self, x: Any) -> jax.Array:
        """Stored examples [N, ...] as the network sees them."""
        return self.spec.inputs(jnp.asarray(np.asarray(x)), self.stats)

    def redrawn(self, number: int) -> Any:
        """Parameters as they are before training, from another draw."""
        return _drawn(self.spec, self.trial.init_seed, number)


@functools.partial(jax.jit, static_argnums=0)
def _drawn(spec: ProgramConfig, seed: Any, number: Any) -> Any:
    key = jax.random.fold_in(jax.random.key(seed), CONTROL + number)
    return spec.model.init(key, jnp.zeros((1, *spec.input_shape), jnp.int32 if spec.tokens else jnp.float32))


def float32_spec(trial: Trial, dataset: Dataset) -> ProgramConfig:
    """What networks that differ in size and seed alone share, so that they share what is compiled.

    They are looked into in float32, whatever they were trained in.
    """
    return dataclasses.replace(program_config_of(trial, dataset), precision="float32")


def network(workdir: Path, trial: Trial, orders: SubsetOrders, spec: ProgramConfig) -> Network | None:
    """The network of a cell; None where the workdir does not hold its parameters."""
    saved = artifacts.read_parameters(workdir, trial.trial_id)
    if saved is None:
        return None
    params = jax.tree.map(jnp.asarray, saved)
    _check(trial, spec, params)
    return Network(
        trial, spec, params, orders.normalization_stats(trial.subset_seed, trial.train_size), orders.dataset.vocabulary
    )


def _check(trial: Trial, spec: ProgramConfig, params: Any) -> None:
    """UsageError for parameters of another model than the study's."""
    example = jax.ShapeDtypeStruct((1, *spec.input_shape), np.int32 if spec.tokens else np.float32)
    wanted = jax.eval_shape(spec.model.init, jax.random.key(0), example)
    if jax.tree.map(jnp.shape, wanted) != jax.tree.map(jnp.shape, params):
        raise UsageError(
            f"the parameters kept for {trial.name}, n={trial.train_size:,}, are of another model than "
            f"{trial.learner.model}; train it anew in another --workdir"
        )


def points(spec: ProgramConfig, params: Any, inputs: jax.Array) -> jax.Array:
    """Where attributions are taken: the inputs themselves, or the embeddings of tokens, [B, T, D]."""
    if not spec.tokens:
        return inputs
    layers: Mapping[str, jax.Array] = spec.model.layers(params, inputs)[1]
    if EMBEDDING not in layers:
        raise UsageError(
            f"the model names no layer {EMBEDDING!r}, so its tokens have nothing to be attributed to; name it in the "
            f'module: x = dlm.models.layers.layer(self, "{EMBEDDING}", x)'
        )
    return layers[EMBEDDING]


def explained(spec: ProgramConfig, params: Any, inputs: jax.Array, at: jax.Array, target: jax.Array) -> jax.Array:
    """The number that is explained, [B]: output `target` (int [B]) of the network with `at` for its `points`.

    Of classes and tokens it is the logit above the mean of all logits, which softmax does not see; of a language model
    after the last token.
    """
    outputs = spec.model.layers(params, inputs, {EMBEDDING: at})[0] if spec.tokens else spec.model.apply(params, at)
    outputs = flat_outputs(outputs)
    if not spec.numeric_targets:
        outputs = outputs - outputs.mean(axis=1, keepdims=True)
    return jnp.take_along_axis(outputs, target[:, None], axis=1)[:, 0]


def flat_outputs(outputs: jax.Array) -> jax.Array:
    """Outputs [B, K], of a language model those after the last token."""
    return outputs[:, -1] if outputs.ndim == 3 else outputs.reshape(len(outputs), -1)


MOST = 64  # shown, the heaviest first


def filters(network: Network) -> np.ndarray | None:
    """Weights of the first layer's heaviest units, [F, ...]: h × w × channels of an image, columns of a table.

    None for tokens, whose first layer is a table of embeddings, and for a model whose config has no
    `filters(params, input_shape)`.
    """
    of_model = getattr(network.trial.learner.model, "filters", None)
    if of_model is None or network.spec.tokens:
        return None
    weights = np.asarray(of_model(network.params, network.spec.input_shape))
    heaviest = np.argsort(-np.square(weights).reshape(len(weights), -1).sum(axis=1), kind="stable")
    return weights[heaviest[:MOST]]

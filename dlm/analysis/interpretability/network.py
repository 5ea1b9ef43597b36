"""Loads a trained network of a study, and computes its activations, first-layer filters and explained outputs."""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Split
from dlm.data.normalization import NormalizationStats
from dlm.data.subset_orders import SubsetOrders
from dlm.models.layers import EMBEDDING
from dlm.models.transformer import PADDING
from dlm.storage import artifacts
from dlm.study.trial import Trial
from dlm.train.program import program_config_of
from dlm.train.types import EVAL_BATCH_SIZE, ProgramConfig
from dlm.utils.errors import UsageError

CONTROL = 1000  # first seed offset of the untrained networks that maps are compared with
MOST_FILTERS = 64
INPUT = "input"  # what the first layer reads
MOST_FEATURES = 1024
TEXT_POSITIONS = 1  # of each text at which a language model is probed


@dataclasses.dataclass(frozen=True)
class Network:
    """A trial's program config, its parameters, and the normalization statistics of its training subset.

    `vocabulary`: number of distinct tokens, 0 for numeric inputs.
    """

    trial: Trial
    spec: ProgramConfig
    params: Any
    stats: NormalizationStats | None
    vocabulary: int = 0

    def inputs(self, x: Any) -> jax.Array:
        """Stored examples [N, ...] as network inputs."""
        return self.spec.inputs(jnp.asarray(np.asarray(x)), self.stats)

    def reinitialized(self, number: int) -> Any:
        """Untrained parameters from another seed."""
        return _init(self.spec, self.trial.init_seed, number)


@functools.partial(jax.jit, static_argnums=0)
def _init(spec: ProgramConfig, seed: Any, number: Any) -> Any:
    key = jax.random.fold_in(jax.random.key(seed), CONTROL + number)
    return spec.model.init(key, jnp.zeros((1, *spec.input_shape), jnp.int32 if spec.tokens else jnp.float32))


def load_networks(workdir: Path, trials: Sequence[Trial], orders: SubsetOrders) -> dict[Trial, Network]:
    """The networks of trials that differ only in size and seed, without those whose parameters are not saved.

    All have one config in float32, whatever the precision of their training, so that they share compiled programs.
    """
    spec = dataclasses.replace(program_config_of(trials[0], orders.dataset), precision="float32")
    networks = {}
    for trial in dict.fromkeys(trials):
        saved = artifacts.read_parameters(workdir, trial.trial_id)
        if saved is not None:
            stats = orders.normalization_stats(trial.subset_seed, trial.train_size)
            params = jax.tree.map(jnp.asarray, saved)
            networks[trial] = Network(trial, spec, params, stats, orders.dataset.vocabulary)
    return networks


def attribution_points(spec: ProgramConfig, params: Any, inputs: jax.Array) -> jax.Array:
    """What attributions are computed for: the inputs, or the embeddings of tokens [B, T, D]."""
    if not spec.tokens:
        return inputs
    layers: Mapping[str, jax.Array] = spec.model.layers(params, inputs)[1]
    if EMBEDDING not in layers:
        raise UsageError(
            f"the model has no layer named {EMBEDDING!r}, which attributions to tokens need; name it in the module: "
            f'x = dlm.models.layers.layer(self, "{EMBEDDING}", x)'
        )
    return layers[EMBEDDING]


def explained_output(
    spec: ProgramConfig, params: Any, inputs: jax.Array, at: jax.Array, target: jax.Array
) -> jax.Array:
    """The explained number [B]: output `target` (int [B]) of the network, with `at` as its `attribution_points`.

    For classes and tokens it is the logit minus the mean logit, to which softmax is invariant; of a language model the
    logit after the last token.
    """
    outputs = spec.model.layers(params, inputs, {EMBEDDING: at})[0] if spec.tokens else spec.model.apply(params, at)
    outputs = flat_outputs(outputs)
    if not spec.numeric_targets:
        outputs = outputs - outputs.mean(axis=1, keepdims=True)
    return jnp.take_along_axis(outputs, target[:, None], axis=1)[:, 0]


def flat_outputs(outputs: jax.Array) -> jax.Array:
    """Outputs [B, K]; of a language model those after the last token."""
    return outputs[:, -1] if outputs.ndim == 3 else outputs.reshape(len(outputs), -1)


def first_layer_filters(network: Network) -> np.ndarray | None:
    """Weights [F, ...] of the first layer's units with the largest norm: h x w x channels, or columns of a table.

    None for tokens, whose first layer is an embedding, and for models without `filters(params, input_shape)`.
    """
    of_model = getattr(network.trial.learner.model, "filters", None)
    if of_model is None or network.spec.tokens:
        return None
    weights = np.asarray(of_model(network.params, network.spec.input_shape))
    heaviest = np.argsort(-np.square(weights).reshape(len(weights), -1).sum(axis=1), kind="stable")
    return weights[heaviest[:MOST_FILTERS]]


class Activations(NamedTuple):
    """Activations of a network on N examples.

    `features` [M, F] of the input and of each layer by name, with `targets` [M, ...] for probes. M is N, except for a
    language model, where `TEXT_POSITIONS` positions of each text are examples, the same ones for every network.
    `outputs` [N, K] in the targets' unit, of a language model after the last token; `measures` of the task [N].
    """

    features: OrderedDict[str, np.ndarray]
    targets: np.ndarray
    outputs: np.ndarray
    measures: dict[str, np.ndarray]


def compute_activations(network: Network, split: Split) -> Activations:
    """Runs a network on a split in batches of one shape."""
    positions = _positions(network.spec, split)
    parts = []
    for start in range(0, len(split), EVAL_BATCH_SIZE):
        rows = np.arange(start, start + EVAL_BATCH_SIZE) % len(split)
        x, y, at = np.asarray(split.x[rows]), split.y[rows], None if positions is None else positions[rows]
        count = min(EVAL_BATCH_SIZE, len(split) - start)
        batch = _forward(network.spec, network.vocabulary, network.params, x, y, network.stats, at)
        parts.append(jax.tree.map(lambda leaf, count=count: np.asarray(leaf)[:count], batch))
    features, outputs, measures = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    targets = split.y if positions is None else np.take_along_axis(split.y, positions, axis=1).reshape(-1)
    flat = OrderedDict((name, of.reshape(-1, of.shape[-1])) for name, of in features.items())
    return Activations(flat, targets, outputs, measures)


def _positions(spec: ProgramConfig, split: Split) -> np.ndarray | None:
    """Positions in the second half of each text, by a seed: int [N, TEXT_POSITIONS]; None without token targets."""
    if not spec.tokens or split.y.ndim != 2:
        return None
    length = split.x.shape[1]
    return np.random.default_rng(0).integers(length // 2, length, (len(split), TEXT_POSITIONS))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(
    spec: ProgramConfig,
    vocabulary: int,
    params: Any,
    x: jax.Array,
    y: jax.Array,
    stats: NormalizationStats | None,
    positions: Any,
) -> tuple[OrderedDict[str, jax.Array], jax.Array, dict[str, jax.Array]]:
    inputs = spec.inputs(x, stats)
    outputs, layers = spec.model.layers(params, inputs)
    if spec.numeric_targets and stats:
        outputs = stats.outputs(outputs)
    with_channels = inputs[..., None] if inputs.ndim == 3 else inputs
    first = jax.nn.one_hot(inputs, vocabulary) if spec.tokens else with_channels
    every = OrderedDict([(INPUT, first), *layers.items()])
    is_text = (inputs != PADDING)[..., None] if spec.tokens else None
    features = OrderedDict((name, _features(of, is_text, positions)) for name, of in every.items())
    return features, flat_outputs(outputs), spec.task.example_metrics(outputs, y)


def _features(x: jax.Array, is_text: jax.Array | None, positions: jax.Array | None) -> jax.Array:
    """A layer's activations [B, ...] as [B, F], or [B, P, F] at positions of a text."""
    if positions is not None:
        return jnp.take_along_axis(x, positions[:, :, None], axis=1)
    if is_text is not None and x.ndim == 3:
        return (x * is_text).sum(axis=1) / jnp.maximum(is_text.sum(axis=1), 1)
    return pooled(x)


def pooled(x: jax.Array, most: int = MOST_FEATURES) -> jax.Array:
    """Activations [B, *positions, C] flattened to [B, F]; neighbouring positions are averaged until F ≤ `most`.

    Pixels are averaged over squares of nearly equal size.
    """
    positions, factor = x.shape[1:-1], 1
    while x[0].size > most and np.prod([-(-size // factor) for size in positions]) * x.shape[-1] > most:
        if all(size <= factor for size in positions):
            break
        factor += 1
    for axis, size in enumerate(positions, start=1):
        parts = np.array_split(np.eye(size, dtype=np.float32), -(-size // factor))
        averages = jnp.asarray(np.stack([part.mean(axis=0) for part in parts]))
        x = jnp.moveaxis(jnp.tensordot(averages, x, axes=(1, axis)), 0, axis) if factor > 1 else x
    return x.reshape(len(x), -1)

"""Each layer's activations as a few numbers an example, for probes and similarities."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlm.analysis.interpretability.network import Network, flat_outputs
from dlm.data.dataset import Split
from dlm.data.normalization import NormalizationStats
from dlm.models.transformer import PADDING
from dlm.train.types import EVAL_BATCH_SIZE, ProgramConfig

INPUT = "input"  # what is read before the first layer
MOST_FEATURES = 1024
PLACES = 1  # of each text that a language model is probed at


class Activations(NamedTuple):
    """What a network makes of N examples.

    `features` of the input and of each layer by name [M, F], and what they should tell, `targets` [M, ...]. M is N, but
    for a language model, where `PLACES` places of each text are examples of their own, the same for every network.
    `outputs` [N, K] in the targets' own unit, of a language model after the last token; `measures` of the task [N].
    """

    features: OrderedDict[str, np.ndarray]
    targets: np.ndarray
    outputs: np.ndarray
    measures: dict[str, np.ndarray]


def read(network: Network, split: Split) -> Activations:
    """Run a network on a split, in batches of one shape."""
    places = _places(split) if is_language_model(network.spec, split) else None
    parts = []
    for start in range(0, len(split), EVAL_BATCH_SIZE):
        rows = np.arange(start, start + EVAL_BATCH_SIZE) % len(split)
        x, y, at = np.asarray(split.x[rows]), split.y[rows], None if places is None else places[rows]
        kept = min(EVAL_BATCH_SIZE, len(split) - start)
        found = _read(network.spec, network.vocabulary, network.params, x, y, network.stats, at)
        parts.append(jax.tree.map(lambda leaf, kept=kept: np.asarray(leaf)[:kept], found))
    features, outputs, measures = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    targets = split.y if places is None else np.take_along_axis(split.y, places, axis=1).reshape(-1)
    flat = OrderedDict((name, of.reshape(-1, of.shape[-1])) for name, of in features.items())
    return Activations(flat, targets, outputs, measures)


def is_language_model(spec: ProgramConfig, split: Split) -> bool:
    """Whether there is something to tell at each place of a text."""
    return spec.tokens and split.y.ndim == 2


def _places(split: Split) -> np.ndarray:
    """Places in the later half of each text, drawn once. int [N, PLACES]."""
    length = split.x.shape[1]
    return np.random.default_rng(0).integers(length // 2, length, (len(split), PLACES))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _read(
    spec: ProgramConfig,
    vocabulary: int,
    params: Any,
    x: jax.Array,
    y: jax.Array,
    stats: NormalizationStats | None,
    places: Any,
) -> tuple[OrderedDict[str, jax.Array], jax.Array, dict[str, jax.Array]]:
    inputs = spec.inputs(x, stats)
    outputs, layers = spec.model.layers(params, inputs)
    if spec.numeric_targets and stats:
        outputs = stats.outputs(outputs)
    first = jax.nn.one_hot(inputs, vocabulary) if spec.tokens else _with_channels(inputs)
    every = OrderedDict([(INPUT, first), *layers.items()])
    is_text = (inputs != PADDING)[..., None] if spec.tokens else None
    features = OrderedDict((name, _features(of, is_text, places)) for name, of in every.items())
    return features, flat_outputs(outputs), spec.task.example_metrics(outputs, y)


def _with_channels(x: jax.Array) -> jax.Array:
    return x[..., None] if x.ndim == 3 else x


def _features(x: jax.Array, is_text: jax.Array | None, places: jax.Array | None) -> jax.Array:
    """A layer's activations [B, ...] as [B, F], or [B, P, F] at places of a text."""
    if places is not None:
        return jnp.take_along_axis(x, places[:, :, None], axis=1)
    if is_text is not None and x.ndim == 3:
        return (x * is_text).sum(axis=1) / jnp.maximum(is_text.sum(axis=1), 1)
    return pooled(x)


def pooled(x: jax.Array, most: int = MOST_FEATURES) -> jax.Array:
    """Activations [B, *places, C] flattened to [B, F], neighbouring places averaged until F ≤ `most`, if it can be.

    Pixels are averaged over squares that are as equal as can be.
    """
    places, factor = x.shape[1:-1], 1
    while x[0].size > most and np.prod([-(-size // factor) for size in places]) * x.shape[-1] > most:
        if all(size <= factor for size in places):
            break
        factor += 1
    for axis, size in enumerate(places, start=1):
        parts = np.array_split(np.eye(size, dtype=np.float32), -(-size // factor))
        averages = jnp.asarray(np.stack([part.mean(axis=0) for part in parts]))
        x = jnp.moveaxis(jnp.tensordot(averages, x, axes=(1, axis)), 0, axis) if factor > 1 else x
    return x.reshape(len(x), -1)

"""Metrics of a whole split that are not means over its examples: ranking, alarms, calibration.

Outputs are logits or log-probabilities [N, C], targets int [N], weight [N] 0 or 1; each metric is a scalar, NaN if it
is undefined. Of two classes the second is the positive one, and examples are ranked by the difference of outputs, since
probabilities tie where they round to 0 or 1. Counts are exact below 2^24 examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Metric = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

NUM_BINS = 15  # of equal width, as in Guo et al. 2017, "On calibration of modern neural networks"


def margin(outputs: jax.Array) -> jax.Array:
    """Log-odds of the second of two classes. [N, 2] -> [N]."""
    return outputs[:, 1] - outputs[:, 0]


class Ranked(NamedTuple):
    """Counts for the examples in order of decreasing margin [N].

    `positive` is the weight of a positive example, 0 for a negative; `negatives_above` counts the negatives above it,
    `positives` and `negatives` those above it or tied with it.
    """

    positive: jax.Array
    negatives_above: jax.Array
    positives: jax.Array
    negatives: jax.Array


def ranked(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> Ranked:
    """Counts along the ranking; tied examples share their rank."""
    order = jnp.argsort(-margin(outputs))
    falling = -margin(outputs)[order]
    first, last = (jnp.searchsorted(falling, falling, side=side) for side in ("left", "right"))
    weights = jnp.stack([jnp.where(mask, weight, 0.0)[order] for mask in (targets == 1, targets != 1)])
    positives, negatives = jnp.pad(jnp.cumsum(weights, axis=1), ((0, 0), (1, 0)))
    return Ranked(weights[0], negatives[first], positives[last], negatives[last])


def auroc(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """The probability that a positive example ranks above a negative one, counting ties half."""
    ranking = ranked(outputs, targets, weight)
    below = 1.0 - (ranking.negatives_above + ranking.negatives) / (2.0 * ranking.negatives[-1])
    return (ranking.positive * below).sum() / ranking.positive.sum()


def auprc(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """Average precision: the mean of the precision at the rank of each positive example, without interpolation."""
    ranking = ranked(outputs, targets, weight)
    precision = ranking.positives / jnp.maximum(ranking.positives + ranking.negatives, 1.0)
    return (ranking.positive * precision).sum() / ranking.positive.sum()


def recall_at(share: float) -> Metric:
    """The recall when the top `share` of the ranking raises an alarm.

    A last alarm that falls among ties, or is fractional, counts in proportion.
    """

    def recall(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
        ranking = ranked(outputs, targets, weight)
        alarms = jnp.concatenate([jnp.zeros(1), ranking.positives + ranking.negatives])
        positives = jnp.concatenate([jnp.zeros(1), ranking.positives])
        return jnp.interp(share * weight.sum(), alarms, positives) / ranking.positive.sum()

    return recall


def calibration_error(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """Expected calibration error: the mean difference of confidence and accuracy over bins of the top probability.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    confidence = jax.nn.softmax(outputs, axis=-1).max(axis=-1)
    is_correct = (jnp.argmax(outputs, axis=-1) == targets).astype(jnp.float32)
    bin_index = jnp.minimum((confidence * NUM_BINS).astype(jnp.int32), NUM_BINS - 1)
    inside = jax.nn.one_hot(bin_index, NUM_BINS) * weight[:, None]
    return jnp.abs((inside * (confidence - is_correct)[:, None]).sum(axis=0)).sum() / weight.sum()


METRICS: dict[str, tuple[str, Metric]] = {  # name: (unit, function)
    "auroc": ("AUROC", auroc),
    "auprc": ("AUPRC", auprc),
    "recall_at_1": ("recall", recall_at(0.01)),
    "recall_at_5": ("recall", recall_at(0.05)),
    "calibration_error": ("ECE", calibration_error),
}
BINARY_METRICS = tuple(name for name in METRICS if name != "calibration_error")

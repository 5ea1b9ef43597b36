"""Measures of a whole split that are no means over its examples: ranking, alarms, calibration.

Outputs are logits or log-probabilities [N, C], targets int [N], weight [N] 0 or 1; each gives a scalar, NaN where there
is no number. Of two classes the second is the one to be found, and the difference of outputs ranks examples: as
probabilities, those of which a learner is sure would tie. Counts are exact below 2^24 examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Measure = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

NUM_BINS = 15  # of equal width, as in Guo et al. 2017, "On calibration of modern neural networks"


def margin(outputs: jax.Array) -> jax.Array:
    """The logarithm of the odds of the second of two classes. [N, 2] -> [N]."""
    return outputs[:, 1] - outputs[:, 0]


class Ranked(NamedTuple):
    """Examples by falling margin [N]: whether each is a positive that counts; how many negatives are above it, how many
    positives and negatives above or tied with it."""

    positive: jax.Array
    negatives_above: jax.Array
    positives: jax.Array
    negatives: jax.Array


def ranked(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> Ranked:
    """Counts along the ranking, examples that tie taken together."""
    order = jnp.argsort(-margin(outputs))
    falling = -margin(outputs)[order]
    first, last = (jnp.searchsorted(falling, falling, side=side) for side in ("left", "right"))
    counted = jnp.stack([jnp.where(of, weight, 0.0)[order] for of in (targets == 1, targets != 1)])
    positives, negatives = jnp.pad(jnp.cumsum(counted, axis=1), ((0, 0), (1, 0)))
    return Ranked(counted[0], negatives[first], positives[last], negatives[last])


def auroc(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """The chance that a positive example ranks above a negative one, a tie being half of that."""
    found = ranked(outputs, targets, weight)
    below = 1.0 - (found.negatives_above + found.negatives) / (2.0 * found.negatives[-1])
    return (found.positive * below).sum() / found.positive.sum()


def auprc(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """Average precision: precision at each positive example's rank, averaged over these. No line is drawn between."""
    found = ranked(outputs, targets, weight)
    precision = found.positives / jnp.maximum(found.positives + found.negatives, 1.0)
    return (found.positive * precision).sum() / found.positive.sum()


def recall_at(share: float) -> Measure:
    """Of the positive examples the share among so large a share of alarms, the highest ranks.

    Where the last alarm falls among ties, or is not a whole one, it counts in proportion.
    """

    def recall(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
        found = ranked(outputs, targets, weight)
        alarms = jnp.concatenate([jnp.zeros(1), found.positives + found.negatives])
        positives = jnp.concatenate([jnp.zeros(1), found.positives])
        return jnp.interp(share * weight.sum(), alarms, positives) / found.positive.sum()

    return recall


def calibration_error(outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> jax.Array:
    """Expected calibration error: how far confidence and accuracy lie apart, over bins of the top confidence.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    confidence = jax.nn.softmax(outputs, axis=-1).max(axis=-1)
    right = (jnp.argmax(outputs, axis=-1) == targets).astype(jnp.float32)
    place = jnp.minimum((confidence * NUM_BINS).astype(jnp.int32), NUM_BINS - 1)
    inside = jax.nn.one_hot(place, NUM_BINS) * weight[:, None]
    return jnp.abs((inside * (confidence - right)[:, None]).sum(axis=0)).sum() / weight.sum()


MEASURES: dict[str, tuple[str, Measure]] = {  # name: its unit, and how it is measured
    "auroc": ("AUROC", auroc),
    "auprc": ("AUPRC", auprc),
    "recall_at_1": ("recall", recall_at(0.01)),
    "recall_at_5": ("recall", recall_at(0.05)),
    "calibration_error": ("ECE", calibration_error),
}
OF_TWO_CLASSES = tuple(name for name in MEASURES if name != "calibration_error")

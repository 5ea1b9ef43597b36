"""Classification: softmax cross-entropy to learn by, error rate to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.data.arrays import Arrays


@dataclasses.dataclass(frozen=True)
class Classification:
    """One label an example; the error is the share of wrong labels."""

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True  # over the batch's examples, so that a batch may be taken in parts

    def num_outputs(self, arrays: Arrays) -> int:
        """Outputs a model needs: one logit a class."""
        return arrays.num_classes

    def loss(self, logits: jax.Array, labels: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. logits [B, C], labels int [B], label_smoothing [] (may be traced)."""
        targets = jax.nn.one_hot(labels, logits.shape[-1])
        targets = targets * (1.0 - label_smoothing) + label_smoothing / logits.shape[-1]
        return optax.softmax_cross_entropy(logits, targets).mean()

    def measures(self, logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
        """Of each example its error (0 or 1) and loss (nats). logits [B, C], labels int [B]; each returned [B].

        "error" is the first, the one that curves plot and selection looks at.
        """
        return {
            "error": (jnp.argmax(logits, axis=-1) != labels).astype(jnp.float32),
            "loss": optax.softmax_cross_entropy_with_integer_labels(logits, labels),
        }

"""Classification: softmax cross-entropy to learn by, error rate to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.data.arrays import Arrays
from dlm.errors import UsageError
from dlm.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """One label an example; the error is the share of wrong labels."""

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True

    def check(self, arrays: Arrays) -> None:
        """UsageError unless there is one class an example."""
        if not arrays.num_classes:
            raise UsageError(
                f"task=Classification() needs classes to tell apart, and {arrays.name!r} has none; choose a target "
                "that is a class, or another task, such as Regression()"
            )

    def num_outputs(self, arrays: Arrays) -> int:
        """Outputs a model needs: one logit a class."""
        return arrays.num_classes

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, C], labels int [B], label_smoothing [] (may be traced)."""
        wanted = jax.nn.one_hot(targets, outputs.shape[-1])
        wanted = wanted * (1.0 - label_smoothing) + label_smoothing / outputs.shape[-1]
        return optax.softmax_cross_entropy(outputs, wanted).mean()

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example its error (0 or 1) and loss (nats). Logits [B, C], labels int [B]; each returned [B]."""
        return {
            "error": (jnp.argmax(outputs, axis=-1) != targets).astype(jnp.float32),
            "loss": optax.softmax_cross_entropy_with_integer_labels(outputs, targets),
        }

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """Probabilities of the classes, float16 [B, C]. Logits [B, C]."""
        return {"probabilities": jax.nn.softmax(outputs, axis=-1).astype(jnp.float16)}

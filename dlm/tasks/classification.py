"""Classification: softmax cross-entropy to learn by, error rate to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.data.dataset import Dataset
from dlm.tasks.base import Task
from dlm.tasks.metrics import MEASURES, OF_TWO_CLASSES
from dlm.utils.errors import UsageError, choose


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """One label an example; the error is the share of wrong labels.

    `also` names measures of a whole split to record beside it: auroc, auprc, recall_at_1, recall_at_5 (of two classes,
    the second being the one to find, at 1 % and 5 % alarms) and calibration_error.
    """

    also: tuple[str, ...] = ()

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True
    weighs_classes = True

    def __post_init__(self) -> None:
        if not isinstance(self.also, tuple):
            raise UsageError(f"also={self.also!r} must be a tuple of names, such as ('auroc',)")
        for name in self.also:
            choose("also", name, tuple(MEASURES))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        return super().units | {name: MEASURES[name][0] for name in self.also}

    @property
    def sees_whole_splits(self) -> bool:
        """Whether anything of a whole split is measured."""
        return bool(self.also)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there is one class an example, and two classes for what is measured of two."""
        if not dataset.num_classes:
            raise UsageError(
                f"task=Classification() needs classes to tell apart, and {dataset.name!r} has none; choose a target "
                "that is a class, or another task, such as Regression()"
            )
        of_two = [name for name in self.also if name in OF_TWO_CLASSES]
        if of_two and dataset.num_classes != 2:
            raise UsageError(
                f"task.also={of_two[0]!r} needs two classes, and {dataset.name!r} has {dataset.num_classes}; "
                "leave it out, or choose a target of two classes"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """Outputs a model needs: one logit a class."""
        return dataset.num_classes

    def loss(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        label_smoothing: Any,
        focal: Any = None,
        class_weights: jax.Array | None = None,
    ) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, C], labels int [B], label_smoothing [] (may be traced).

        With `focal`, γ [], each example counts by (1 − P(its label))^γ; with `class_weights` [C] by that of its label.
        """
        wanted = jax.nn.one_hot(targets, outputs.shape[-1])
        wanted = wanted * (1.0 - label_smoothing) + label_smoothing / outputs.shape[-1]
        each = optax.softmax_cross_entropy(outputs, wanted)
        if focal is not None:
            each = each * jnp.exp(focal * _log_doubt(outputs, targets))
        if class_weights is not None:
            each = each * class_weights[targets]
        return each.mean()

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example its error (0 or 1) and loss (nats). Logits [B, C], labels int [B]; each returned [B]."""
        return {
            "error": (jnp.argmax(outputs, axis=-1) != targets).astype(jnp.float32),
            "loss": optax.softmax_cross_entropy_with_integer_labels(outputs, targets),
        }

    def over_split(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, chosen: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """What is to be recorded also. Logits [N, C], labels int [N], weight [N]; scalars."""
        return {name: MEASURES[name][1](outputs, targets, weight) for name in self.also}

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """Probabilities of the classes, float16 [B, C]. Logits [B, C]."""
        return {"probabilities": jax.nn.softmax(outputs, axis=-1).astype(jnp.float16)}


def _log_doubt(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Log of 1 − P(label), never of 0, so that its gradient is finite. Logits [B, C], labels int [B]; returns [B]."""
    others = ~jax.nn.one_hot(targets, outputs.shape[-1], dtype=bool)
    return jax.nn.logsumexp(outputs, axis=-1, where=others) - jax.nn.logsumexp(outputs, axis=-1)

"""Classification: trains with softmax cross-entropy and reports the error rate."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

from dlm.tasks.base import Task
from dlm.tasks.metrics import BINARY_METRICS, METRICS
from dlm.utils.errors import UsageError, choose

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """One label for each example; the error is the fraction of wrong labels.

    `extra_metrics` names metrics of a whole split to record as well: calibration_error, and for two classes, of which
    the second is the positive one, auroc, auprc, recall_at_1 and recall_at_5 (recall at 1 % and 5 % alarms).
    """

    extra_metrics: tuple[str, ...] = ()

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True
    weighs_classes = True

    def __post_init__(self) -> None:
        if not isinstance(self.extra_metrics, tuple):
            raise UsageError(f"extra_metrics={self.extra_metrics!r} must be a tuple of names such as ('auroc',)")
        for name in self.extra_metrics:
            choose("extra_metrics", name, tuple(METRICS))

    @property
    def units(self) -> dict[str, str]:
        return super().units | {name: METRICS[name][0] for name in self.extra_metrics}

    @property
    def needs_whole_split(self) -> bool:
        """Whether there are extra metrics."""
        return bool(self.extra_metrics)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are classes, two of them for a binary metric."""
        if not dataset.num_classes:
            raise UsageError(
                f"task=Classification() needs classes, and {dataset.name!r} has none; choose a target that is a class, "
                "or another task such as Regression()"
            )
        binary = [name for name in self.extra_metrics if name in BINARY_METRICS]
        if binary and dataset.num_classes != 2:
            raise UsageError(
                f"task.extra_metrics={binary[0]!r} needs two classes, and {dataset.name!r} has {dataset.num_classes}; "
                "leave it out, or choose a target of two classes"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """One logit for each class."""
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

        `focal`, γ []: weights each example by (1 − P(label))^γ; `class_weights` [C]: by the weight of its label.
        """
        probabilities = jax.nn.one_hot(targets, outputs.shape[-1])
        probabilities = probabilities * (1.0 - label_smoothing) + label_smoothing / outputs.shape[-1]
        losses = optax.softmax_cross_entropy(outputs, probabilities)
        if focal is not None:
            losses = losses * jnp.exp(focal * _log_not_label(outputs, targets))
        if class_weights is not None:
            losses = losses * class_weights[targets]
        return losses.mean()

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Error (0 or 1) and loss (nats) of each example [B]. Logits [B, C], labels int [B]."""
        return {
            "error": (jnp.argmax(outputs, axis=-1) != targets).astype(jnp.float32),
            "loss": optax.softmax_cross_entropy_with_integer_labels(outputs, targets),
        }

    def whole_split_metrics(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, fitted: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """The extra metrics. Logits [N, C], labels int [N], weight [N]; scalars."""
        return {name: METRICS[name][1](outputs, targets, weight) for name in self.extra_metrics}

    def saved_outputs(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """Class probabilities, float16 [B, C]. Logits [B, C]."""
        return {"probabilities": jax.nn.softmax(outputs, axis=-1).astype(jnp.float16)}


def _log_not_label(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """log(1 − P(label)) [B], with a finite gradient where P(label) rounds to 1. Logits [B, C], labels int [B]."""
    others = ~jax.nn.one_hot(targets, outputs.shape[-1], dtype=bool)
    return jax.nn.logsumexp(outputs, axis=-1, where=others) - jax.nn.logsumexp(outputs, axis=-1)


def check_two_classes(task: str, dataset: Dataset) -> None:
    """UsageError unless there are two classes."""
    if dataset.num_classes != 2:
        raise UsageError(
            f"task={task}() needs two classes, and {dataset.name!r} has {dataset.num_classes}; choose a target of "
            "two classes, or Classification()"
        )

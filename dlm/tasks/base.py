"""The interface of tasks: loss, metrics, and the checks of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


class Task:
    """Base class of tasks, which are frozen dataclasses.

    `unit` is the unit of the error, `loss_unit` that of the loss, `bound` the range of the error. `loss_is_mean`: the
    loss is the mean of the examples' losses, so a batch may be processed in microbatches. `weighs_classes`: the loss
    takes `focal` and `class_weights`. `fits_threshold`: `fit_threshold` returns anything.
    """

    unit = ""
    loss_unit = ""
    bound: tuple[float, float | None] = (0.0, None)
    loss_is_mean = False
    weighs_classes = False
    fits_threshold = False

    @property
    def units(self) -> dict[str, str]:
        """The unit of each metric, by its name."""
        return {"error": self.unit, "loss": self.loss_unit}

    @property
    def needs_whole_split(self) -> bool:
        """Whether `whole_split_metrics` returns metrics, for which all outputs of a split are held in memory."""
        return False

    def check(self, dataset: Dataset) -> None:
        """UsageError unless the targets of the data fit the task."""

    def num_outputs(self, dataset: Dataset) -> int:
        """Number of outputs of a model."""
        raise NotImplementedError

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """The training loss, a scalar. outputs [B, ...], targets [B, ...]."""
        raise NotImplementedError

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Metrics of each example [B], which are averaged over a split. "error" is the error of the learning curve."""
        raise NotImplementedError

    def aggregate(self, means: dict[str, Any]) -> dict[str, Any]:
        """Metrics of a split from the means over its examples."""
        return means

    def whole_split_metrics(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, fitted: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Metrics of a split that are not means over examples, as scalars; they replace means of the same name.

        outputs [N, ...], targets [N, ...]; weight [N] is 1, or 0 for excluded examples; `fitted` is the result of
        `fit_threshold`. NaN if a metric is undefined, for example without a positive example.
        """
        return {}

    def fit_threshold(self, outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Fits the task's threshold to validation outputs; arguments as for `whole_split_metrics`."""
        return {}

    def saved_outputs(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """Outputs to save for each test example, arrays [B, ...] by name; none by default."""
        return {}

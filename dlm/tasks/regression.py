"""Regression and forecasting: train with the squared error and report its (root) mean."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.tasks.base import Task
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """One or several numbers for each example; the error is the root mean squared error in the unit of the targets.

    Targets are standardized by the training subset, see `NormalizationStats`; metrics are computed after undoing that.
    """

    unit = "RMSE"
    loss_unit = "squared error"
    loss_is_mean = True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are numbers."""
        if not dataset.has_numeric_targets:
            raise UsageError(
                f"task=Regression() needs numeric targets, and the targets of {dataset.name!r} are classes or "
                "tokens; choose another target, or another task such as Classification()"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """One output for each number of a target."""
        return int(np.prod(dataset.train.y.shape[1:]))

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean squared error. outputs [B, K], targets [B] or [B, K]; label_smoothing is ignored."""
        return _squares(outputs, targets).mean()

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Squared error of each example [B], as error and as loss."""
        squares = _squares(outputs, targets)
        return {"error": squares, "loss": squares}

    def aggregate(self, means: dict[str, Any]) -> dict[str, Any]:
        """Replaces the mean squared error by its root."""
        return means | {"error": means["error"] ** 0.5}

    def saved_outputs(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """The predictions in the unit of the targets. [B, K]."""
        return {"outputs": outputs}


def _squares(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error of each example [B]."""
    return jnp.square(outputs.reshape(outputs.shape[0], -1) - targets.reshape(targets.shape[0], -1)).mean(axis=-1)


@dataclasses.dataclass(frozen=True)
class Forecasting(Regression):
    """The next H steps of C series; the error is the mean squared error over windows, steps and series (MSE).

    Values are scaled as by the source, so errors on `TfdsSeries` compare with published tables; "mae" is the mean
    absolute error. Forecasts are not saved: H · C numbers for each window are megabytes a trial.
    """

    unit = "MSE"

    @property
    def units(self) -> dict[str, str]:
        return super().units | {"mae": "MAE"}

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs and targets are windows of the same series."""
        super().check(dataset)
        x, y = dataset.train.x, dataset.train.y
        if x.ndim != 3 or y.ndim != 3 or x.shape[2] != y.shape[2]:
            raise UsageError(
                f"task=Forecasting() needs inputs [N, context, C] and targets [N, horizon, C], and {dataset.name!r} "
                f"has {x.shape} and {y.shape}; choose TfdsSeries(), Series(time_ordered=True), or Regression()"
            )

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Squared error, as error and as loss, and absolute error of each window [B]."""
        absolute = jnp.abs(outputs.reshape(outputs.shape[0], -1) - targets.reshape(targets.shape[0], -1))
        return super().example_metrics(outputs, targets) | {"mae": absolute.mean(axis=-1)}

    def aggregate(self, means: dict[str, Any]) -> dict[str, Any]:
        """The means, without a root."""
        return means

    def saved_outputs(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """None."""
        return {}

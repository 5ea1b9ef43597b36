"""Regression: squared error to learn by, its root over a split to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Dataset
from dlm.tasks.base import Task
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """One or several numbers an example; the error is the root of the mean squared one (RMSE), in the targets' unit.

    Targets are standardized by the training subset, see `NormalizationStats`; measures undo that.
    """

    unit = "RMSE"
    loss_unit = "squared error"
    loss_is_mean = True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are numbers."""
        if not dataset.has_numeric_targets:
            raise UsageError(
                f"task=Regression() needs numbers to come near to, and the targets of {dataset.name!r} are classes or "
                "tokens; choose another target or task, such as Classification()"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """Outputs a model needs: one a number."""
        return int(np.prod(dataset.train.y.shape[1:]))

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean squared error. outputs [B, K], targets [B] or [B, K]; labels to smooth there are none."""
        return _squares(outputs, targets).mean()

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example its squared error, twice: as loss, and to become the RMSE. Each [B]."""
        squares = _squares(outputs, targets)
        return {"error": squares, "loss": squares}

    def finish(self, means: dict[str, Any]) -> dict[str, Any]:
        """The root of the mean squared error in place of the mean."""
        return means | {"error": means["error"] ** 0.5}

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """The numbers themselves, in the targets' own unit. [B, K]."""
        return {"outputs": outputs}


def _squares(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error of each example [B]."""
    return jnp.square(outputs.reshape(outputs.shape[0], -1) - targets.reshape(targets.shape[0], -1)).mean(axis=-1)


@dataclasses.dataclass(frozen=True)
class Forecasting(Regression):
    """The next H steps of C series; the error is the mean squared one over windows, steps and series (MSE).

    It is of values as the source scales them, which published tables give for `TfdsSeries`; "mae" is the mean absolute
    error. Of the forecasts themselves nothing is kept: H · C numbers for each window are megabytes a cell.
    """

    unit = "MSE"

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        return super().units | {"mae": "MAE"}

    def check(self, dataset: Dataset) -> None:
        """UsageError unless all series are forecast together, in steps."""
        super().check(dataset)
        x, y = dataset.train.x, dataset.train.y
        if x.ndim != 3 or y.ndim != 3 or x.shape[2] != y.shape[2]:
            raise UsageError(
                f"task=Forecasting() needs inputs [N, context, C] and targets [N, horizon, C], and {dataset.name!r} "
                f"has {x.shape} and {y.shape}; choose TfdsSeries(), Series(in_time=True), or Regression()"
            )

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each window its squared error, as error and as loss, and its absolute error. Each [B]."""
        off = jnp.abs(outputs.reshape(outputs.shape[0], -1) - targets.reshape(targets.shape[0], -1))
        return super().measures(outputs, targets) | {"mae": off.mean(axis=-1)}

    def finish(self, means: dict[str, Any]) -> dict[str, Any]:
        """The means themselves."""
        return means

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """Nothing."""
        return {}

"""Forecasting of series: squared error to learn by and, as its mean over a split, to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from dlm.data.arrays import Arrays
from dlm.errors import UsageError
from dlm.tasks.regression import Regression


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

    def check(self, arrays: Arrays) -> None:
        """UsageError unless all series are forecast together, in steps."""
        super().check(arrays)
        x, y = arrays.train.x, arrays.train.y
        if x.ndim != 3 or y.ndim != 3 or x.shape[2] != y.shape[2]:
            raise UsageError(
                f"task=Forecasting() needs inputs [N, context, C] and targets [N, horizon, C], and {arrays.name!r} has "
                f"{x.shape} and {y.shape}; choose TfdsSeries(), Series(in_time=True), or Regression()"
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

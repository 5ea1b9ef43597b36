"""Cost-sensitive decisions between two classes."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from dlm.tasks.classification import Classification, check_two_classes
from dlm.tasks.metrics import margin
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Decisions(Classification):
    """Two classes with different costs of errors; the error is the mean cost of a case.

    `costs`: the cost of a false positive (first class taken for the second) and of a false negative. With probability p
    of the second class, a case is decided positive if p > costs[0] / (costs[0] + costs[1]) (Elkan 2001, "The
    foundations of cost-sensitive learning"), which is optimal for calibrated probabilities. `cost_at_chosen` is the
    mean cost with the threshold of lowest cost on validation, `threshold` that probability, `error_rate` the fraction
    of cases whose more probable class is wrong. `extra_metrics`: see `Classification`.
    """

    extra_metrics: tuple[str, ...] = ("auroc", "calibration_error")
    costs: tuple[float, float] = (1.0, 1.0)

    unit = "cost per case"
    needs_whole_split = fits_threshold = True

    def __post_init__(self) -> None:
        super().__post_init__()
        costs = self.costs
        if len(costs) != 2 or not all(math.isfinite(cost) and cost > 0 for cost in costs):
            raise UsageError(
                f"task.costs={costs!r} must be two numbers above 0: of a false positive and a false negative"
            )

    @property
    def units(self) -> dict[str, str]:
        more = {"error_rate": "error rate", "cost_at_chosen": self.unit, "threshold": "probability"}
        return super().units | more

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there are two classes."""
        super().check(dataset)
        check_two_classes("Decisions", dataset)

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Cost, loss (nats) and error of each example [B]. Logits [B, 2], labels int [B]."""
        values = super().example_metrics(outputs, targets)
        cost = self._cost(margin(outputs), targets, math.log(self.costs[0] / self.costs[1]))
        return values | {"error": cost, "error_rate": values["error"]}

    def whole_split_metrics(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, fitted: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """The mean cost at the fitted threshold, the threshold as a probability, and the extra metrics."""
        cost = self._cost(margin(outputs), targets, fitted["margin"])
        more = super().whole_split_metrics(outputs, targets, weight, fitted)
        mean = (cost * weight).sum() / weight.sum()
        return more | {"cost_at_chosen": mean, "threshold": jax.nn.sigmoid(fitted["margin"])}

    def fit_threshold(self, outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """The margin threshold of lowest cost; among ties the nearest to the one for calibrated probabilities.

        It lies between the margins of two examples, or beyond all. Logits [N, 2], labels int [N], weight [N].
        """
        order = jnp.argsort(-margin(outputs))
        falling = margin(outputs)[order]
        ends = jnp.concatenate([falling[:1] + 1.0, falling, falling[-1:] - 1.0])
        above, below = ends[:-1], ends[1:]
        middle = (above + below) / 2
        cut = jnp.where(middle < above, middle, below)  # the midpoint of adjacent floats is one of them
        first, second = ((jnp.where(mask, weight, 0.0))[order] for mask in (targets != 1, targets == 1))
        positive = [jnp.concatenate([jnp.zeros(1), jnp.cumsum(count)]) for count in (first, second)]
        cost = self.costs[0] * positive[0] + self.costs[1] * (second.sum() - positive[1])
        cost = jnp.where(above > below, cost, jnp.inf)  # no threshold separates ties
        distance = jnp.abs(cut - math.log(self.costs[0] / self.costs[1]))
        return {"margin": cut[jnp.argmin(jnp.where(cost <= cost.min(), distance, jnp.inf))]}

    def _cost(self, margins: jax.Array, targets: jax.Array, threshold: jax.Array | float) -> jax.Array:
        """The cost of each decision [N]."""
        is_positive = margins > threshold
        return jnp.where(targets == 1, self.costs[1] * ~is_positive, self.costs[0] * is_positive).astype(jnp.float32)

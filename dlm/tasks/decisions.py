"""Decisions between two classes whose mistakes do not cost the same."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from dlm.data.dataset import Dataset
from dlm.tasks.classification import Classification
from dlm.tasks.metrics import margin
from dlm.tasks.rare_events import check_two_classes
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Decisions(Classification):
    """Two classes; the error is the mean cost of a case, a case being decided for where the expected cost is less.

    `costs`: what it costs to take a case of the first class for the second, and one of the second for the first. By
    probability p of the second, it is decided for where p > costs[0] / (costs[0] + costs[1]) (Elkan 2001, "The
    foundations of cost-sensitive learning"), which is right where probabilities are. `cost_at_chosen` is the mean cost
    with the threshold that costs least on validation instead, `threshold` that probability; `error_rate` the share of
    labels that are not the likelier one. `also` as of `Classification`.
    """

    also: tuple[str, ...] = ("auroc", "calibration_error")
    costs: tuple[float, float] = (1.0, 1.0)

    unit = "cost per case"

    def __post_init__(self) -> None:
        super().__post_init__()
        costs = self.costs
        if len(costs) != 2 or not all(math.isfinite(cost) and cost > 0 for cost in costs):
            raise UsageError(f"task.costs={costs!r} must be two numbers above 0, of mistaking each class for the other")

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        more = {"error_rate": "error rate", "cost_at_chosen": self.unit, "threshold": "probability"}
        return super().units | more

    @property
    def sees_whole_splits(self) -> bool:
        """Always: a threshold is chosen on a whole split."""
        return True

    @property
    def chooses(self) -> bool:
        """Always: the threshold."""
        return True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there are two classes."""
        super().check(dataset)
        check_two_classes("Decisions", dataset)

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example its cost, loss (nats), and whether its label is wrong. Logits [B, 2], labels int [B]."""
        values = super().measures(outputs, targets)
        cost = self._cost(margin(outputs), targets, math.log(self.costs[0] / self.costs[1]))
        return values | {"error": cost, "error_rate": values["error"]}

    def over_split(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, chosen: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """The mean cost at the chosen threshold, the threshold as a probability, and what is to be recorded also."""
        cost = self._cost(margin(outputs), targets, chosen["margin"])
        more = super().over_split(outputs, targets, weight, chosen)
        mean = (cost * weight).sum() / weight.sum()
        return more | {"cost_at_chosen": mean, "threshold": jax.nn.sigmoid(chosen["margin"])}

    def choose(self, outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """The threshold of the margin that costs least; of equally good ones the nearest to the one by probability.

        It lies between two examples' margins, or beyond them all. Logits [N, 2], labels int [N], weight [N].
        """
        order = jnp.argsort(-margin(outputs))
        falling = margin(outputs)[order]
        ends = jnp.concatenate([falling[:1] + 1.0, falling, falling[-1:] - 1.0])
        above, below = ends[:-1], ends[1:]
        middle = (above + below) / 2
        cut = jnp.where(middle < above, middle, below)  # of neighbours among floats the middle is one of them
        first, second = ((jnp.where(of, weight, 0.0))[order] for of in (targets != 1, targets == 1))
        decided = [jnp.concatenate([jnp.zeros(1), jnp.cumsum(of)]) for of in (first, second)]
        cost = self.costs[0] * decided[0] + self.costs[1] * (second.sum() - decided[1])
        cost = jnp.where(above > below, cost, jnp.inf)  # no threshold parts those that tie
        far = jnp.abs(cut - math.log(self.costs[0] / self.costs[1]))
        return {"margin": cut[jnp.argmin(jnp.where(cost <= cost.min(), far, jnp.inf))]}

    def _cost(self, margins: jax.Array, targets: jax.Array, threshold: jax.Array | float) -> jax.Array:
        """What each decision costs [N]."""
        for_second = margins > threshold
        return jnp.where(targets == 1, self.costs[1] * ~for_second, self.costs[0] * for_second).astype(jnp.float32)

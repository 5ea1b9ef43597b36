"""Detection of rare events: two classes, of which the second is rare."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax

from dlm.study.names import UNIT_MISSED_AUPRC
from dlm.tasks.classification import Classification, check_two_classes
from dlm.tasks.metrics import auprc
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class RareEvents(Classification):
    """Two classes, of which the second is rare; the error is 1 − AUPRC (average precision).

    Random scores have an error of 1 − the fraction of events. The fraction of wrong labels is recorded as `error_rate`;
    it is low even for a model that finds no event. `extra_metrics`: see `Classification`.
    """

    extra_metrics: tuple[str, ...] = ("auroc", "recall_at_1", "recall_at_5")

    unit = UNIT_MISSED_AUPRC
    needs_whole_split = True

    @property
    def units(self) -> dict[str, str]:
        return super().units | {"error_rate": "error rate"}

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there are two classes, and events in validation and test."""
        super().check(dataset)
        check_two_classes("RareEvents", dataset)
        for name in ("validation", "test"):
            if not (getattr(dataset, name).y == 1).any():
                raise UsageError(
                    f"the {name} split of {dataset.name!r} has no example of the second class, so there is nothing "
                    "to find; hold out more, or choose another task"
                )
        if dataset.groups:
            raise UsageError(
                f"groups={tuple(name for name, _ in dataset.groups)} are compared by the errors of single examples, "
                "but the error of RareEvents() is defined on a whole split; remove groups, or use Classification() or "
                "Decisions()"
            )

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Error, the same as error_rate, and loss (nats) of each example [B]."""
        values = super().example_metrics(outputs, targets)
        return values | {"error_rate": values["error"]}

    def whole_split_metrics(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, fitted: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """1 − AUPRC as the error, and the extra metrics. Logits [N, 2], labels int [N], weight [N]."""
        more = super().whole_split_metrics(outputs, targets, weight, fitted)
        return more | {"error": 1.0 - auprc(outputs, targets, weight)}

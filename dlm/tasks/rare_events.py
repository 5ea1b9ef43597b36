"""Rare events: the second of two classes is to be found among many of the first."""

from __future__ import annotations

import dataclasses

import jax

from dlm.data.dataset import Dataset
from dlm.tasks.classification import Classification
from dlm.tasks.metrics import auprc
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class RareEvents(Classification):
    """Two classes, of which the second is rare; the error is 1 − AUPRC (average precision).

    Guessing has 1 − the share of events. The share of wrong labels is recorded as `error_rate`: it says little here,
    since to find nothing is right nearly always. `also` as of `Classification`.
    """

    also: tuple[str, ...] = ("auroc", "recall_at_1", "recall_at_5")

    unit = "missed AUPRC"

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        return super().units | {"error_rate": "error rate"}

    @property
    def sees_whole_splits(self) -> bool:
        """Always: the error is a split's."""
        return True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there are two classes, and events to find in what is measured."""
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
                "and that of RareEvents() is a whole split's; leave groups out, or use Classification() or Decisions()"
            )

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example whether its label is wrong, as error and as error_rate, and its loss (nats). Each [B]."""
        values = super().measures(outputs, targets)
        return values | {"error_rate": values["error"]}

    def over_split(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, chosen: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """1 − AUPRC as the error, and what is to be recorded also. Logits [N, 2], labels int [N], weight [N]."""
        more = super().over_split(outputs, targets, weight, chosen)
        return more | {"error": 1.0 - auprc(outputs, targets, weight)}


def check_two_classes(task: str, dataset: Dataset) -> None:
    """UsageError unless a label is one of two."""
    if dataset.num_classes != 2:
        raise UsageError(
            f"task={task}() needs two classes, and {dataset.name!r} has {dataset.num_classes}; choose a target of "
            "two classes, or Classification()"
        )

"""What every task says, and what goes without saying."""

from __future__ import annotations

from typing import Any

import jax

from dlm.data.dataset import Dataset


class Task:
    """Base of tasks, which are frozen dataclasses.

    `unit` is that of the error, `loss_unit` of the loss, `bound` the error's possible range. With `loss_is_mean` the
    loss is the mean of the examples' losses, so that a batch may be taken in parts. With `weighs_classes` the loss
    takes `focal` and `class_weights` too.
    """

    unit = ""
    loss_unit = ""
    bound: tuple[float, float | None] = (0.0, None)
    loss_is_mean = False
    weighs_classes = False

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        return {"error": self.unit, "loss": self.loss_unit}

    @property
    def sees_whole_splits(self) -> bool:
        """Whether `over_split` measures anything, for which the outputs of a split are held together."""
        return False

    @property
    def chooses(self) -> bool:
        """Whether `choose` chooses anything on validation."""
        return False

    def check(self, dataset: Dataset) -> None:
        """UsageError unless the data's targets are of this task's kind."""

    def num_outputs(self, dataset: Dataset) -> int:
        """Outputs a model needs."""
        raise NotImplementedError

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """What training makes small. outputs [B, ...], targets [B, ...]; a scalar."""
        raise NotImplementedError

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """What is averaged over a split, of each example [B]. "error" is the one that curves plot."""
        raise NotImplementedError

    def finish(self, means: dict[str, Any]) -> dict[str, Any]:
        """The measures of a split from the means over its examples."""
        return means

    def over_split(
        self, outputs: jax.Array, targets: jax.Array, weight: jax.Array, chosen: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Measures of a split that are no means over examples, beside those or in their place; scalars.

        outputs [N, ...], targets [N, ...]; weight [N] is 1, or 0 for an example that does not count; `chosen` is what
        `choose` found. NaN where there is no number, such as without an example to find.
        """
        return {}

    def choose(self, outputs: jax.Array, targets: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """What is chosen on validation by the very learner that is measured, such as a threshold; as `over_split`."""
        return {}

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """What of the outputs is worth keeping of each test example, arrays [B, ...] by name; nothing by default."""
        return {}

"""Next item: softmax cross-entropy over all items to learn by, 1 − NDCG of the one that came to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Dataset
from dlm.tasks.base import Task
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class NextItem(Task):
    """The item that came is the only right one; the error is 1 − NDCG@k, the mean of 1 − 1/log₂(1 + rank), 1 beyond k.

    Ranks are among all items that are offered, none sampled (Krichene & Rendle 2020, "On sampled metrics for item
    recommendation"). Items of one score share their ranks, and each gets the mean of what these are worth (McSherry &
    Najork 2008), as in scikit-learn's ndcg_score. `recall_at_k`: the share of items that came which are among the k.
    """

    k: int = 10

    unit = "1 − NDCG"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True

    @property
    def units(self) -> dict[str, str]:
        """The unit of each measure, by its name."""
        return super().units | {f"recall_at_{self.k}": "recall"}

    def __post_init__(self) -> None:
        at_least(1, k=self.k)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless one item follows a history."""
        if not dataset.vocabulary or dataset.train.x.ndim != 2 or dataset.train.y.shape[1:] != (1,):
            raise UsageError(
                f"task=NextItem() needs an item to follow a history, and {dataset.name!r} has inputs of shape "
                f"{dataset.train.x.shape} and targets of shape {dataset.train.y.shape}; choose a source such as "
                "NextItems(…)"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """Outputs a model needs: one logit a token."""
        return dataset.vocabulary

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, V], items int [B, 1]; other items are not smoothed towards."""
        return _nats(outputs, targets).mean()

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each example its error, loss (nats), and whether it is recalled. Logits [B, V], items int [B, 1]."""
        wanted = jnp.take_along_axis(outputs, targets, axis=-1)
        # What is not known to be less or equal is ahead: NaN leads to the last rank, not to the first.
        ahead = (~(outputs <= wanted)).sum(axis=-1)
        alike = jnp.maximum((outputs == wanted).sum(axis=-1), 1)
        gains = 1.0 / np.log2(np.arange(2, self.k + 2))
        found = {"error": gains, f"recall_at_{self.k}": np.ones(self.k)}
        shares = {name: self._mean_worth(worth, ahead, alike) for name, worth in found.items()}
        return shares | {"error": 1.0 - shares["error"], "loss": _nats(outputs, targets)}

    def _mean_worth(self, worth: np.ndarray, ahead: jax.Array, alike: jax.Array) -> jax.Array:
        """The mean worth of ranks ahead + 1 … ahead + alike, where ranks beyond the k of `worth` have none. [B]."""
        total = jnp.asarray(np.concatenate([[0.0], np.cumsum(worth)]), jnp.float32)
        first, last = jnp.minimum(ahead, self.k), jnp.minimum(ahead + alike, self.k)
        return (total[last] - total[first]) / alike

    def kept(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """The k items that are recommended, the best first, int32 [B, k]. Logits [B, V]."""
        return {"recommended": jax.lax.top_k(outputs, min(self.k, outputs.shape[-1]))[1]}


def _nats(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """−log P(item) of each example [B]. The gradient of a product with one-hot rows needs no pass of its own."""
    wanted = jax.nn.one_hot(targets[:, 0], outputs.shape[-1])
    return jax.nn.logsumexp(outputs, axis=-1) - (outputs * wanted).sum(axis=-1)

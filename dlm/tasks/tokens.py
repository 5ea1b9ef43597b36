"""Prediction of tokens: the next token of a text, and the next item of a history."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.tasks.base import Task
from dlm.utils.errors import UsageError, at_least

if TYPE_CHECKING:
    from dlm.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class LanguageModelling(Task):
    """The next token at each position of a text; the error is the mean of −log P(token), in nats per byte.

    Tokens are bytes, so the unit is the same for every language and block length. Error and loss are equal; the
    training loss differs with label smoothing.
    """

    unit = "nats per byte"
    loss_unit = "nats per byte"
    loss_is_mean = True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there is a target token for each input token."""
        if not dataset.vocabulary or dataset.train.y.shape != dataset.train.x.shape:
            raise UsageError(
                f"task=LanguageModelling() needs a target token for each input token, and {dataset.name!r} has inputs "
                f"of shape {dataset.train.x.shape} and targets of shape {dataset.train.y.shape}; choose a source of "
                "texts such as StdlibText()"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """One logit for each token of the vocabulary, at each position."""
        return dataset.vocabulary

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, L, V], tokens int [B, L], label_smoothing [] (may be traced)."""
        smoothed = jax.nn.logsumexp(outputs, axis=-1) - outputs.mean(axis=-1)
        return ((1.0 - label_smoothing) * _cross_entropy(outputs, targets) + label_smoothing * smoothed).mean()

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Mean cross-entropy (nats) of each text [B], as error and as loss."""
        nats = _cross_entropy(outputs, targets).mean(axis=-1)
        return {"error": nats, "loss": nats}


@dataclasses.dataclass(frozen=True)
class NextItem(Task):
    """The next item of a history; the error is 1 − NDCG@k: the mean of 1 − 1/log₂(1 + rank), or 1 for a rank beyond k.

    The rank is among all offered items, without sampling (Krichene & Rendle 2020, "On sampled metrics for item
    recommendation"). Tied items get the mean gain of their ranks (McSherry & Najork 2008), as in scikit-learn's
    ndcg_score. `recall_at_k` is the fraction of next items among the first k.
    """

    k: int = 10

    unit = "1 − NDCG"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True

    @property
    def units(self) -> dict[str, str]:
        return super().units | {f"recall_at_{self.k}": "recall"}

    def __post_init__(self) -> None:
        at_least(1, k=self.k)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there is one target item for each history."""
        if not dataset.vocabulary or dataset.train.x.ndim != 2 or dataset.train.y.shape[1:] != (1,):
            raise UsageError(
                f"task=NextItem() needs one target item for each history, and {dataset.name!r} has inputs of shape "
                f"{dataset.train.x.shape} and targets of shape {dataset.train.y.shape}; choose a source such as "
                "NextItems(…)"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """One logit for each item."""
        return dataset.vocabulary

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, V], items int [B, 1]; label_smoothing is ignored."""
        return _cross_entropy(outputs, targets[:, 0]).mean()

    def example_metrics(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Error, loss (nats) and recall of each example [B]. Logits [B, V], items int [B, 1]."""
        target = jnp.take_along_axis(outputs, targets, axis=-1)
        # Negated, so that NaN gives the last rank and not the first.
        ahead = (~(outputs <= target)).sum(axis=-1)
        tied = jnp.maximum((outputs == target).sum(axis=-1), 1)
        gains = 1.0 / np.log2(np.arange(2, self.k + 2))
        gains_of = {"error": gains, f"recall_at_{self.k}": np.ones(self.k)}
        values = {name: self._mean_gain(gains, ahead, tied) for name, gains in gains_of.items()}
        return values | {"error": 1.0 - values["error"], "loss": _cross_entropy(outputs, targets[:, 0])}

    def _mean_gain(self, gains: np.ndarray, ahead: jax.Array, tied: jax.Array) -> jax.Array:
        """The mean gain of the ranks ahead + 1 … ahead + tied; ranks beyond k have gain 0. [B]."""
        total = jnp.asarray(np.concatenate([[0.0], np.cumsum(gains)]), jnp.float32)
        first, last = jnp.minimum(ahead, self.k), jnp.minimum(ahead + tied, self.k)
        return (total[last] - total[first]) / tied

    def saved_outputs(self, outputs: jax.Array) -> dict[str, jax.Array]:
        """The k recommended items, best first, int32 [B, k]. Logits [B, V]."""
        return {"recommended": jax.lax.top_k(outputs, min(self.k, outputs.shape[-1]))[1]}


def _cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """−log P(token) [...]. Logits [..., V], tokens int [...].

    A product with one-hot rows, because its gradient needs no separate pass.
    """
    one_hot = jax.nn.one_hot(targets, outputs.shape[-1])
    return jax.nn.logsumexp(outputs, axis=-1) - (outputs * one_hot).sum(axis=-1)

"""Language modelling: the next token of a text, cross-entropy in nats per byte to learn by and to report."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from dlm.data.dataset import Dataset
from dlm.tasks.base import Task
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class LanguageModelling(Task):
    """At each place of a text the token that follows; the error is the mean of −log P(token), in nats.

    Tokens are bytes, so texts of any language and any division into blocks are measured in one unit. Error and loss are
    the same number; with label smoothing, what training makes small is another.
    """

    unit = "nats per byte"
    loss_unit = "nats per byte"
    loss_is_mean = True

    def check(self, dataset: Dataset) -> None:
        """UsageError unless a token follows each token."""
        if not dataset.vocabulary or dataset.train.y.shape != dataset.train.x.shape:
            raise UsageError(
                f"task=LanguageModelling() needs a token to follow each token, and {dataset.name!r} has inputs of "
                f"shape {dataset.train.x.shape} and targets of shape {dataset.train.y.shape}; choose a "
                "source of texts such as StdlibText()"
            )

    def num_outputs(self, dataset: Dataset) -> int:
        """Outputs a model needs at each place: one logit a token."""
        return dataset.vocabulary

    def loss(self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. Logits [B, L, V], tokens int [B, L], label_smoothing [] (may be traced)."""
        smoothed = jax.nn.logsumexp(outputs, axis=-1) - outputs.mean(axis=-1)
        return ((1.0 - label_smoothing) * _nats(outputs, targets) + label_smoothing * smoothed).mean()

    def measures(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """Of each text its mean cross-entropy (nats), twice: as error and as loss. Each [B]."""
        nats = _nats(outputs, targets).mean(axis=-1)
        return {"error": nats, "loss": nats}


def _nats(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """−log P(token) at each place. Logits [B, L, V], tokens int [B, L]; returns [B, L]."""
    wanted = jax.nn.one_hot(targets, outputs.shape[-1])
    return jax.nn.logsumexp(outputs, axis=-1) - (outputs * wanted).sum(axis=-1)

"""Builds one step's batch: sample indices, noise, then augmentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dlm.data.corruption import Amounts, noisy_inputs, noisy_labels
from dlm.data.permutation import batch_rows
from dlm.study.learner import Augment
from dlm.study.noise import Noise
from dlm.train.augmentation import augment_inputs, mixup_partners
from dlm.train.types import AUGMENT, Array, Data, Member, MemberNoise, ProgramConfig, StreamWindow, key_of


class ExampleIndices(NamedTuple):
    """Indices of examples, int [B] each: into the stored arrays, into the subset, and into the batch."""

    row: Array
    rank: Array
    position: Array


class BatchExamples(NamedTuple):
    """Inputs and targets after noise and augmentation; with mixup also the partners' targets and the own weight."""

    inputs: jax.Array
    targets: jax.Array
    partner_targets: Any = None
    weight: Any = None

    def mixed_loss(self, loss: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """`loss(targets)`; with mixup the weighted mean of the losses for both targets."""
        if self.partner_targets is None:
            return loss(self.targets)
        return self.weight * loss(self.targets) + (1 - self.weight) * loss(self.partner_targets)


@dataclasses.dataclass(frozen=True)
class Batch:
    """The examples of one step. `x` and `y` are the arrays that the indices refer to, `key` is for augmentation.

    `indices` is a tree of arrays [B], with a second entry for mixup partners; `examples` takes all or some of its rows.
    """

    config: ProgramConfig
    member: Member
    x: jax.Array
    y: jax.Array
    key: jax.Array | None
    weight: Any
    indices: tuple[ExampleIndices, ...]

    def examples(self, indices: tuple[ExampleIndices, ...]) -> BatchExamples:
        """The examples at `indices`, mixed with their partners if there are any."""
        own = self._examples(indices[0])
        if len(indices) == 1:
            return own
        partner = self._examples(indices[1])
        inputs = self.weight * own.inputs + (1 - self.weight) * partner.inputs
        return BatchExamples(inputs, own.targets, partner.targets, self.weight)

    def _examples(self, indices: ExampleIndices) -> BatchExamples:
        config, member = self.config, self.member
        inputs, targets = config.inputs(self.x[indices.row], member.stats), self.y[indices.row]
        if member.noise is not None:
            inputs, targets = _add_member_noise(config, inputs, targets, indices.rank, member.noise)
        if config.numeric_targets and member.stats is not None:
            targets = member.stats.targets(targets)
        if self.key is not None:
            inputs = augment_inputs(config.augment, inputs, self.key, indices.position)
        return BatchExamples(inputs, targets)


def make_batch(
    config: ProgramConfig, member: Member, step: jax.Array, data: Data, window: StreamWindow | None
) -> Batch:
    """A member's batch after `step` updates, from the resident pool or from the window of a streamed pool."""
    ranks = batch_rows(step.astype(jnp.uint32), config.batch_size, member.train_size, member.seed, jnp)
    positions = jnp.arange(config.batch_size)
    source: Any = window or data
    rows = (step - source.first) * config.batch_size + positions if window else source.orders[member.order, ranks]
    own = ExampleIndices(rows, ranks, positions)
    key = jax.random.fold_in(key_of(member, AUGMENT), step) if config.augment != Augment() else None
    if key is None or not config.augment.mixup:
        return Batch(config, member, source.x, source.y, key, None, (own,))
    order, weight = mixup_partners(config.augment.mixup, config.batch_size, key)
    partner = jax.tree.map(lambda leaf: leaf[order], own)
    return Batch(config, member, source.x, source.y, key, weight, (own, partner))


def _add_member_noise(
    config: ProgramConfig, x: jax.Array, y: jax.Array, ranks: jax.Array, noise: MemberNoise
) -> tuple[jax.Array, jax.Array]:
    # A kind that no member has is the Python number 0, which leaves it out of the program.
    amounts = Amounts(
        *(amount if name in config.noise else 0.0 for name, amount in zip(Amounts._fields, noise.amounts))
    )
    return add_noise(config, x, y, ranks, noise.seed, amounts)


def add_noise(
    config: ProgramConfig, x: jax.Array, y: jax.Array, ranks: jax.Array, seed: Array, amounts: Amounts | Noise
) -> tuple[jax.Array, jax.Array]:
    """Noisy inputs and labels. x: model inputs [B, ...]; y: labels [B]; ranks: int [B], indices into the subset."""
    y = noisy_labels(y, ranks, seed, amounts, config.num_classes, jnp)
    return noisy_inputs(x, ranks, seed, amounts, *config.extent, jnp), y

"""The examples that a member meets in one step: which they are, what is wrong with them, and how they are changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dlm.data.corruption import Amounts, noisy_inputs, noisy_labels
from dlm.data.permutation import batch_rows
from dlm.study.augmentation import Augment
from dlm.study.noise import Noise
from dlm.train.augmentation import augmented, partners
from dlm.train.types import AUGMENT, Array, Data, Member, Noisy, ProgramConfig, Window, key_of


class Drawn(NamedTuple):
    """Examples of a batch, int [B] each: where they are held, their ranks in the subset, their places in the batch."""

    index: Array
    rank: Array
    place: Array


class Shown(NamedTuple):
    """Inputs and targets as the model meets them; with mixup also the partners' targets, and the weight of the own."""

    inputs: jax.Array
    targets: jax.Array
    others: Any = None
    weight: Any = None

    def mixed(self, loss: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """The loss to the targets, or to both in their proportion."""
        if self.others is None:
            return loss(self.targets)
        return self.weight * loss(self.targets) + (1 - self.weight) * loss(self.others)


@dataclasses.dataclass(frozen=True)
class Meeting:
    """One step's examples: x and y are what holds them, `key` is of their changes.

    `batch` is a tree of arrays [B]; `show` takes it, or a part of its rows.
    """

    spec: ProgramConfig
    member: Member
    x: jax.Array
    y: jax.Array
    key: jax.Array | None
    weight: Any
    batch: tuple[Drawn, ...]

    def show(self, batch: tuple[Drawn, ...]) -> Shown:
        """Some of the step's examples, mixed with their partners if there are any."""
        shown = self._show(batch[0])
        if len(batch) == 1:
            return shown
        other = self._show(batch[1])
        inputs = self.weight * shown.inputs + (1 - self.weight) * other.inputs
        return Shown(inputs, shown.targets, other.targets, self.weight)

    def _show(self, drawn: Drawn) -> Shown:
        spec, member = self.spec, self.member
        inputs, targets = spec.inputs(self.x[drawn.index], member.stats), self.y[drawn.index]
        if member.noise is not None:
            inputs, targets = noisy(spec, inputs, targets, drawn.rank, member.noise)
        if spec.numeric_targets and member.stats is not None:
            targets = member.stats.targets(targets)
        if self.key is not None:
            inputs = augmented(spec.augment, inputs, self.key, drawn.place)
        return Shown(inputs, targets)


def meet(spec: ProgramConfig, member: Member, step: jax.Array, data: Data, window: Window | None) -> Meeting:
    """What a member meets after `step` updates: of the pool, or of the window that has been streamed to it."""
    ranks = batch_rows(step.astype(jnp.uint32), spec.batch_size, member.size, member.seed, jnp)
    places = jnp.arange(spec.batch_size)
    held: Any = window or data
    index = (step - held.first) * spec.batch_size + places if window else held.orders[member.order, ranks]
    drawn = Drawn(index, ranks, places)
    key = jax.random.fold_in(key_of(member, AUGMENT), step) if spec.augment != Augment() else None
    if key is None or not spec.augment.mixup:
        return Meeting(spec, member, held.x, held.y, key, None, (drawn,))
    partner, weight = partners(spec.augment.mixup, spec.batch_size, key)
    return Meeting(spec, member, held.x, held.y, key, weight, (drawn, jax.tree.map(lambda leaf: leaf[partner], drawn)))


def noisy(
    spec: ProgramConfig, x: jax.Array, y: jax.Array, ranks: jax.Array, noise: Noisy
) -> tuple[jax.Array, jax.Array]:
    """Inputs, as the model sees them, and labels of examples of these ranks [B] with what is wrong with them."""
    # A kind that no member has is a plain 0, which leaves it out of the program.
    amounts = Amounts(*(amount if name in spec.noise else 0.0 for name, amount in zip(Amounts._fields, noise.amounts)))
    return corrupted(spec, x, y, ranks, noise.seed, amounts)


def corrupted(
    spec: ProgramConfig, x: jax.Array, y: jax.Array, ranks: jax.Array, seed: Array, amounts: Amounts | Noise
) -> tuple[jax.Array, jax.Array]:
    """Inputs and labels with these amounts wrong."""
    y = noisy_labels(y, ranks, seed, amounts, spec.num_classes, jnp)
    return noisy_inputs(x, ranks, seed, amounts, *spec.extent, jnp), y

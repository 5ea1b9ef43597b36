"""What training is about, as arrays and static numbers: members, states, data, and what a program is made of."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dlm.data.corruption import Amounts
from dlm.data.normalization import NormalizationStats
from dlm.models import Model
from dlm.study.augmentation import Augment
from dlm.study.learner import Optimizer, Precision
from dlm.study.noise import Noise

INIT, DROPOUT, AUGMENT = 0, 1, 2  # purposes of a random draw

Array = Any  # jax.Array, or a NumPy array on its way to the devices


class Noisy(NamedTuple):
    """How much is wrong with a member's examples, and the subset seed that says with which."""

    seed: Array
    amounts: Amounts


class Member(NamedTuple):
    """What tells members of a cohort apart: scalars, or arrays [M] for a population.

    `order` is a row of `Data.orders`; `size` the number of examples; `limit` the number of updates; `stats` are
    of the training subset, None where inputs and targets are met as they are; `noise` is None where nothing is wrong;
    `focal` and `class_weights` [C] are None where the loss has none.
    """

    seed: Array
    order: Array
    size: Array
    limit: Array
    lr: Array
    weight_decay: Array
    dropout: Array
    label_smoothing: Array
    stats: NormalizationStats | None = None
    noise: Noisy | None = None
    focal: Array | None = None
    class_weights: Array | None = None


class Best(NamedTuple):
    """The state with the best validation error so far, the measurements since, and the step of the last of them."""

    params: Any
    error: jax.Array
    step: jax.Array
    waited: jax.Array
    measured_at: jax.Array


class State(NamedTuple):
    """A member's state. `loss` is the last finite training loss; `best` is None without early stopping."""

    params: Any
    opt_state: Any
    step: jax.Array
    loss: jax.Array
    diverged: jax.Array
    stopped: jax.Array
    best: Best | None


class ResourceUsage(NamedTuple):
    """What a member's training took so far: seconds, its share of its cohort's; joules, None where none are told."""

    seconds: float = 0.0
    joules: float | None = None

    def plus(self, seconds: float, joules: float | None) -> ResourceUsage:
        """What it is after some more; once joules are not known, their sum is not."""
        known = self.joules is not None and joules is not None
        return ResourceUsage(self.seconds + seconds, self.joules + joules if known else None)  # type: ignore[operator]


class Batches(NamedTuple):
    """A split cut into batches for measuring: x [K, B, ...], y [K, B], weight [K, B] (0 for padding).

    `clean` [K, B] are the weights without examples that are in the training pool too; None where there are no such.
    """

    x: Array
    y: Array
    weight: Array
    clean: Array | None = None


class Data(NamedTuple):
    """The data on the device, shared by all members. `orders` [S, N]: the pool's order for each subset seed.

    Of a pool that is streamed `x`, `y` and `orders` are None; its examples come in a `Window`.
    """

    x: Array | None
    y: Array | None
    orders: Array | None
    validation: Batches
    test: Batches


class Window(NamedTuple):
    """The examples of one member's next updates in the order they are met: x [W·B, ...], y [W·B, ...].

    `first` is the number of updates applied before the first of them.
    """

    x: Array
    y: Array
    first: Array


@dataclasses.dataclass(frozen=True)
class ProgramConfig:
    """What a cohort's program is compiled from: functions and static numbers.

    `tokens`: inputs are whole numbers and stay so; `standardize`, `numeric_targets`: inputs, targets are met by the
    subset's statistics. `noise`: the kinds that members have amounts of; `extent`: the range of inputs as the model
    sees them. `precision`: what the model is computed in, forward and backward; all else is float32.
    `in_parts`: a batch may be taken in parts that stay in the cache, where the loss is a mean over examples.
    """

    model: Model
    task: Any
    optimizer: Optimizer
    input_shape: tuple[int, ...]
    scale: float
    shift: float
    batch_size: int
    dropout: bool
    eval_every: int
    patience: int
    precision: Precision = "float32"
    in_parts: bool = False
    tokens: bool = False
    standardize: bool = False
    numeric_targets: bool = False
    augment: Augment = Augment()
    noise: tuple[str, ...] = ()
    test_noise: Noise = Noise()
    extent: tuple[float, float] = (0.0, 1.0)
    num_classes: int = 0

    def inputs(self, x: jax.Array, stats: NormalizationStats | None) -> jax.Array:
        """Stored inputs as the model sees them: float32, or int32 tokens."""
        if self.tokens:
            return x.astype(jnp.int32)
        x = x.astype(jnp.float32)
        if self.standardize:
            assert stats is not None
            return stats.inputs(x, jnp)
        return x * self.scale + self.shift

    def outputs(self, params: Any, inputs: jax.Array, dropout: Any = None, key: jax.Array | None = None) -> jax.Array:
        """The model's outputs, float32. A cast to the type that an array has leaves no trace."""
        params, inputs = jax.tree.map(self._in_precision, (params, inputs))
        return self.model.apply(params, inputs, dropout, key).astype(jnp.float32)

    def _in_precision(self, leaf: jax.Array) -> jax.Array:
        return leaf.astype(self.precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def key_of(member: Member, purpose: int) -> jax.Array:
    """The key of a member's draws for a purpose."""
    return jax.random.fold_in(jax.random.key(member.seed), purpose)

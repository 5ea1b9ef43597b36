"""One member: its initial state, its update, and a run of updates. Pure functions of (spec, member, state, data).

`step` is the number of updates applied. Every draw is a function of (seed, purpose, step), so no key is carried, and a
member that is stopped and continued anywhere goes on bit for bit.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dlm.data.batches import batch_rows
from dlm.learner import Optimizer, Precision
from dlm.models import Model
from dlm.train.optim import transform, unit_schedule
from dlm.train.parts import examples_at_once, value_and_grad

INIT, DROPOUT = 0, 1  # purposes of a random draw

Array = Any  # jax.Array, or a NumPy array on its way to the devices


class Member(NamedTuple):
    """What tells members of a cohort apart: scalars, or arrays [M] for a population.

    `order` is a row of `Data.orders`; `size` the number of examples; `limit` the number of updates.
    """

    seed: Array
    order: Array
    size: Array
    limit: Array
    lr: Array
    weight_decay: Array
    dropout: Array
    label_smoothing: Array


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


class Batches(NamedTuple):
    """A split cut into batches for measuring: x [K, B, ...], y [K, B], weight [K, B] (0 for padding)."""

    x: Array
    y: Array
    weight: Array


class Data(NamedTuple):
    """The data on the device, shared by all members. `orders` [S, N]: the pool's order for each subset seed."""

    x: Array
    y: Array
    orders: Array
    validation: Batches
    test: Batches


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a cohort's program is compiled from: functions and static numbers.

    `precision`: what the model is computed in, forward and backward; all else is float32.
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

    def inputs(self, x: jax.Array) -> jax.Array:
        """Stored inputs as the model sees them: float32."""
        return x.astype(jnp.float32) * self.scale + self.shift

    def outputs(self, params: Any, x: jax.Array, dropout: Any = None, key: jax.Array | None = None) -> jax.Array:
        """The model's outputs for stored inputs, float32. A cast to the type that an array has leaves no trace."""
        params, inputs = jax.tree.map(lambda leaf: leaf.astype(self.precision), (params, self.inputs(x)))
        return self.model.apply(params, inputs, dropout, key).astype(jnp.float32)


def init(spec: Spec, member: Member) -> State:
    """A member before its first update."""
    params = spec.model.init(_key(member, INIT), jnp.zeros((1, *spec.input_shape), jnp.float32))
    zero = jnp.int32(0)
    best = Best(params, jnp.float32(jnp.inf), zero, zero, zero) if spec.patience else None
    return State(
        params=params,
        opt_state=transform(spec.optimizer, 0.0, 0.0).init(params),
        step=zero,
        loss=jnp.float32(0),
        diverged=jnp.bool_(False),
        stopped=jnp.bool_(False),
        best=best,
    )


def advance(spec: Spec, member: Member, state: State, data: Data, steps: jax.Array) -> State:
    """Up to `steps` updates: never past the member's limit, nor past its next validation."""
    end = jnp.minimum(state.step + steps, member.limit)
    if spec.eval_every:
        end = jnp.minimum(end, (state.step // spec.eval_every + 1) * spec.eval_every)
    return jax.lax.while_loop(
        lambda state: (state.step < end) & ~state.diverged & ~state.stopped,
        lambda state: update(spec, member, state, data),
        state,
    )


def update(spec: Spec, member: Member, state: State, data: Data) -> State:
    """One update. A loss that is not finite freezes the member: `diverged`, its step not counted."""
    rows = batch_rows(state.step.astype(jnp.uint32), spec.batch_size, member.size, member.seed, jnp)
    index = data.orders[member.order, rows]
    key = jax.random.fold_in(_key(member, DROPOUT), state.step) if spec.dropout else None

    def loss_of(params: Any, index: jax.Array) -> jax.Array:
        outputs = spec.outputs(params, data.x[index], member.dropout if spec.dropout else None, key)
        return spec.task.loss(outputs, data.y[index], member.label_smoothing)

    at_once = examples_at_once(loss_of, state.params, index) if spec.in_parts else spec.batch_size
    loss, gradient = value_and_grad(loss_of, state.params, index, at_once)
    lr = member.lr * unit_schedule(spec.optimizer, state.step, member.limit)
    tx = transform(spec.optimizer, lr, member.weight_decay)
    updates, opt_state = tx.update(gradient, state.opt_state, state.params)
    finite = jnp.isfinite(loss)
    return state._replace(
        params=jax.tree.map(jnp.add, state.params, updates),
        opt_state=opt_state,
        step=state.step + finite.astype(jnp.int32),
        loss=jnp.where(finite, loss, state.loss),
        diverged=~finite,
    )


def _key(member: Member, purpose: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(member.seed), purpose)

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
from dlm.data.moments import Moments
from dlm.learner import Optimizer, Precision
from dlm.models import Model
from dlm.train.optim import transform, unit_schedule
from dlm.train.parts import examples_at_once, value_and_grad

INIT, DROPOUT = 0, 1  # purposes of a random draw

Array = Any  # jax.Array, or a NumPy array on its way to the devices


class Member(NamedTuple):
    """What tells members of a cohort apart: scalars, or arrays [M] for a population.

    `order` is a row of `Data.orders`; `size` the number of examples; `limit` the number of updates; `moments` are
    of the training subset, None where inputs and targets are met as they are.
    """

    seed: Array
    order: Array
    size: Array
    limit: Array
    lr: Array
    weight_decay: Array
    dropout: Array
    label_smoothing: Array
    moments: Moments | None = None


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
class Spec:
    """What a cohort's program is compiled from: functions and static numbers.

    `tokens`: inputs are whole numbers and stay so; `standardize`, `numeric_targets`: inputs, targets are met by the
    subset's moments. `precision`: what the model is computed in, forward and backward; all else is float32.
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

    def inputs(self, x: jax.Array, moments: Moments | None) -> jax.Array:
        """Stored inputs as the model sees them: float32, or int32 tokens."""
        if self.tokens:
            return x.astype(jnp.int32)
        x = x.astype(jnp.float32)
        if self.standardize:
            assert moments is not None
            return moments.inputs(x, jnp)
        return x * self.scale + self.shift

    def outputs(self, params: Any, inputs: jax.Array, dropout: Any = None, key: jax.Array | None = None) -> jax.Array:
        """The model's outputs, float32. A cast to the type that an array has leaves no trace."""
        params, inputs = jax.tree.map(self._in_precision, (params, inputs))
        return self.model.apply(params, inputs, dropout, key).astype(jnp.float32)

    def _in_precision(self, leaf: jax.Array) -> jax.Array:
        return leaf.astype(self.precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def init(spec: Spec, member: Member) -> State:
    """A member before its first update."""
    example = jnp.zeros((1, *spec.input_shape), jnp.int32 if spec.tokens else jnp.float32)
    params = spec.model.init(_key(member, INIT), example)
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


def advance(
    spec: Spec, member: Member, state: State, data: Data, steps: jax.Array, window: Window | None = None
) -> State:
    """Up to `steps` updates: never past the member's limit, nor past its next validation.

    With a window its examples are met, which are those that the pool would have given.
    """
    end = jnp.minimum(state.step + steps, member.limit)
    if spec.eval_every:
        end = jnp.minimum(end, (state.step // spec.eval_every + 1) * spec.eval_every)
    return jax.lax.while_loop(
        lambda state: (state.step < end) & ~state.diverged & ~state.stopped,
        lambda state: update(spec, member, state, data, window),
        state,
    )


def update(spec: Spec, member: Member, state: State, data: Data, window: Window | None = None) -> State:
    """One update. A loss that is not finite freezes the member: `diverged`, its step not counted."""
    index, x, y = _examples(spec, member, state.step, data, window)
    key = jax.random.fold_in(_key(member, DROPOUT), state.step) if spec.dropout else None

    def loss_of(params: Any, index: jax.Array) -> jax.Array:
        inputs, targets = spec.inputs(x[index], member.moments), y[index]
        if spec.numeric_targets and member.moments:
            targets = member.moments.targets(targets)
        outputs = spec.outputs(params, inputs, member.dropout if spec.dropout else None, key)
        return spec.task.loss(outputs, targets, member.label_smoothing)

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


def _examples(
    spec: Spec, member: Member, step: jax.Array, data: Data, window: Window | None
) -> tuple[jax.Array, Any, Any]:
    """Where the examples of a batch are, int [B], and the inputs and targets that they are in."""
    if window is not None:
        return (step - window.first) * spec.batch_size + jnp.arange(spec.batch_size), window.x, window.y
    assert data.orders is not None
    rows = batch_rows(step.astype(jnp.uint32), spec.batch_size, member.size, member.seed, jnp)
    return data.orders[member.order, rows], data.x, data.y


def _key(member: Member, purpose: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(member.seed), purpose)

"""One member: its initial state, its update, and a run of updates. Pure functions of (spec, member, state, data).

`step` is the number of updates applied. Every draw is a function of (seed, purpose, step), so no key is carried, and a
member that is stopped and continued anywhere goes on bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dlm.train.batch import meet
from dlm.train.optimizer import transform, unit_schedule
from dlm.train.types import DROPOUT, INIT, Best, Data, Member, ProgramConfig, State, Window, key_of

PART_BYTES = 2**19  # kept by a part's forward pass for the backward one, at least: a core's cache is one to two MiB …
KEPT_TO_WEIGHTS = 4  # … and so many times the parameters' bytes: each part adds a whole gradient to the sum


def examples_at_once(loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any) -> int:
    """The fewest examples, a divisor of the batch, that keep as many bytes as make a part worth while.

    `loss(params, batch)` is a scalar; arrays or their shapes, those of the batch [B, ...]. Nothing is computed.
    """
    size = len(jax.tree.leaves(batch)[0])
    if size == 1:
        return 1
    one, two = (_kept_bytes(loss, params, _first(batch, count)) for count in (1, 2))
    each = two - one  # leaves out what does not grow with the batch: the parameters
    wanted = max(PART_BYTES, KEPT_TO_WEIGHTS * _bytes(params))
    return next(
        count for count in range(1, size + 1) if size % count == 0 and (count * each >= wanted or count == size)
    )


def value_and_grad(
    loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any, at_once: int
) -> tuple[jax.Array, Any]:
    """Loss and gradient as the means over parts of `at_once` examples. batch: arrays [B, ...], B a multiple of it."""
    whole = jax.value_and_grad(loss)
    count = len(jax.tree.leaves(batch)[0]) // at_once
    if count == 1:
        return whole(params, batch)
    parts = jax.tree.map(lambda leaf: leaf.reshape(count, at_once, *leaf.shape[1:]), batch)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (jnp.float32(0), params))
    total, _ = jax.lax.scan(
        lambda so_far, part: (jax.tree.map(jnp.add, so_far, whole(params, part)), None), zero, parts
    )
    return jax.tree.map(lambda leaf: leaf / count, total)


def _first(batch: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), batch)


def _kept_bytes(loss: Callable[[Any, Any], jax.Array], params: Any, batch: Any) -> int:
    """Bytes of the values that the backward pass to the parameters needs from the forward one."""
    pullback = jax.eval_shape(
        lambda params, batch: jax.vjp(lambda params: loss(params, batch), params)[1], params, batch
    )
    return _bytes(pullback)


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def init(spec: ProgramConfig, member: Member) -> State:
    """A member before its first update."""
    example = jnp.zeros((1, *spec.input_shape), jnp.int32 if spec.tokens else jnp.float32)
    params = spec.model.init(key_of(member, INIT), example)
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
    spec: ProgramConfig, member: Member, state: State, data: Data, steps: jax.Array, window: Window | None = None
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


def update(spec: ProgramConfig, member: Member, state: State, data: Data, window: Window | None = None) -> State:
    """One update. A loss that is not finite freezes the member: `diverged`, its step not counted."""
    meeting = meet(spec, member, state.step, data, window)
    key = jax.random.fold_in(key_of(member, DROPOUT), state.step) if spec.dropout else None
    of_classes = {"focal": member.focal, "class_weights": member.class_weights}
    emphasis = {name: value for name, value in of_classes.items() if value is not None}

    def loss_of(params: Any, batch: Any) -> jax.Array:
        shown = meeting.show(batch)
        outputs = spec.outputs(params, shown.inputs, member.dropout if spec.dropout else None, key)
        return shown.mixed(lambda targets: spec.task.loss(outputs, targets, member.label_smoothing, **emphasis))

    at_once = examples_at_once(loss_of, state.params, meeting.batch) if spec.in_parts else spec.batch_size
    loss, gradient = value_and_grad(loss_of, state.params, meeting.batch, at_once)
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

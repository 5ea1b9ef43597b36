"""One member: its initial state, its update, and a run of updates. Pure functions of (spec, member, state, data).

`step` is the number of updates applied. Every draw is a function of (seed, purpose, step), so no key is carried, and a
member that is stopped and continued anywhere goes on bit for bit.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from dlm.train.meeting import meet
from dlm.train.optim import transform, unit_schedule
from dlm.train.parts import examples_at_once, value_and_grad
from dlm.train.spec import DROPOUT, INIT, Best, Data, Member, Spec, State, Window, key_of


def init(spec: Spec, member: Member) -> State:
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

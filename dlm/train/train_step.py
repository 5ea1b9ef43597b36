"""Initializes and updates one member: pure functions of (config, member, state, data).

`step` is the number of updates applied. Every random draw is a function of (seed, purpose, step), so no key is carried
and a member that is interrupted and resumed at any step continues bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dlm.models.adapters import merge_variables, split_variables
from dlm.train.batch import make_batch
from dlm.train.optimizer import apply_gradient, init_optimizer, unit_schedule
from dlm.train.types import DROPOUT, INIT, BestSnapshot, Data, Member, ProgramConfig, State, StreamWindow, key_of

MICROBATCH_BYTES = 2**19  # least size of the activations saved for the backward pass: a core's cache is 1 to 2 MiB …
BYTES_TO_PARAMS = 4  # … and least multiple of the parameters' bytes: each microbatch adds a whole gradient to the sum

Loss = Callable[[Any, Any], tuple[jax.Array, Any]]  # (params, batch) -> (loss [], model state)


def microbatch_size(loss: Loss, params: Any, batch: Any) -> int:
    """The fewest examples, a divisor of the batch size, whose activations are large enough to split the batch.

    batch: arrays [B, ...] or their shapes. Nothing is computed.
    """
    size = len(jax.tree.leaves(batch)[0])
    if size == 1:
        return 1
    first, second = (_activation_bytes(loss, params, batch, count) for count in (1, 2))
    per_example = second - first  # excludes what does not grow with the batch: the parameters
    least = max(MICROBATCH_BYTES, BYTES_TO_PARAMS * _num_bytes(params))
    return next(
        count for count in range(1, size + 1) if size % count == 0 and (count * per_example >= least or count == size)
    )


def value_and_grad(loss: Loss, params: Any, batch: Any, size: int) -> tuple[tuple[jax.Array, Any], Any]:
    """((loss, model state), gradient), with loss and gradient as means over microbatches of `size` examples.

    batch: arrays [B, ...], B a multiple of `size`. Only a model without state is split into microbatches.
    """
    whole = jax.value_and_grad(loss, has_aux=True)
    count = len(jax.tree.leaves(batch)[0]) // size
    if count == 1:
        return whole(params, batch)
    microbatches = jax.tree.map(lambda leaf: leaf.reshape(count, size, *leaf.shape[1:]), batch)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (jnp.float32(0), params))

    def add(total: Any, microbatch: Any) -> tuple[Any, None]:
        (value, _), gradient = whole(params, microbatch)
        return jax.tree.map(jnp.add, total, (value, gradient)), None

    total, _ = jax.lax.scan(add, zero, microbatches)
    value, gradient = jax.tree.map(lambda leaf: leaf / count, total)
    return (value, None), gradient


def _activation_bytes(loss: Loss, params: Any, batch: Any, count: int) -> int:
    """Bytes that the forward pass of the first `count` examples saves for the backward pass."""
    rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), batch)
    pullback = jax.eval_shape(
        lambda params, batch: jax.vjp(lambda params: loss(params, batch)[0], params)[1], params, rows
    )
    return _num_bytes(pullback)


def _num_bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def init(config: ProgramConfig, member: Member) -> State:
    """State of a member before its first update."""
    example = jnp.zeros((1, *config.input_shape), jnp.int32 if config.tokens else jnp.float32)
    variables = config.model.init(key_of(member, INIT), example)
    zero = jnp.int32(0)
    return State(
        params=variables,
        opt_state=init_optimizer(config.optimizer, split_variables(variables)[0]),
        step=zero,
        loss=jnp.float32(0),
        diverged=jnp.bool_(False),
        stopped=jnp.bool_(False),
        best=BestSnapshot(variables, jnp.float32(jnp.inf), zero, zero, zero) if config.patience else None,
    )


def advance(
    config: ProgramConfig,
    member: Member,
    state: State,
    data: Data,
    steps: jax.Array,
    window: StreamWindow | None = None,
) -> State:
    """Applies up to `steps` updates, not beyond the member's last step nor its next evaluation.

    `window` holds the examples of a streamed pool: the same that a resident pool would give.
    """
    end = jnp.minimum(state.step + steps, member.num_steps)
    if config.eval_every:
        end = jnp.minimum(end, (state.step // config.eval_every + 1) * config.eval_every)
    return jax.lax.while_loop(
        lambda state: (state.step < end) & ~state.diverged & ~state.stopped,
        lambda state: update(config, member, state, data, window),
        state,
    )


def update(
    config: ProgramConfig, member: Member, state: State, data: Data, window: StreamWindow | None = None
) -> State:
    """Applies one update. A loss that is not finite freezes the member: `diverged` is set, the step is not counted."""
    batch = make_batch(config, member, state.step, data, window)
    needs_key = config.dropout or config.model.is_stochastic
    key = jax.random.fold_in(key_of(member, DROPOUT), state.step) if needs_key else None
    dropout = member.dropout if config.dropout else None
    class_emphasis = {"focal": member.focal, "class_weights": member.class_weights}
    emphasis = {name: value for name, value in class_emphasis.items() if value is not None}
    params, model_state = split_variables(state.params)

    def loss_of(params: Any, indices: Any) -> tuple[jax.Array, Any]:
        examples = batch.examples(indices)
        outputs, new_state = config.train_outputs(params, model_state, examples.inputs, dropout, key)
        loss = examples.mixed_loss(
            lambda targets: config.task.loss(outputs, targets, member.label_smoothing, **emphasis)
        )
        return loss, new_state

    size = microbatch_size(loss_of, params, batch.indices) if config.microbatched else config.batch_size
    (loss, model_state), gradient = value_and_grad(loss_of, params, batch.indices, size)
    lr = member.lr * unit_schedule(config.optimizer, state.step, member.num_steps)
    updates, opt_state = apply_gradient(
        config.optimizer, lr, member.weight_decay, gradient, state.opt_state, params, loss
    )
    finite = jnp.isfinite(loss)
    return state._replace(
        params=merge_variables(jax.tree.map(jnp.add, params, updates), model_state),
        opt_state=opt_state,
        step=state.step + finite.astype(jnp.int32),
        loss=jnp.where(finite, loss, state.loss),
        diverged=~finite,
    )

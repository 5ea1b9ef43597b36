"""The optimizer of one member at one step, built inside the step from numbers that may be traced."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.study.learner import Optax, Optimizer
from dlm.utils.errors import UsageError


def init_optimizer(config: Optimizer | Optax, params: Any) -> Any:
    """The initial optimizer state. UsageError for an optax optimizer whose state cannot be carried in a population."""
    state = transform(config, jnp.float32(0), jnp.float32(0)).init(params)
    if isinstance(config, Optax):
        for leaf in jax.tree.leaves(state):
            if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
                raise UsageError(
                    f"optimizer={config!r} keeps a random key in its state, which checkpoints cannot store; "
                    "choose an optimizer whose state holds numbers"
                )
        state = jax.tree.map(jnp.asarray, state)
    return state


def apply_gradient(
    config: Optimizer | Optax, lr: Any, weight_decay: Any, gradient: Any, state: Any, params: Any, loss: jax.Array
) -> tuple[Any, Any]:
    """(updates to add to the parameters, new optimizer state). `loss` is passed to optax optimizers that use it."""
    tx = transform(config, lr, weight_decay)
    if isinstance(config, Optimizer):
        return tx.update(gradient, state, params)
    updates, new_state = optax.with_extra_args_support(tx).update(gradient, state, params, value=loss, grad=gradient)
    updates = jax.tree.map(lambda update, param: update.astype(param.dtype), updates, params)
    return updates, jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), new_state, state)


def transform(config: Optimizer | Optax, lr: Any, weight_decay: Any) -> optax.GradientTransformation:
    """An optax transform with this step's learning rate. `lr`, `weight_decay`: floats or traced scalars.

    AdamW: Loshchilov & Hutter (2019), "Decoupled weight decay regularization"; SGD: heavy ball without Nesterov, with
    the same decoupled decay. Decay excludes vectors. Building the transform from traced numbers gives the same bits as
    from constants, which `optax.inject_hyperparams` does not.
    """
    if isinstance(config, Optax):
        tx = config.factory(learning_rate=lr, **config.arguments)
        if not isinstance(tx, optax.GradientTransformation):
            raise UsageError(
                f"optimizer={config!r} returned {type(tx).__name__}; it must return an optax.GradientTransformation"
            )
        return optax.chain(tx, optax.add_decayed_weights(-lr * weight_decay, mask=_is_matrix))
    clip = [optax.clip_by_global_norm(config.clip)] if config.clip else []
    direction = [scale_by_adam(config.b1, config.b2) if config.name == "adamw" else optax.trace(decay=config.b1)]
    decay = [optax.add_decayed_weights(weight_decay, mask=_is_matrix)]
    return optax.chain(*clip, *direction, *decay, optax.scale(-lr))


def scale_by_adam(b1: float, b2: float, eps: float = 1e-8) -> optax.GradientTransformation:
    """`optax.scale_by_adam` with the same state, but bias corrections as two scalars instead of two divided trees.

    Kept because optax's version makes an update of a small MLP on a CPU 3 % slower. Kingma & Ba (2015), "Adam: a method
    for stochastic optimization", in the order of operations of its section 2.
    """

    def update(gradient: Any, state: optax.ScaleByAdamState, params: Any = None) -> tuple[Any, Any]:
        count = state.count + 1
        steps = count.astype(jnp.float32)
        mu_scale, nu_scale = 1.0 / (1.0 - b1**steps), jax.lax.rsqrt(1.0 - b2**steps)
        mu = jax.tree.map(lambda mu, g: mu + (1.0 - b1) * (g - mu), state.mu, gradient)
        nu = jax.tree.map(lambda nu, g: nu + (1.0 - b2) * (g * g - nu), state.nu, gradient)
        scaled = jax.tree.map(lambda mu, nu: mu * mu_scale / (jnp.sqrt(nu) * nu_scale + eps), mu, nu)
        return scaled, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def unit_schedule(config: Optimizer | Optax, step: Any, num_steps: Any) -> jax.Array:
    """Fraction of the peak learning rate at update `step` (from 0): linear warm-up, then half a cosine or 1.

    Loshchilov & Hutter (2017), "SGDR". step, num_steps: ints or traced scalars. Returns float32 [].
    """
    num_steps = jnp.asarray(num_steps, jnp.float32)
    warmup = jnp.maximum(1.0, jnp.floor(config.warmup * num_steps))
    step = jnp.asarray(step, jnp.float32)
    rising = jnp.minimum(1.0, (step + 1.0) / warmup)
    if config.schedule == "constant":
        return rising
    falling = jnp.clip((step - warmup) / jnp.maximum(1.0, num_steps - warmup), 0.0, 1.0)
    return rising * 0.5 * (1.0 + jnp.cos(jnp.pi * falling))


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

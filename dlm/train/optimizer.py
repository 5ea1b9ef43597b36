"""The optimizer of one member at one step, built inside the step from numbers that may be traced."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.study.learner import Optimizer


def transform(config: Optimizer, lr: Any, weight_decay: Any) -> optax.GradientTransformation:
    """An optax transform with this step's learning rate. `lr`, `weight_decay`: floats or traced scalars.

    AdamW: Loshchilov & Hutter (2019), "Decoupled weight decay regularization"; SGD: Nesterov-free heavy ball with the
    same decoupled decay. Decay spares vectors. Building the transform from traced numbers gives the same bits as
    from constants, which `optax.inject_hyperparams` does not.
    """
    clip = [optax.clip_by_global_norm(config.clip)] if config.clip else []
    kind = [scale_by_adam(config.b1, config.b2) if config.name == "adamw" else optax.trace(decay=config.b1)]
    decay = [optax.add_decayed_weights(weight_decay, mask=_is_matrix)]
    return optax.chain(*clip, *kind, *decay, optax.scale(-lr))


def scale_by_adam(b1: float, b2: float, eps: float = 1e-8) -> optax.GradientTransformation:
    """optax's transform of the same name and state, its bias corrections two scalars in place of two divided trees.

    An update of a small network on a CPU spends a tenth of its time here. Kingma & Ba (2015), "Adam: a method for
    stochastic optimization", in the order of operations of its section 2.
    """

    def update(gradient: Any, state: optax.ScaleByAdamState, params: Any = None) -> tuple[Any, Any]:
        count = state.count + 1
        done = count.astype(jnp.float32)
        of_mu, of_nu = 1.0 / (1.0 - b1**done), jax.lax.rsqrt(1.0 - b2**done)
        mu = jax.tree.map(lambda mu, g: mu + (1.0 - b1) * (g - mu), state.mu, gradient)
        nu = jax.tree.map(lambda nu, g: nu + (1.0 - b2) * (g * g - nu), state.nu, gradient)
        scaled = jax.tree.map(lambda mu, nu: mu * of_mu / (jnp.sqrt(nu) * of_nu + eps), mu, nu)
        return scaled, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def unit_schedule(config: Optimizer, step: Any, limit: Any) -> jax.Array:
    """Share of the peak learning rate at update `step` (from 0) of `limit`: linear warm-up, then half a cosine or 1.

    Loshchilov & Hutter (2017), "SGDR". step, limit: ints or traced scalars. Returns float32 [].
    """
    limit = jnp.asarray(limit, jnp.float32)
    warmup = jnp.maximum(1.0, jnp.floor(config.warmup * limit))
    done = jnp.asarray(step, jnp.float32)
    rising = jnp.minimum(1.0, (done + 1.0) / warmup)
    if config.schedule == "constant":
        return rising
    falling = jnp.clip((done - warmup) / jnp.maximum(1.0, limit - warmup), 0.0, 1.0)
    return rising * 0.5 * (1.0 + jnp.cos(jnp.pi * falling))


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

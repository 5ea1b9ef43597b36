"""The optimizer of one member at one step, built inside the step from numbers that may be traced."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlm.learner import Optimizer


def transform(config: Optimizer, lr: Any, weight_decay: Any) -> optax.GradientTransformation:
    """An optax transform with this step's learning rate. `lr`, `weight_decay`: floats or traced scalars.

    AdamW: Loshchilov & Hutter (2019), "Decoupled weight decay regularization"; SGD: Nesterov-free heavy ball with the
    same decoupled decay. Decay spares vectors. Building the transform from traced numbers gives the same bits as
    from constants, which `optax.inject_hyperparams` does not.
    """
    clip = [optax.clip_by_global_norm(config.clip)] if config.clip else []
    if config.name == "adamw":
        kind = [optax.scale_by_adam(b1=config.b1, b2=config.b2)]
    else:
        kind = [optax.trace(decay=config.b1)]
    decay = [optax.add_decayed_weights(weight_decay, mask=_is_matrix)]
    return optax.chain(*clip, *kind, *decay, optax.scale(-lr))


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

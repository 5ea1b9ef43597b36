"""Texts drawn from a language model, one token after another, with the keys and values of those before kept."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.models.transformer import Cache, Transformer
from dlm.utils.errors import UsageError, at_least


def sample(
    config: Transformer, params: Any, prompt: np.ndarray, length: int, key: jax.Array, temperature: float = 1.0
) -> np.ndarray:
    """The prompt and `length` tokens drawn after it: [P + length], of the prompt's type.

    prompt: whole numbers [P], at least one; 0 is the beginning of a text. Temperature 0 takes the likeliest token.
    Beyond the length of text that the model learnt from, its distances are new to it.
    """
    prompt = np.asarray(prompt)
    if prompt.ndim != 1 or not len(prompt) or prompt.dtype.kind not in "iu":
        raise UsageError(f"prompt of shape {prompt.shape}, {prompt.dtype}: it must be at least one token, such as [0]")
    at_least(1, length=length)
    at_least(0, temperature=temperature)
    if config.head != "tokens":
        raise UsageError(f"model.head={config.head!r} predicts no tokens; only head='tokens' can be sampled from")
    tokens = _sampled(config, params, prompt.astype(np.int32), length, key, temperature)
    return np.asarray(tokens).astype(prompt.dtype)


def empty_cache(config: Transformer, length: int, dtype: Any = jnp.float32) -> Cache:
    """Room for the keys and values of `length` tokens of one text."""
    room = jnp.zeros((1, config.heads, length, config.dim // config.heads), dtype)
    return [(room, room)] * config.depth


def next_logits(
    config: Transformer, params: Any, token: jax.Array, place: jax.Array, cache: Cache
) -> tuple[jax.Array, Cache]:
    """Logits [vocabulary] of the token after `token`, which stands at `place`; those before it are in the cache."""
    net, tokens = config.net(config.vocabulary), token.reshape(1, 1)
    logits, kept = net.apply({"params": params}, tokens, cache=cache, start=place, method="extend")
    return logits[0, 0], kept  # type: ignore[return-value]


@functools.partial(jax.jit, static_argnames=("config", "length"))
def _sampled(
    config: Transformer, params: Any, prompt: jax.Array, length: int, key: jax.Array, temperature: jax.Array
) -> jax.Array:
    """One scan over places, in which the prompt's tokens are given and the others drawn."""

    def one(so_far: tuple[Cache, jax.Array], place: jax.Array) -> tuple[tuple[Cache, jax.Array], jax.Array]:
        cache, token = so_far
        logits, cache = next_logits(config, params, token, place, cache)
        drawn = _draw(logits, jax.random.fold_in(key, place), temperature)
        token = jnp.where(place + 1 < len(prompt), prompt[jnp.minimum(place + 1, len(prompt) - 1)], drawn)
        return (cache, token), token

    number = len(prompt) + length
    _, tokens = jax.lax.scan(one, (empty_cache(config, number - 1), prompt[0]), jnp.arange(number - 1))
    return jnp.concatenate([prompt[:1], tokens])


def _draw(logits: jax.Array, key: jax.Array, temperature: jax.Array) -> jax.Array:
    hot = jax.random.categorical(key, logits / jnp.where(temperature > 0, temperature, 1.0))
    return jnp.where(temperature > 0, hot, jnp.argmax(logits)).astype(jnp.int32)

"""Transformer on tokens: a language model with sampling, or a classifier of texts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dlm.models.layers import EMBEDDING, LAST_HIDDEN, Dense, drop, layer, look_up, product
from dlm.utils.errors import UsageError, at_least, choose

PADDING = 0  # token, in texts that are classified
ROTARY_BASE = 10_000.0

Cache = Sequence[tuple[jax.Array, jax.Array]]  # keys and values of each block, [B, heads, T, dim/heads]


@dataclasses.dataclass(frozen=True)
class Transformer:
    """Config of a transformer on tokens 0 … `vocabulary` − 1: `depth` blocks of width `dim`.

    `head="tokens"` gives logits of the next token at each position, with the weights of the embedding if `tied`.
    `head="mean"` gives outputs for the text from the mean over its tokens; token 0 is padding and ignored.
    `causal`: a token attends only to itself and to earlier tokens.
    """

    dim: int = 64
    depth: int = 2
    heads: int = 4
    mlp_ratio: int = 4
    tied: bool = True
    causal: bool = True
    head: Literal["tokens", "mean"] = "tokens"
    vocabulary: int = 256

    def __post_init__(self) -> None:
        sizes = ("dim", "depth", "heads", "mlp_ratio", "vocabulary")
        at_least(1, **{name: getattr(self, name) for name in sizes})
        choose("model.head", self.head, ("tokens", "mean"))
        if self.dim % (2 * self.heads):
            raise UsageError(f"model.dim={self.dim} must be a multiple of twice model.heads={self.heads}")
        if self.head == "tokens" and not self.causal:
            raise UsageError(
                "model.causal=False would show each position the token it predicts; use head='mean' or causal=True"
            )

    def net(self, num_outputs: int) -> TransformerNet:
        if self.head == "tokens" and self.tied and num_outputs != self.vocabulary:
            raise UsageError(
                f"model.tied=True gives one output for each token of model.vocabulary={self.vocabulary}, but "
                f"{num_outputs} are needed; choose vocabulary={num_outputs}, tied=False or head='mean'"
            )
        return TransformerNet(self, num_outputs)


class TransformerNet(nn.Module):
    """Embedding, pre-norm blocks of attention and a GELU layer, linear output.

    int [B, T] -> [B, T, num_outputs], or [B, num_outputs] of whole texts. Vaswani et al. (2017), "Attention is all you
    need"; pre-norm by Xiong et al. (2020); RMSNorm by Zhang & Sennrich (2019), as accurate as LayerNorm with fewer
    operations; rotary positions by Su et al. (2021), "RoFormer"; tied weights by Press & Wolf (2017).
    """

    config: Transformer
    num_outputs: int

    def __call__(self, x: jax.Array, dropout: Any = None) -> jax.Array:
        return self.extend(x, dropout)[0]

    @nn.compact
    def extend(
        self, x: jax.Array, dropout: Any = None, cache: Cache | None = None, start: Any = 0
    ) -> tuple[jax.Array, Cache]:
        """(outputs of tokens [B, T] at positions from `start`, keys and values of all tokens so far).

        cache: keys and values of earlier tokens, with space for these; None without earlier tokens.
        """
        config = self.config
        embedding = self.param("embedding", nn.initializers.normal(config.dim**-0.5), (config.vocabulary, config.dim))
        positions = start + jnp.arange(x.shape[1])
        seen = self._seen(x, positions, cache[0][0].shape[2] if cache else x.shape[1])
        is_text = (x != PADDING)[:, :, None]
        x, extended = layer(self, EMBEDDING, look_up(embedding, x)), []
        for block in range(config.depth):
            y, keys_values = self._attention(nn.RMSNorm()(x), positions, seen, cache[block] if cache else None)
            extended.append(keys_values)
            x = x + drop(self, y, dropout)
            y = Dense(config.dim)(nn.gelu(Dense(config.mlp_ratio * config.dim)(nn.RMSNorm()(x))))
            x = layer(self, f"block {block + 1}", x + drop(self, y, dropout))
        x = nn.RMSNorm()(x)
        if config.head == "mean":
            return Dense(self.num_outputs)(layer(self, LAST_HIDDEN, _mean(x, is_text))), extended
        x = layer(self, LAST_HIDDEN, x)
        return product(x, embedding) if config.tied else Dense(self.num_outputs)(x), extended

    def _seen(self, x: jax.Array, positions: jax.Array, number: int) -> jax.Array:
        """Attention mask over `number` tokens for each position. bool [B or 1, 1, T, number]."""
        seen = jnp.ones((1, 1, 1, number), bool)
        if self.config.causal:
            seen = positions[None, None, :, None] >= jnp.arange(number)[None, None, None]
        return seen & (x != PADDING)[:, None, None] if self.config.head == "mean" else seen

    def _attention(
        self, x_BxTxD: jax.Array, positions: jax.Array, seen: jax.Array, past: tuple[jax.Array, jax.Array] | None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        batch, tokens, dim = x_BxTxD.shape
        heads, size = self.config.heads, dim // self.config.heads
        qkv = Dense(3 * dim)(x_BxTxD).reshape(batch, tokens, 3, heads, size)
        q, k, v = (qkv[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        q, k = rotated(q * size**-0.5, positions), rotated(k, positions)
        if past is not None:
            at = (0, 0, positions[0], 0)
            k, v = (jax.lax.dynamic_update_slice(old, new, at) for old, new in zip(past, (k, v)))
        mixed = attend(q, k, v, seen).transpose(0, 2, 1, 3).reshape(batch, tokens, dim)
        return Dense(dim)(mixed), (k, v)


def attend(q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array) -> jax.Array:
    """Softmax attention, the softmax in float32. q [B, H, T, d], k and v [B, H, S, d], seen bool -> [B, H, T, d].

    Normalizing after the product with v takes T·d divisions instead of T·S, 15 % of an update on a CPU. A position
    with an empty mask gets the mean of all v.
    """
    logits_BxHxTxS = jnp.where(seen, (q @ k.swapaxes(2, 3)).astype(jnp.float32), jnp.finfo(jnp.float32).min)
    most = jax.lax.stop_gradient(logits_BxHxTxS.max(axis=-1, keepdims=True))
    weights_BxHxTxS = jnp.exp(logits_BxHxTxS - most)
    total = weights_BxHxTxS.sum(axis=-1, keepdims=True)
    return ((weights_BxHxTxS.astype(v.dtype) @ v) / total).astype(v.dtype)


def rotated(x: jax.Array, positions: jax.Array) -> jax.Array:
    """Rotary positions: rotates pair i of a vector by position · ROTARY_BASE^(−2i/d). x [B, H, T, d], positions [T].

    Pair i is the i-th number of each half. Products of two vectors then depend on the distance of their positions.
    """
    half = x.shape[-1] // 2
    angles = positions[:, None] * ROTARY_BASE ** (-jnp.arange(half)[None] / half)
    cos, sin = jnp.cos(angles)[None, None], jnp.sin(angles)[None, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1).astype(x.dtype)


def _mean(x: jax.Array, is_text: jax.Array) -> jax.Array:
    """Mean over tokens that are not padding; 0 if there are none. x [B, T, D], is_text bool [B, T, 1] -> [B, D]."""
    total = jnp.where(is_text, x.astype(jnp.float32), 0.0).sum(axis=1)
    return (total / jnp.maximum(is_text.sum(axis=1, dtype=jnp.float32), 1.0)).astype(x.dtype)


def sample(
    config: Transformer, params: Any, prompt: np.ndarray, length: int, key: jax.Array, temperature: float = 1.0
) -> np.ndarray:
    """The prompt and `length` sampled tokens: [P + length], of the prompt's type.

    prompt: integers [P], at least one; 0 is the beginning of a text. Temperature 0 takes the most probable token.
    Beyond the length of the training texts, positions are extrapolated.
    """
    prompt = np.asarray(prompt)
    if prompt.ndim != 1 or not len(prompt) or prompt.dtype.kind not in "iu":
        raise UsageError(
            f"prompt of shape {prompt.shape}, {prompt.dtype}: it must be a vector of at least one integer, such as [0]"
        )
    at_least(1, length=length)
    at_least(0, temperature=temperature)
    if config.head != "tokens":
        raise UsageError(f"model.head={config.head!r} does not predict tokens; use head='tokens'")
    tokens = _sample(config, params, prompt.astype(np.int32), length, key, temperature)
    return np.asarray(tokens).astype(prompt.dtype)


def empty_cache(config: Transformer, length: int, dtype: Any = jnp.float32) -> Cache:
    """An empty cache for the keys and values of `length` tokens of one text."""
    empty = jnp.zeros((1, config.heads, length, config.dim // config.heads), dtype)
    return [(empty, empty)] * config.depth


def next_logits(
    config: Transformer, params: Any, token: jax.Array, place: jax.Array, cache: Cache
) -> tuple[jax.Array, Cache]:
    """(logits [vocabulary] of the token after `token` at position `place`, extended cache)."""
    net, tokens = config.net(config.vocabulary), token.reshape(1, 1)
    logits, extended = net.apply({"params": params}, tokens, cache=cache, start=place, method="extend")
    return logits[0, 0], extended  # type: ignore[return-value]


@functools.partial(jax.jit, static_argnames=("config", "length"))
def _sample(
    config: Transformer, params: Any, prompt: jax.Array, length: int, key: jax.Array, temperature: jax.Array
) -> jax.Array:
    """One scan over positions: the prompt's tokens are given, the others sampled."""

    def step(carry: tuple[Cache, jax.Array], place: jax.Array) -> tuple[tuple[Cache, jax.Array], jax.Array]:
        cache, token = carry
        logits, cache = next_logits(config, params, token, place, cache)
        own_key = jax.random.fold_in(key, place)
        candidate = jax.random.categorical(own_key, logits / jnp.where(temperature > 0, temperature, 1.0))
        sampled = jnp.where(temperature > 0, candidate, jnp.argmax(logits)).astype(jnp.int32)
        token = jnp.where(place + 1 < len(prompt), prompt[jnp.minimum(place + 1, len(prompt) - 1)], sampled)
        return (cache, token), token

    number = len(prompt) + length
    _, tokens = jax.lax.scan(step, (empty_cache(config, number - 1), prompt[0]), jnp.arange(number - 1))
    return jnp.concatenate([prompt[:1], tokens])

"""A small decoder transformer, as flax module and as PyTorch one with the same weights and arithmetic."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from dlm.data.arrays import Arrays


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Config: pre-norm blocks of causal attention and a GELU layer four times as wide, learned positions."""

    depth: int = 2
    dim: int = 64
    heads: int = 4
    num_symbols: int = 256

    def net(self, num_outputs: int) -> DecoderNet:
        """The module of this config."""
        return DecoderNet(self, num_outputs)


class DecoderNet(nn.Module):
    """Symbols [B, T] -> logits [B, T, num_outputs]."""

    config: Decoder
    num_outputs: int

    @nn.compact
    def __call__(self, x: Any, dropout: Any = None) -> Any:
        """See the class."""
        dim = self.config.dim
        x = nn.Embed(self.config.num_symbols, dim)(x.astype(jnp.int32))
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])[None]
        for _ in range(self.config.depth):
            mixed = self._mixed(nn.Dense(3 * dim)(nn.LayerNorm(epsilon=1e-5)(x)))
            x = x + nn.Dense(dim)(mixed)
            wide = nn.gelu(nn.Dense(4 * dim)(nn.LayerNorm(epsilon=1e-5)(x)))
            x = x + nn.Dense(dim)(wide)
        return nn.Dense(self.num_outputs)(nn.LayerNorm(epsilon=1e-5)(x))

    def _mixed(self, qkv: jax.Array) -> jax.Array:
        """Causal attention. [B, T, 3·D] -> [B, T, D]."""
        batch, tokens, _ = qkv.shape
        heads, size = self.config.heads, self.config.dim // self.config.heads
        q, k, v = qkv.reshape(batch, tokens, 3, heads, size).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(2, 3) * size**-0.5
        seen = jnp.tril(jnp.ones((1, 1, tokens, tokens), bool))
        return (nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ v).swapaxes(1, 2).reshape(batch, tokens, -1)


@dataclasses.dataclass(frozen=True)
class NextSymbol:
    """Predict each symbol of a text from those before it."""

    unit = "error rate"
    loss_unit = "nats"
    bound = (0.0, 1.0)
    loss_is_mean = True

    def num_outputs(self, arrays: Arrays) -> int:
        """One logit a symbol."""
        return arrays.num_classes

    def loss(self, logits: jax.Array, symbols: jax.Array, label_smoothing: Any) -> jax.Array:
        """Mean cross-entropy in nats. logits [B, T, C], symbols int [B, T]."""
        return optax.softmax_cross_entropy_with_integer_labels(logits, symbols).mean()

    def measures(self, logits: jax.Array, symbols: jax.Array) -> dict[str, jax.Array]:
        """Of each text its share of wrong symbols. [B]."""
        return {"error": (logits.argmax(-1) != symbols).mean(-1, dtype=jnp.float32)}


def torch_decoder(config: Decoder, params: Any) -> Any:
    """The PyTorch module with a flax member's weights; its attention is PyTorch's own."""
    import torch

    def layer(index: int) -> Any:
        weights = params[f"Dense_{index}"]
        module = torch.nn.Linear(*weights["kernel"].shape)
        return _filled(module, weight=np.array(weights["kernel"]).T, bias=weights["bias"])

    def norm(index: int) -> Any:
        weights = params[f"LayerNorm_{index}"]
        return _filled(torch.nn.LayerNorm(config.dim), weight=weights["scale"], bias=weights["bias"])

    class Net(torch.nn.Module):
        """[B, T] -> [B, C, T], where PyTorch's loss wants the classes."""

        def __init__(self) -> None:
            super().__init__()
            self.embed = _filled(
                torch.nn.Embedding(config.num_symbols, config.dim), weight=params["Embed_0"]["embedding"]
            )
            self.positions = torch.nn.Parameter(torch.from_numpy(np.array(params["positions"])))
            self.layers = torch.nn.ModuleList(layer(index) for index in range(4 * config.depth + 1))
            self.norms = torch.nn.ModuleList(norm(index) for index in range(2 * config.depth + 1))

        def forward(self, x: Any) -> Any:
            """See the class."""
            x = self.embed(x) + self.positions
            for block in range(config.depth):
                qkv, out, up, down = self.layers[4 * block : 4 * block + 4]
                q, k, v = (
                    part.unflatten(-1, (config.heads, -1)).transpose(1, 2)
                    for part in qkv(self.norms[2 * block](x)).chunk(3, dim=-1)
                )
                mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + out(mixed.transpose(1, 2).flatten(2))
                x = x + down(torch.nn.functional.gelu(up(self.norms[2 * block + 1](x)), approximate="tanh"))
            return self.layers[-1](self.norms[-1](x)).transpose(1, 2)

    return Net()


def _filled(module: Any, **weights: Any) -> Any:
    import torch

    with torch.no_grad():
        for name, value in weights.items():
            getattr(module, name).copy_(torch.from_numpy(np.array(value)))
    return module

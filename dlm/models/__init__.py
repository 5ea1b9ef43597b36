"""Models as pure functions. The only place that imports flax: a config goes in, `init` and `apply` come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from dlm.errors import UsageError
from dlm.models.cnn import CNN
from dlm.models.mlp import MLP
from dlm.models.transformer import Transformer
from dlm.models.vit import ViT

__all__ = ["CNN", "MLP", "Model", "Transformer", "ViT", "build"]


class Model(NamedTuple):
    """`init(key, x) -> params` and `apply(params, x, dropout=None, key=None) -> outputs [B, num_outputs]`.

    x: [B, ...], of the parameters' type. `dropout` is a rate that may be traced; None leaves it out of the program.
    """

    init: Callable[..., Any]
    apply: Callable[..., jax.Array]


def build(config: Any, num_outputs: int) -> Model:
    """The model of a config: any frozen dataclass with `net(num_outputs) -> flax.linen.Module`.

    The module is called as `net(x, dropout=rate or None)`. UsageError for an object that is no such config.
    """
    if not hasattr(config, "net"):
        raise UsageError(
            f"model={config!r} is not a model's config; use MLP, CNN, ViT, Transformer or a frozen dataclass with "
            "net(num_outputs) -> flax.linen.Module"
        )
    net = config.net(num_outputs)

    def init(key: jax.Array, x: jax.Array) -> Any:
        return net.init(key, x)["params"]

    def apply(params: Any, x: jax.Array, dropout: Any = None, key: jax.Array | None = None) -> jax.Array:
        rngs = None if dropout is None else {"dropout": key}
        return net.apply({"params": params}, x, dropout=dropout, rngs=rngs)

    return Model(init, apply)

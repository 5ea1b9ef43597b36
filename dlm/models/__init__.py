"""Models as pure functions. The only place that imports flax: a config goes in, `init` and `apply` come out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from dlm.models.cnn import CNN
from dlm.models.ft_transformer import FTTransformer
from dlm.models.layers import REPLACED
from dlm.models.matrix_factorization import MatrixFactorization
from dlm.models.mlp import MLP
from dlm.models.sasrec import SASRec
from dlm.models.tabular_mlp import TabularMLP
from dlm.models.time_series import DLinear, PatchTST
from dlm.models.transformer import Transformer
from dlm.models.vit import ViT
from dlm.utils.errors import UsageError

__all__ = [
    "CNN",
    "MLP",
    "DLinear",
    "FTTransformer",
    "MatrixFactorization",
    "PatchTST",
    "SASRec",
    "TabularMLP",
    "Transformer",
    "ViT",
]


class Model(NamedTuple):
    """`init(key, x) -> params` and `apply(params, x, dropout=None, key=None) -> outputs [B, num_outputs]`.

    x: [B, ...], of the parameters' type. `dropout` is a rate that may be traced; None leaves it out of the program.
    `layers(params, x, replaced={}) -> (outputs, what each layer gives)`: an OrderedDict of arrays [B, ...] by name,
    first to last; those in `replaced` are put in the place of the layers that they name. A module names them by
    `dlm.models.layers.layer`; of one that names none the submodules are its layers.
    """

    init: Callable[..., Any]
    apply: Callable[..., jax.Array]
    layers: Callable[..., tuple[jax.Array, OrderedDict[str, jax.Array]]]


def build(config: Any, num_outputs: int, fields: tuple[int, ...] = ()) -> Model:
    """The model of a config: any frozen dataclass with `net(num_outputs) -> flax.linen.Module`.

    The module is called as `net(x, dropout=rate or None)`. A class with `takes_fields = True` is asked for
    `net(num_outputs, fields)`, see `Arrays.fields`. UsageError for an object that is no such config.
    """
    if not hasattr(config, "net"):
        raise UsageError(
            f"model={config!r} is not a model's config; use one of dlm.models, such as MLP(), or a frozen dataclass "
            "with net(num_outputs) -> flax.linen.Module"
        )
    net = config.net(num_outputs, fields) if getattr(config, "takes_fields", False) else config.net(num_outputs)

    def init(key: jax.Array, x: jax.Array) -> Any:
        return net.init(key, x)["params"]

    def apply(params: Any, x: jax.Array, dropout: Any = None, key: jax.Array | None = None) -> jax.Array:
        rngs = None if dropout is None else {"dropout": key}
        return net.apply({"params": params}, x, dropout=dropout, rngs=rngs)

    def layers(
        params: Any, x: jax.Array, replaced: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, OrderedDict[str, jax.Array]]:
        variables = {"params": params} | ({REPLACED: dict(replaced)} if replaced else {})
        outputs, seen = net.apply(variables, x, mutable=["intermediates"])
        if not seen:
            outputs, seen = net.apply(variables, x, capture_intermediates=_is_submodule)
        return outputs, OrderedDict((name, _last(kept)) for name, kept in seen.get("intermediates", {}).items())

    return Model(init, apply, layers)


def _is_submodule(module: Any, method: str) -> bool:
    return method == "__call__" and len(module.path) == 1


def _last(kept: Any) -> jax.Array:
    """What a layer gave the last time that it was called, of what flax keeps."""
    return (kept["__call__"] if isinstance(kept, Mapping) else kept)[-1]

"""Models as pure functions of (variables, inputs). The only package that imports flax."""

from __future__ import annotations

from typing import Any

import flax.linen as nn

from dlm.models.adapters import NNX, Model, from_linen, from_nnx
from dlm.models.cnn import CNN
from dlm.models.ft_transformer import FTTransformer
from dlm.models.mlp import MLP, TabularMLP
from dlm.models.recommenders import MatrixFactorization, SASRec
from dlm.models.time_series import DLinear, PatchTST
from dlm.models.transformer import Transformer
from dlm.models.vit import ViT
from dlm.utils.errors import UsageError

__all__ = [
    "CNN",
    "MLP",
    "NNX",
    "DLinear",
    "FTTransformer",
    "MatrixFactorization",
    "PatchTST",
    "SASRec",
    "TabularMLP",
    "Transformer",
    "ViT",
]


def build(config: Any, num_outputs: int, fields: tuple[int, ...] = ()) -> Model:
    """The model of a config, of a linen module, or of `NNX(...)`.

    A config is a frozen dataclass with `net(num_outputs) -> flax.linen.Module`, whose module is called as
    `net(x, dropout=rate or None)`; with `takes_fields = True` it is asked for `net(num_outputs, fields)`, see
    `Dataset.fields`. UsageError for any other object.
    """
    if isinstance(config, NNX):
        return from_nnx(config)
    if isinstance(config, nn.Module):
        return from_linen(config)
    if hasattr(config, "net"):
        more = (fields,) if getattr(config, "takes_fields", False) else ()
        return from_linen(config.net(num_outputs, *more), is_user_module=False)
    raise UsageError(
        f"model={config!r} is not a model; use a config of dlm.models such as MLP(), a flax.linen module, "
        "NNX(MyModule, …) for a flax.nnx class, or a frozen dataclass with net(num_outputs) -> flax.linen.Module"
    )

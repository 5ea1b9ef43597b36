"""The workloads as PyTorch modules with the weights of a flax model."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from benchmarks.models import Decoder, PlainCNN
from dlm.models.mlp import MLP


def twin(config: Any, params: Any) -> torch.nn.Module:
    """The module of a workload's model; convolutions want channels first."""
    return {MLP: mlp, PlainCNN: cnn, Decoder: TorchDecoder}[type(config)](config, params)


def mlp(config: MLP, params: Any) -> torch.nn.Module:
    """[B, ...] -> [B, C]."""
    layers = [linear(params[f"Dense_{index}"]) for index in range(len(config.widths) + 1)]
    between = itertools.chain.from_iterable((layer, torch.nn.ReLU()) for layer in layers[:-1])
    return torch.nn.Sequential(torch.nn.Flatten(), *between, layers[-1])


def cnn(config: PlainCNN, params: Any) -> torch.nn.Module:
    """[B, 1, H, W] -> [B, C]."""
    convolutions = [convolution(params[f"Conv_{index}"], 3) for index in range(len(config.channels))]
    stages = itertools.chain.from_iterable((layer, torch.nn.ReLU(), torch.nn.AvgPool2d(2)) for layer in convolutions)
    return torch.nn.Sequential(*stages, ChannelsLast(), torch.nn.Flatten(), linear(params["Dense_0"]))


class ChannelsLast(torch.nn.Module):
    """[B, C, H, W] -> [B, H, W, C], the order in which the flax twin flattens."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return x.permute(0, 2, 3, 1)


class TorchDecoder(torch.nn.Module):
    """Symbols [B, T] -> [B, C, T], where PyTorch's loss wants the classes; attention is PyTorch's own."""

    def __init__(self, config: Decoder, params: Any) -> None:
        super().__init__()
        self.config = config
        embedding = torch.nn.Embedding(config.num_symbols, config.dim)
        self.embed = filled(embedding, weight=params["Embed_0"]["embedding"])
        self.positions = torch.nn.Parameter(torch.from_numpy(np.array(params["positions"])))
        self.layers = torch.nn.ModuleList(linear(params[f"Dense_{index}"]) for index in range(4 * config.depth + 1))
        self.norms = torch.nn.ModuleList(
            layer_norm(params[f"LayerNorm_{index}"]) for index in range(2 * config.depth + 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.embed(x) + self.positions
        for block in range(self.config.depth):
            qkv, out, up, down = self.layers[4 * block : 4 * block + 4]
            parts = qkv(self.norms[2 * block](x)).chunk(3, dim=-1)
            q, k, v = (part.unflatten(-1, (self.config.heads, -1)).transpose(1, 2) for part in parts)
            mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + out(mixed.transpose(1, 2).flatten(2))
            x = x + down(torch.nn.functional.gelu(up(self.norms[2 * block + 1](x)), approximate="tanh"))
        return self.layers[-1](self.norms[-1](x)).transpose(1, 2)


def linear(weights: Any) -> torch.nn.Linear:
    """A linear layer from dlm's kernel [out, in]."""
    kernel = np.array(weights["kernel"])
    return filled(torch.nn.Linear(*kernel.shape[::-1]), weight=kernel, bias=weights["bias"])


def convolution(weights: Any, side: int) -> torch.nn.Conv2d:
    """A convolution from dlm's kernel [side²·in, out]."""
    kernel = np.array(weights["kernel"])
    kernel = kernel.reshape(side, side, -1, kernel.shape[-1]).transpose(3, 2, 0, 1)
    layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], side, padding=side // 2)
    return filled(layer, weight=kernel, bias=weights["bias"])


def layer_norm(weights: Any) -> torch.nn.LayerNorm:
    """A layer norm from flax's."""
    return filled(torch.nn.LayerNorm(len(weights["scale"])), weight=weights["scale"], bias=weights["bias"])


def filled(module: Any, **weights: Any) -> Any:
    """The module with these weights, arrays of its own shapes."""
    with torch.no_grad():
        for name, value in weights.items():
            getattr(module, name).copy_(torch.from_numpy(np.array(value)))
    return module

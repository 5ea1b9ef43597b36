"""What is timed: small networks, each as a flax module and as a PyTorch one with the same weights and arithmetic."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from benchmarks.decoder import Decoder, NextSymbol, torch_decoder
from dlm.data.arrays import Arrays, Split
from dlm.models.layers import Conv
from dlm.models.mlp import MLP
from dlm.tasks import Classification

LR, WEIGHT_DECAY = 1e-3, 0.01
NUM_CLASSES, POOL_SIZE = 10, 1024


@dataclasses.dataclass(frozen=True)
class PlainCNN:
    """Two 3×3 convolutions of 32 channels, each followed by ReLU and 2×2 mean pooling, then a linear layer."""

    channels: tuple[int, int] = (32, 32)

    def net(self, num_outputs: int) -> PlainCNNNet:
        """The module of this config."""
        return PlainCNNNet(self, num_outputs)


class PlainCNNNet(nn.Module):
    """[B, H, W, 1] -> [B, num_outputs]."""

    config: PlainCNN
    num_outputs: int

    @nn.compact
    def __call__(self, x: Any, dropout: Any = None) -> Any:
        """See the class."""
        for channels in self.config.channels:
            x = mean_pool(nn.relu(Conv(channels)(x)))
        return nn.Dense(self.num_outputs)(x.reshape(x.shape[0], -1))


def mean_pool(x: Any) -> Any:
    """Means of 2×2 pixels, [B, H, W, C] -> [B, H/2, W/2, C], as a sum that XLA fuses with what comes before it."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return 0.25 * (x[:, :, 0, :, 0] + x[:, :, 0, :, 1] + x[:, :, 1, :, 0] + x[:, :, 1, :, 1])


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model on inputs of one shape, for a number of members, and how many times faster than each peer it should be.

    `wanted`: by peer; "torch" is one process with the better number of threads; "rate" a share of the matrix rate.
    """

    name: str
    model: Any
    input_shape: tuple[int, ...]
    members: int
    wanted: Mapping[str, float]
    batch_size: int = 64
    task: Any = Classification()


WORKLOADS = (
    Workload(
        "mlp 64-128-128-10",
        MLP((128, 128)),
        (8, 8, 1),
        56,
        {"torch": 20, "torch, 2 processes": 10, "jitted loop": 20, "rate": 0.7},
    ),
    Workload("cnn 8x8, 32-32", PlainCNN(), (8, 8, 1), 8, {"torch": 2.5, "torch, 2 processes": 1.5, "jitted loop": 1.6}),
    Workload(
        "cnn 28x28, 32-32",
        PlainCNN(),
        (28, 28, 1),
        8,
        {"torch": 1.7, "torch, 2 processes": 1.2, "jitted loop": 1.2, "rate": 0.45},
    ),
    Workload(
        "decoder, batch 64",
        Decoder(),
        (64,),
        8,
        {"torch": 1.4, "torch, 2 processes": 1.1, "jitted loop": 1.7},
        task=NextSymbol(),
    ),
    Workload("decoder, batch 4", Decoder(), (64,), 8, {"torch": 2.5}, batch_size=4, task=NextSymbol()),
)


def arrays(workload: Workload) -> Arrays:
    """Random inputs with labels that a network can learn from them."""
    rng = np.random.default_rng(0)
    if isinstance(workload.model, Decoder):
        return _texts(workload, rng)
    x = rng.normal(size=(POOL_SIZE + 200, *workload.input_shape)).astype(np.float32)
    teacher = rng.normal(size=(x[0].size, NUM_CLASSES)).astype(np.float32)
    y = (x.reshape(len(x), -1) @ teacher).argmax(axis=1).astype(np.int32)
    cut = [POOL_SIZE, POOL_SIZE + 100, POOL_SIZE + 200]
    splits = [Split(x[start:end], y[start:end]) for start, end in zip([0, *cut], cut)]
    return Arrays(workload.name, *splits, num_classes=NUM_CLASSES)


def _texts(workload: Workload, rng: np.random.Generator) -> Arrays:
    """Texts of symbols that repeat themselves: each is the one before it plus a step of the text's own."""
    length, symbols = workload.input_shape[0], workload.model.num_symbols
    starts, steps = rng.integers(0, symbols, (2, POOL_SIZE + 200, 1))
    texts = (starts + steps % 8 * np.arange(length + 1)) % symbols
    x, y = texts[:, :-1].astype(np.uint8), texts[:, 1:].astype(np.int32)
    cut = [POOL_SIZE, POOL_SIZE + 100, POOL_SIZE + 200]
    splits = [Split(x[start:end], y[start:end]) for start, end in zip([0, *cut], cut)]
    return Arrays(workload.name, *splits, num_classes=symbols)


def torch_twin(workload: Workload, params: Any) -> Any:
    """The PyTorch module with a flax member's weights, channels first inside."""
    import torch

    if isinstance(workload.model, Decoder):
        return torch_decoder(workload.model, params)
    if isinstance(workload.model, MLP):
        widths = [int(np.prod(workload.input_shape)), *workload.model.widths, NUM_CLASSES]
        layers: list[Any] = [torch.nn.Flatten()]
        for index, (narrow, wide) in enumerate(itertools.pairwise(widths)):
            layers += [_linear(params[f"Dense_{index}"], narrow, wide), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])
    first, second = (params[f"Conv_{index}"] for index in range(2))
    side = workload.input_shape[0] // 4
    return torch.nn.Sequential(
        *(_convolution(first, 1, 32), torch.nn.ReLU(), torch.nn.AvgPool2d(2)),
        *(_convolution(second, 32, 32), torch.nn.ReLU(), torch.nn.AvgPool2d(2)),
        *(_ChannelsLast(), torch.nn.Flatten(), _linear(params["Dense_0"], side * side * 32, NUM_CLASSES)),
    )


def _ChannelsLast() -> Any:
    import torch

    class ChannelsLast(torch.nn.Module):
        """[B, C, H, W] -> [B, H, W, C], the order in which the flax twin flattens."""

        def forward(self, x: Any) -> Any:
            """See the class."""
            return x.permute(0, 2, 3, 1)

    return ChannelsLast()


def _linear(weights: Any, narrow: int, wide: int) -> Any:
    import torch

    layer = torch.nn.Linear(narrow, wide)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weights["kernel"]).T.copy()))
        layer.bias.copy_(torch.from_numpy(np.array(weights["bias"])))
    return layer


def _convolution(weights: Any, narrow: int, wide: int) -> Any:
    import torch

    layer = torch.nn.Conv2d(narrow, wide, 3, padding=1)
    kernel = np.array(weights["kernel"]).reshape(3, 3, narrow, wide).transpose(3, 2, 0, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(kernel.copy()))
        layer.bias.copy_(torch.from_numpy(np.array(weights["bias"])))
    return layer

"""What is timed: small networks, each as a flax module and as a PyTorch one with the same weights and arithmetic."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import flax.linen as nn
import numpy as np

from dlm.data.arrays import Arrays, Split
from dlm.models.layers import Conv
from dlm.models.mlp import MLP

BATCH_SIZE, LR, WEIGHT_DECAY = 64, 1e-3, 0.01
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
            x = nn.relu(Conv(channels)(x))
            batch, height, width, _ = x.shape
            x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
        return nn.Dense(self.num_outputs)(x.reshape(x.shape[0], -1))


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model on inputs of one shape, for a number of members."""

    name: str
    model: Any
    input_shape: tuple[int, ...]
    members: int


WORKLOADS = (
    Workload("mlp 64-128-128-10", MLP((128, 128)), (8, 8, 1), 56),
    Workload("cnn 8x8, 32-32", PlainCNN(), (8, 8, 1), 8),
    Workload("cnn 28x28, 32-32", PlainCNN(), (28, 28, 1), 8),
)


def arrays(workload: Workload) -> Arrays:
    """Random inputs with labels that a network can learn from them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(POOL_SIZE + 200, *workload.input_shape)).astype(np.float32)
    teacher = rng.normal(size=(x[0].size, NUM_CLASSES)).astype(np.float32)
    y = (x.reshape(len(x), -1) @ teacher).argmax(axis=1).astype(np.int32)
    cut = [POOL_SIZE, POOL_SIZE + 100, POOL_SIZE + 200]
    splits = [Split(x[start:end], y[start:end]) for start, end in zip([0, *cut], cut)]
    return Arrays(workload.name, *splits, num_classes=NUM_CLASSES)


def torch_twin(workload: Workload, params: Any) -> Any:
    """The PyTorch module with a flax member's weights, channels first inside."""
    import torch

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

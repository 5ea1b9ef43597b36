"""The CNN of the `digits` study, trained on one cell by an eager PyTorch loop."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

BATCH_SIZE, CHANNELS, NUM_CLASSES, WARMUP = 64, 32, 10, 0.1


@dataclasses.dataclass(frozen=True)
class Digits:
    """Pool and test split: x float32 [N, 8, 8, 1], y int [N]."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training: its subset's rows of the pool, int [n], and the number of updates."""

    seed: int
    rows: np.ndarray
    steps: int
    lr: float
    weight_decay: float


def test_error(digits: Digits, threads: int, cell: Cell) -> float:
    """Train the cell and measure it."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(cell.seed)
    net = network()
    x, y = _images(digits.x[cell.rows]), torch.from_numpy(digits.y[cell.rows].astype(np.int64))
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": cell.weight_decay},
            {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
    )
    for step, batch in enumerate(_batches(len(x), cell.steps)):
        for group in optimizer.param_groups:
            group["lr"] = cell.lr * unit_schedule(step, cell.steps)
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        wrong = net(_images(digits.test_x)).argmax(dim=1).numpy() != digits.test_y
    return float(wrong.mean())


def network() -> Any:
    """`CNN((32, 32), (0, 1))` of dlm: a stem, a residual block of stride 2, the mean over pixels, a linear layer."""
    import torch
    from torch import nn

    def norm() -> Any:
        return nn.GroupNorm(CHANNELS // 8, CHANNELS, eps=1e-6)

    class Block(nn.Module):
        """[B, C, H, W] -> [B, C, H/2, W/2]."""

        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList([norm(), norm()])
            self.first = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
            self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
            self.shortcut = nn.Conv2d(CHANNELS, CHANNELS, 1, stride=2, bias=False)

        def forward(self, x: Any) -> Any:
            """See the class."""
            y = torch.relu(self.norms[0](x))
            return self.shortcut(y) + self.second(torch.relu(self.norms[1](self.first(y))))

    stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
    head = (norm(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, NUM_CLASSES))
    return nn.Sequential(stem, Block(), *head)


def unit_schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine, as dlm's."""
    warmup = max(1, math.floor(WARMUP * steps))
    falling = min(1.0, max(0.0, (step - warmup) / max(1, steps - warmup)))
    return min(1.0, (step + 1) / warmup) * 0.5 * (1.0 + math.cos(math.pi * falling))


def _images(x: np.ndarray) -> Any:
    """Channels first. [N, 8, 8, 1] -> [N, 1, 8, 8]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def _batches(size: int, steps: int) -> Any:
    """Rows of each update, [steps, B]: shuffled epochs, one after another."""
    import torch

    epochs = math.ceil(steps * BATCH_SIZE / size)
    return torch.cat([torch.randperm(size) for _ in range(epochs)])[: steps * BATCH_SIZE].view(steps, BATCH_SIZE)

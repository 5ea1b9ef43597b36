"""Trains the `digits` study without dlm: scikit-learn's learning curves, and PyTorch for the CNN.

    python -m benchmarks.digits_peers [--seeds=2] [--train_sizes=32,128]

Prints the mean test error of each learner at the largest size as JSON. Splits, subsets, numbers of updates and
hyperparameters are those of the study, and every trial is trained. Both cores are used: by joblib for scikit-learn,
and for PyTorch by two processes of one thread or one process of two threads, whichever is faster in a few updates.
With `--one_process`, PyTorch trains one trial after another on one or two threads, whichever is faster.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dlm.data.dataset import Dataset
from dlm.study.study import Study

BATCH_SIZE, CHANNELS, NUM_CLASSES, WARMUP = 64, 32, 10, 0.1
TRIED_STEPS = 20  # by which the two ways to use both cores are compared


def learning_curves(study: Study, dataset: Dataset, estimator: Any, train_sizes: tuple[int, ...]) -> np.ndarray:
    """Test errors [sizes, seeds] of a scikit-learn estimator, on the study's subsets, two fits at a time."""
    from sklearn.model_selection import learning_curve

    splits = (dataset.train, dataset.test)
    x = np.concatenate([dataset.features(split.x).reshape(len(split), -1) for split in splits])
    y = np.concatenate([split.y for split in splits])
    test = np.arange(len(dataset.train), len(x))
    folds = [(dataset.order(seed), test) for seed in study.seeds]
    _, _, scores = learning_curve(estimator, x, y, train_sizes=np.array(train_sizes), cv=folds, n_jobs=2)
    return 1.0 - scores


def mlp(study: Study, dataset: Dataset) -> float:
    """scikit-learn's MLP. Each size has its own number of epochs, so each is a learning curve of one point."""
    from sklearn.neural_network import MLPClassifier

    for size in study.train_sizes:
        batch_size = min(study.budget.batch_size, size)
        estimator = MLPClassifier(
            study.learners["mlp"].model.widths,
            solver="adam",
            batch_size=batch_size,
            learning_rate_init=study.learners["mlp"].hyper.lr,
            max_iter=round(study.budget.num_steps(size) * study.budget.batch_size / size),
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=0,
        )
        errors = learning_curves(study, dataset, estimator, (size,))
    return float(errors.mean())


def logistic_regression(study: Study, dataset: Dataset) -> float:
    """scikit-learn's, at all sizes."""
    from sklearn.linear_model import LogisticRegression

    return float(learning_curves(study, dataset, LogisticRegression(max_iter=1000), study.train_sizes)[-1].mean())


def cnn(study: Study, dataset: Dataset, one_process: bool) -> float:
    """The CNN of the study in an eager PyTorch loop, cell by cell."""
    digits = Digits(*(part for split in (dataset.train, dataset.test) for part in (dataset.features(split.x), split.y)))
    hyper = study.learners["cnn"].hyper
    cells = [
        Cell(seed, dataset.order(seed)[:size], study.budget.num_steps(size), hyper.lr, hyper.weight_decay)
        for size in sorted(study.train_sizes, reverse=True)  # the longest first
        for seed in study.seeds
    ]
    few = [Cell(0, dataset.order(0), TRIED_STEPS, hyper.lr, hyper.weight_decay)] * 2
    one, two = functools.partial(test_error, digits, 1), functools.partial(test_error, digits, 2)
    with multiprocessing.get_context("spawn").Pool(1 if one_process else 2) as pool:
        ways = [
            functools.partial(pool.map, one, chunksize=1),
            lambda cells: [pool.apply(two, [cell]) for cell in cells],
        ]
        fastest = min(ways, key=lambda way: _seconds_warm(way, few))
        errors = fastest(cells)
    return float(np.mean(errors[: len(study.seeds)]))


def _seconds_warm(way: Callable[[list[Cell]], Any], cells: list[Cell]) -> float:
    """Seconds of training cells a second time: the first imports and warms up."""
    way(cells)
    start = time.perf_counter()
    way(cells)
    return time.perf_counter() - start


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


def main() -> None:
    """Train everything and print the errors."""
    from experiments.digits import study as declared

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="")
    parser.add_argument("--train_sizes", default="")
    parser.add_argument("--one_process", action="store_true")
    options = parser.parse_args()
    changes: dict[str, Any] = {}
    if options.seeds:
        changes["seeds"] = int(options.seeds)
    if options.train_sizes:
        changes["train_sizes"] = tuple(int(size) for size in options.train_sizes.split(","))
    study = dataclasses.replace(declared(), **changes)
    os.environ["PYTHONWARNINGS"] = "ignore"  # also joblib's processes: no fit stops before its last epoch
    warnings.simplefilter("ignore")
    dataset = study.data.load()
    errors, seconds = {}, {}
    for name, train in (
        ("mlp", mlp),
        ("cnn", functools.partial(cnn, one_process=options.one_process)),
        ("logreg", logistic_regression),
    ):
        start = time.perf_counter()
        errors[name] = train(study, dataset)
        seconds[name] = time.perf_counter() - start
    assert not any(math.isnan(error) for error in errors.values())
    print(json.dumps({"errors": errors, "seconds": seconds}))


if __name__ == "__main__":
    main()

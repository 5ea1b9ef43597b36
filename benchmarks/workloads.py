"""Workloads of the speed benchmarks: models, random data, cohorts, and the number of useful operations."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from benchmarks.models import Decoder, NextSymbol, PlainCNN
from dlm import Budget, Hyper, Learner, Optimizer, Study
from dlm.data import Digits
from dlm.data.dataset import Dataset, Split
from dlm.data.subset_orders import SubsetOrders
from dlm.models.mlp import MLP
from dlm.study.learner import Precision
from dlm.study.trial import group_cohorts
from dlm.tasks import Classification
from dlm.train.device_data import put_on_devices
from dlm.train.devices import Packing
from dlm.train.population import population_of
from dlm.train.trainer import CohortRun

LR, WEIGHT_DECAY = 1e-3, 0.01
NUM_CLASSES, POOL_SIZE, HELD_OUT = 10, 1024, 100


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model on inputs of one shape, the number of models, and the targets for the ratio to each peer.

    `targets`: by peer; "PyTorch" is one process with the better number of threads; "rate" a share of the matrix rate.
    """

    name: str
    model: Any
    input_shape: tuple[int, ...]
    members: int
    targets: Mapping[str, float]
    batch_size: int = 64
    task: Any = Classification()


WORKLOADS = (
    Workload(
        "mlp 64-128-128-10",
        MLP((128, 128)),
        (8, 8, 1),
        56,
        {"PyTorch": 20, "PyTorch, 2 processes": 10, "jitted flax loop": 20, "rate": 0.7},
    ),
    Workload(
        "cnn 8x8, 32-32",
        PlainCNN(),
        (8, 8, 1),
        8,
        {"PyTorch": 2.5, "PyTorch, 2 processes": 1.5, "jitted flax loop": 1.6},
    ),
    Workload(
        "cnn 28x28, 32-32",
        PlainCNN(),
        (28, 28, 1),
        8,
        {"PyTorch": 1.7, "PyTorch, 2 processes": 1.2, "jitted flax loop": 1.2, "rate": 0.45},
    ),
    Workload(
        "decoder, batch 64",
        Decoder(),
        (64,),
        8,
        {"PyTorch": 1.4, "PyTorch, 2 processes": 1.1, "jitted flax loop": 1.7},
        task=NextSymbol(),
    ),
    Workload("decoder, batch 4", Decoder(), (64,), 8, {"PyTorch": 2.5}, batch_size=4, task=NextSymbol()),
)


def dataset(workload: Workload) -> Dataset:
    """Random inputs with learnable labels."""
    rng = np.random.default_rng(0)
    is_text = isinstance(workload.model, Decoder)
    x, y = _texts(workload, rng) if is_text else _images(workload, rng)
    cut = [0, POOL_SIZE, POOL_SIZE + HELD_OUT, POOL_SIZE + 2 * HELD_OUT]
    splits = [Split(x[start:end], y[start:end]) for start, end in itertools.pairwise(cut)]
    return Dataset(workload.name, *splits, num_classes=workload.model.num_symbols if is_text else NUM_CLASSES)


def _images(workload: Workload, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise, labelled by a random linear map."""
    x = rng.normal(size=(POOL_SIZE + 2 * HELD_OUT, *workload.input_shape)).astype(np.float32)
    teacher = rng.normal(size=(x[0].size, NUM_CLASSES)).astype(np.float32)
    return x, (x.reshape(len(x), -1) @ teacher).argmax(axis=1).astype(np.int32)


def _texts(workload: Workload, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Periodic symbol sequences: each symbol is the previous one plus a constant step of the sequence."""
    length, symbols = workload.input_shape[0], workload.model.num_symbols
    starts, steps = rng.integers(0, symbols, (2, POOL_SIZE + 2 * HELD_OUT, 1))
    texts = (starts + steps % 8 * np.arange(length + 1)) % symbols
    return texts[:, :-1].astype(np.uint8), texts[:, 1:].astype(np.int32)


def useful_operations(workload: Workload) -> float:
    """Operations of the matrix products and convolutions of one update: forward, and backward except to the inputs.

    Attention counts whole, T × T, whether or not the masked half of it is computed.
    """
    model, size = workload.model, int(np.prod(workload.input_shape))
    unlearnt = 0
    if isinstance(model, Decoder):
        block = 12 * model.dim**2 + 2 * size * model.dim
        products = [size * (model.depth * block + model.dim * model.num_symbols)]
    elif isinstance(model, MLP):
        products = [narrow * wide for narrow, wide in itertools.pairwise([size, *model.widths, NUM_CLASSES])]
        unlearnt = products[0]
    else:
        first, second = model.channels
        products = [size * 9 * first, size // 4 * 9 * first * second, size // 16 * second * NUM_CLASSES]
        unlearnt = products[0]
    return 2.0 * workload.batch_size * (3 * sum(products) - unlearnt)


def study(workload: Workload, members: int, precision: Precision = "float32") -> Study:
    """A study of the models of a workload with an unlimited number of steps; the data are passed as arrays."""
    return Study(
        data=Digits(),
        task=workload.task,
        learners={"net": Learner(workload.model, Hyper(LR, WEIGHT_DECAY), Optimizer(warmup=0.0, schedule="constant"))},
        train_sizes=(POOL_SIZE,),
        seeds=members,
        budget=Budget(steps=2**24, batch_size=workload.batch_size),
        precision=precision,
    )


def population(
    workload: Workload, members: int = 0, packing: Packing = "exact", precision: Precision = "float32"
) -> CohortRun:
    """The models of a workload (or `members` of them) as one cohort; programs are compiled at the first call."""
    data = dataset(workload)
    cells = study(workload, members or workload.members, precision).trials
    cohort, placed = group_cohorts(cells)[0], put_on_devices(SubsetOrders(data, (trial.subset_seed for trial in cells)))
    return CohortRun(cohort, population_of(cohort, placed, packing), placed)


def row_of_seed_0(run: CohortRun) -> int:
    """The row of the model with the initial weights of the peers."""
    return next(row for row, trial in enumerate(run.rows) if trial and trial.init_seed == 0)


def first_weights(run: CohortRun) -> dict:
    """The parameters of the member with seed 0, as NumPy arrays."""
    row = row_of_seed_0(run)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[row], run.states.params)

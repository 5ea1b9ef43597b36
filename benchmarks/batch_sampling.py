"""Measures the cost of sampling a batch: an MLP's update with the keyed permutation and with given rows.

    python -m benchmarks.batch_sampling

The pool has 2^22 examples of 32 features; both variants run in turn; results are medians over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Split
from dlm.models import MLP, build
from dlm.study.learner import Optimizer
from dlm.tasks import Classification
from dlm.train import batch, devices
from dlm.train.device_data import evaluation_batches, replicate
from dlm.train.population import Population
from dlm.train.types import Data, Member, ProgramConfig

POOL, FEATURES, MEMBERS, STEPS = 2**22, 32, 8, 1000


def given(step: Any, batch_size: int, size: Any, seed: Any, xp: Any) -> Any:
    """Rows without a permutation, scattered over the pool by one multiplication."""
    return (step * np.uint32(2654435761) + jnp.arange(batch_size, dtype=jnp.uint32) * np.uint32(65521)) % size


def setting() -> tuple[ProgramConfig, Member, Data]:
    """MLPs on a random pool in its original order."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(POOL, FEATURES)).astype(np.float32)
    y = rng.integers(0, 10, POOL).astype(np.int32)
    few = evaluation_batches(Split(x[:64], y[:64]))
    data = replicate(Data(x, y, np.arange(POOL, dtype=np.int32)[None], few, few), jax.devices())
    spec = ProgramConfig(
        build(MLP((128, 128)), 10), Classification(), Optimizer(), (FEATURES,), 1.0, 0.0, 64, False, 0, 0
    )
    ones = np.ones(MEMBERS)
    numbers = (np.arange(MEMBERS), 0 * ones, POOL * ones, 2**30 * ones, 1e-3 * ones, 0 * ones, 0 * ones, 0 * ones)
    kinds = (np.uint32, np.int32, np.uint32, np.int32, *[np.float32] * 4)
    return spec, Member(*(column.astype(kind) for column, kind in zip(numbers, kinds))), data


def timed(rounds: int) -> dict[str, list[float]]:
    """Seconds per update and model in each round, by method of sampling."""
    spec, numbers, data = setting()
    variants: dict[str, tuple[Population, Member]] = {}
    states = {}
    for name, choice in (("permutation", batch.batch_rows), ("given", given)):
        runs = Population(spec, "exact", jax.devices())
        variants[name] = runs, runs.shard(numbers)
        with mock.patch.object(batch, "batch_rows", choice):  # traced here at the first call
            states[name] = runs.advance(variants[name][1], runs.init(variants[name][1]), data, _each(2))
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, (runs, members) in variants.items():
            start = time.perf_counter()
            states[name] = jax.block_until_ready(runs.advance(members, states[name], data, _each(STEPS)))
            seconds[name].append((time.perf_counter() - start) / STEPS / MEMBERS)
    return seconds


def _each(steps: int) -> np.ndarray:
    return np.full(MEMBERS, steps, np.int32)


def main() -> None:
    """Times both variants and prints the share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    devices.configure()
    seconds = timed(rounds)
    share = statistics.median(1 - given / ours for given, ours in zip(seconds["given"], seconds["permutation"]))
    for name, times in seconds.items():
        print(f"{name}: {1e6 * statistics.median(times):.1f} microseconds per step and model")
    print(f"sampling the batch takes {share:.1%} of a step")


if __name__ == "__main__":
    main()

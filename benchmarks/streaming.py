"""Measures the cost of streaming a pool compared with a pool on the device.

    python -m benchmarks.streaming

The CNN of experiments/fashion_mnist.py on as many images of that size: resident, streamed from memory, and streamed
from a file. The variants run in turn, and a ratio is computed within one round.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path

import numpy as np

from dlm.data import Dataset, Split
from dlm.data.dataset import LazyRows
from dlm.data.subset_orders import SubsetOrders
from dlm.study import experiment
from dlm.study.trial import group_cohorts
from dlm.train import devices
from dlm.train.device_data import put_on_devices
from dlm.train.population import population_of
from dlm.train.trainer import CohortRun

POOL, HELD_OUT, MEMBERS, STEPS, WAYS = 50_000, 500, 4, 64, ("resident", "from memory", "from a file")


def started(x: np.ndarray | LazyRows, y: np.ndarray, *, streamed: bool) -> CohortRun:
    """Members of the CNN with the whole pool, compiled."""
    few = Split(np.asarray(x[:HELD_OUT]), y[:HELD_OUT])
    dataset = Dataset("images", Split(x, y), few, few, num_classes=10, scale=1 / 255)
    study = experiment.load("fashion_mnist")
    study = dataclasses.replace(study, learners={"cnn": study.learners["cnn"]}, train_sizes=(POOL,), seeds=MEMBERS)
    (cohort,) = group_cohorts(study.trials)
    placed = put_on_devices(SubsetOrders(dataset, range(MEMBERS)), streamed=streamed)
    run = CohortRun(cohort, population_of(cohort, placed, devices.packing("auto")), placed)
    run.compile()
    return run


def timed(rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds per update and model in each turn, by location of the examples."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (POOL, 28, 28, 1), dtype=np.uint8)
    y = rng.integers(0, 10, POOL).astype(np.int32)
    np.save(folder / "x.npy", x)
    on_disk = LazyRows(np.load(folder / "x.npy", mmap_mode="r"), np.arange(POOL))
    runs = {
        "resident": started(x, y, streamed=False),
        "from memory": started(x, y, streamed=True),
        "from a file": started(on_disk, y, streamed=True),
    }
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds + 1):
        for way, run in runs.items():
            updates, took = run.advance(STEPS)
            if turn:  # the first one starts threads
                seconds[way].append(took / updates)
    return seconds


def main() -> None:
    """Prints medians and the ratio to the resident pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    devices.configure()
    with tempfile.TemporaryDirectory() as folder:
        seconds = timed(rounds, Path(folder))
    for way in WAYS:
        ratio = statistics.median(a / b for a, b in zip(seconds[way], seconds["resident"]))
        print(f"{way:12} {1e3 * statistics.median(seconds[way]):6.2f} ms per step and model, {ratio:.2f} x resident")


if __name__ == "__main__":
    main()

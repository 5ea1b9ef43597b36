"""Measures the cost of a checkpoint: training segments with a save in each, compared with segments without.

    python -m benchmarks.checkpoint_cost

A save copies the states, then orbax writes them during training; both are part of a segment's time. The reported share
assumes one save per minute, as launch.py makes them, or fewer where copying is slow.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import jax

from benchmarks.workloads import WORKLOADS, Workload, population
from dlm.models import MLP
from dlm.train import devices
from dlm.train.checkpoint import Checkpoints
from dlm.train.trainer import CohortRun, save_interval

MOST = 0.03


def workloads() -> list[Workload]:
    """The smallest states, and states that take long to write."""
    small, _, images, *_ = WORKLOADS
    wide = dataclasses.replace(small, name="mlp 64-512-512-10", model=MLP((512, 512)), members=128)
    return [small, images, wide]


def turn(run: CohortRun, steps: int, checkpoints: Checkpoints | None) -> tuple[float, float]:
    """Seconds of `steps` updates of all models after the start of a save, and seconds of its copy."""
    start = time.perf_counter()
    if checkpoints:
        run.save(checkpoints, steps)
    copied = time.perf_counter()
    run.advance(steps)
    return time.perf_counter() - start, copied - start


def cost(workload: Workload, seconds: float, rounds: int) -> tuple[float, float, float]:
    """(seconds per save, of these copying, bytes of the state)."""
    run = population(workload)
    run.advance(1)
    _, once = run.advance(1)
    steps = max(1, round(seconds / once))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "checkpoints")
        turn(run, 1, checkpoints)
        added, copying = [], []
        for _ in range(rounds):
            plain, _ = turn(run, steps, None)
            whole, copied = turn(run, steps, checkpoints)
            added.append(whole - plain)
            copying.append(copied)
        checkpoints.close()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(run.states))
    return statistics.median(added), statistics.median(copying), size


def main() -> None:
    """Prints one row per workload."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn, longer than a save")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    devices.configure()
    print("| workload | models | state | seconds per save | of these copying | between saves | share of training |")
    print("|---|---|---|---|---|---|---|")
    for workload in workloads():
        added, copying, size = cost(workload, options.seconds, options.rounds)
        interval = save_interval(copying)
        row = f"{size / 2**20:.0f} MiB | {added:.2f} s | {copying:.2f} s | {interval:.0f} s | {added / interval:.1%}"
        print(f"| {workload.name} | {workload.members} | {row} |", flush=True)
    print(f"\ntarget: less than {MOST:.0%}")


if __name__ == "__main__":
    main()

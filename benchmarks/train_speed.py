"""Milliseconds of a member's update, side by side with PyTorch and a jitted Python loop.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.train_speed --out=train_speed.json

Each contender takes its turn in each round, so that a machine whose speed drifts is the same for all; medians of
rounds. PyTorch starts from the same weights, takes the same batches and must end at the same loss.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from typing import Any

from dlm.train import devices

devices.configure()

import jax  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.peers import FlaxLoop, TorchLoop, torch_processes  # noqa: E402
from benchmarks.workloads import BATCH_SIZE, LR, POOL_SIZE, WEIGHT_DECAY, WORKLOADS, Workload, arrays  # noqa: E402
from dlm import Budget, Hyper, Learner, Optimizer, Study  # noqa: E402
from dlm.data import Digits  # noqa: E402
from dlm.models.mlp import MLP  # noqa: E402
from dlm.study import cohorts, trials  # noqa: E402
from dlm.tasks import Classification  # noqa: E402
from dlm.train.runner import CohortRun, device_data  # noqa: E402

CHECKED_STEPS = 50  # after which losses are compared
SECONDS = 1.0  # of one contender's turn, about


def population(workload: Workload) -> CohortRun:
    """The workload's members as one cohort, ready to be advanced for ever."""
    study = Study(
        data=Digits(),  # not read: the arrays are given
        task=Classification(),
        learners={"net": Learner(workload.model, Hyper(LR, WEIGHT_DECAY), Optimizer(warmup=0.0, schedule="constant"))},
        sizes=(POOL_SIZE,),
        seeds=workload.members,
        budget=Budget(steps=2**24),
    )
    data = arrays(workload)
    seeds = list(range(workload.members))
    run = CohortRun(
        cohorts(trials(study))[0], data, device_data(data, [data.order(seed) for seed in seeds]), seeds, "exact"
    )
    run.compile()
    return run


def matrix_rate() -> float:
    """This machine's f32 matrix products, in floating-point operations a second: the better of NumPy and XLA."""
    a = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    product = jax.jit(lambda x: x @ x)
    x = jax.device_put(a, jax.devices()[0])
    times = []
    for run in (lambda: a @ a, lambda: product(x).block_until_ready()):
        run()
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def useful_operations(workload: Workload) -> float:
    """Operations of the matrix products and convolutions of one update: forward, and backward but to the inputs."""
    pixels = int(np.prod(workload.input_shape))
    if isinstance(workload.model, MLP):
        widths = [pixels, *workload.model.widths, 10]
        products = [narrow * wide for narrow, wide in itertools.pairwise(widths)]
    else:
        first, second = workload.model.channels
        products = [pixels * 9 * first, pixels // 4 * 9 * first * second, pixels // 16 * second * 10]
    return 2.0 * BATCH_SIZE * (3 * sum(products) - products[0])


def compare(workload: Workload, rounds: int) -> dict[str, Any]:
    """Milliseconds of a member's update for every contender, ratios, and the losses of both sides."""
    ours = population(workload)
    row = next(index for index, trial in enumerate(ours.rows) if trial and trial.init_seed == 0)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[row], ours.states.params)
    data = arrays(workload)
    make = (workload, params, data.train.x, data.train.y, data.order(0))
    checked = TorchLoop(*make, threads=1)
    checked.run(CHECKED_STEPS)
    ours.advance(CHECKED_STEPS)
    losses = {"dlm": float(ours.states.loss[row]), "torch": checked.loss}
    member = jax.tree.map(lambda leaf: np.asarray(leaf)[row], ours.members)
    loop = FlaxLoop(ours.population.spec, member, jax.device_get(ours.data))
    contenders: dict[str, Any] = {
        "dlm": lambda steps: (
            ours.advance(max(1, steps // workload.members))[1] / max(1, steps // workload.members) / workload.members
        ),
        "torch, 1 thread": lambda steps: TorchLoop(*make, threads=1).run(steps) / steps,
        "torch, 2 threads": lambda steps: TorchLoop(*make, threads=2).run(steps) / steps,
        "torch, 2 processes": lambda steps: torch_processes(make, steps) / steps / 2,
        "jitted loop": lambda steps: loop.run(steps) / steps,
    }
    steps = {name: _steps_for(run) for name, run in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(run(steps[name]))
    return _summary(workload, seconds, losses)


def _steps_for(run: Any) -> int:
    return max(5, int(SECONDS / max(run(64), 1e-6)))


def _summary(workload: Workload, seconds: dict[str, list[float]], losses: dict[str, float]) -> dict[str, Any]:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {
        name: statistics.median(theirs / ours for theirs, ours in zip(times, seconds["dlm"]))
        for name, times in seconds.items()
        if name != "dlm"
    }
    return {
        "workload": workload.name,
        "members": workload.members,
        "milliseconds": {name: 1e3 * value for name, value in medians.items()},
        "times_slower_than_dlm": ratios,
        "useful_flops_per_second": useful_operations(workload) / medians["dlm"],
        "losses": losses,
    }


def _table(results: list[dict[str, Any]], rate: float) -> str:
    names = list(results[0]["milliseconds"])
    lines = ["| ms a member-update (times dlm) | " + " | ".join(names) + " | share of matrix rate |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for result in results:
        cells = [
            f"{result['milliseconds'][name]:.3g}"
            + (f" ({result['times_slower_than_dlm'][name]:.1f}x)" if name != "dlm" else "")
            for name in names
        ]
        share = f"{result['useful_flops_per_second'] / rate:.0%}"
        lines.append(f"| {result['workload']}, {result['members']} members | " + " | ".join([*cells, share]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run all workloads, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    rates = [matrix_rate()]
    results = [compare(workload, options.rounds) for workload in WORKLOADS]
    rates.append(matrix_rate())
    machine = {"cores": devices.num_usable_cores(), "python": platform.python_version(), "jax": jax.__version__}
    print(_table(results, max(rates)))
    print(f"\nf32 matrix products: {max(rates) / 1e9:.0f} GFLOP/s. {machine}")
    for result in results:
        ours, theirs = result["losses"]["dlm"], result["losses"]["torch"]
        print(f"{result['workload']}: loss after {CHECKED_STEPS} updates {ours:.5f} (dlm), {theirs:.5f} (torch)")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "matrix_flops_per_second": max(rates), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

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

from benchmarks.decoder import Decoder  # noqa: E402
from benchmarks.peers import FlaxLoop, TorchLoop, in_processes, keras_process, torch_process  # noqa: E402
from benchmarks.workloads import LR, POOL_SIZE, WEIGHT_DECAY, WORKLOADS, Workload, arrays  # noqa: E402
from dlm import Budget, Hyper, Learner, Optimizer, Study  # noqa: E402
from dlm.data import Digits  # noqa: E402
from dlm.models.mlp import MLP  # noqa: E402
from dlm.study import cohorts, trials  # noqa: E402
from dlm.train.cohort_run import CohortRun  # noqa: E402
from dlm.train.compiled import device_data, population_of  # noqa: E402

CHECKED_STEPS = 50  # after which losses are compared
SECONDS = 1.0  # of one contender's turn, about


def population(workload: Workload) -> CohortRun:
    """The workload's members as one cohort, ready to be advanced for ever."""
    study = Study(
        data=Digits(),  # not read: the arrays are given
        task=workload.task,
        learners={"net": Learner(workload.model, Hyper(LR, WEIGHT_DECAY), Optimizer(warmup=0.0, schedule="constant"))},
        sizes=(POOL_SIZE,),
        seeds=workload.members,
        budget=Budget(steps=2**24, batch_size=workload.batch_size),
    )
    data = arrays(workload)
    seeds = list(range(workload.members))
    placed = device_data(data, [order(seed) for seed in seeds])
    (cohort,) = cohorts(trials(study))
    run = CohortRun(cohort, population_of(cohort, data, placed, "exact"), placed, seeds)
    run.compile()
    return run


def order(seed: int) -> np.ndarray:
    """An order of the pool. int32 [POOL_SIZE]."""
    return np.random.default_rng(seed).permutation(POOL_SIZE).astype(np.int32)


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
    """Operations of the matrix products and convolutions of one update: forward, and backward but to the inputs.

    Attention counts whole, as both sides compute it, though half of it is masked.
    """
    model, size = workload.model, int(np.prod(workload.input_shape))
    unlearnt = 0
    if isinstance(model, Decoder):
        tokens, dim = size, model.dim
        block = 12 * dim * dim + 2 * tokens * dim
        products = [tokens * (model.depth * block + dim * model.num_symbols)]
    elif isinstance(model, MLP):
        widths = [size, *model.widths, 10]
        products = [narrow * wide for narrow, wide in itertools.pairwise(widths)]
        unlearnt = products[0]
    else:
        first, second = model.channels
        products = [size * 9 * first, size // 4 * 9 * first * second, size // 16 * second * 10]
        unlearnt = products[0]
    return 2.0 * workload.batch_size * (3 * sum(products) - unlearnt)


def losses(workload: Workload, ours: CohortRun, make: tuple[Any, ...]) -> dict[str, float]:
    """Training loss of the member with seed 0 after CHECKED_STEPS updates, by both sides."""
    theirs = TorchLoop(*make, threads=1)
    theirs.run(CHECKED_STEPS)
    ours.advance(CHECKED_STEPS)
    return {"dlm": float(ours.states.loss[_row_of_seed_0(ours)]), "torch": theirs.loss}


def contenders(workload: Workload, ours: CohortRun, make: tuple[Any, ...]) -> dict[str, Any]:
    """By name, a function from a number of updates to the seconds of one member's update."""
    row = _row_of_seed_0(ours)
    member = jax.tree.map(lambda leaf: np.asarray(leaf)[row], ours.members)
    loop = FlaxLoop(ours.population.spec, member, jax.device_get(ours.data))
    _, _, x, y, _ = make

    def dlm(steps: int) -> float:
        applied, seconds = ours.advance(max(1, steps // workload.members))
        return seconds / applied

    return {
        "dlm": dlm,
        "torch, 1 thread": lambda steps: TorchLoop(*make, threads=1).run(steps) / steps,
        "torch, 2 threads": lambda steps: TorchLoop(*make, threads=2).run(steps) / steps,
        "torch, 2 processes": lambda steps: in_processes(torch_process, make, steps, 2) / steps / 2,
        "keras": lambda steps: in_processes(keras_process, (workload, x, y), steps, 1) / steps,
        "jitted loop": lambda steps: loop.run(steps) / steps,
    }


def compare(workload: Workload, rounds: int) -> dict[str, Any]:
    """Milliseconds of a member's update for every contender, ratios, and the losses of both sides."""
    ours = population(workload)
    row = _row_of_seed_0(ours)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[row], ours.states.params)
    data = arrays(workload)
    make = (workload, params, data.train.x, data.train.y, order(0))
    ends = losses(workload, ours, make)
    runs = contenders(workload, ours, make)
    steps = {name: _steps_for(run) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run(steps[name]))
    return _summary(workload, seconds, ends)


def _row_of_seed_0(run: CohortRun) -> int:
    return next(index for index, trial in enumerate(run.rows) if trial and trial.init_seed == 0)


def _steps_for(run: Any) -> int:
    return max(5, int(SECONDS / max(run(64), 1e-6)))


def _summary(workload: Workload, seconds: dict[str, list[float]], ends: dict[str, float]) -> dict[str, Any]:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: _ratio(times, seconds["dlm"]) for name, times in seconds.items() if name != "dlm"}
    better = min(("torch, 1 thread", "torch, 2 threads"), key=medians.__getitem__)
    return {
        "workload": workload.name,
        "members": workload.members,
        "milliseconds": {name: 1e3 * value for name, value in medians.items()},
        "times_slower_than_dlm": ratios | {"torch": ratios[better]},
        "useful_flops_per_second": useful_operations(workload) / medians["dlm"],
        "wanted": dict(workload.wanted),
        "losses": ends,
    }


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


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


def _wanted(results: list[dict[str, Any]], rate: float) -> str:
    """What was asked for beside what was measured."""
    lines = []
    for result in results:
        measured = result["times_slower_than_dlm"] | {"rate": result["useful_flops_per_second"] / rate}
        for name, wanted in result["wanted"].items():
            verdict = "reached" if measured[name] >= wanted else "missed"
            lines.append(f"{result['workload']}: {name}: wanted {wanted:g}, measured {measured[name]:.2f}: {verdict}")
    return "\n".join(lines)


def main() -> None:
    """Run all workloads, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a workload's name")
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    rates, results = [matrix_rate()], []
    for workload in WORKLOADS:
        if options.only in workload.name:
            results.append(compare(workload, options.rounds))
            rates.append(matrix_rate())
    machine = {"cores": devices.num_usable_cores(), "python": platform.python_version(), "jax": jax.__version__}
    print(_table(results, max(rates)))
    print(f"\n{_wanted(results, max(rates))}")
    print(f"\nf32 matrix products: {max(rates) / 1e9:.0f} GFLOP/s. {machine}")
    for result in results:
        ours, theirs = result["losses"]["dlm"], result["losses"]["torch"]
        print(f"{result['workload']}: loss after {CHECKED_STEPS} updates {ours:.5f} (dlm), {theirs:.5f} (torch)")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "matrix_flops_per_second": max(rates), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

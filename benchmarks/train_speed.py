"""Measures milliseconds per update and model of dlm, PyTorch, Keras and a jitted flax step in a Python loop.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.train_speed --out=train_speed.json
    python -m benchmarks.train_speed --only=decoder --peers=torch,loop --rounds=9

All implementations run in turn within each round; results are medians over rounds. PyTorch and the flax loop start from
the same weights, use the same batches and must reach the same loss; Keras trains the same architecture from its own
weights. Both loops are minimal (batches are selected in advance, the loss is not read); the tutorial variants use a
DataLoader or batches from the host and sum the losses. Each peer runs in its own process; results appear on stderr per
workload.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

from benchmarks.matrix_rate import matrix_rate
from benchmarks.peers import STEPS_A_CALL, FlaxLoop, KerasLoop, Start, TorchLoop, Worker
from benchmarks.workloads import WORKLOADS, Workload, first_weights, population, row_of_seed_0, useful_operations
from dlm.train import devices

PEERS = ("torch", "keras", "loop", "tutorial")
CHECKED_STEPS = 48  # after which losses are compared; a multiple of STEPS_A_CALL
REST = 0.2  # seconds between turns, because threads keep spinning for a while


def workers(peers: tuple[str, ...], fused: bool) -> dict[str, list[Worker]]:
    """Worker processes that train in parallel, by name of the implementation."""
    made: dict[str, list[Worker]] = {}
    if "torch" in peers:
        made["PyTorch, 1 thread"] = [Worker(TorchLoop, 1, fused)]
        made["PyTorch, 2 threads"] = [Worker(TorchLoop, 2, fused)]
        made["PyTorch, 2 processes"] = [Worker(TorchLoop, 1, fused) for _ in range(2)]
    if "keras" in peers:
        made["Keras"] = [Worker(KerasLoop)]
        made[f"Keras, {STEPS_A_CALL} steps per call"] = [Worker(KerasLoop, STEPS_A_CALL)]
    if "loop" in peers:
        made["jitted flax loop"] = [Worker(FlaxLoop)]
    if "tutorial" in peers:
        made["PyTorch tutorial loop"] = [Worker(TorchLoop, 1, fused, True)]
        made["flax tutorial loop"] = [Worker(FlaxLoop, True)]
    return made


def together(workers: list[Worker], steps: int) -> tuple[float, float]:
    """(seconds per update and model, loss) while all workers train."""
    for worker in workers:
        worker.ask(steps)
    answers = [worker.answer() for worker in workers]
    return max(seconds for seconds, _ in answers) / steps / len(workers), answers[0][1]


def compare(workload: Workload, theirs: dict[str, list[Worker]], rounds: int, seconds: float) -> dict[str, Any]:
    """Times per update and model in all rounds, and the losses after CHECKED_STEPS updates, by implementation."""
    ours = population(workload)
    start = Start(workload, first_weights(ours), ours.device_data.orders[0])
    for worker in itertools.chain(*theirs.values()):
        worker.begin(start)
    ours.advance(CHECKED_STEPS)
    losses = {"dlm": float(ours.states.loss[row_of_seed_0(ours)])}

    def dlm(steps: int) -> float:
        applied, elapsed = ours.advance(max(1, steps // workload.members))
        return elapsed / applied

    turns: dict[str, Callable[[int], float]] = {"dlm": dlm}
    for name, each in theirs.items():
        losses[name] = together(each, CHECKED_STEPS)[1]
        turns[name] = lambda steps, each=each: together(each, steps)[0]
    return {"losses": losses, "times": alternate(turns, rounds, seconds)}


def alternate(turns: Mapping[str, Callable[[int], float]], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds per update in each round, by implementation; a turn takes about `seconds`."""
    each = {name: _whole_calls(seconds / turn(STEPS_A_CALL)) for name, turn in turns.items()}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            time.sleep(REST)
            times[name].append(turn(each[name]))
    return times


def _whole_calls(steps: float) -> int:
    return STEPS_A_CALL * max(1, round(steps / STEPS_A_CALL))


def summary(workload: Workload, losses: dict[str, float], times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, ratios to dlm, and the rate of dlm's useful operations."""
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratios = {
        name: statistics.median(their / our for their, our in zip(each, times["dlm"], strict=True))
        for name, each in times.items()
        if name != "dlm"
    }
    for peer in ("PyTorch", "Keras"):  # the best variant in one process
        variants = [name for name in ratios if name.startswith(peer) and not name.endswith(("processes", "loop"))]
        if variants:
            ratios[peer] = ratios[min(variants, key=medians.__getitem__)]
    return {
        "workload": workload.name,
        "members": workload.members,
        "milliseconds": {name: 1e3 * value for name, value in medians.items()},
        "times_slower_than_dlm": ratios,
        "useful_flops_per_second": useful_operations(workload) / medians["dlm"],
        "targets": dict(workload.targets),
        "losses": losses,
    }


def table(results: list[dict[str, Any]], rate: float) -> str:
    """One row per workload, one column per implementation."""
    names = list(results[0]["milliseconds"])
    lines = ["| ms per step and model (ratio to dlm) | " + " | ".join(names) + " | share of the matrix rate |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for result in results:
        cells = [
            f"{result['milliseconds'][name]:.3g}"
            + (f" ({result['times_slower_than_dlm'][name]:.1f}x)" if name != "dlm" else "")
            for name in names
        ]
        share = f"{result['useful_flops_per_second'] / rate:.0%}"
        lines.append(f"| {result['workload']}, {result['members']} models | " + " | ".join([*cells, share]) + " |")
    return "\n".join(lines)


def targets(results: list[dict[str, Any]], rate: float) -> str:
    """Targets and measured ratios."""
    lines = ["| workload | compared with | target | measured | |", "|---|---|---|---|---|"]
    for result in results:
        measured = result["times_slower_than_dlm"] | {"rate": result["useful_flops_per_second"] / rate}
        for name, least in result["targets"].items():
            if name in measured:
                verdict = "reached" if measured[name] >= least else "missed"
                lines.append(f"| {result['workload']} | {name} | {least:g} | {measured[name]:.2f} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Runs all workloads, prints the tables and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="approximate length of a turn")
    parser.add_argument("--only", default="", help="part of a workload's name")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--fused", action="store_true", help="PyTorch's fused AdamW in place of the default one")
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    devices.configure()
    theirs = workers(tuple(options.peers.split(",")), options.fused)
    rates, results = [matrix_rate()], []
    for workload in WORKLOADS:
        if options.only in workload.name:
            results.append(summary(workload, **compare(workload, theirs, options.rounds, options.seconds)))
            rates.append(matrix_rate())
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    for worker in itertools.chain(*theirs.values()):
        worker.close()
    machine = {"cores": devices.num_usable_cores(), "python": platform.python_version(), "jax": jax.__version__}
    print(f"{table(results, max(rates))}\n\n{targets(results, max(rates))}\n")
    print(f"float32 matrix products: {max(rates) / 1e9:.0f} GFLOP/s. {machine}")
    for result in results:
        losses = ", ".join(f"{loss:.5f} ({name})" for name, loss in result["losses"].items() if "Keras" not in name)
        print(f"{result['workload']}: loss after {CHECKED_STEPS} updates {losses}")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "matrix_flops_per_second": max(rates), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

"""Measures milliseconds per update and model of dlm, PyTorch, Keras and a jitted flax step in a Python loop.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.train_speed --out=train_speed.json
    python -m benchmarks.train_speed --only=decoder --peers=torch,loop --rounds=9

All contenders run in turn within each round; results are medians over rounds. PyTorch and the flax loop start from the
same weights, use the same batches and must reach the same loss; Keras trains the same architecture from its own
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

PEERS = ("torch", "keras", "loop", "taught")
CHECKED_STEPS = 48  # after which losses are compared; a multiple of STEPS_A_CALL, which Keras then compiles for
REST = 0.2  # seconds between turns, for threads that spin a while after their work


def workers(peers: tuple[str, ...], fused: bool) -> dict[str, list[Worker]]:
    """By a contender's name, the processes that train side by side."""
    made: dict[str, list[Worker]] = {}
    if "torch" in peers:
        made["torch, 1 thread"] = [Worker(TorchLoop, 1, fused)]
        made["torch, 2 threads"] = [Worker(TorchLoop, 2, fused)]
        made["torch, 2 processes"] = [Worker(TorchLoop, 1, fused) for _ in range(2)]
    if "keras" in peers:
        made["keras"] = [Worker(KerasLoop)]
        made[f"keras, {STEPS_A_CALL} steps a call"] = [Worker(KerasLoop, STEPS_A_CALL)]
    if "loop" in peers:
        made["jitted loop"] = [Worker(FlaxLoop)]
    if "taught" in peers:
        made["torch as taught"] = [Worker(TorchLoop, 1, fused, True)]
        made["jitted loop as taught"] = [Worker(FlaxLoop, True)]
    return made


def together(workers: list[Worker], steps: int) -> tuple[float, float]:
    """(seconds of one member's update, loss) while all workers train."""
    for worker in workers:
        worker.ask(steps)
    answers = [worker.answer() for worker in workers]
    return max(seconds for seconds, _ in answers) / steps / len(workers), answers[0][1]


def compare(workload: Workload, theirs: dict[str, list[Worker]], rounds: int, seconds: float) -> dict[str, Any]:
    """A member's update timed in all rounds for every contender, and the losses after CHECKED_STEPS updates."""
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
    """Seconds of an update in each round, by contender; a turn takes about `seconds`."""
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
    for peer in ("torch", "keras"):  # the best that one process makes of it
        variants = [name for name in ratios if name.startswith(peer) and not name.endswith(("processes", "taught"))]
        if variants:
            ratios[peer] = ratios[min(variants, key=medians.__getitem__)]
    return {
        "workload": workload.name,
        "members": workload.members,
        "milliseconds": {name: 1e3 * value for name, value in medians.items()},
        "times_slower_than_dlm": ratios,
        "useful_flops_per_second": useful_operations(workload) / medians["dlm"],
        "wanted": dict(workload.wanted),
        "losses": losses,
    }


def table(results: list[dict[str, Any]], rate: float) -> str:
    """A line a workload, a column a contender."""
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


def wanted(results: list[dict[str, Any]], rate: float) -> str:
    """What was asked for beside what was measured."""
    lines = ["| workload | against | wanted | measured | |", "|---|---|---|---|---|"]
    for result in results:
        measured = result["times_slower_than_dlm"] | {"rate": result["useful_flops_per_second"] / rate}
        for name, least in result["wanted"].items():
            if name in measured:
                verdict = "reached" if measured[name] >= least else "missed"
                lines.append(f"| {result['workload']} | {name} | {least:g} | {measured[name]:.2f} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Run all workloads, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn, about")
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
    print(f"{table(results, max(rates))}\n\n{wanted(results, max(rates))}\n")
    print(f"f32 matrix products: {max(rates) / 1e9:.0f} GFLOP/s. {machine}")
    for result in results:
        losses = ", ".join(f"{loss:.5f} ({name})" for name, loss in result["losses"].items() if "keras" not in name)
        print(f"{result['workload']}: loss after {CHECKED_STEPS} updates {losses}")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "matrix_flops_per_second": max(rates), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

"""Measures the time and memory of one model as a function of the number of models trained together.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --part=memory

Time: milliseconds per update and model in populations of 4 to 256 with exact packing, medians over rounds. Memory:
peak resident memory of a process that trains and saves a cohort, one process for each number of models, compared with
the estimate of `--mode=plan`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.workloads import WORKLOADS, Workload, population
from dlm import Budget, Hyper, Learner, Study
from dlm.data import Digits
from dlm.models import MLP
from dlm.tasks import Classification
from dlm.train import devices

TIMED = {WORKLOADS[0].name: 16_384, WORKLOADS[1].name: 1024}  # updates of all members together, in one turn
TIMED_MEMBERS = (4, 16, 64, 256)
SAVED_MEMBERS = (64, 128, 256)
MOST_TIME_OFF, MOST_MEMORY_OFF = 0.15, 0.25


def milliseconds(workload: Workload, updates: int, rounds: int) -> dict[int, list[float]]:
    """Of a member's update in each round, by the number of members."""
    runs = {count: population(workload, count) for count in TIMED_MEMBERS}
    times: dict[int, list[float]] = {count: [] for count in runs}
    for number in range(rounds + 1):
        for count, run in runs.items():
            applied, seconds = run.advance(updates // count)
            if number:  # the first round compiles and warms up
                times[count].append(1e3 * seconds / applied)
    return times


def print_time(rounds: int) -> None:
    """Prints a table per workload; deviations are from the median of a round, because the machine's speed drifts."""
    devices.configure()
    for workload in WORKLOADS:
        if workload.name not in TIMED:
            continue
        times = milliseconds(workload, TIMED[workload.name], rounds)
        middles = [statistics.median(each) for each in zip(*times.values(), strict=True)]
        print(f"| {workload.name}: models | ms per step and model | deviation |\n|---|---|---|")
        deviation = {}
        for count, each in times.items():
            ratios = (value / middle for value, middle in zip(each, middles, strict=True))
            deviation[count] = statistics.median(ratios) - 1
            print(f"| {count} | {statistics.median(each):.4f} | {deviation[count]:+.1%} |")
        print(f"\nlargest deviation {max(map(abs, deviation.values())):.1%}, target at most {MOST_TIME_OFF:.0%}\n")


def study(members: int) -> Study:
    """Wide MLPs with four updates."""
    return Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(MLP((512, 512)), Hyper(lr=1e-3))},
        train_sizes=(256,),
        seeds=members,
        budget=Budget(steps=4),
        name="memory",
    )


def resident(members: int) -> float:
    """Peak resident bytes of this process after it has trained, measured and saved the study."""
    from dlm.execution import executor

    with tempfile.TemporaryDirectory() as folder:
        executor.run_trials(study(members), Path(folder) / "run")
    # getrusage would include the memory of the parent process at the fork.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])


def planned(members: int) -> float:
    """Bytes in the plan of the study."""
    from dlm.execution.planner import plan

    with tempfile.TemporaryDirectory() as folder:
        return float(plan(study(members), Path(folder)).parts[0].memory)


def in_a_process(function: Callable[[int], float], members: int) -> float:
    """Result of a function in a separate process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, members).result()


def print_memory() -> None:
    """Prints a row per number of models, then the slopes."""
    memory = {name: [in_a_process(of, count) for count in SAVED_MEMBERS] for name, of in _SIDES.items()}
    print("| models | peak resident, MiB | planned, MiB |\n|---|---|---|")
    for count, real, plan in zip(SAVED_MEMBERS, memory["resident"], memory["planned"], strict=True):
        print(f"| {count} | {real / 2**20:.0f} | {plan / 2**20:.0f} |")
    real, plan = (statistics.linear_regression(SAVED_MEMBERS, memory[name]).slope / 2**20 for name in _SIDES)
    print(f"\nper model: {real:.2f} MiB resident, {plan:.2f} MiB planned: {plan / real - 1:+.0%}", end=", ")
    print(f"target at most {MOST_MEMORY_OFF:.0%}")


_SIDES = {"resident": resident, "planned": planned}


def main() -> None:
    """Time, then memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--part", choices=("both", "time", "memory"), default="both")
    options = parser.parse_args()
    if options.part != "memory":
        print_time(options.rounds)
    if options.part != "time":
        print_memory()


if __name__ == "__main__":
    main()

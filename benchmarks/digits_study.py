"""Measures the time of the whole `digits` study, from process start to end, compared with scikit-learn and PyTorch.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.digits_study --rounds=3
    python -m benchmarks.digits_study --one_process
    python -m benchmarks.digits_study --second
    python -m benchmarks.digits_study --seeds=2 --train_sizes=32,256    a short run

dlm: launch.py with an empty compilation cache, including the report. Peers: benchmarks/digits_peers.py with the same
trials. They run in turn, and their test errors are printed next to each other. `--second` runs the study twice with
one compilation cache and two workdirs, and reports the time of each phase.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dlm.storage import record_log

MOST_COMPILING, MOST_MEASURING = 0.25, 0.10


def timed(*command: str, cache: Path | None = None) -> tuple[float, str]:
    """(seconds, what it printed) of a Python process; an error ends the benchmark."""
    env = os.environ | ({"JAX_COMPILATION_CACHE_DIR": str(cache)} if cache else {})
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def dlm(flags: list[str]) -> tuple[float, dict[str, float]]:
    """(seconds, mean test error of each learner at the largest size) of a study that finds nothing compiled."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        seconds, _ = timed(
            "launch.py", "--experiment=digits", f"--workdir={workdir}", *flags, cache=Path(folder) / "cache"
        )
        return seconds, errors(workdir)


def errors(workdir: Path) -> dict[str, float]:
    """Mean test error of each learner at the largest size."""
    ends = record_log.ends(record_log.rows(workdir)).values()
    largest = max(row.train_size for row in ends)
    values: dict[str, list[Any]] = {}
    for row in ends:
        if row.train_size == largest:
            values.setdefault(row.learner, []).append(row.value)
    return {name: statistics.fmean(each) for name, each in values.items()}


def peers(flags: list[str]) -> tuple[float, dict[str, Any]]:
    """(seconds, errors and seconds of each learner)."""
    seconds, printed = timed("-m", "benchmarks.digits_peers", *flags)
    return seconds, json.loads(printed.splitlines()[-1])


def compare(rounds: int, flags: list[str], one_process: bool) -> None:
    """Runs both sides in turn and prints times, ratio and errors."""
    ours, theirs = [], []
    for number in range(rounds):
        ours.append(dlm(flags))
        theirs.append(peers([*flags, *["--one_process"] * one_process]))
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in theirs[-1][1]["seconds"].items())
        print(f"round {number + 1}: dlm {ours[-1][0]:.1f} s, peers {theirs[-1][0]:.1f} s ({parts})", flush=True)
    ratio = statistics.median(slow / fast for (slow, _), (fast, _) in zip(theirs, ours, strict=True))
    print(f"\ndlm {statistics.median(seconds for seconds, _ in ours):.1f} s, peers {ratio:.2f} times this\n")
    print("| mean test error, largest size | dlm | scikit-learn, PyTorch |\n|---|---|---|")
    for name, error in ours[-1][1].items():
        print(f"| {name} | {error:.2%} | {theirs[-1][1]['errors'][name]:.2%} |")


def twice(flags: list[str]) -> None:
    """Prints the phases of a first and a second run."""
    with tempfile.TemporaryDirectory() as folder:
        phases = []
        for name in ("first", "second"):
            arguments = ["--experiment=digits", f"--workdir={folder}/{name}", *flags]
            _, printed = timed("-m", "benchmarks.study_phases", *arguments, cache=Path(folder) / "cache")
            phases.append(json.loads(printed.splitlines()[-1]))
            print(f"{name} run: " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in phases[-1].items()))
    first, second = phases
    whole, xla = (second[phase] / first[phase] for phase in ("compile", "xla"))
    print(f"compilation of the second run: {whole:.0%} of the first (target below {MOST_COMPILING:.0%}), XLA {xla:.0%}")
    for name, each in (("first", first), ("second", second)):
        share = each["measure"] / each["whole"]
        print(f"evaluation: {share:.1%} of the {name} run (target below {MOST_MEASURING:.0%})")


def main() -> None:
    """Compares with the peers, or runs the study twice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--second", action="store_true", help="measure a second run with a filled compilation cache")
    parser.add_argument("--seeds", default="", help="--seeds of launch.py")
    parser.add_argument("--train_sizes", default="", help="--train_sizes of launch.py")
    parser.add_argument("--one_process", action="store_true", help="PyTorch in one process instead of two")
    options = parser.parse_args()
    flags = [f"--{name}={value}" for name in ("seeds", "train_sizes") if (value := getattr(options, name))]
    if options.second:
        twice(flags)
    else:
        compare(options.rounds, flags, options.one_process)


if __name__ == "__main__":
    main()

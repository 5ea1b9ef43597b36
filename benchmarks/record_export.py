"""Measures reading and exporting the records of a workdir: record log to rows, table, Parquet and CSV.

    python -m benchmarks.record_export
    python -m benchmarks.record_export --rows=1000000 --rounds=3 --out=exporting.json

The records are synthetic, five rows per trial, appended as in a run. Every round runs all methods in turn; results are
medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dlm.storage import record_log, records
from dlm.storage.record_log import Record

ROWS_OF_A_TRIAL = (
    ("train", "loss"),
    ("validation", "error"),
    ("validation", "loss"),
    ("test", "loss"),
    ("test", "error"),
)
AT_ONCE = 10_000
HYPER = '{"model": {"widths": [128, 128]}, "lr": 0.003, "weight_decay": 0.0001, "dropout": 0.0, "label_smoothing": 0.0}'
VERSIONS = "dlm=0.1.0 python=3.11.7 jax=0.10.2 jaxlib=0.10.2 flax=0.12.8 optax=0.2.8 numpy=2.4.6 scikit-learn=1.9.1"


def made_up(number: int) -> list[Record]:
    """`number` rows of trials of a study, in the order in which they would be written."""
    return [_row(*divmod(k, len(ROWS_OF_A_TRIAL))) for k in range(number)]


def _row(trial: int, which: int) -> Record:
    split, metric = ROWS_OF_A_TRIAL[which]
    return Record(
        study="benchmark",
        trial_id=f"{trial * 2654435761 % 2**32:08x}{trial:08x}",
        learner=f"learner {trial % 7}",
        train_size=32 << trial % 9,
        subset_seed=trial // 63,
        init_seed=trial // 63,
        hyper=HYPER,
        step=200 + trial % 50,
        split=split,
        metric=metric,
        value=1 / (3 + trial % 997) + which / 7,
        unit="nats" if metric == "loss" else "error rate",
        num_examples=360,
        status="done",
        subset_hash=f"{trial // 7 * 40503:016x}",
        data="digits@0123456789abcdef",
        packing="exact",
        precision="float32",
        seconds=0.25 + trial / 1e5,
        device="cpu:2",
        versions=VERSIONS,
        together=len(ROWS_OF_A_TRIAL),
        flops=8.9e6 * (200 + trial % 50),
    )


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a call takes, and seconds of the processors, which a busy machine changes less."""
    begin, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - begin, time.process_time() - busy


def measure(number: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds, and seconds of the processors, of each round, by what was done."""
    made = made_up(number)
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        for start in range(0, number, AT_ONCE):
            record_log.append(workdir, made[start : start + AT_ONCE])
        assert record_log.rows(workdir) == made
        ways: dict[str, Callable[[], object]] = {
            "records.rows": lambda: record_log.rows(workdir),
            "records.read": lambda: records.read(workdir),
            "records.export": lambda: records.export(workdir),
        }
        taken = [{way: timed(function) for way, function in ways.items()} for _ in range(rounds)]
    return {way: [each[way] for each in taken] for way in ways}


def main() -> None:
    """Runs all operations in turn, prints medians and writes all times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    seconds = measure(options.rows, options.rounds)
    print(f"{options.rows:,} rows, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
    print("| operation | seconds, median | minimum | CPU seconds, median |\n|---|---|---|---|")
    for way, taken in seconds.items():
        wall, busy = zip(*taken)
        print(f"| {way} | {statistics.median(wall):.2f} | {min(wall):.2f} | {statistics.median(busy):.2f} |")
    if options.out:
        Path(options.out).write_text(json.dumps({"rows": options.rows, "seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()

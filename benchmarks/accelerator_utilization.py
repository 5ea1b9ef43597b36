"""Measures useful TFLOP/s of training and their share of the matrix rate, by workload, precision and number of models.

    python -m benchmarks.accelerator_utilization --out=accelerator.json
    python -m benchmarks.accelerator_utilization --only=cnn --members=64 --precisions=bfloat16
    python -m benchmarks.accelerator_utilization --quick                        small, for a CPU

Models train together (fast packing) on all devices; convolutions are those of dlm and, as another variant, those of
XLA. Workloads that do not fit into memory are marked; those beyond the time budget are skipped. The reference is
measured in the same run: matrix products in float32 at the default precision of JAX (TF32 where available), or in
bfloat16.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.matrix_rate import xla_rate
from benchmarks.models import PlainCNN
from benchmarks.workloads import WORKLOADS, Workload, population, useful_operations
from dlm.study.learner import PRECISIONS, Precision
from dlm.train import devices

MEMBERS = (64, 512, 8, 1)  # most informative first, in case the budget ends early
PEAK_SIZE, QUICK_SIZE = 16_384, 256
SECONDS, QUICK_SECONDS = 0.5, 0.05  # timed per measurement, in each of three turns
BUDGET = 420.0  # seconds of the whole run


def variants(quick: bool = False) -> list[Workload]:
    """The workloads with batch size 64, convolutional ones also with XLA's convolution; `quick`: smaller batches."""
    made = []
    for workload in WORKLOADS:
        if workload.batch_size < 64:
            continue
        workload = dataclasses.replace(workload, batch_size=4) if quick else workload
        made.append(workload)
        if isinstance(workload.model, PlainCNN):
            lax = dataclasses.replace(workload.model, lax=True)
            made.append(dataclasses.replace(workload, name=f"{workload.name}, XLA's convolution", model=lax))
    return made


def cell(workload: Workload, members: int, precision: Precision, seconds: float) -> dict[str, Any]:
    """Compiles and times one population; `note` is the reason for a missing time."""
    result: dict[str, Any] = {"workload": workload.name, "members": members, "precision": precision, "note": ""}
    begin = time.perf_counter()
    try:
        run = population(workload, members, "fast", precision)
        run.advance(1)
        result["compile_seconds"] = time.perf_counter() - begin
        _, once = run.advance(1)
        steps = max(1, int(seconds / once))
        _, elapsed = run.advance(steps)  # a single step is mostly overhead, so steps per turn are estimated twice
        steps = max(1, int(steps * seconds / elapsed))
        each = min(took / applied for applied, took in (run.advance(steps) for _ in range(3)))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return result | {"note": "out of memory"}
    return result | {
        "microseconds": 1e6 * each,
        "flops_per_second": useful_operations(workload) / each,
        "took_seconds": time.perf_counter() - begin,
    }


def peaks(size: int) -> dict[str, float]:
    """Operations per second of large matrix products on all devices, by precision; virtual devices share cores."""
    number = 1 if jax.default_backend() == "cpu" else jax.local_device_count()
    return {
        "float32": number * xla_rate(size),
        "float32, highest": number * xla_rate(size, precision="highest"),
        "bfloat16": number * xla_rate(size, jnp.bfloat16),
    }


def measured(cells: list[tuple[Workload, int, Precision]], seconds: float, deadline: float) -> list[dict[str, Any]]:
    """Measures and prints one cell after another until the deadline (of time.perf_counter)."""
    results = []
    for number, (workload, members, precision) in enumerate(cells):
        if time.perf_counter() > deadline:
            print(f"time budget exhausted: {len(cells) - number} cells skipped", flush=True)
            break
        results.append(cell(workload, members, precision, seconds))
        print(json.dumps(results[-1]), flush=True)
    return results


def table(results: list[dict[str, Any]], peak: dict[str, float]) -> str:
    """One row per workload and precision, one column per number of models: useful TFLOP/s, share of the matrix rate."""
    counts = sorted({result["members"] for result in results})
    lines = ["| TFLOP/s (share of rate), µs | precision | " + " | ".join(f"{count} models" for count in counts) + " |"]
    lines.append("|---" * (len(counts) + 2) + "|")
    by_cell = {(result["workload"], result["precision"], result["members"]): result for result in results}
    for name, precision in sorted({key[:2] for key in by_cell}):
        row = [by_cell.get((name, precision, count), {"note": "skipped"}) for count in counts]
        lines.append(f"| {name} | {precision} | " + " | ".join(_format(each, peak) for each in row) + " |")
    return "\n".join(lines)


def _format(result: dict[str, Any], peak: dict[str, float]) -> str:
    if result["note"]:
        return result["note"]
    rate = result["flops_per_second"]
    return f"{rate / 1e12:.3g} ({rate / peak[result['precision']]:.1%}), {result['microseconds']:.3g}"


def main() -> None:
    """Runs all cells, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="part of a workload's name")
    parser.add_argument("--members", default=",".join(map(str, MEMBERS)))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of the whole run")
    parser.add_argument("--quick", action="store_true", help="1 and 2 members, a moment each")
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    deadline = time.perf_counter() + options.budget
    devices.configure(1)
    peak = peaks(QUICK_SIZE if options.quick else PEAK_SIZE)
    cells = [
        (workload, int(members), precision)
        for members in ("1,2" if options.quick else options.members).split(",")
        for precision in options.precisions.split(",")
        for workload in variants(options.quick)
        if options.only in workload.name
    ]
    results = measured(cells, QUICK_SECONDS if options.quick else SECONDS, deadline)
    rates = ", ".join(f"{rate / 1e12:.3g} ({name})" for name, rate in peak.items())
    print(
        f"\n{devices.describe()}, jax {jax.__version__}. TFLOP/s of matrix products: {rates}\n\n{table(results, peak)}"
    )
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            machine = {"device": devices.describe(), "jax": jax.__version__}
            json.dump({"machine": machine, "peak": peak, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()

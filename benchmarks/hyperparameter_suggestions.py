"""Simulates whether a round of points suggested by Optuna improves on as many quasi-random points.

    python -m benchmarks.hyperparameter_suggestions [--studies=400]

The log error of a setting is that of the optimum plus four times the squared distance in the unit cube of the ranges,
plus 5 % training noise; the optimum lies in the middle 80 % of each range. Eight quasi-random and eight suggested
points are compared with sixteen quasi-random ones by the true error of the point that validation selects.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.tuning import RECORD
from dlm import Axes, log_uniform, quasi_random, suggest, uniform
from dlm.storage import record_log
from dlm.study.config import FrozenDict
from dlm.study.sweep import Uniform

RANGES = {"lr": log_uniform(1e-4, 1e-1), "weight_decay": log_uniform(1e-4, 1), "dropout": uniform(0, 0.6)}
POINTS, CURVED, NOISE = 8, 4.0, 0.05


def excess(space: Mapping[str, Uniform], seed: int) -> tuple[float, float, float]:
    """Relative excess error of the selected setting of 8 and of 16 quasi-random ones, and of 8 with 8 suggested."""
    rng = random.Random(f"{len(space)} {seed}")
    best = {path: rng.uniform(0.1, 0.9) for path in space}
    trained: dict[FrozenDict, float] = {}

    def true(point: FrozenDict) -> float:
        return math.exp(CURVED * sum((_share(space[path], point[path]) - best[path]) ** 2 for path in space))

    def selected(axes: Axes) -> float:
        for point in axes.points:
            trained.setdefault(point, 0.1 * true(point) * math.exp(rng.gauss(0, NOISE)))
        return true(min(axes.points, key=lambda point: trained[point])) - 1

    first = quasi_random(space, points=POINTS, seed=seed)
    few, many = selected(first), selected(quasi_random(space, points=2 * POINTS, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        record_log.append(Path(folder), [row for point in first.points for row in _rows(point, trained[point])])
        return few, many, selected(first + suggest(folder, "net", space, points=POINTS))


def _share(each: Uniform, value: float) -> float:
    low, high, at = (map(math.log, (each.low, each.high, value))) if each.log else (each.low, each.high, value)
    return (at - low) / (high - low)


def _rows(point: FrozenDict, error: float) -> list[record_log.Record]:
    """A setting's validation error, and a test error, which marks the trial as finished and is not used."""
    hyper = json.dumps({"hyper": dict(point)})
    fields = {"trial_id": hyper, "hyper": hyper, "value": error}
    return [record_log.Record(**{**vars(RECORD), **fields, "split": split}) for split in ("validation", "test")]


def main() -> None:
    """Prints a row for each number of ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    print("Excess error of the selected setting, %\n")
    columns = ("8 quasi-random", "16 quasi-random", "8 quasi-random, 8 suggested", "gain over 16 quasi-random, 95 %")
    print(f"| ranges | {' | '.join(columns)} |\n{'|---' * 5}|")
    for count in range(1, len(RANGES) + 1):
        space = dict(list(RANGES.items())[:count])
        errors = 100 * np.array([excess(space, seed) for seed in range(studies)])
        gain = errors[:, 1] - errors[:, 2]
        means = " | ".join(f"{mean:.1f}" for mean in errors.mean(0))
        print(f"| {count} | {means} | {gain.mean():.1f} ± {1.96 * gain.std(ddof=1) / math.sqrt(studies):.1f} |")


if __name__ == "__main__":
    main()

"""How often intervals of --mode=compare hold a planted ratio, and equal studies are told apart: simulated.

    python -m benchmarks.seed_test_coverage --out=comparing.json

Errors 2·n^-0.4 + 0.01 at seven sizes, with lognormal noise of a standard deviation of 0.1 a seed: a share of its
variance is common to a pair of seeds, and neighbouring sizes are correlated. `a` needs so many times `b`'s data.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from dlm.curves.data_efficiency.seed_test import LogErrors, overall_ratio
from dlm.curves.data_efficiency.study_comparison import error_difference

SIZES = np.array([100.0, 200, 400, 800, 1600, 3200, 6400])
NOISE = 0.1


@dataclasses.dataclass(frozen=True)
class Setting:
    """`shared`: share of the noise's variance common to a pair; `along`: correlation of neighbouring sizes."""

    need: float
    seeds: int
    shared: float
    along: float


def settings() -> list[Setting]:
    """No noise in common, half of it, and nearly all; three, five and eight seeds; ratios on both sides of 1."""
    noises = ((0.0, 0.0), (0.5, 0.5), (0.9, 0.8), (0.0, 0.9))
    needs = (1.0, 0.6, 0.3, 2.0)
    return [Setting(need, seeds, *noise) for seeds, noise, need in itertools.product((3, 5, 8), noises, needs)]


def simulated(setting: Setting, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors [K, S] of a and of b."""
    count = len(SIZES)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    root = np.linalg.cholesky(setting.along**apart + 1e-9 * np.eye(count))
    common, *own = (root @ rng.normal(size=(count, setting.seeds)) for _ in range(3))
    parts = (math.sqrt(setting.shared), math.sqrt(1 - setting.shared))
    a, b = (
        (2 * (SIZES / need) ** -0.4 + 0.01)[:, None] * np.exp(NOISE * (parts[0] * common + parts[1] * each))
        for need, each in zip((setting.need, 1.0), own, strict=True)
    )
    return a, b


def measured(setting: Setting, studies: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of the studies: whose interval holds the ratio, excludes 1; whose test finds a difference."""
    held = excludes = found = changes = 0
    widths = []
    for _ in range(studies):
        a, b = simulated(setting, rng)
        told = overall_ratio(LogErrors(np.log(SIZES), np.log(a)), LogErrors(np.log(SIZES), np.log(b)), 0.95)
        low, high = told.low or 0.0, told.high or math.inf
        held += low <= setting.need <= high
        excludes += low > 1 or high < 1
        changes += told.changes_with_size
        found += (error_difference(list((2 * (a - b) / (a + b)).mean(axis=0)), 0.95, None).p or 0.0) < 0.05
        if told.kind == "interval":
            widths.append(high / low)
    return dataclasses.asdict(setting) | {
        "held": held / studies,
        "excludes_one": excludes / studies,
        "found": found / studies,
        "said_to_change": changes / studies,
        "two_ends": len(widths) / studies,
        "high_over_low": float(np.median(widths)) if widths else None,
    }


def main() -> None:
    """Print a table, a line a setting."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    rng, results = np.random.default_rng(0), []
    print("| needs | seeds | shared | along | held | excludes 1 | difference found | two ends | high/low | changes |")
    print("|---" * 10 + "|")
    for setting in settings():
        row = measured(setting, options.studies, rng)
        results.append(row)
        width = row["high_over_low"]
        cells = [setting.need, setting.seeds, setting.shared, setting.along]
        cells += [f"{row[name]:.3f}" for name in ("held", "excludes_one", "found", "two_ends")]
        print(
            "| " + " | ".join(map(str, [*cells, f"{width:.2f}" if width else "", f"{row['said_to_change']:.3f}"])), "|"
        )
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Forecasts a fixed choice of published learning curves and prints low, median and high as JSON, for same_numbers.

    python -P benchmarks/forecast_values.py FOLDER_OF_CURVES

The curves are spread evenly over the archives, half of them with single repeats. Each is fitted up to the 60th
percentile of its sizes and forecast at the larger ones. `dlm` is the package on PYTHONPATH, of whichever revision.
"""

from __future__ import annotations

import collections
import csv
import gzip
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import dlm

NUM_CURVES, NUM_SPLIT_CURVES, NUM_SPLITS, FITTED_PERCENTILE = 200, 100, 5, 60
SPLITS = "lcdb10_splits"  # the table of single repeats
KEYWORDS = {"at": ("at", "at_sizes"), "stderr": ("stderr", "standard_errors"), "repeats": ("repeats", "num_repeats")}


def forecast_values(folder: Path) -> dict[str, str]:
    """Median, low and high at the sizes beyond the fitted ones, of every chosen curve, with the importable dlm."""
    known = inspect.signature(dlm.forecast).parameters
    names = {old: next(name for name in spellings if name in known) for old, spellings in KEYWORDS.items()}
    values: dict[str, str] = {}
    for key, rows in chosen_curves(folder).items():
        table = np.array(rows, dtype=float)
        fitted, later = parted(table)
        keywords = {names["at"]: later}
        if key.startswith(SPLITS):
            errors = fitted[:, 1:]
        else:
            errors = fitted[:, 1]
            for column, name in ((2, "stderr"), (3, "repeats")):
                if np.isfinite(fitted[:, column]).all():
                    keywords[names[name]] = fitted[:, column]
        result = dlm.forecast(fitted[:, 0], errors, **keywords)
        for name in ("low", "median", "high"):
            found = zip(later, getattr(result, name), strict=True)
            values |= {f"{key}|{size:g}|{name}": float(value).hex() for size, value in found}
    return values


def parted(table: Any) -> tuple[Any, Any]:
    """(rows up to the percentile of the distinct sizes, the distinct sizes beyond it)."""
    train_sizes = table[:, 0]
    within = train_sizes <= np.percentile(np.unique(train_sizes), FITTED_PERCENTILE)
    return table[within], np.unique(train_sizes[~within])


def chosen_curves(folder: Path) -> dict[str, list[list[float]]]:
    """Rows of each chosen curve: a size and its single repeats, or a size, mean, standard error and repeats."""
    archives = {path.name.split(".")[0]: read_archive(path) for path in sorted(folder.glob("*.csv.gz"))}
    chosen = dict(spread(archives.pop(SPLITS, {}), NUM_SPLIT_CURVES))
    for done, curves in enumerate(sorted(archives.values(), key=len)):
        chosen |= spread(curves, (NUM_CURVES - len(chosen)) // (len(archives) - done))
    return chosen


def spread(curves: dict[str, list[list[float]]], count: int) -> dict[str, list[list[float]]]:
    """At most `count` curves, evenly spaced in the order of their keys."""
    keys, count = sorted(curves), min(count, len(curves))
    return {key: curves[key] for key in (keys[number * len(keys) // count] for number in range(count))}


def read_archive(path: Path) -> dict[str, list[list[float]]]:
    """The curves of a table with at least three distinct fitted sizes and one beyond; blank cells are NaN."""
    archive = path.name.split(".")[0]
    curves: dict[str, list[list[float]]] = collections.defaultdict(list)
    repeats: dict[str, dict[float, list[float]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            if archive == SPLITS:
                repeats[f"{archive}|{row['openmlid']}|{row['learner']}"][float(row["n_train"])].append(
                    float(row["err_test"])
                )
            elif row["error"].strip():
                cells = [row[name] for name in ("size", "error", "stderr", "repeats")]
                curves[f"{archive}|{row['curve']}"].append([float(cell or "nan") for cell in cells])
    for key, measured in repeats.items():
        padding = [float("nan")] * NUM_SPLITS
        curves[key] = [[size, *(measured[size] + padding)[:NUM_SPLITS]] for size in sorted(measured)]
    divided = {key: parted(np.array(rows)) for key, rows in curves.items()}
    return {key: rows for key, rows in curves.items() if len(set(divided[key][0][:, 0])) >= 3 and len(divided[key][1])}


if __name__ == "__main__":
    print(json.dumps(forecast_values(Path(sys.argv[1]))))

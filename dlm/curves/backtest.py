"""Measures the forecaster on published learning curves: coverage and width of intervals, accuracy of medians.

    python -m dlm.curves.backtest --curves=PATH

PATH holds lcdb10.csv.gz and lcdb11.csv.gz (columns dataset, learner, size, error, stderr) and, for the tables
with few seeds, lcdb10_splits.csv.gz. Data sets are split in two by a hash of their name: the constants of the
forecaster were chosen on --half=choose, the default --half=report shows the others.
"""

from __future__ import annotations

import argparse
import collections
import csv
import gzip
import hashlib
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlm.curves.forecast import forecast
from dlm.curves.laws import MMF4, POW3, POW4, WBL4, Law
from dlm.curves.polish import polish

Array = NDArray[np.float64]

RATIOS = (2, 4, 8, 16)
NUM_SIZES = (3, 4, 5, 6, 8, 10)
SMALLEST_ERROR = 5e-4  # below this a log error says more about the size of the test set than about the learner
BASELINE_SPREAD = 0.02  # of log error, where the Huber loss of the baselines turns linear (1.5 of it)
ROUNDING = 5e-5  # LCDB 1.1 gives four digits


class Task(NamedTuple):
    """Measured sizes with their errors, and the targets [T, 3] beyond them: ratio, size, error."""

    sizes: Array
    errors: Array
    stderr: Array | None
    targets: Array


def number(text: str) -> int:
    """A number that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def read(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """Rows of a gzipped CSV file."""
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def read_curves(path: pathlib.Path, half: int) -> dict[str, Array]:
    """Curves [K, 3] (size, mean error, standard error) of one half of the data sets, by name."""
    rows = collections.defaultdict(list)
    for row in read(path):
        if number(row["dataset"]) % 2 == half and "Dummy" not in row["learner"]:
            key = f"{path.name}|{row['dataset']}|{row['learner']}"
            rows[key].append((float(row["size"]), float(row["error"]), float(row["stderr"] or 0)))
    return {key: np.array(sorted(points)) for key, points in rows.items()}


def read_splits(path: pathlib.Path, half: int) -> dict[str, dict[float, Array]]:
    """Errors of every split by size, of one half of the data sets, by name of the curve."""
    curves: dict[str, dict[float, list[float]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in read(path):
        if number(row["openmlid"]) % 2 == half and "Dummy" not in row["learner"]:
            key = f"{path.name}|{row['openmlid']}|{row['learner']}"
            curves[key][float(row["n_train"])].append(float(row["err_test"]))
    return {key: {size: np.array(e) for size, e in sorted(curve.items())} for key, curve in curves.items()}


def doubling(sizes: Array, cut: float, num: int) -> list[int]:
    """Indices of up to `num` of the sizes: the largest within `cut`, and halves of it."""
    within = sizes[sizes <= cut * 1.03]
    wanted = within[-1] / 2.0 ** np.arange(num) if len(within) else np.array([])
    return sorted({int(np.abs(np.log(within / size)).argmin()) for size in wanted if size > 0.95 * sizes[0]})


def tasks_of(curves: dict[str, Array], limit: int) -> list[Task]:
    """Two cuts of every curve, at 1/16 and 1/4 of its largest size; every `limit`-th is kept, by a hash."""
    tasks = []
    for name in sorted(curves, key=number):
        size, error, stderr = curves[name].T
        for cut in (16, 4):
            chosen = doubling(size, size[-1] / cut, NUM_SIZES[number(f"{name}|{cut}") % len(NUM_SIZES)])
            targets = (
                [
                    (ratio, size[place], error[place])
                    for ratio in RATIOS
                    for place in [int(np.abs(np.log(size / (ratio * size[chosen[-1]]))).argmin())]
                    if abs(np.log(size[place] / (ratio * size[chosen[-1]]))) < 0.1
                ]
                if len(chosen) >= 3
                else []
            )
            if targets and error[chosen].any():
                tasks.append(Task(size[chosen], error[chosen], stderr[chosen], np.array(targets)))
    return tasks[:limit]


def few_seed_tasks(curves: dict[str, dict[float, Array]], num_seeds: int, limit: int) -> list[Task]:
    """The same with `num_seeds` splits drawn at each size; targets are means over all splits."""
    tasks = []
    for name in sorted(curves, key=number):
        curve, rng = curves[name], np.random.default_rng(number(name))
        size = np.array(list(curve))
        whole = {name: np.array([(n, errors.mean(), 0.0) for n, errors in curve.items()])}
        for task in tasks_of(whole, 2):
            drawn = [rng.choice(curve[n], min(num_seeds, len(curve[n])), replace=False) for n in task.sizes]
            table = np.full((len(drawn), num_seeds), np.nan)
            for row, errors in zip(table, drawn):
                row[: len(errors)] = errors
            if len(size) and np.nansum(table) > 0:
                tasks.append(Task(task.sizes, table, None, task.targets))
    return tasks[:limit]


def interval_rows(tasks: Iterable[Task]) -> dict[int, Array]:
    """Per ratio [N, 8]: in 95, in 80, their half-widths, log miss of median and last value, below, above."""
    rows = collections.defaultdict(list)
    for index, task in enumerate(tasks):
        told = forecast(
            task.sizes, task.errors, stderr=task.stderr, at=task.targets[:, 1], bound=(0.0, 1.0), seed=index
        )
        bands = told.quantile([0.025, 0.1, 0.5, 0.9, 0.975])
        last = np.nanmean(task.errors[-1])
        for (ratio, _, error), (low, low80, median, high80, high) in zip(task.targets, bands.T):
            below, above = error < low - ROUNDING, error > high + ROUNDING
            inside80 = low80 - ROUNDING <= error <= high80 + ROUNDING
            misses = [log_miss(error, median), log_miss(error, last)]
            widths = [(high - low) / 2, (high80 - low80) / 2]
            rows[int(ratio)].append([not (below or above), inside80, *widths, *misses, below, above])
    return {ratio: np.array(values, dtype=float) for ratio, values in sorted(rows.items())}


def log_miss(error: float, predicted: float) -> float:
    """|log predicted - log error|, both no less than SMALLEST_ERROR."""
    return float(abs(np.log(max(error, SMALLEST_ERROR) / max(predicted, SMALLEST_ERROR))))


def print_intervals(title: str, tasks: list[Task]) -> None:
    """One table of coverage, width and accuracy by ratio."""
    start = time.perf_counter()
    rows = interval_rows(tasks)
    seconds = (time.perf_counter() - start) / max(len(tasks), 1)
    print(f"\n{title}: {len(tasks)} curves, {seconds:.3f} s each")
    print("| size | targets | in 95 % | in 80 % | half-width 95 % | 80 % | median abs. log error | last value |")
    print("|---|---|---|---|---|---|---|---|")
    for ratio, row in rows.items():
        covered, width = row[:, :2].mean(axis=0), np.median(row[:, 2:6], axis=0)
        cells = [f"{value:.3f}" for value in (*covered, *width)]
        print(f"| {ratio}x | {len(row)} | {' | '.join(cells)} |")
    everything = np.concatenate(list(rows.values()))
    print(f"beyond the 95 % interval: {everything[:, 6].mean():.3f} below, {everything[:, 7].mean():.3f} above")


def fitted_law(law: Law, sizes: Array, errors: Array, at: float) -> float:
    """What the best robust fit of one law to positive errors says at a size: the usual way, as a baseline."""
    x, log_error, spread = sizes / sizes[-1], np.log(errors), np.full(len(sizes), BASELINE_SPREAD)
    grid = law.grid[law.grid[:, 0] <= 1]
    gap = log_error - law.log_shape(grid, x)
    centre = np.median(gap, axis=1)
    row = int(np.abs(gap - centre[:, None]).sum(axis=1).argmin())
    theta, scale = polish(law, grid[row], float(centre[row]), x, log_error, spread)
    return float(np.exp(scale + law.log_shape(theta[None], np.array([at / sizes[-1]]))[0, 0]))


def print_accuracy(curves: dict[str, Array], limit: int) -> None:
    """Median |log error| at the largest size, fitted to every size up to 1/4 and 1/16 of it."""
    print("\n| cut | curves | forecast | pow3 | pow4 | mmf4 | wbl4 | median of these four | last value |")
    print("|---|---|---|---|---|---|---|---|---|")
    for cut in (4, 16):
        rows: list[list[float]] = []
        for name in sorted(curves, key=number):
            size, error, stderr = curves[name].T
            use = size <= size[-1] / cut
            if use.sum() < 4 or not (error > 0).all() or len(rows) >= limit:
                continue
            told = forecast(size[use], error[use], stderr=stderr[use], at=size[-1:], bound=(0.0, 1.0))
            four = [fitted_law(law, size[use], error[use], size[-1]) for law in (POW3, POW4, MMF4, WBL4)]
            guesses = [float(told.median[0]), *four, float(np.median(four)), error[use][-1]]
            rows.append([log_miss(error[-1], guess) for guess in guesses])
        cells = [f"{value:.3f}" for value in np.median(np.array(rows), axis=0)]
        print(f"| 1/{cut} | {len(rows)} | {' | '.join(cells)} |")


def main() -> None:
    """Prints the tables of docs/forecasting.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=pathlib.Path, required=True, help="folder of the archives")
    parser.add_argument("--half", choices=("report", "choose"), default="report", help="which half of the data sets")
    parser.add_argument("--limit", type=int, default=1200, help="most curves in a table")
    args = parser.parse_args()
    half = int(args.half == "report")
    lcdb10 = read_curves(args.curves / "lcdb10.csv.gz", half)
    lcdb11 = read_curves(args.curves / "lcdb11.csv.gz", half)
    print_intervals("LCDB 1.0 and 1.1, sizes in factors of 2", tasks_of({**lcdb10, **lcdb11}, args.limit))
    splits = read_splits(args.curves / "lcdb10_splits.csv.gz", half)
    for seeds in (1, 3, 5):
        tasks = few_seed_tasks(splits, seeds, args.limit // 2)
        print_intervals(f"LCDB 1.0, splits drawn at each size: {seeds}", tasks)
    print("\nLCDB 1.0, all sizes: median abs. log error at the largest size")
    print_accuracy(lcdb10, args.limit // 2)


if __name__ == "__main__":
    main()

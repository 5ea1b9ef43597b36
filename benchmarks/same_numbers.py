"""Computes the recorded values of small studies and of forecasts with two revisions and compares them bit for bit.

    python -m benchmarks.same_numbers OLD_REV NEW_REV
    python -m benchmarks.same_numbers REV --save=old.json
    python -m benchmarks.same_numbers REV --against=old.json --parts=breast_cancer,forecast

A revision is anything that git resolves, or the path of an existing checkout. Each part runs in processes of its own
with the checkout as working directory. Device count and thread counts are fixed; seconds, energy, memory and host are
not compared. The key of a value holds no trial ids and no hyperparameter names, so that both may change; values with
the same key, such as those of tuned settings, are compared in sorted order. The exit code is 1 if any value is
different, missing or extra. Saved values are comparable on the same machine only.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SHORT = ("--set=budget.min_steps=50", "--set=budget.max_steps=60", "--set=budget.eval_every=30")
# The study that --data proposed before it chose the size of the test set, tuned learning rates and stopped early.
AS_FIRST_PROPOSED = (
    "--set=data.test=0.2",
    "--set=budget.eval_every=0",
    "--set=budget.patience=0",
    "--set=learners.mlp.hyper.lr=0.001",
)
PARTS: dict[str, tuple[str, ...]] = {  # flags of launch.py
    "digits": ("--experiment=digits",),
    "fashion_mnist": ("--experiment=fashion_mnist", "--train_sizes=100,300", "--seeds=1", *SHORT[:2]),
    "breast_cancer": ("--experiment=breast_cancer", "--train_sizes=16,64,319", "--seeds=2"),
    "shakespeare": ("--experiment=shakespeare", "--train_sizes=128,512", "--seeds=1", *SHORT),
    "movielens_next": ("--experiment=movielens_next", "--train_sizes=1000,3000", "--seeds=1", *SHORT),
    "own": ("--data=own.csv", "--target=progression", "--train_sizes=32,96,200", "--seeds=2", *AS_FIRST_PROPOSED),
    "forecast": (),
}
TFDS_PARTS = ("fashion_mnist", "shakespeare", "movielens_next")
# Later spellings, old -> new. Flags are tried as written above first, then with every replacement made.
FLAG_NAMES = {"--train_sizes=": "--train_sizes="}
METRIC_NAMES: dict[str, str] = {}
LEARNER_NAMES: dict[str, str] = {}
NUM_SHOWN = 10
NUM_CURVES, NUM_SPLIT_CURVES, NUM_SPLITS, FITTED_PERCENTILE = 200, 100, 5, 60
SPLITS = "lcdb10_splits"  # the table of single repeats

Values = dict[str, str | None]  # key -> float.hex


class Skipped(Exception):
    """A part that needs data which is not there."""


def environment(checkout: Path, data_dir: Path) -> dict[str, str]:
    """Environment variables of a process: CPU, one thread for BLAS and OpenMP, and modules of the checkout."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = {"PYTHONPATH": str(checkout), "TFDS_DATA_DIR": str(data_dir)}
    return os.environ | threads | paths | {"JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """The folder of a revision: an existing checkout as it is, otherwise a temporary git worktree."""
    if (Path(revision) / "launch.py").is_file():
        yield Path(revision).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder).resolve() / "checkout"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), revision], check=True)
        try:
            yield checkout
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def compute(revision: str, parts: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """{part: {"seconds", "values"} or {"skipped": reason}} of a revision."""
    results: dict[str, Any] = {}
    with checked_out(revision) as checkout:
        for part in parts:
            start = time.perf_counter()
            try:
                values = forecasts(checkout, options) if part == "forecast" else study(part, checkout, options)
            except Skipped as reason:
                results[part] = {"skipped": str(reason)}
            else:
                results[part] = {"seconds": time.perf_counter() - start, "values": values}
            print(f"{revision}: {part} {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return results


def study(part: str, checkout: Path, options: argparse.Namespace) -> Values:
    """The values of one study, run by the checkout's launch.py in a temporary workdir."""
    if part in TFDS_PARTS and not options.data_dir.is_dir():
        raise Skipped(f"no TFDS data at {options.data_dir}; set --data_dir")
    with tempfile.TemporaryDirectory() as folder:
        flags = list(PARTS[part])
        if part == "own":
            write_own(Path(folder) / "own.csv")
            flags[0] = f"--data={folder}/own.csv"
        workdir = Path(folder) / "run"
        fixed = [f"--workdir={workdir}", "--num_cpu_devices=2"]
        env = environment(checkout, options.data_dir)
        for spelled in (flags, [renamed(flag) for flag in flags]):
            command = [sys.executable, "launch.py", *spelled, *fixed]
            done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)
            if done.returncode != 2:  # wrong usage: the flag may have its later name
                break
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed in {checkout}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return recorded(workdir)


def renamed(flag: str) -> str:
    """A flag in its later spelling."""
    for old, new in FLAG_NAMES.items():
        flag = flag.replace(old, new)
    return flag


def write_own(path: Path) -> None:
    """Write scikit-learn's diabetes data as a CSV file with a text column and missing values."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*data.feature_names, "progression"])
        for number, (row, target) in enumerate(zip(data.data.tolist(), data.target.tolist(), strict=True)):
            cells: list[Any] = ["" if (number + column) % 23 == 0 else value for column, value in enumerate(row)]
            cells[1] = "" if number % 17 == 0 else ("female" if row[1] == 1 else "male")
            writer.writerow([*cells, target])


def recorded(workdir: Path) -> Values:
    """Every value of records.parquet by its key."""
    import pyarrow.parquet

    groups: dict[str, list[float | None]] = collections.defaultdict(list)
    for row in pyarrow.parquet.read_table(workdir / "records.parquet").to_pylist():
        learner = LEARNER_NAMES.get(row["learner"], row["learner"])
        metric = METRIC_NAMES.get(row["metric"], row["metric"])
        place = [str(row[name]) for name in ("train_size", "subset_seed", "init_seed", "step", "split")]
        groups["|".join([learner, *place, metric])].append(row["value"])
    return {
        f"{key}|{number}": None if value is None else value.hex()
        for key, values in sorted(groups.items())
        for number, value in enumerate(sorted(values, key=lambda value: (value is not None, value or 0.0)))
    }


def forecasts(checkout: Path, options: argparse.Namespace) -> Values:
    """The forecasts of the checkout for the curves of a folder, in a process that imports its dlm."""
    if not options.curves.is_dir():
        raise Skipped(f"no curves at {options.curves}; set --curves")
    command = [sys.executable, "-P", __file__, "--forecasts_of", str(options.curves.resolve())]
    env = environment(checkout, options.data_dir)
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"forecasts failed in {checkout}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def forecast_values(folder: Path) -> dict[str, str]:
    """Median, low and high at the sizes beyond the fitted ones, of every chosen curve, with the importable dlm."""
    import dlm

    values: dict[str, str] = {}
    for key, rows in chosen_curves(folder).items():
        table = np.array(rows, dtype=float)
        fitted, later = parted(table)
        keywords = {"at": later}
        if key.startswith(SPLITS):
            errors = fitted[:, 1:]
        else:
            errors = fitted[:, 1]
            for column, name in ((2, "stderr"), (3, "repeats")):
                if np.isfinite(fitted[:, column]).all():
                    keywords[name] = fitted[:, column]
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


def compare(old: dict[str, Any], new: dict[str, Any]) -> int:
    """Print a line for each part and the first differing keys; the number of different, missing and extra values."""
    print("| part | values | identical | different | missing | extra | seconds old | seconds new |\n|" + "---|" * 8)
    total, shown = 0, []
    for part, result in new.items():
        before = old.get(part, {"values": {}, "seconds": 0.0})
        if reason := result.get("skipped") or before.get("skipped"):
            print(f"| {part} | skipped: {reason} |" + " |" * 6)
            continue
        theirs, ours = before["values"], result["values"]
        different = [key for key in theirs if key in ours and theirs[key] != ours[key]]
        missing, extra = ([key for key in one if key not in other] for one, other in ((theirs, ours), (ours, theirs)))
        counts = [len(theirs), len(theirs) - len(different) - len(missing), len(different), len(missing), len(extra)]
        print(f"| {part} | {' | '.join(map(str, counts))} | {before['seconds']:.0f} | {result['seconds']:.0f} |")
        bad = [*different, *missing, *extra]
        total += len(bad) + (not theirs)
        shown += [f"{part} {key}: old {number(theirs, key)}, new {number(ours, key)}" for key in bad[:NUM_SHOWN]]
    print("\n".join(shown))
    return total


def number(values: Values, key: str) -> str:
    """A value in words: its exact decimal digits, or why there is none."""
    value = values.get(key, "absent")
    return repr(float.fromhex(value)) if value not in (None, "absent") else str(value)


def main() -> None:
    """Compute, save or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revisions", nargs="*", help="one with --save or --against, otherwise two: old and new")
    parser.add_argument("--parts", default=",".join(PARTS), help="only these, separated by commas")
    parser.add_argument("--save", type=Path, help="write the values of the last revision to this file")
    parser.add_argument("--against", type=Path, help="compare with a file written by --save")
    parser.add_argument("--curves", type=Path, default=SHARED / "curves", help="folder of published curves")
    parser.add_argument("--data_dir", type=Path, default=os.environ.get("TFDS_DATA_DIR") or SHARED / "tfds")
    parser.add_argument("--forecasts_of", type=Path, help="print the forecasts of the importable dlm as JSON and exit")
    options = parser.parse_args()
    if options.forecasts_of:
        print(json.dumps(forecast_values(options.forecasts_of)))
        return
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}; choose from {', '.join(PARTS)}")
    if len(options.revisions) != 1 + (not options.save and not options.against):
        parser.error("give one revision with --save or --against, otherwise two")
    results = [compute(revision, parts, options) for revision in options.revisions]
    if options.save:
        options.save.write_text(json.dumps(results[-1], indent=0))
    if options.against:
        results.insert(0, json.loads(options.against.read_text()))
    if len(results) == 2:
        sys.exit(compare(*results) > 0)


if __name__ == "__main__":
    main()

"""Simulates whole studies on generated data and measures how often their statements hold.

    python -m benchmarks.end_to_end [--studies=200] [--only=balanced,groups] [--processes=2] [--out=FILE]

Each simulated study draws a pool and a test set from a distribution, trains three learners with `dlm.run` on subsets of
the pool, and summarizes the workdir. The truth is the expected error of a learner on new examples of the same
distribution: the mean over many independent training sets, each evaluated on new examples. Intervals at the largest
size and at 2 and 10 times that size, required sizes and probabilities of being better are compared with it. One
training serves test sets of 200, 1,000 and 5,000 examples: the errors on the first examples of the largest test set are
computed from its saved predictions, and written to a workdir of their own. Every third study is also summarized with
80 % intervals.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import io
import itertools
import json
import multiprocessing
import os
import shutil
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

TEST_SIZES = (200, 1000, 5000)
POOL, VALIDATION = 1024, 200
TRAIN_SIZES = (32, 64, 128, 256, 512, 1024)
SEEDS = 3
MULTIPLES = (1, 2, 10)
LEVELS = (0.95, 0.80)
TRUTH_EXAMPLES = 5000  # new ones for each training set
TRUTH_REPEATS = dict(zip((*TRAIN_SIZES, 2 * TRAIN_SIZES[-1], 10 * TRAIN_SIZES[-1]), (*[30] * 5, 100, 60, 20)))
GROUP_SIZE = 10

Truth = dict[int, dict[str, float]]  # expected error by training-set size and by learner

Examples = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs [N, F], targets [N], group of each example [N]


def _ring(rng: np.random.Generator, count: int, positives: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of 8 normal inputs: the second has more variance in two inputs and another mean in a third."""
    y = (rng.random(count) < positives).astype(np.int32)
    x = rng.standard_normal((count, 8)) * 1.0
    x[:, :2] *= np.where(y == 1, 1.7, 1.0)[:, None]
    x[:, 2] += 1.2 * y
    return x, y


def balanced(rng: np.random.Generator, count: int) -> Examples:
    """Two classes of equal size with a curved boundary."""
    x, y = _ring(rng, count)
    return x, y, np.arange(count)


def imbalanced(rng: np.random.Generator, count: int) -> Examples:
    """The same with 5 % of the second class."""
    x, y = _ring(rng, count, 0.05)
    x[:, 3] += 1.5 * y
    return x, y, np.arange(count)


def heavy_tails(rng: np.random.Generator, count: int) -> Examples:
    """Regression with noise of Student's t distribution with 5 degrees of freedom."""
    x = rng.standard_normal((count, 6))
    signal = 2 * np.sin(1.5 * x[:, 0]) + x[:, 1] * x[:, 2] + x[:, 3]
    return x, (signal + 0.7 * rng.standard_t(5, count)).astype(np.float32), np.arange(count)


def label_noise(rng: np.random.Generator, count: int) -> Examples:
    """Four classes, a fifth of the labels replaced by a random class."""
    centres = np.random.default_rng(7).standard_normal((4, 10)) * 0.9
    y = rng.integers(4, size=count)
    x = centres[y] + rng.standard_normal((count, 10))
    y = np.where(rng.random(count) < 0.2, rng.integers(4, size=count), y)
    return x, y.astype(np.int32), np.arange(count)


def groups(rng: np.random.Generator, count: int) -> Examples:
    """Groups of 10 examples that share an offset of the inputs and a tendency to one class."""
    group = np.repeat(np.arange(-(-count // GROUP_SIZE)), GROUP_SIZE)[:count]
    offset = rng.standard_normal((group[-1] + 1, 8))[group] * 0.8
    tendency = rng.standard_normal(group[-1] + 1)[group]
    x = offset + rng.standard_normal((count, 8))
    logit = 1.5 * x[:, 0] + x[:, 1] * x[:, 2] + 1.5 * tendency
    y = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int32)
    return x, y, group


def plateau(rng: np.random.Generator, count: int) -> Examples:
    """A linear problem near its Bayes error of 25 %: more data hardly helps."""
    x = rng.standard_normal((count, 6))
    logit = x @ np.array([1.6, -1.0, 0.6, 0.0, 0.0, 0.0])
    y = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int32)
    return x, y, np.arange(count)


GENERATORS: dict[str, Callable[[np.random.Generator, int], Examples]] = {
    function.__name__: function for function in (balanced, imbalanced, heavy_tails, label_noise, groups, plateau)
}


@dataclasses.dataclass(frozen=True)
class Generated:
    """A source of generated examples: a pool, a validation split and a test split."""

    generator: str
    seed: int

    def load(self, data_dir: Path | None = None) -> Any:
        """Inputs float32 [N, F], standardized by the subset."""
        from dlm.data.dataset import Dataset, Split

        rng = np.random.default_rng([self.seed, zlib.crc32(self.generator.encode())])
        parts = [GENERATORS[self.generator](rng, count) for count in (POOL, VALIDATION, TEST_SIZES[-1])]
        splits = [Split(x.astype(np.float32), y) for x, y, _ in parts]
        num_classes = int(parts[0][1].max()) + 1 if parts[0][1].dtype.kind == "i" else 0
        return Dataset(
            self.generator,
            *splits,
            num_classes=num_classes,
            standardize=True,
            expected_overlap="generated examples do not overlap",
            test_groups=parts[2][2] if self.generator == "groups" else None,
        )


def learners(generator: str) -> dict[str, Any]:
    """A linear model, boosting and nearest neighbors."""
    from dlm import HistGradientBoosting, KNeighbors, LogisticRegression, Ridge

    linear = Ridge() if generator == "heavy_tails" else LogisticRegression()
    return {"linear": linear, "boosting": HistGradientBoosting(max_iter=30, max_leaf_nodes=8), "knn": KNeighbors(15)}


def study_of(generator: str, seed: int) -> Any:
    """The study of one draw of the data."""
    import dlm

    task = dlm.Regression() if generator == "heavy_tails" else dlm.Classification()
    source = Generated(generator, seed)
    return dlm.Study(source, task, learners(generator), TRAIN_SIZES, seeds=SEEDS, name=f"{generator}{seed}")


def true_errors(generator: str) -> Truth:
    """The expected error of each learner on new examples, by training-set size and by learner."""
    return {size: _true_errors(generator, size) for size in TRUTH_REPEATS}


def _true_errors(generator: str, size: int) -> dict[str, float]:
    make = GENERATORS[generator]
    rng = np.random.default_rng([size, zlib.crc32(generator.encode())])
    total: dict[str, list[float]] = defaultdict(list)
    for _ in range(TRUTH_REPEATS[size]):
        x, y, _ = _with_all_classes(make, rng, size)
        x_test, y_test, _ = make(rng, TRUTH_EXAMPLES)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        for name, learner in learners(generator).items():
            is_rate = y.dtype.kind == "i"
            shift, factor = (0.0, 1.0) if is_rate else (y.mean(), y.std())
            target = y if is_rate else (y - shift) / factor
            fitted = learner.fit(((x - mean) / scale).astype(np.float32), target, int(y.max()) + 1 if is_rate else 1, 0)
            outputs = fitted.outputs(((x_test - mean) / scale).astype(np.float32))
            if is_rate:
                total[name].append(float((outputs.argmax(axis=1) != y_test).mean()))
            else:
                total[name].append(float(np.mean((outputs.ravel() * factor + shift - y_test) ** 2)))
    power = 0.5 if generator == "heavy_tails" else 1.0
    return {name: float(np.mean(errors)) ** power for name, errors in total.items()}


def _with_all_classes(make: Callable[..., Examples], rng: np.random.Generator, count: int) -> Examples:
    """Examples of every class, as in the stratified subsets of a study."""
    while True:
        x, y, group = make(rng, count)
        if y.dtype.kind != "i" or len(np.unique(y)) > 1:
            return x, y, group


def _with_fewer_tests(source: Path, folder: Path, count: int) -> Path:
    """A copy of a workdir whose trials are evaluated on the first `count` test examples."""
    from dlm.storage import artifacts, record_log
    from dlm.storage.workdir import Workdir

    folder.mkdir()
    shutil.copy(source / "study.json", folder)
    workdir = Workdir.open(source)
    test_set = artifacts.read_test_set(source)
    assert test_set is not None
    is_row = {name: value.ndim > 0 and len(value) == TEST_SIZES[-1] for name, value in test_set.items()}
    artifacts.write_test_set(
        folder, {name: value[:count] if is_row[name] else value for name, value in test_set.items()}
    )
    rows = []
    for row in workdir.records:
        if row.split == "test" and row.metric == "error":
            saved = artifacts.read_predictions(source, row.trial_id)
            assert saved is not None
            part = {name: value[:count] for name, value in saved.items()}
            artifacts.write_predictions(folder, row.trial_id, part)
            error = float(np.mean(part["error"], dtype=np.float64))
            root = row.unit == "RMSE"
            row = dataclasses.replace(row, value=error**0.5 if root else error, num_examples=count)
        rows.append(row)
    record_log.append(folder, rows)
    return folder


def simulate(generator: str, seed: int, truth: Truth) -> list[dict[str, Any]]:
    """One row for each statement of the study of one draw."""
    from dlm.execution.executor import run_trials
    from dlm.execution.preparation import RunOptions
    from dlm.report.study_report import summarize
    from dlm.storage.workdir import Workdir

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        full = Path(name, "full")
        run_trials(study_of(generator, seed), full, RunOptions(fit_workers=0, packing="exact"))
        for count in TEST_SIZES:
            folder = full if count == TEST_SIZES[-1] else _with_fewer_tests(full, Path(name, str(count)), count)
            for level in LEVELS if seed % 3 == 0 else LEVELS[:1]:
                summary = summarize(Workdir.open(folder), level=level, targets=_targets(truth))
                common = {"generator": generator, "seed": seed, "num_test": count, "level": level}
                rows += [common | row for row in statements(summary, truth)]
    return rows


def _targets(truth: Truth) -> tuple[float, ...]:
    """An error between those at the largest size and at twice that size, of the learner whose error falls most."""
    largest = TRAIN_SIZES[-1]
    best = max(truth[largest], key=lambda name: truth[largest][name] / truth[10 * largest][name])
    return (float(np.sqrt(truth[largest][best] * truth[2 * largest][best])),)


def statements(summary: Any, truth: Truth) -> Iterator[dict[str, Any]]:
    """Intervals, required sizes and probabilities of a summary beside the truth."""
    for learner in summary.learners:
        name = learner.curve.learner
        known = {item.train_size: item for item in (learner.current, *learner.predictions) if item}
        for multiple in MULTIPLES:
            size = multiple * TRAIN_SIZES[-1]
            if (item := known.get(size)) is not None:
                yield {"kind": "error", "learner": name, "multiple": multiple, "true": truth[size][name],
                       "low": item.low, "median": item.median, "high": item.high}  # fmt: skip
        for size in learner.required_sizes:
            yield {"kind": "size", "learner": name, "target": size.target, "statement": size.kind,
                   "low": size.low, "high": size.high, "reached": _first_reached(truth, name, size.target)}  # fmt: skip
    for pair in summary.crossovers:
        true = _crossing(truth, pair.incumbent, pair.challenger)
        yield {"kind": "crossing", "learner": f"{pair.incumbent} {pair.challenger}", "statement": pair.kind,
               "low": pair.low, "high": pair.high, "reached": true}  # fmt: skip
        for point in pair.probabilities:
            multiple = point.train_size / TRAIN_SIZES[-1]
            if multiple in MULTIPLES:
                errors = truth[int(multiple) * TRAIN_SIZES[-1]]
                better = errors[pair.challenger] < errors[pair.incumbent]
                yield {"kind": "better", "learner": f"{pair.incumbent} {pair.challenger}", "multiple": int(multiple),
                       "probability": point.probability, "better": bool(better)}  # fmt: skip


def _first_reached(truth: Truth, name: str, target: float) -> float:
    """The true size that reaches a target, interpolated between the known sizes; inf beyond, 0 below."""
    errors = {size: by_learner[name] for size, by_learner in truth.items()}
    if errors[TRAIN_SIZES[0]] <= target:
        return 0.0
    for (n, before), (m, after) in itertools.pairwise(errors.items()):
        if after <= target:
            return float(n * (m / n) ** (np.log(before / target) / np.log(before / after)))
    return float("inf")


def _crossing(truth: Truth, incumbent: str, challenger: str) -> float:
    """The true size from which the challenger is better, 0 if at all known sizes, inf if not at the largest."""
    gaps = [(size, errors[challenger] - errors[incumbent]) for size, errors in truth.items()]
    if gaps[-1][1] >= 0:
        return float("inf")
    crossing = 0.0
    for (n, before), (m, after) in itertools.pairwise(gaps):
        if before >= 0 > after:
            crossing = n * (m / n) ** (before / (before - after))
    return float(crossing)


def report(rows: list[dict[str, Any]]) -> str:
    """Tables of coverage, widths, probabilities, required sizes and crossings."""
    lines = ["| generator | test | at | " + " | ".join(f"in {100 * level:g} %" for level in LEVELS)
             + " | width | oracle's width |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    table: dict[Any, dict[float, list[tuple[bool, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["kind"] == "error":
            key = row["generator"], row["num_test"], row["multiple"]
            inside = row["low"] <= row["true"] <= row["high"]
            table[key][row["level"]].append((inside, row["high"] - row["low"], row["true"]))
    for (generator, num_test, multiple), levels in table.items():
        inside = [f"{np.mean([item[0] for item in levels[level]]):.3f}" if levels[level] else "–" for level in LEVELS]
        width = float(np.median([item[1] / item[2] for item in levels[LEVELS[0]]]))
        rates = [item[2] for item in levels[LEVELS[0]]]
        oracle = 2 * 1.96 * float(np.median([np.sqrt((1 - min(e, 0.99)) / (e * num_test)) for e in rates]))
        text = f"{oracle:.3f}" if generator != "heavy_tails" else "–"
        lines.append(f"| {generator} | {num_test:,} | {multiple}x | {' | '.join(inside)} | {width:.3f} | {text} |")
    lines += ["", "| P(better) | statements | is better |", "|---|---|---|"]
    better = [
        (row["probability"], row["better"]) for row in rows if row["kind"] == "better" and row["level"] == LEVELS[0]
    ]
    for low, high in itertools.pairwise((0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0001)):
        own = [is_better for p, is_better in better if low <= p < high]
        if own:
            lines.append(f"| {low:g}–{min(high, 1):g} | {len(own):,} | {np.mean(own):.3f} |")
    for kind, title in (("size", "required sizes"), ("crossing", "crossings")):
        lines += ["", f"| generator | test | {title} | statement holds |", "|---|---|---|---|"]
        statements: dict[Any, list[bool]] = defaultdict(list)
        for row in rows:
            if row["kind"] == kind and row["level"] == LEVELS[0] and row["statement"] != "undetermined":
                statements[row["generator"], row["num_test"]].append(_holds(row))
        lines += [
            f"| {generator} | {num_test:,} | {len(held)} | {np.mean(held):.3f} |"
            for (generator, num_test), held in sorted(statements.items())
        ]
    return "\n".join(lines)


def _holds(row: dict[str, Any]) -> bool:
    """Whether a statement on a required size or a crossing is true; an interval may end beyond the known sizes."""
    low, high, true, smallest = row["low"] or 0, row["high"] or np.inf, row["reached"], TRAIN_SIZES[0]
    match row["statement"]:
        case "interval" | "reached" | "measured" | "forecast":
            return bool(low <= max(true, smallest) <= high)
        case "already":
            return bool(true <= smallest)
        case "unsupported":
            return bool(true >= low)
        case _:  # "not reachable" or "never"
            return bool(true > MULTIPLES[-1] * TRAIN_SIZES[-1])


def _cached_truth(names: list[str], pool: concurrent.futures.Executor, out: Path | None) -> dict[str, Truth]:
    """The true errors of all generators, kept beside `out` because they take minutes."""
    file = out.with_suffix(".truth.json") if out else None
    if file and file.exists():
        saved = json.loads(file.read_text())
        return {name: {int(size): errors for size, errors in saved[name].items()} for name in names}
    truth = dict(zip(names, pool.map(true_errors, names)))
    if file:
        file.write_text(json.dumps(truth))
    return truth


def main() -> None:
    """Simulate, save every statement and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default=",".join(GENERATORS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    jobs = [(name, seed) for seed in range(arguments.first, arguments.first + arguments.studies) for name in names]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.processes, mp_context=context) as pool:
        truth = _cached_truth(names, pool, arguments.out)
        futures = [pool.submit(simulate, name, seed, truth[name]) for name, seed in jobs]
        rows = []
        with open(arguments.out or os.devnull, "w", encoding="utf-8") as out:
            for future in concurrent.futures.as_completed(futures):
                rows += future.result()
                out.writelines(json.dumps(row) + "\n" for row in future.result())
                out.flush()
    print(report(rows))


if __name__ == "__main__":
    main()

"""Compares deep learners for tables with boosted trees at full size and below; prints a row per table, learner, size.

    python -m benchmarks.tabular --data_dir=DIR [--tables NAME ...] [--learners NAME ...] [--splits=5] [--seeds=2]

Each table is split `--splits` times at random (20 % test, 20 % validation), because one test set of a hundred examples
is too small to rank learners; a given split in time (vehicle_fraud) is kept. For every split, size and learner the
hyperparameters with the smallest mean validation loss over seeds are selected, and the test error is reported.
`ensemble` is the mean of the seeds' predictions. Workdirs stay in `--workdir`, so that a second call resumes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlm import Budget, Learner, Optimizer, Study, grid
from dlm.baselines import HistGradientBoosting, LogisticRegression
from dlm.data import Dataset, Split
from dlm.data.tfds.reader import read
from dlm.execution import executor
from dlm.models import MLP, FTTransformer, TabularMLP
from dlm.storage import artifacts, record_log
from dlm.study.sweep import Axes
from dlm.study.trial import Trial
from dlm.tasks import Classification, Regression

EMBEDDED = ("breast_cancer", "wine", "diabetes", "digits")
TABLES = (*EMBEDDED, "german_credit_numeric", "vehicle_fraud")
IN_TIME = ("vehicle_fraud",)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, split by a seed, or in time where its makers did."""

    name: str
    split: int

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Columns as they are, categories one-hot."""
        x, y, fields, test = _table(self.name, data_dir)
        order = np.random.default_rng(self.split).permutation(len(y))
        if test is None:
            test, order = order[: len(y) // 5], order[len(y) // 5 :]
        else:
            order = order[~np.isin(order, test)]
        validation, pool = order[: len(order) // 5], order[len(order) // 5 :]
        parts = [Split(x[rows], y[rows]) for rows in (pool, validation, test)]
        classes = int(y.max()) + 1 if y.dtype.kind == "i" else 0
        return Dataset(self.name, *parts, num_classes=classes, standardize=True, fields=fields)


def _table(name: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], np.ndarray | None]:
    """Inputs float32 [N, D], targets, widths of fields, and the test rows where they are given."""
    if name in EMBEDDED:
        from sklearn import datasets

        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return x.astype(np.float32), y.astype(np.float32 if name == "diabetes" else np.int32), (1,) * x.shape[1], None
    splits = {"train": "train", **({"test": "test"} if name in IN_TIME else {})}
    _, columns = read(name, splits, version="", data_dir=data_dir)
    parts = list(columns.values())
    joined = {key: np.concatenate([part[key].array for part in parts]) for key in parts[0]}
    y = joined["label"].astype(np.int32)
    test = np.arange(len(parts[0]["label"]), len(y)) if name in IN_TIME else None
    if name != "vehicle_fraud":
        x = joined["features"].astype(np.float32)
        return x, y, (1,) * x.shape[1], test
    codes, numbers = joined["categorical"], joined["numeric"]
    places = [np.eye(codes[:, k].max() + 1, dtype=np.float32)[codes[:, k]] for k in range(codes.shape[1])]
    fields = tuple(part.shape[1] for part in places) + (1,) * numbers.shape[1]
    return np.concatenate([*places, numbers.astype(np.float32)], axis=1), y, fields, test


OPTIMIZER = Optimizer(b2=0.95)  # RealMLP's
DEEP = grid(lr=(1e-3, 4e-3), weight_decay=(0.03, 0.3), dropout=(0.1, 0.4))
LEARNERS: dict[str, tuple[Any, Axes]] = {
    "mlp": (Learner(MLP((128, 128)), optimizer=OPTIMIZER), DEEP),
    "periodic": (Learner(TabularMLP(), optimizer=OPTIMIZER), DEEP),
    "piecewise": (Learner(TabularMLP(numbers="piecewise"), optimizer=OPTIMIZER), DEEP),
    "no encoding": (Learner(TabularMLP(numbers="none"), optimizer=OPTIMIZER), DEEP),
    "ft-transformer": (
        Learner(FTTransformer(), optimizer=OPTIMIZER),
        grid(lr=(1e-3,), weight_decay=(0.03, 0.3), dropout=(0.1, 0.3)),
    ),
    "boosting": (HistGradientBoosting(), grid(learning_rate=(0.03, 0.1), max_iter=(100, 300), max_leaf_nodes=(3, 31))),
    "linear": (LogisticRegression(), Axes()),
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One study: a learner at a table's sizes."""

    table: str
    learner: str
    split: int
    seeds: int
    shares: tuple[float, ...]
    folder: Path
    data_dir: Path | None

    def study(self, dataset: Dataset) -> Study:
        """The cells of this setting."""
        learner, axes = LEARNERS[self.learner]
        epochs = 15 if len(dataset.train) > 5000 else 60
        return Study(
            data=Table(self.table, self.split),
            task=Regression() if dataset.has_numeric_targets else Classification(),
            learners={self.learner: learner},
            train_sizes=tuple(int(share * len(dataset.train)) for share in self.shares),
            seeds=1 if self.learner == "boosting" and self.shares == (1.0,) else self.seeds,  # no draw is left to it
            axes=axes,
            budget=Budget(epochs=epochs, min_steps=300),
            name=self.table,
        )

    def choices(self) -> Iterator[tuple[int, list[Trial]]]:
        """Train; then of each size the trials (one a seed) of the hyperparameters that validate best."""
        dataset = Table(self.table, self.split).load(self.data_dir)
        study = self.study(dataset)
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            executor.run_trials(study, self.folder, executor.RunOptions(dataset=dataset))
        losses = {
            row.trial_id: row.value
            for row in record_log.rows(self.folder)
            if row.split == "validation" and row.metric == "loss"
        }
        groups: dict[tuple[int, Any], list[Trial]] = defaultdict(list)
        for trial in study.trials:
            groups[trial.train_size, trial.learner].append(trial)
        for size in study.train_sizes:
            own = [group for (of, _), group in groups.items() if of == size]
            yield size, min(own, key=lambda group: np.mean([losses.get(each.trial_id, np.inf) for each in group]))


def measured(setting: Setting) -> Iterator[dict[str, Any]]:
    """One row per size: test error of single models (mean over seeds) and of their mean prediction."""
    for size, selected in setting.choices():
        test = artifacts.read_test_set(setting.folder)
        predictions = [artifacts.read_predictions(setting.folder, trial.trial_id) for trial in selected]
        assert test is not None
        outputs = np.stack([_outputs(each) for each in predictions if each is not None])
        yield {
            "table": setting.table,
            "learner": setting.learner,
            "split": setting.split,
            "size": size,
            "single": float(np.mean([error_of(setting.table, each, test["y"]) for each in outputs])),
            "ensemble": error_of(setting.table, outputs.mean(axis=0), test["y"]),
            "selected": _hyperparameters(selected[0]),
        }


def _outputs(predictions: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(predictions.get("probabilities", predictions.get("outputs")), np.float64)


def _hyperparameters(trial: Trial) -> dict[str, Any]:
    of = trial.learner.hyper if isinstance(trial.learner, Learner) else trial.learner
    return dataclasses.asdict(of)


def error_of(table: str, outputs: np.ndarray, y: np.ndarray) -> float:
    """1 − AUPRC for rare events, error rate for classes, RMSE for numbers. Probabilities [N, C] or numbers [N, 1]."""
    if table == "vehicle_fraud":
        from sklearn.metrics import average_precision_score

        return 1 - float(average_precision_score(y, outputs[:, 1]))
    if y.dtype.kind == "f":
        return float(np.sqrt(np.mean((outputs[:, 0] - y) ** 2)))
    return float(np.mean(outputs.argmax(axis=1) != y))


def printed(rows: list[dict[str, Any]]) -> None:
    """Prints means over splits ± standard error, and the difference from boosting, paired by split."""
    cells: dict[tuple[str, int, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        cells[row["table"], row["size"], row["learner"]][row["split"]] = row
    print("| table | size | learner | single | ensemble | ensemble − boosting |\n|---|---|---|---|---|---|")
    for (table, size, learner), of in cells.items():
        boosting = cells.get((table, size, "boosting"), {})
        difference = [of[split]["ensemble"] - boosting[split]["single"] for split in of if split in boosting]
        single, ensemble = ([row[kind] for row in of.values()] for kind in ("single", "ensemble"))
        print("|", " | ".join([table, str(size), learner, *map(_with_error, (single, ensemble, difference))]), "|")


def _with_error(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"


def main() -> None:
    """Print a table, and write its rows with `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data_dir", type=Path)
    parser.add_argument("--workdir", type=Path, default=Path("runs/tabular"))
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=TABLES)
    parser.add_argument("--learners", nargs="*", choices=LEARNERS, default=tuple(LEARNERS))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--shares", type=float, nargs="*", default=(0.25, 0.5, 1.0))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for table in args.tables:
        for learner in args.learners:
            for split in range(1 if table in IN_TIME else args.splits):
                folder = args.workdir / f"{table}-{learner.replace(' ', '-')}-{split}"
                setting = Setting(table, learner, split, args.seeds, tuple(args.shares), folder, args.data_dir)
                rows += measured(setting)
        printed([row for row in rows if row["table"] == table])
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

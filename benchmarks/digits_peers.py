"""The `digits` study as one would write it without dlm: scikit-learn's learning curves, and PyTorch for the CNN.

    python -m benchmarks.digits_peers [--seeds=2] [--sizes=32,128]

Prints the mean test error of each learner at the largest size as JSON. The splits, subsets, numbers of updates and
hyperparameters are the study's own, and every cell is really trained. Both cores are used: by joblib for scikit-learn,
for PyTorch by two processes of one thread or one process of two threads, whichever is faster in a few updates.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import multiprocessing
import os
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.digits_torch import Cell, Digits, test_error
from dlm.data.arrays import Arrays
from dlm.study import Study

TRIED_STEPS = 20  # by which the two ways to use both cores are compared


def learning_curves(study: Study, arrays: Arrays, estimator: Any, sizes: tuple[int, ...]) -> np.ndarray:
    """Test errors [sizes, seeds] of a scikit-learn estimator, on the study's subsets, two fits at a time."""
    from sklearn.model_selection import learning_curve

    splits = (arrays.train, arrays.test)
    x = np.concatenate([arrays.features(split).reshape(len(split), -1) for split in splits])
    y = np.concatenate([split.y for split in splits])
    test = np.arange(len(arrays.train), len(x))
    folds = [(arrays.order(seed), test) for seed in study.seeds]
    _, _, scores = learning_curve(estimator, x, y, train_sizes=np.array(sizes), cv=folds, n_jobs=2)
    return 1.0 - scores


def mlp(study: Study, arrays: Arrays) -> float:
    """scikit-learn's MLP. Each size has its own number of epochs, so each is a learning curve of one point."""
    from sklearn.neural_network import MLPClassifier

    for size in study.sizes:
        batch_size = min(study.budget.batch_size, size)
        estimator = MLPClassifier(
            study.learners["mlp"].model.widths,
            solver="adam",
            batch_size=batch_size,
            learning_rate_init=study.learners["mlp"].hyper.lr,
            max_iter=round(study.budget.num_steps(size) * study.budget.batch_size / size),
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=0,
        )
        errors = learning_curves(study, arrays, estimator, (size,))
    return float(errors.mean())


def logistic_regression(study: Study, arrays: Arrays) -> float:
    """scikit-learn's, at all sizes."""
    from sklearn.linear_model import LogisticRegression

    return float(learning_curves(study, arrays, LogisticRegression(max_iter=1000), study.sizes)[-1].mean())


def cnn(study: Study, arrays: Arrays) -> float:
    """The CNN of the study in an eager PyTorch loop, cell by cell."""
    digits = Digits(*(part for split in (arrays.train, arrays.test) for part in (arrays.features(split), split.y)))
    hyper = study.learners["cnn"].hyper
    cells = [
        Cell(seed, arrays.order(seed)[:size], study.budget.num_steps(size), hyper.lr, hyper.weight_decay)
        for size in sorted(study.sizes, reverse=True)  # the longest first
        for seed in study.seeds
    ]
    few = Cell(0, arrays.order(0), TRIED_STEPS, hyper.lr, hyper.weight_decay)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, two = functools.partial(test_error, digits, 1), functools.partial(test_error, digits, 2)
        pool.map(one, [few, few], chunksize=1)  # imports and warms up
        start = time.perf_counter()
        pool.map(one, [few, few], chunksize=1)
        of_two_processes = (time.perf_counter() - start) / 2
        two(few)
        start = time.perf_counter()
        two(few)
        of_two_threads = time.perf_counter() - start
        side_by_side = of_two_processes < of_two_threads
        errors = pool.map(one, cells, chunksize=1) if side_by_side else [two(cell) for cell in cells]
    return float(np.mean(errors[: len(study.seeds)]))


def main() -> None:
    """Train everything and print the errors."""
    from experiments.digits import study as declared

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="")
    parser.add_argument("--sizes", default="")
    options = parser.parse_args()
    changes: dict[str, Any] = {}
    if options.seeds:
        changes["seeds"] = int(options.seeds)
    if options.sizes:
        changes["sizes"] = tuple(int(size) for size in options.sizes.split(","))
    study = dataclasses.replace(declared(), **changes)
    os.environ["PYTHONWARNINGS"] = "ignore"  # also joblib's processes: no fit stops before its last epoch
    warnings.simplefilter("ignore")
    arrays = study.data.load()
    errors, seconds = {}, {}
    for name, train in (("mlp", mlp), ("cnn", cnn), ("logreg", logistic_regression)):
        start = time.perf_counter()
        errors[name] = train(study, arrays)
        seconds[name] = time.perf_counter() - start
    assert not any(math.isnan(error) for error in errors.values())
    print(json.dumps({"errors": errors, "seconds": seconds}))


if __name__ == "__main__":
    main()

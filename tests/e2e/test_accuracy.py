"""The experiments reach what their docstrings claim."""

import numpy as np
import pytest

from dlm.execution import executor
from dlm.storage import record_log
from dlm.study import experiment

pytestmark = pytest.mark.slow


def mean_errors(folder, size):
    """Mean final test error of each learner at one size."""
    errors = {}
    for row in record_log.rows(folder):
        if (row.split, row.metric, row.train_size) == ("test", "error", size):
            errors.setdefault(row.learner, []).append(row.value)
    return {name: np.mean(values) for name, values in errors.items()}


def test_digits(tmp_path, digits):
    from sklearn.linear_model import LogisticRegression

    executor.run_trials(experiment.load("digits"), tmp_path)
    errors = mean_errors(tmp_path, 1257)
    assert errors["mlp"] <= 0.025
    assert errors["cnn"] <= 0.015
    by_hand = LogisticRegression(max_iter=1000).fit(digits.train.x.reshape(1257, -1) / 16, digits.train.y)
    assert errors["logreg"] == pytest.approx(
        1 - by_hand.score(digits.test.x.reshape(360, -1) / 16, digits.test.y), abs=0.005
    )
    small = mean_errors(tmp_path, 32)
    assert small["logreg"] < small["cnn"], "with 32 examples the linear model should still be ahead"


def test_fashion_mnist_cut_down(tmp_path, shared_tfds):
    from dataclasses import replace

    study = replace(experiment.load("fashion_mnist"), train_sizes=(300, 3000), seeds=1)
    executor.run_trials(study, tmp_path, executor.RunOptions(data_dir=shared_tfds))
    few, many = mean_errors(tmp_path, 300), mean_errors(tmp_path, 3000)
    assert all(many[name] < few[name] < 0.35 for name in few)
    assert many["cnn"] <= 0.18

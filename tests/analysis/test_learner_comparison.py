"""The best learner of each family, and ratios of errors paired by test example."""

import dataclasses
import math

import numpy as np
import pytest
from small import ROW

from dlm.analysis.learner_comparison import (
    best_of_each_family,
    compare_families,
    compare_with_naive_baseline,
    error_ratio,
    ratio_of,
)
from dlm.analysis.predictions import read_test_set
from dlm.storage import artifacts

SQUARES = np.random.default_rng(0).chisquare(3, size=(2, 500)).astype(np.float32)
SIZES = (32, 64, 128, 256, 512, 1024)
# Precision, validation errors and test errors by size: `lucky` has the smallest test errors, not validation errors.
LEARNERS = {
    "logreg": ("none", lambda n: 0.8 * n**-0.2, lambda n: 0.8 * n**-0.2),
    "lucky": ("none", lambda n: n**-0.2, lambda n: 0.1 * n**-0.2),
    "cnn": ("float32", lambda n: 3 * n**-0.5, lambda n: 3 * n**-0.5),
    "mlp": ("float32", lambda n: 0.7 if n < 100 else 0.9, lambda n: 0.7),
}


def make_records(learners=LEARNERS, noise=""):
    return [
        dataclasses.replace(
            ROW,
            trial_id=f"{learner}{size}{seed}",
            learner=learner,
            train_size=size,
            subset_seed=seed,
            split=split,
            value=min(law(size) * (1 + 0.02 * seed), 1.0),
            precision=precision,
            noise=noise,
        )
        for learner, (precision, validation, test) in learners.items()
        for size in SIZES
        for seed in range(3)
        for split, law in (("validation", validation), ("test", test))
    ]


@pytest.fixture
def ratio(tmp_path):
    """The error ratio of two trials whose recorded errors are a function of the mean of their saved errors."""
    artifacts.write_test_set(tmp_path, {"y": np.zeros(500, np.float32), "pool_classes": np.zeros(0)})
    rows = [dataclasses.replace(ROW, trial_id=name) for name in ("one", "other")]
    for row, squares in zip(rows, SQUARES):
        artifacts.write_predictions(tmp_path, row.trial_id, {"error": squares})

    def ratio(function):
        trials = [[dataclasses.replace(row, value=float(function(each.mean())))] for row, each in zip(rows, SQUARES)]
        return error_ratio(tmp_path, *trials, [read_test_set(tmp_path)], 0.95)

    return ratio


def test_ratio_of_a_root_of_means_is_the_root_of_their_ratio(ratio):
    squared, root = ratio(lambda mean: mean), ratio(np.sqrt)
    means = SQUARES.mean(axis=1, dtype=float)
    assert squared.ratio == pytest.approx(means[0] / means[1], rel=1e-4)
    assert root.ratio == pytest.approx(squared.ratio**0.5)
    assert (root.low, root.high) == pytest.approx((squared.low**0.5, squared.high**0.5))
    assert squared.low < squared.ratio < squared.high


def test_error_of_the_whole_split_is_not_paired_by_example(ratio):
    assert ratio(lambda mean: 0.3 * mean) is None


def test_relative_difference_as_a_ratio():
    assert ratio_of(0.0) == 1.0
    assert ratio_of(2 * (0.3 - 0.1) / 0.4) == pytest.approx(3.0)
    assert (ratio_of(-2.5), ratio_of(2.5)) == (0.0, math.inf)


def test_best_learner_is_selected_by_validation_errors():
    classical, deep = best_of_each_family(make_records())
    assert set(classical.selected) == {"logreg"}
    assert deep.selected == ("cnn",) * len(SIZES)
    assert classical.curve.errors[0][0] == pytest.approx(0.8 * 32**-0.2)


def test_trials_with_noise_and_studies_of_one_family_are_not_compared(tmp_path):
    classical = {name: laws for name, laws in LEARNERS.items() if laws[0] == "none"}
    assert compare_families(tmp_path, make_records(classical), [], 0.95) is None
    assert compare_families(tmp_path, make_records(noise="label=0.2"), [], 0.95) is None


NUM_TEST = 40
WAVE = 0.05 * np.sin(np.arange(NUM_TEST))
LAST = ("last", 0.2, 0)


@pytest.fixture
def compare(tmp_path):
    """Compares trials (name, errors of the test examples, step, size) with the naive ones, whose step is 0."""

    def compare(*trials, ahead=None):
        y = np.zeros((NUM_TEST, ahead, 2) if ahead else NUM_TEST, np.float32)
        artifacts.write_test_set(tmp_path, {"y": y, "pool_classes": np.zeros(0)})
        rows = []
        for name, errors, step, *size in trials:
            trial_id = f"{name}{size}"
            artifacts.write_predictions(tmp_path, trial_id, {"error": np.broadcast_to(errors, NUM_TEST)})
            change = {"trial_id": trial_id, "learner": name, "train_size": size[0] if size else 100, "step": step}
            rows.append(dataclasses.replace(ROW, value=float(np.mean(errors)), unit="MSE", **change))
        return compare_with_naive_baseline(tmp_path, rows, [read_test_set(tmp_path)], 0.95)

    return compare


def test_learners_not_shown_to_beat_the_naive_baseline(compare):
    found = compare(LAST, ("better", 0.1 + WAVE, 5), ("worse", 0.25, 5), ("like", 0.199 + WAVE, 5))
    assert (found.baseline, found.size, found.error, found.num_learners) == ("last", 100, pytest.approx(0.2), 3)
    assert list(found.ratios) == ["worse", "like"]
    assert found.ratios["worse"].ratio == pytest.approx(1.25)


def test_forecasts_of_common_steps_are_one_block(compare):
    lucky = 0.2 - 0.15 * (np.arange(NUM_TEST) < 10)
    assert compare(LAST, ("lucky", lucky, 5)) is None
    found = compare(LAST, ("lucky", lucky, 5), ahead=10)
    assert (found.ratios["lucky"].num_blocks, found.ratios["lucky"].block_size) == (4, 10)


def test_the_largest_common_size_is_compared(compare):
    assert compare(LAST, (*LAST, 50), ("late", 0.9, 5, 50), ("late", 0.1, 5)) is None
    assert compare(LAST, ("other", 0.9, 5, 50)) is None


def test_no_comparison_without_a_naive_baseline_or_predictions(compare, tmp_path):
    assert compare(LAST) is None
    assert compare(("a", 0.3, 5), ("b", 0.1, 5)) is None
    row = dataclasses.replace(ROW, trial_id="x", step=0)
    rows = [row, dataclasses.replace(row, learner="y", step=3)]
    assert compare_with_naive_baseline(tmp_path / "empty", rows, [], 0.95) is None

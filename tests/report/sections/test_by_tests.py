"""Two cells by the test examples: errors that are means over them, roots of such means, and others."""

import dataclasses

import numpy as np
import pytest
from small import ROW

from dlm.analysis.predictions import read_test_set
from dlm.report.sections.learner_comparison import by_test_examples
from dlm.storage import artifacts

SQUARES = np.random.default_rng(0).chisquare(3, size=(2, 500)).astype(np.float32)


@pytest.fixture
def compared(tmp_path):
    """The difference of two cells whose recorded errors are `of` the mean of what was kept."""
    artifacts.write_test_set(tmp_path, {"y": np.zeros(500, np.float32), "pool_classes": np.zeros(0)})
    rows = [dataclasses.replace(ROW, trial_id=name) for name in ("one", "other")]
    for row, squares in zip(rows, SQUARES):
        artifacts.write(tmp_path, row.trial_id, artifacts.PREDICTIONS, {"error": squares})

    def of(function):
        cells = [[dataclasses.replace(row, value=float(function(each.mean())))] for row, each in zip(rows, SQUARES)]
        return by_test_examples(tmp_path, *cells, read_test_set(tmp_path), 0.95)

    return of


def test_a_root_of_mean_squares_differs_half_as_much_as_they_do(compared):
    squared, root = compared(lambda mean: mean), compared(np.sqrt)
    means = SQUARES.mean(axis=1, dtype=float)
    assert squared.mean == pytest.approx(2 * (means[0] - means[1]) / means.sum(), rel=1e-4)
    assert root.mean == pytest.approx(squared.mean / 2)
    assert root.high == pytest.approx(squared.high / 2)
    exact = np.sqrt(means[0] / means[1]) - 1
    assert root.mean == pytest.approx(exact, rel=0.1)


def test_an_error_of_the_whole_split_is_not_compared_example_by_example(compared):
    assert compared(lambda mean: 0.3 * mean) is None

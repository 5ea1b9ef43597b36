"""fairlearn's metrics of groups, and the message without fairlearn."""

import sys

import numpy as np
import pytest

from dlm import UsageError
from dlm.analysis.fairness.groups import GroupColumn, LearnerErrors
from dlm.analysis.fairness.metrics import column_metrics

COLUMN = GroupColumn("sex", ("f", "m", "x"), np.array([0, 0, 0, 0, 1, 1, 1, 1, -1]))
TRUTH = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1])
PREDICTED = np.array([[1, 0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0, 0]])


def learner(errors, **fields):
    return LearnerErrors("a", {10: errors}, **fields)


def test_rates_of_a_binary_target_by_group():
    pytest.importorskip("fairlearn")
    errors = (PREDICTED != TRUTH).astype(float)
    result = column_metrics(learner(errors, truth=TRUTH, predicted=PREDICTED, positive="yes"), COLUMN)
    by_name = {metric.name: metric for metric in result.metrics}
    assert result.groups == ("f", "m")
    assert by_name["error"].by_group == pytest.approx((0.5, 0.25))
    assert by_name["error"].difference == pytest.approx(0.25)
    assert by_name["selection rate"].by_group == pytest.approx((0.25, 0.5))
    assert by_name["false negative rate"].by_group == pytest.approx((0.75, 0.0))
    assert by_name["false positive rate"].by_group == pytest.approx((0.25, 1 / 3))
    assert by_name["selection rate"].difference == pytest.approx(0.25)  # demographic parity
    assert by_name["false negative rate"].difference == pytest.approx(0.75)


def test_a_rate_of_no_examples_is_absent():
    pytest.importorskip("fairlearn")
    truth = np.where(COLUMN.codes == 1, 0, TRUTH)
    result = column_metrics(learner(np.zeros((2, 9)), truth=truth, predicted=PREDICTED, positive="yes"), COLUMN)
    missed = next(metric for metric in result.metrics if metric.name == "false negative rate")
    assert missed.by_group == (0.75, None)


def test_roots_are_taken_of_each_group():
    pytest.importorskip("fairlearn")
    result = column_metrics(learner(np.array([[4.0] * 4 + [9.0] * 5]), unit="RMSE"), COLUMN)
    assert [metric.by_group for metric in result.metrics] == [(2.0, 3.0)]


def test_without_fairlearn_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(UsageError, match=r"needs fairlearn.*pip install .*fairness"):
        column_metrics(learner(np.zeros((1, 9))), COLUMN)

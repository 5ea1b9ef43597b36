import dataclasses

import numpy as np
import pytest
from small import small

from dlm import GaussianNB, KNeighbors, LogisticRegression
from dlm.analysis import sampling_error
from dlm.analysis.predictions import read_test_sets
from dlm.analysis.sampling_error import with_sampling_errors
from dlm.curves.from_records import make_curve, selected_rows
from dlm.curves.new_examples import SamplingError
from dlm.curves.types import Tails
from dlm.execution.executor import run_trials
from dlm.storage import artifacts
from dlm.storage.workdir import Workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A study of three classical learners on the digits."""
    folder = tmp_path_factory.mktemp("study")
    learners = {"logreg": LogisticRegression(), "knn": KNeighbors(), "bayes": GaussianNB()}
    run_trials(small(learners=learners, train_sizes=(32, 128), seeds=3), folder)
    return Workdir.open(folder)


def curves_of(workdir):
    selected = selected_rows(workdir.records)
    return [make_curve(name, by_size) for name, by_size in selected.items()], selected


def saved_errors(workdir, learner):
    rows = selected_rows(workdir.records)[learner][128]
    return np.stack([artifacts.read_predictions(workdir, row.trial_id)["error"] for row in rows]).astype(float)


def test_the_bootstrap_agrees_with_the_covariances_of_the_errors_of_examples(workdir):
    """The covariance of two seeds' errors is the variance of the expected error over seeds, times the examples."""
    curves, correlation = with_sampling_errors(workdir.path, *curves_of(workdir))
    tables = [saved_errors(workdir, curve.learner) for curve in curves]
    for curve, table in zip(curves, tables):
        covariance = np.cov(table)
        between = covariance[~np.eye(len(table), dtype=bool)].mean()
        assert curve.test_stderr == pytest.approx(np.sqrt(between / table.shape[1]), rel=0.12)
        assert curve.test_stderr < np.sqrt(table.mean() * (1 - table.mean()) / table.shape[1])
    means = np.stack([table.mean(axis=0) for table in tables])
    expected = np.cov(means)[0, 1] / (curves[0].test_stderr * curves[1].test_stderr * means.shape[1])
    assert correlation[0][1] == pytest.approx(expected, abs=0.08)
    assert 0 < correlation[0][1] < 1


def test_dependent_examples_have_a_larger_sampling_error(workdir, monkeypatch):
    """Ten copies of each example carry no more information than one."""
    curves, selected = curves_of(workdir)
    plain, _ = with_sampling_errors(workdir.path, curves, selected)
    errors = saved_errors(workdir, "knn").mean(axis=0)
    groups = np.argsort(np.argsort(-errors, kind="stable"), kind="stable") // 10  # similar examples are together
    monkeypatch.setattr(sampling_error, "groups_of", lambda test: groups)
    grouped, _ = with_sampling_errors(workdir.path, curves, selected)
    assert grouped[1].test_stderr > 1.8 * plain[1].test_stderr


def test_a_curve_without_saved_predictions_keeps_the_binomial_error(workdir, tmp_path):
    curves, correlation = with_sampling_errors(tmp_path, *curves_of(workdir))
    assert all(curve.test_stderr is None for curve in curves)
    assert correlation[0][1] == 0.5


def test_average_precision_is_scikit_learns_with_ties_and_weights():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 2, 80).astype(float), rng.integers(0, 3, (4, 80)).astype(float)
    scores = np.round(rng.random(80) + 0.3 * labels, 1)
    expected = [average_precision_score(labels, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(sampling_error._average_precision(scores, labels, weights), expected, rtol=1e-9)


def test_a_root_mean_square_gets_half_the_relative_error_of_the_mean_square():
    rng = np.random.default_rng(1)
    squares = rng.standard_normal((1, 4000)) ** 2
    item = sampling_error._SeedErrors(squares, power=0.5)
    (replicates,) = sampling_error._replicates([item], np.arange(4000))
    expected = squares.std() / np.sqrt(4000) / (2 * np.sqrt(squares.mean()))
    assert replicates.std() == pytest.approx(expected, rel=0.1)


def test_curves_are_otherwise_unchanged(workdir):
    curves, selected = curves_of(workdir)
    widened, _ = with_sampling_errors(workdir.path, curves, selected)
    assert [dataclasses.replace(curve, test_stderr=None, test_tails=Tails()) for curve in widened] == curves


@pytest.mark.parametrize(("freedom", "num_examples"), [(5, 200), (5, 1000), (100, 200)])
def test_intervals_of_a_root_mean_square_hold_the_true_one_with_heavy_tails_too(freedom, num_examples):
    rng, normal = np.random.default_rng(2), np.array([-1.959964, -1.281552, 1.281552, 1.959964])
    inside = []
    for _ in range(500):
        squares = rng.standard_t(freedom, num_examples) ** 2
        relative = squares.std() / np.sqrt(num_examples) / (2 * squares.mean())
        item = sampling_error._SeedErrors(squares[None], power=0.5)
        tails = sampling_error._tails([(item, np.arange(num_examples), 1.0)])
        error = np.full((4, 1), np.sqrt(squares.mean()))
        ends = SamplingError(relative=relative, tails=tails).apply(error, normal)[:, 0]
        true = np.sqrt(freedom / (freedom - 2))
        inside.append((ends[0] <= true <= ends[3], ends[1] <= true <= ends[2]))
    wide, narrow = np.mean(inside, axis=0)
    assert 0.925 < wide < 0.975  # 0.90 at 5 degrees of freedom and 200 examples without the tails
    assert 0.755 < narrow < 0.845


def test_the_variances_of_hold_outs_are_pooled(tmp_path):
    """Of the mean over hold-outs with shares w of the seeds: the sum of w² times each hold-out's variance."""
    learners = {"logreg": LogisticRegression(), "bayes": GaussianNB()}
    study = small(learners=learners, train_sizes=(32, 128), seeds=3, splits=2)
    run_trials(study, tmp_path)
    rows = selected_rows(Workdir.open(tmp_path).records)
    (one, other), correlation = with_sampling_errors(tmp_path, *curves_of(Workdir.open(tmp_path)))
    variances, covariance, items = np.zeros(2), 0.0, []
    for test, share in zip(read_test_sets(tmp_path), (2 / 3, 1 / 3)):
        replicates = []
        for number, name in enumerate(learners):
            own = [row for row in rows[name][128] if row.hold_out == test.hold_out]
            saved = [artifacts.read_predictions(tmp_path, row.trial_id)["error"] for row in own]
            item = sampling_error._SeedErrors(np.stack(saved).astype(float))
            replicates += sampling_error._replicates([item], np.arange(len(test.y)))
            variances[number] += share**2 * sampling_error._variance_without_seeds(replicates[-1])
        items.append((item, test, share))
        covariance += share**2 * np.cov([each.mean(axis=0) for each in replicates])[0, 1]
    assert [one.test_stderr, other.test_stderr] == pytest.approx(np.sqrt(variances))
    assert correlation[0][1] == pytest.approx(covariance / np.sqrt(variances.prod()))
    parts = [(item, np.arange(len(test.y)), share / len(test.y)) for item, test, share in items]
    assert other.test_tails == sampling_error._tails(parts)
    assert one.num_test == sum(len(test.y) for test in read_test_sets(tmp_path)) == 1617


def test_the_tails_of_two_hold_outs_are_those_of_their_examples_together():
    squares = np.random.default_rng(3).standard_t(5, 400) ** 2
    halves = [
        (sampling_error._SeedErrors(each[None], power=0.5), np.arange(200), 1.0)
        for each in (squares[:200], squares[200:])
    ]
    centred = np.concatenate([each - each.mean() for each in (squares[:200], squares[200:])])
    whole = (sampling_error._SeedErrors(centred[None], power=0.5), np.arange(400), 1.0)
    result, expected = sampling_error._tails(halves), sampling_error._tails([whole])
    assert dataclasses.astuple(result) == pytest.approx(dataclasses.astuple(expected))

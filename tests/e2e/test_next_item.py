"""The next item's measures: NDCG as scikit-learn has it, ties counted honestly, histories withheld; a study of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.analysis.interpretability.analysis import analyze_trials
from dlm.analysis.predictions import read_test_set
from dlm.baselines import ImplicitALS, NextItemKNN, Popularity
from dlm.data import NextItems
from dlm.data.dataset import EXCLUDED_LOGIT
from dlm.execution import executor
from dlm.models import SASRec, build
from dlm.report.sections.examples import text
from dlm.storage import record_log
from dlm.storage.workdir import Workdir
from dlm.tasks import NextItem


@pytest.mark.parametrize("k", [1, 5, 10])
def test_the_error_is_one_less_scikit_learns_ndcg_with_its_ties(k):
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=(40, 30)), rng.integers(0, 4, (40, 30))]).astype(np.float32)
    y = rng.integers(0, 30, (80, 1))
    found = NextItem(k).example_metrics(jnp.asarray(scores), jnp.asarray(y))
    for row in range(80):
        came = (np.arange(30) == y[row])[None].astype(int)
        assert 1 - found["error"][row] == pytest.approx(ndcg_score(came, scores[row][None], k=k), abs=1e-6)
    recalled = [np.mean(np.argsort(-s)[:k] == one) * k for s, one in zip(scores[:40], y[:40])]
    np.testing.assert_allclose(found[f"recall_at_{k}"][:40], recalled, atol=1e-6)


def test_a_scorer_that_does_not_tell_items_apart_gains_only_by_chance():
    measures = NextItem(10).example_metrics(jnp.zeros((2, 100)), jnp.array([[3], [99]]))
    np.testing.assert_allclose(measures["recall_at_10"], 0.1, rtol=1e-6)
    np.testing.assert_allclose(measures["loss"], np.log(100), rtol=1e-5)
    assert (measures["error"] > 0.95).all()
    lost = NextItem(10).example_metrics(jnp.full((1, 100), jnp.nan), jnp.array([[3]]))
    assert (lost["error"][0], lost["recall_at_10"][0]) == (1.0, 0.0)


def test_the_best_are_kept_and_data_without_a_next_item_are_refused(digits):
    assert NextItem(2).saved_outputs(jnp.array([[0.0, 3.0, 1.0, 2.0]]))["recommended"].tolist() == [[1, 3]]
    with pytest.raises(UsageError, match=r"NextItem.*digits"):
        NextItem().check(digits)


X = np.array([[0, 1, 2], [0, 0, 3], [0, 0, 0], [4, 5, 1], [0, 2, 3]], np.int32)
Y = np.array([[3], [2], [3], [2], [1]], np.int32)


@pytest.mark.parametrize("learner", [Popularity(), NextItemKNN(), ImplicitALS(factors=2, iterations=2)])
def test_no_learner_offers_the_history(learner):
    outputs = learner.fit(X, Y, 7, seed=0).outputs(X)
    _check_withheld(outputs)


def _check_withheld(outputs):
    offered = np.asarray(outputs) > EXCLUDED_LOGIT / 2
    for row, history in enumerate(X):
        assert offered[row].tolist() == [item != 0 and item not in history for item in range(7)]


@pytest.fixture(scope="module")
def sasrec():
    model = build(SASRec(dim=8, depth=2, heads=2), 7)
    return jax.jit(model.apply), jax.jit(model.init)(jax.random.key(0), X)


def test_the_transformer_offers_no_history_and_does_not_see_padding(sasrec):
    apply, params = sasrec
    outputs = apply(params, X)
    _check_withheld(outputs)
    other = params | {"embedding": params["embedding"].at[0].add(1.0)}  # of padding
    some = X.any(axis=1)
    np.testing.assert_allclose(apply(other, X)[some], outputs[some], atol=1e-5)
    assert np.isfinite(outputs).all()


def test_the_order_of_the_history_matters_to_the_transformer(sasrec):
    apply, params = sasrec
    one, other, *_ = apply(params, np.array([[1, 2, 3], [2, 1, 3], *X[:3]], np.int32))
    assert np.abs(one - other).max() > 1e-4


def test_popularity_and_neighbours_are_the_counts_by_hand():
    popular = Popularity().fit(X, Y, 7, seed=0).outputs(np.zeros((1, 3), np.int32))[0]
    counts = np.array([0, 1, 2, 2, 0, 0, 0]) + 1
    np.testing.assert_allclose(popular[1:], np.log(counts / 12)[1:], rtol=1e-6)
    found = NextItemKNN(decay=0.5, shrinkage=2.0, popularity_weight=0.2).fit(X, Y, 7, seed=0).outputs(X[4:])[0]
    before = {h: {row for row in range(5) if h in X[row]} for h in (2, 3)}
    score = np.zeros(7)
    for h, weight in ((3, 1.0), (2, 0.5)):
        for item in range(1, 7):
            came = {row for row in range(5) if Y[row, 0] == item}
            if both := len(before[h] & came):
                score[item] += weight * both / np.sqrt(len(before[h]) * len(came)) * both / (both + 2)
    wanted = np.log(0.8 * score / score.sum() + 0.2 * counts / 12)
    np.testing.assert_allclose(found[[1, 4, 5, 6]], wanted[[1, 4, 5, 6]], rtol=1e-5)


def test_implicit_factors_are_the_weighted_least_squares_of_the_paper():
    model = ImplicitALS(factors=2, alpha=4.0, regularization=0.5, iterations=3)
    random = np.random.default_rng(0)
    taken = random.permutation(5)
    met = np.zeros((5, 7))
    for row, source in enumerate(taken):
        met[row, [item for item in (*X[source], Y[source, 0]) if item]] = 1
    items = random.normal(0, 0.1, (7, 2))

    def solved(met, others):
        rows = []
        for row in met:
            confidence = np.diag(1 + 4.0 * row)
            left = others.T @ confidence @ others + 0.5 * np.eye(2)
            rows.append(np.linalg.solve(left, others.T @ confidence @ row))
        return np.array(rows)

    for _ in range(3):
        items = solved(met.T, solved(met, items))
    wanted = solved(np.eye(7)[[3]], items) @ items.T
    found = model.fit(X, Y, 7, seed=0).outputs(X[1:2])
    np.testing.assert_allclose(found[0, [1, 2, 4, 5, 6]], wanted[0, [1, 2, 4, 5, 6]], rtol=1e-3, atol=1e-5)


def test_a_study_of_next_items_learns_what_follows(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["user,item,time"]
    for user in range(60):  # whoever met an item meets the next number
        start = rng.integers(0, 12)
        lines += [f"u{user},{(start + step) % 12},{step}" for step in range(6)]
    (tmp_path / "chain.csv").write_text("\n".join(lines) + "\n")
    study = Study(
        data=NextItems(str(tmp_path / "chain.csv"), user="user", item="item", time="time", length=4),
        task=NextItem(k=3),
        learners={
            "sasrec": Learner(SASRec(dim=8, heads=1), Hyper(lr=0.03)),
            "neighbours": NextItemKNN(decay=0.5),
            "popular": Popularity(),
        },
        train_sizes=(60, 240),
        seeds=1,
        budget=Budget(steps=200, batch_size=32),
        name="chain",
    )
    outcome = executor.run_trials(study, tmp_path / "run")
    assert (outcome.trained, outcome.failed) == (6, 0)
    rows = [row for row in record_log.rows(tmp_path / "run") if row.split == "test" and row.train_size == 240]
    error = {row.learner: row.value for row in rows if row.metric == "error"}
    assert error["sasrec"] < 0.1
    assert error["neighbours"] < 0.5 < error["popular"]
    recall = {row.learner: row.value for row in rows if row.metric == "recall_at_3"}
    assert recall["sasrec"] > 0.9
    shown = text(read_test_set(tmp_path / "run"), 0)  # items are no letters
    assert shown.split()[1:] == [str(item) for item in study.data.load().test.x[0]]
    with pytest.raises(UsageError, match="next item"):
        next(analyze_trials(study, Workdir.open(tmp_path / "run"), [], [study.data.load()]))

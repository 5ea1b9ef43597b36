"""Rating predictors equal their formulas, and handle unknown users and items."""

import jax
import numpy as np
import pytest

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.baselines import AlternatingLeastSquares, BiasModel, ItemKNN
from dlm.data import Ratings
from dlm.execution import executor
from dlm.models import MatrixFactorization, build
from dlm.storage import record_log
from dlm.tasks import Regression

USERS, ITEMS = 6, 5
UNKNOWN = np.array([[77, 99], [77, USERS], [0, 99]])


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(1)
    pairs = rng.permutation([(user, USERS + item) for user in range(USERS) for item in range(ITEMS)])[:22]
    return pairs.astype(np.int32), rng.normal(size=22).astype(np.float32)


def expected_biases(x, y, rounds=10, of_user=5.0, of_item=3.0):
    user, item, mean = np.zeros(100), np.zeros(100), y.mean()
    for _ in range(rounds):
        for i in np.unique(x[:, 1]):
            rows = x[:, 1] == i
            item[i] = (y - mean - user[x[:, 0]])[rows].sum() / (of_item + rows.sum())
        for u in np.unique(x[:, 0]):
            rows = x[:, 0] == u
            user[u] = (y - mean - item[x[:, 1]])[rows].sum() / (of_user + rows.sum())
    return lambda x: mean + user[x[:, 0]] + item[x[:, 1]]


def test_biases_are_alternating_regularized_means(ratings):
    actual = BiasModel().fit(*ratings, 1, seed=0).outputs
    expected = expected_biases(*ratings)
    np.testing.assert_allclose(actual(ratings[0])[:, 0], expected(ratings[0]), atol=1e-5)
    np.testing.assert_allclose(actual(UNKNOWN)[:, 0], expected(UNKNOWN), atol=1e-5)
    assert actual(UNKNOWN)[0, 0] == pytest.approx(ratings[1].mean(), abs=1e-6)


def test_item_knn_uses_the_most_similar_items_that_the_user_rated(ratings):
    x, y = ratings
    base = expected_biases(x, y)
    residual = np.zeros((USERS, ITEMS))
    observed = np.zeros((USERS, ITEMS), bool)
    residual[x[:, 0], x[:, 1] - USERS], observed[x[:, 0], x[:, 1] - USERS] = y - base(x), True

    def similarity(i, j):
        both = observed[:, i] & observed[:, j]
        if not both.any():
            return 0.0
        a, b = residual[both, i], residual[both, j]
        return max(a @ b / np.sqrt((a @ a) * (b @ b)) * both.sum() / (both.sum() + 1.0), 0.0)

    every = np.array([(user, USERS + item) for user in range(USERS) for item in range(ITEMS)])
    expected = base(every)
    for row, (user, token) in enumerate(every):
        item = token - USERS
        near = sorted(((similarity(item, j), residual[user, j]) for j in np.flatnonzero(observed[user])), reverse=True)[
            :2
        ]
        expected[row] += sum(s * r for s, r in near) / (0.1 + sum(s for s, _ in near))
    actual = ItemKNN(n_neighbors=2, shrinkage=1.0, damping=0.1).fit(x, y, 1, seed=0).outputs(every)[:, 0]
    np.testing.assert_allclose(actual, np.clip(expected, y.min(), y.max()), atol=1e-5)
    unknown = ItemKNN().fit(x, y, 1, seed=0).outputs(UNKNOWN)[:, 0]
    np.testing.assert_allclose(unknown, base(UNKNOWN), atol=1e-5)


def test_als_alternates_regularized_least_squares(ratings):
    x, y = ratings
    actual = AlternatingLeastSquares(factors=2, regularization=0.3, iterations=3).fit(x, y, 1, seed=4)
    first = np.random.default_rng(4).normal(0, 0.1, (ITEMS + 1, 3))
    first[:, 0] = 0
    user, item, mean = np.zeros((USERS, 3)), first[:ITEMS], y.mean()

    def solved(side, other_side, others, number, shift):
        out = np.zeros((number, 3))
        for one in range(number):
            rows = x[:, side] - (USERS if side else 0) == one
            at = x[rows, other_side] - (0 if side else USERS)
            features = np.column_stack([np.ones(rows.sum()), others[at, 1:]])
            left = features.T @ features + 0.3 * rows.sum() * np.eye(3)
            out[one] = np.linalg.solve(left, features.T @ (y[rows] - shift - others[at, 0]))
        return out

    for _ in range(3):
        user = solved(0, 1, item, USERS, mean)
        item = solved(1, 0, user, ITEMS, mean)
    u, i = user[x[:, 0]], item[x[:, 1] - USERS]
    expected = mean + u[:, 0] + i[:, 0] + (u[:, 1:] * i[:, 1:]).sum(axis=1)
    np.testing.assert_allclose(actual.outputs(x)[:, 0], np.clip(expected, y.min(), y.max()), atol=1e-4)
    assert actual.outputs(UNKNOWN)[0, 0] == pytest.approx(mean, abs=1e-6)


def test_matrix_factorization_is_biases_plus_dot_product():
    model = build(MatrixFactorization(vocabulary=11, dim=3), 1)
    x = np.array([[0, 7], [4, 10]], np.int32)
    params = jax.jit(model.init)(jax.random.key(0), x)
    params = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape), params)
    vectors, biases = np.asarray(params["embedding"]), np.asarray(params["bias"])
    expected = (vectors[x[:, 0]] * vectors[x[:, 1]]).sum(axis=1) + biases[x].sum(axis=(1, 2))
    np.testing.assert_allclose(model.apply(params, x)[:, 0], expected, rtol=1e-5)
    assert all(leaf.ndim == 2 for leaf in jax.tree.leaves(params))  # so that weight decay applies to all
    with pytest.raises(UsageError, match="has one output"):
        build(MatrixFactorization(vocabulary=11), 5)


def test_factor_models_beat_biases_on_ratings_with_user_item_interaction(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["user_id,item_id,rating"]
    for user in range(40):  # users with odd ids have opposite preferences
        lines += [f"{user},{item},{3 + 2 * (-1) ** (user + item)}" for item in rng.permutation(30)[:24]]
    (tmp_path / "taste.csv").write_text("\n".join(lines) + "\n")
    study = Study(
        data=Ratings(str(tmp_path / "taste.csv")),
        task=Regression(),
        learners={
            "factors": Learner(MatrixFactorization(vocabulary=70, dim=4), Hyper(lr=0.03, weight_decay=0.01)),
            "biases": BiasModel(),
            "neighbours": ItemKNN(shrinkage=1.0),
            "als": AlternatingLeastSquares(factors=2),
        },
        train_sizes=(100, 768),
        seeds=1,
        budget=Budget(steps=300),
        name="taste",
    )
    outcome = executor.run_trials(study, tmp_path / "run")
    assert (outcome.trained, outcome.failed) == (8, 0)
    rows = [row for row in record_log.rows(tmp_path / "run") if row.split == "test" and row.train_size == 768]
    error = {row.learner: row.value for row in rows if row.metric == "error"}
    assert error["biases"] == pytest.approx(2.0, abs=0.2)
    assert max(error["factors"], error["neighbours"], error["als"]) < 1.0

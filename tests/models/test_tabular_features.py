"""A table's fields reach the models that ask for them, and are written as the papers' formulas say."""

import csv
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import small

from dlm import Learner, UsageError
from dlm.data import File
from dlm.models import FTTransformer, TabularMLP, build
from dlm.models.tabular_features import FieldTokens, Periodic, normal_bins, piecewise, smoothly_clipped
from dlm.train.program import check_model, params_shapes

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32)
FIELDS = (1, 3, 1)
MODELS = [TabularMLP((8,), category_dim=2), TabularMLP((8,), "piecewise"), FTTransformer(dim=8, depth=1, heads=2)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A number with gaps, a category with gaps, a date, a class."""
    path = tmp_path_factory.mktemp("fields") / "cars.csv"
    with path.open("w", newline="") as file:
        rows = [
            ["" if k % 7 == 0 else k % 5, ["", "red", "green"][k % 3], f"2020-01-{1 + k % 28:02}", ["yes", "no"][k % 2]]
            for k in range(80)
        ]
        csv.writer(file).writerows([["age", "colour", "day", "label"], *rows])
    return File(str(path)).load()


def test_fields_count_the_columns_of_numbers_categories_and_dates(table):
    assert sum(table.fields) == len(table.feature_names) == table.train.x.shape[1]
    starts = np.cumsum((0, *table.fields))
    categories = [table.feature_names[low:high] for low, high in itertools.pairwise(starts) if high - low > 1]
    assert categories == [("colour=green", "colour=red", "colour: others")]
    assert table.fields.count(1) == 2 + 5  # the number, whether it is missing, and the parts of a date without hours


def test_a_study_gives_fields_to_models_that_ask(table):
    trial = small(learners={"net": Learner(TabularMLP((8,), category_dim=2))}).trials[0]
    params = params_shapes(trial, table)
    assert params["FieldTokens_0"]["vectors"].shape == (3 * 2,)
    assert params["Dense_0"]["kernel"].shape == (8, 7 + 7 * 4 + 2)


def test_sines_and_cosines_are_of_the_trained_frequencies():
    module = Periodic(frequencies=3, sigma=0.5)
    params = module.init(jax.random.key(0), X)["params"]
    frequencies = np.asarray(params["frequencies"]).reshape(5, 3)
    angles = 2 * np.pi * np.asarray(X)[:, :, None] * frequencies
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=2)
    np.testing.assert_allclose(module.apply({"params": params}, X), expected, atol=1e-5)
    assert 0.2 < frequencies.std() < 0.9


def test_piecewise_shares_fill_bin_after_bin_and_go_on_outside():
    ends, x = normal_bins(4), np.array([[-5.0, -1.0], [0.0, 0.7], [1.9, 4.0]], np.float32)
    encoded = np.asarray(piecewise(jnp.asarray(x), 4))
    for row, column in np.ndindex(*x.shape):
        for place in range(4):
            share = (x[row, column] - ends[place]) / (ends[place + 1] - ends[place])
            low, high = -np.inf if place == 0 else 0.0, np.inf if place == 3 else 1.0
            assert encoded[row, column, place] == pytest.approx(np.clip(share, low, high), abs=1e-5)
    # Widths times shares add up to the number again: nothing of it is lost.
    np.testing.assert_allclose(ends[0] + (encoded * np.diff(ends)).sum(axis=2), x, atol=1e-5)


def test_a_category_has_one_vector_however_its_columns_are_standardized():
    module = FieldTokens(FIELDS, dim=4)
    codes = np.array([0, 2, 1, 0, 2, 2])
    places = np.eye(3)[codes]
    standardized = (places - places.mean(axis=0)) / places.std(axis=0)
    x = np.concatenate([X[:, :1], standardized, X[:, 4:]], axis=1).astype(np.float32)
    params = module.init(jax.random.key(0), x)["params"]
    tokens = np.asarray(module.apply({"params": params}, x)).reshape(6, 3, 4)
    vectors, bias = np.asarray(params["vectors"]).reshape(5, 4), np.asarray(params["bias"]).reshape(3, 4)
    np.testing.assert_allclose(tokens[:, 0], x[:, :1] * vectors[0] + bias[0], atol=1e-5)
    np.testing.assert_allclose(tokens[:, 1], x[:, 1:4] @ vectors[1:4] + bias[1], atol=1e-5)
    assert np.ptp(tokens[codes == 2, 1], axis=0).max() < 1e-6
    assert np.abs(tokens[0, 1] - tokens[1, 1]).max() > 1e-2


def test_the_order_of_fields_means_nothing_to_the_transformer_beyond_their_vectors():
    config = FTTransformer(dim=8, heads=2)
    first, second = build(config, 2, FIELDS), build(config, 2, (3, 1, 1))
    columns, fields = np.array([1, 2, 3, 4, 0]), np.array([1, 2, 0])
    params = jax.jit(first.init)(jax.random.key(0), X)
    own = params["FieldTokens_0"]
    moved = {
        "vectors": own["vectors"].reshape(5, 8)[columns].reshape(-1),
        "bias": own["bias"].reshape(3, 8)[fields].reshape(-1),
    }
    outputs = jax.jit(first.apply)(params, X)
    turned = jax.jit(second.apply)({**params, "FieldTokens_0": moved}, X[:, columns])
    np.testing.assert_allclose(turned, outputs, atol=1e-5)
    assert np.abs(jax.jit(first.apply)(params, X[:, columns]) - outputs).max() > 1e-3


@pytest.mark.parametrize("config", MODELS)
def test_without_fields_every_column_is_a_number(config):
    known, unknown = build(config, 2, (1,) * 5), build(config, 2)
    params = jax.jit(unknown.init)(jax.random.key(0), X)
    np.testing.assert_array_equal(jax.jit(known.apply)(params, X), jax.jit(unknown.apply)(params, X))


@pytest.mark.parametrize("config", [*MODELS[:2], pytest.param(MODELS[2], marks=pytest.mark.slow)])
def test_bfloat16_gives_gradients_near_those_of_float32(config):
    model = build(config, 2, FIELDS)
    x = jnp.asarray(RNG.normal(size=(512, 5)), jnp.float32)
    params = jax.jit(model.init)(jax.random.key(0), x)

    def loss(params, dtype):
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        return jnp.square(model.apply(cast, x.astype(dtype)).astype(jnp.float32) - 1).mean()

    exact, rough = (
        jax.jit(jax.grad(lambda params, dtype=dtype: loss(params, dtype)))(params) for dtype in ("float32", "bfloat16")
    )
    for one, other in zip(jax.tree.leaves(exact), jax.tree.leaves(rough)):
        assert np.linalg.norm(one - other) <= 0.1 * np.linalg.norm(one) + 1e-3


def test_inputs_stay_within_three_deviations_and_keep_their_order():
    clipped = np.asarray(smoothly_clipped(jnp.linspace(-8, 8, 101)))
    assert np.all(np.diff(clipped) > 0)
    assert np.abs(clipped).max() < 3
    assert smoothly_clipped(jnp.float32(0.3)) == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize("config", [TabularMLP(), FTTransformer()])
def test_what_is_no_table_is_refused_in_words(config, digits):
    with pytest.raises(UsageError, match=r"columns of a table.*\(8, 8, 1\).*CNN"):
        check_model(small(learners={"net": Learner(config)}).trials[0], digits)
    with pytest.raises(UsageError, match="tokens"):
        build(config, 2).init(jax.random.key(0), jnp.zeros((1, 5), jnp.int32))
    with pytest.raises(UsageError, match="they must agree"):
        build(config, 2, (1, 3)).init(jax.random.key(0), X)


def test_settings_out_of_range_are_refused():
    for wrong in ({"numbers": "fourier"}, {"activation": "tanh"}, {"sigma": 0.0}, {"bins": 1}, {"widths": (0,)}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            TabularMLP(**wrong)
    with pytest.raises(UsageError, match="multiple"):
        FTTransformer(dim=30, heads=4)


def test_other_models_are_not_told_of_fields():
    class Config:
        def net(self, num_outputs):
            return "net"

    assert build(Config(), 2, FIELDS)

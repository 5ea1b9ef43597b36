"""The transformer sees no token after its own and no padding; its parts are what their papers say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm import UsageError
from dlm.models import Transformer, build
from dlm.models.layers import look_up, sum_by_product, sum_by_scatter
from dlm.models.transformer import attend, rotated

SMALL = Transformer(dim=16, depth=1, heads=2, vocabulary=50)
READER = dataclasses.replace(SMALL, head="mean", causal=False)
TOKENS = np.random.default_rng(0).integers(1, 50, (3, 12)).astype(np.int32)


def made(config, num_outputs=50):
    """A model's compiled `apply` and parameters."""
    model = build(config, num_outputs)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 12), jnp.int32))
    return jax.jit(model.apply), params


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_a_place_depends_on_its_own_token_and_those_before_it():
    apply, params = made(SMALL)
    changed = TOKENS.copy()
    changed[:, 7] = TOKENS[:, 7] % 49 + 1
    before, after = apply(params, TOKENS), apply(params, changed)
    assert before.shape == (3, 12, 50)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert np.all(np.abs(before[:, 7:] - after[:, 7:]).max(axis=(0, 2)) > 1e-4)


def test_a_reader_sees_what_is_after_a_token_unless_it_is_causal():
    (whole, params), (causal, _) = made(READER, 3), made(dataclasses.replace(READER, causal=True), 3)
    only = TOKENS * (np.arange(12) == 0)
    np.testing.assert_allclose(whole(params, only), causal(params, only), atol=1e-6)
    assert np.abs(whole(params, TOKENS) - causal(params, TOKENS)).max() > 1e-3


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_neither_outputs_nor_gradients(causal):
    apply, params = made(dataclasses.replace(READER, causal=causal), 3)
    padded = np.pad(TOKENS, ((0, 0), (0, 9)))
    assert apply(params, TOKENS).shape == (3, 3)
    told = jax.jit(jax.value_and_grad(lambda params, x: jnp.sin(apply(params, x)).sum()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), told(params, padded), told(params, TOKENS))


def test_a_text_of_nothing_but_padding_has_finite_outputs_and_gradients():
    apply, params = made(READER, 3)
    told = jax.jit(jax.value_and_grad(lambda params, x: apply(params, x).sum()))(params, jnp.zeros((3, 12), jnp.int32))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(told))


def test_attention_is_softmax_attention_forward_and_backward():
    q, k, v = random(2, 3, 5, 4), random(2, 3, 6, 4), random(2, 3, 6, 4)
    seen = (np.arange(5)[:, None] + 1 >= np.arange(6)[None])[None, None]

    def plain(q, k, v):
        return jax.nn.softmax(jnp.where(seen, q @ k.swapaxes(2, 3), -jnp.inf)) @ v

    np.testing.assert_allclose(attend(q, k, v, seen), plain(q, k, v), rtol=1e-5, atol=1e-6)
    ours, right = (
        jax.jit(jax.grad(lambda *qkv, way=way: jnp.sin(way(*qkv)).sum(), (0, 1, 2)))(q, k, v)
        for way in (lambda q, k, v: attend(q, k, v, seen), plain)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, right)


def test_attention_stays_finite_with_large_logits():
    q = k = jnp.full((1, 1, 3, 4), 1e3)
    seen = jnp.tril(jnp.ones((1, 1, 3, 3), bool))
    v = random(1, 1, 3, 4)
    np.testing.assert_allclose(attend(q, k, v, seen)[0, 0], np.cumsum(v[0, 0], 0) / np.arange(1, 4)[:, None], rtol=1e-5)


def test_rotary_positions_tell_how_far_apart_two_tokens_are_and_keep_lengths():
    q, k = random(1, 1, 1, 8), random(1, 1, 1, 8)

    def product(first, second):
        return float((rotated(q, jnp.array([first])) * rotated(k, jnp.array([second]))).sum())

    assert product(5, 2) == pytest.approx(product(105, 102), abs=1e-4)
    assert abs(product(5, 2) - product(5, 3)) > 1e-3
    np.testing.assert_allclose(rotated(q, jnp.array([0])), q)
    np.testing.assert_allclose(np.linalg.norm(rotated(q, jnp.array([77]))), np.linalg.norm(q), rtol=1e-6)


def test_a_look_up_learns_from_all_its_places():
    table, rows, weight = random(7, 4), np.array([[0, 6, 6], [2, 0, 6]]), random(2, 3, 4)
    np.testing.assert_array_equal(look_up(table, rows), table[rows])
    ours, right = (
        jax.jit(jax.grad(lambda table, way=way: (way(table) * weight).sum()))(table)
        for way in (lambda table: look_up(table, rows), lambda table: table[rows])
    )
    np.testing.assert_allclose(ours, right, rtol=1e-6)
    assert not np.any(ours[jnp.array([1, 3, 4, 5])])


@pytest.mark.parametrize("way", [sum_by_scatter, sum_by_product])
def test_both_gradients_of_a_look_up_are_sums_even_in_bfloat16(way):
    """256 + 1 is 256 in bfloat16: a sum of 1,000 ones would end far below."""
    rows = jnp.arange(3000) % 3
    np.testing.assert_array_equal(way(rows, jnp.ones((3000, 4), jnp.bfloat16), 5)[:, 0], [1000, 1000, 1000, 0, 0])


def test_tied_weights_are_stored_once():
    number = {}
    for tied in (True, False):
        init = build(dataclasses.replace(SMALL, tied=tied), 50).init
        shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 12), jnp.int32))
        number[tied] = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert number[False] - number[True] == 16 * 50 + 50


@pytest.mark.parametrize("config", [SMALL, READER])
def test_in_bfloat16_products_are_and_outputs_are_near(config):
    apply, params = made(config)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    outputs = apply(low, TOKENS)
    assert outputs.dtype == jnp.bfloat16
    np.testing.assert_allclose(outputs.astype(jnp.float32), apply(params, TOKENS), atol=0.1)
    lines = str(jax.make_jaxpr(apply)(low, TOKENS)).splitlines()
    products = [line.partition("=")[0] for line in lines if "dot_general" in line]
    assert products
    assert all("bf16" in product for product in products)


def test_dropout_is_drawn_from_its_key_and_left_out_without_a_rate():
    apply, params = made(SMALL)
    train = jax.jit(build(SMALL, 50).train)
    one, again, other = (train(params, None, TOKENS, 0.5, jax.random.key(seed))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    without, _ = train(params, None, TOKENS, 0.0, jax.random.key(0))
    np.testing.assert_allclose(without, apply(params, TOKENS), atol=1e-6)


def test_members_side_by_side_compute_what_each_does():
    apply, params = made(SMALL)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 1.1]), params)
    together = jax.jit(jax.vmap(apply, (0, None)))(both, TOKENS)
    for member in range(2):
        alone = apply(jax.tree.map(lambda leaf, row=member: leaf[row], both), TOKENS)
        np.testing.assert_allclose(together[member], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 12, "heads": 4}, r"model\.dim=12 must be a multiple of twice model\.heads=4"),
        ({"depth": 0}, "depth=0 must be at least 1"),
        ({"head": "first"}, r"model\.head='first' is unknown; choose one of tokens, mean"),
        ({"causal": False}, r"model\.causal=False would show each position the token"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        Transformer(**changes)


def test_tied_weights_need_an_output_for_each_token():
    with pytest.raises(UsageError, match=r"tied=True gives one output for each token of model\.vocabulary=50, but 10"):
        build(SMALL, 10)

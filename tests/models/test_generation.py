"""Drawing token by token from kept keys and values is drawing from the model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm import UsageError
from dlm.models import Transformer, build
from dlm.models.transformer import empty_cache, next_logits, sample

CONFIG = Transformer(dim=16, depth=2, heads=2, vocabulary=50)
TOKENS = np.random.default_rng(0).integers(0, 50, 20).astype(np.uint8)
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def params():
    return made(CONFIG)[1]


def made(config):
    """A model's compiled `apply` and parameters."""
    model = build(config, 50)
    return jax.jit(model.apply), jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 20), jnp.int32))


@pytest.fixture(scope="module")
def logits(params):
    """Logits after each of at most 20 tokens, from the whole text."""
    apply, _ = made(CONFIG)
    return lambda tokens: apply(params, np.pad(tokens, (0, 20 - len(tokens)))[None].astype(np.int32))[0, : len(tokens)]


@pytest.mark.parametrize("tied", [True, False])
def test_logits_from_the_cache_are_those_of_the_whole_text_at_every_place(tied):
    config = Transformer(dim=16, depth=2, heads=2, vocabulary=50, tied=tied)
    apply, params = made(config)

    def one(cache, token):
        found, cache = next_logits(config, params, token[0], token[1], cache)
        return cache, found

    _, cached = jax.lax.scan(one, empty_cache(config, 25), (TOKENS.astype(np.int32), np.arange(20)))
    np.testing.assert_allclose(cached, apply(params, TOKENS[None].astype(np.int32))[0], atol=1e-5)


def test_without_temperature_each_token_is_the_likeliest_after_those_before(params, logits):
    tokens = TOKENS[:5]
    for _ in range(12):
        tokens = np.append(tokens, np.uint8(logits(tokens)[-1].argmax()))
    drawn = sample(CONFIG, params, TOKENS[:5], 12, KEY, temperature=0)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, tokens)


def test_tokens_come_as_often_as_the_model_says(params, logits):
    drawn = [sample(CONFIG, params, TOKENS[:3], 1, jax.random.key(seed), 0.5)[3] for seed in range(300)]
    wanted = jax.nn.softmax(logits(TOKENS[:3])[-1] / 0.5)
    assert np.abs(np.bincount(drawn, minlength=50) / 300 - wanted).sum() < 0.4


def test_a_sample_is_a_function_of_its_key_and_begins_with_its_prompt(params):
    one, again, other = (sample(CONFIG, params, TOKENS[:4], 30, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one[:4], TOKENS[:4])
    assert len(one) == 34
    assert np.any(one != other)


def test_a_longer_sample_begins_with_the_shorter(params):
    short, long = (sample(CONFIG, params, TOKENS[:1], length, KEY) for length in (5, 9))
    np.testing.assert_array_equal(short, long[:6])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": TOKENS[:0]}, "must be a vector of at least one integer"),
        ({"prompt": TOKENS[None]}, "must be a vector of at least one integer"),
        ({"prompt": np.zeros(3)}, "must be a vector of at least one integer"),
        ({"length": 0}, "length=0 must be at least 1"),
        ({"temperature": -1.0}, r"temperature=-1\.0 must be at least 0"),
        ({"config": Transformer(head="mean")}, r"model\.head='mean' does not predict tokens"),
    ],
)
def test_what_cannot_be_sampled_is_refused(params, changes, message):
    usual = {"config": CONFIG, "params": params, "prompt": TOKENS[:2], "length": 3, "key": KEY}
    with pytest.raises(UsageError, match=message):
        sample(**usual | changes)

"""A language model sees no token before its time, samples as it computes, and is measured in nats per byte."""

import dataclasses
from collections import Counter, defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm import Budget, Hyper, Learner, Study, UsageError, execute, records, samples
from dlm.baselines import KneserNey
from dlm.baselines.ngram import discounts
from dlm.curves.from_records import curves
from dlm.data import StdlibText
from dlm.data.text_blocks import blocks, split_documents
from dlm.models import Transformer, build
from dlm.models.sampling import empty_cache, next_logits, sample
from dlm.tasks import LanguageModelling

SMALL = Transformer(dim=32, depth=2, heads=4)
TEXT = np.frombuffer(b"the cat sat on the mat, and the dog sat on the log", np.uint8).astype(np.int32)


@pytest.fixture(scope="module")
def net():
    model = build(SMALL, 256)
    return model, model.init(jax.random.key(0), jnp.zeros((1, 8), jnp.int32))


def test_no_place_sees_a_later_token(net):
    model, params = net
    changed = TEXT.copy()
    changed[20:] = 65
    first, second = (model.apply(params, jnp.asarray(text)[None])[0] for text in (TEXT, changed))
    assert np.array_equal(first[:20], second[:20])
    assert not np.allclose(first[20:], second[20:])


def test_a_whole_text_is_judged_without_its_padding():
    config = Transformer(dim=32, depth=1, causal=False, head="mean")
    model = build(config, 3)
    params = model.init(jax.random.key(1), jnp.zeros((1, 8), jnp.int32))
    padded = np.concatenate([TEXT, np.zeros(14, np.int32)])
    short, long = (model.apply(params, jnp.asarray(text)[None])[0] for text in (TEXT, padded))
    assert short.shape == (3,)
    assert np.allclose(short, long, atol=1e-5)


def test_kept_keys_and_values_give_the_logits_of_the_whole_text(net):
    model, params = net
    whole = model.apply(params, jnp.asarray(TEXT)[None])[0]
    cache = empty_cache(SMALL, len(TEXT))
    step = jax.jit(lambda token, place, cache: next_logits(SMALL, params, token, place, cache))
    for place, token in enumerate(TEXT):
        logits, cache = step(jnp.int32(token), jnp.int32(place), cache)
        assert np.allclose(logits, whole[place], atol=1e-4)


def test_greedy_sampling_is_the_plain_loop_and_draws_depend_on_the_key(net):
    model, params = net
    text = TEXT[:10]
    drawn = sample(SMALL, params, text, 12, jax.random.key(0), temperature=0.0)
    by_hand = list(text)
    for _ in range(12):
        padded = jnp.asarray([*by_hand, *[0] * (22 - len(by_hand))])
        by_hand.append(int(model.apply(params, padded[None])[0, len(by_hand) - 1].argmax()))
    assert list(drawn) == by_hand
    texts = [sample(SMALL, params, text, 12, jax.random.key(key)).tolist() for key in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_untied_heads_have_weights_of_their_own(net):
    _, params = net
    untied = build(dataclasses.replace(SMALL, tied=False), 256).init(jax.random.key(0), jnp.zeros((1, 8), jnp.int32))
    count = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (params, untied)]
    assert count[1] - count[0] == 256 * 32 + 256 or count[1] - count[0] == 256 * 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 36}, r"model\.dim=36 must be a multiple of twice model\.heads=4"),
        ({"causal": False}, r"model\.causal=False would show each place the token"),
        ({"head": "words"}, r"model\.head='words' is unknown"),
    ],
    ids=["dim", "causal", "head"],
)
def test_a_transformer_that_cannot_be_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_blocks_predict_every_byte_once_from_the_one_before():
    documents = [b"abcdefg", b"", b"hijklm"]
    x, y = blocks(documents, 4)
    assert y.tobytes() == b"abcdefghijkl"
    assert x.tobytes() == b"\0abcdef\0hijk"
    with pytest.raises(UsageError, match="length=20 exceeds the 13 bytes"):
        blocks(documents, 20)


def test_documents_are_dealt_out_whole_whatever_their_order():
    rng = np.random.default_rng(0)
    documents = [rng.bytes(int(size)) for size in rng.integers(50, 500, 200)]
    parts = split_documents(documents, (0.8, 0.1, 0.1))
    again = split_documents(documents[::-1], (0.8, 0.1, 0.1))
    assert parts == again
    assert sorted(document for part in parts for document in part) == sorted(documents)
    bytes_of = [sum(map(len, part)) for part in parts]
    assert np.allclose(np.array(bytes_of) / sum(bytes_of), (0.8, 0.1, 0.1), atol=0.02)


def literal(x, y, order):
    """P(256 bytes | context) by the formula of Chen & Goodman (1999), table 3, spelt out with dictionaries."""
    counts = defaultdict(Counter)
    for row_x, row_y in zip(x, y):
        for place, byte in enumerate(row_y):
            for length in range(min(order - 1, place + 1) + 1):
                counts[length][(*row_x[place + 1 - length : place + 1], byte)] += 1
    continued = {length: Counter(gram[1:] for gram in counts[length + 1]) for length in range(order - 1)}

    def probability(context, byte, highest):
        table = counts[len(context)] if highest else continued[len(context)]
        taken = discounts(np.array(list(table.values())))
        mine = {gram: count for gram, count in table.items() if gram[:-1] == context}
        total = sum(mine.values())
        lower = 1 / 256 if not context else probability(context[1:], byte, False)
        if not total:
            return lower if context else 1 / 256
        count = mine.get((*context, byte), 0)
        off = taken[min(count, 3) - 1] if count else 0.0
        left = sum(taken[min(each, 3) - 1] for each in mine.values()) / total
        return max(count - off, 0) / total + left * lower

    return probability


def test_kneser_ney_is_the_formula():
    rng = np.random.default_rng(0)
    text = rng.choice(list(b"aabbbc d"), 240).astype(np.uint8)
    x, y = blocks([text.tobytes()], 24)
    fitted = KneserNey(order=3).fit(x.astype(np.int32), y, 256, 0)
    logs = fitted.outputs(x[:2].astype(np.int32))
    assert np.allclose(np.exp(logs.astype(np.float64)).sum(axis=-1), 1, atol=1e-4)
    probability = literal(x.tolist(), y.tolist(), 3)
    for place in (0, 1, 5, 17, 23):
        context = tuple(x[0, max(0, place - 1) : place + 1].tolist())
        for byte in (97, 98, 120):
            assert np.exp(logs[0, place, byte]) == pytest.approx(probability(context, byte, True), rel=1e-3)


def test_more_text_is_read_better_and_what_was_learnt_is_written(tmp_path):
    """By both learners, on the same bytes; the transformer's text is kept for the report."""
    study = Study(
        data=StdlibText(length=64, most_bytes=300_000),
        task=LanguageModelling(),
        learners={
            "transformer": Learner(Transformer(dim=32, depth=1), Hyper(lr=1e-2)),
            "ngram": KneserNey(order=4),
        },
        sizes=(64, 1024),
        seeds=1,
        budget=Budget(steps=60, batch_size=16),
        name="lm",
    )
    execute.run(study, tmp_path)
    found = {curve.learner: curve for curve in curves(records.rows(tmp_path))}
    for curve in found.values():
        assert curve.unit == "nats per byte"
        assert np.log(256) > curve.errors[0][0] > curve.errors[1][0] > 1
    assert [(each.learner, each.train_size) for each in samples.read(tmp_path)] == [
        ("transformer", 64),
        ("transformer", 1024),
    ]
    assert all(len(each.text) > 20 for each in samples.read(tmp_path))


def test_the_standard_library_is_read_the_same_twice_and_no_file_is_in_two_splits():
    arrays, again = (StdlibText(most_bytes=200_000).load() for _ in range(2))
    assert arrays.fingerprint == again.fingerprint
    assert arrays.vocabulary == 256
    assert arrays.train.x.shape[1:] == (128,)
    inside = arrays.train.x[:, 1:] != 0  # 0 where a file begins
    assert np.array_equal(arrays.train.x[:, 1:][inside], arrays.train.y[:, :-1][inside])
    assert 0 < (~inside).sum() < 100
    rows = [{row.tobytes() for row in split.y} for split in (arrays.train, arrays.test)]
    assert len(rows[0] & rows[1]) < 0.01 * len(rows[1])

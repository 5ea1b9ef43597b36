"""Kneser–Ney n-grams: formula, discounts, independence of blocks, and learning curves."""

from collections import Counter

import numpy as np
import pytest

from dlm import UsageError
from dlm.baselines import KneserNey
from dlm.baselines.text import discounts
from dlm.data import StdlibText
from dlm.data.media import byte_blocks

TEXT = b"the cat sat on the mat and the rat sat on the cat; a cat that sat that the rat ate, ate the hat on the mat. "
OTHER = b"that cat ate the rat, zebra! and the mat"


def fitted(order, x, y, num_classes=256):
    return KneserNey(order).fit(x.astype(np.int32), y, num_classes, seed=0)


def nats_per_byte(model, split):
    given = np.take_along_axis(model.outputs(split.x.astype(np.int32)), split.y[..., None].astype(np.int64), axis=2)
    return -given.mean()


class Reference:
    """The formula, evaluated byte by byte."""

    def __init__(self, order, x, y, num_classes):
        self.order, self.num_classes = order, num_classes
        rows = [(tuple(map(int, inputs)), tuple(map(int, targets))) for inputs, targets in zip(x, y)]
        self.counted = [
            Counter((a[t + 1 - n : t + 1], b[t]) for a, b in rows for t in range(max(n - 1, 0), len(a)))
            for n in range(order)
        ]
        self.continued = [Counter((h[1:], w) for h, w in self.counted[n + 1]) for n in range(order - 1)]

    def probability(self, w, h, tables):
        table = tables[len(h)]
        after = {v: count for (context, v), count in table.items() if context == h}
        lower = self.probability(w, h[1:], self.continued) if h else 1 / self.num_classes
        if not after:
            return lower
        taken = discounts(np.array(list(table.values())))
        off = {v: taken[min(count, 3) - 1] for v, count in after.items()}
        return (after.get(w, 0) - off.get(w, 0) + sum(off.values()) * lower) / sum(after.values())

    def __call__(self, x):
        contexts = [[tuple(map(int, row[max(0, t + 2 - self.order) : t + 1])) for t in range(len(row))] for row in x]
        return [
            [[self.probability(w, h, self.counted) for w in range(self.num_classes)] for h in row] for row in contexts
        ]


@pytest.mark.parametrize(("order", "length"), [(1, 7), (2, 7), (3, 16), (5, 9), (8, 4)])
def test_probabilities_equal_the_formula(order, length):
    x, y = byte_blocks([TEXT], length)
    new = byte_blocks([OTHER], 13)[0][:2]
    model = fitted(order, x, y, 128)
    reference = Reference(order, x, y, 128)
    np.testing.assert_allclose(np.exp(model.outputs(new)), reference(new), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_probabilities_sum_to_one_at_every_position(order):
    model = fitted(order, *byte_blocks([TEXT], 8))
    x = np.random.default_rng(0).integers(0, 256, (50, 8))
    for inputs in (x, byte_blocks([OTHER], 8)[0]):
        outputs = model.outputs(inputs)
        assert outputs.dtype == np.float32
        assert outputs.shape == (*inputs.shape, 256)
        assert np.all(np.isfinite(outputs))
        np.testing.assert_allclose(np.exp(outputs).sum(axis=2), 1, atol=1e-5)


def test_outputs_depend_on_preceding_bytes_of_the_same_block_only():
    model = fitted(5, *byte_blocks([TEXT], 8))
    x = byte_blocks([OTHER], 8)[0]
    whole = model.outputs(x)
    np.testing.assert_array_equal(model.outputs(x[3:4]), whole[3:4])
    np.testing.assert_array_equal(model.outputs(x[:, :3]), whole[:, :3])
    np.testing.assert_array_equal(model.outputs(x[:, 1:])[:, 3:], whole[:, 4:])  # four bytes of context


def test_discounts_equal_those_of_chen_and_goodman():
    """n = 6, 3, 2, 1: Y = 6 / 12, and k − (k + 1)·Y·n[k+1] / n[k]."""
    counts = np.repeat([1, 2, 3, 4, 9], [6, 3, 2, 1, 5])
    np.testing.assert_allclose(discounts(counts), [1 - 2 * 0.5 * 3 / 6, 2 - 3 * 0.5 * 2 / 3, 3 - 4 * 0.5 * 1 / 2])


@pytest.mark.parametrize("counts", [[5, 6, 7], [1, 1, 1], [2, 2], [1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3], [3, 4, 4, 4]])
def test_discounts_are_positive_and_at_most_the_count(counts):
    taken = discounts(np.array(counts))
    assert np.all(taken > 0)
    assert np.all(taken <= [1, 2, 3])


def test_counting_in_blocks_gives_the_same_model(monkeypatch):
    x, y = byte_blocks([TEXT], 8)
    whole = fitted(4, x, y).outputs(x)
    monkeypatch.setattr("dlm.baselines.text.NGRAMS_PER_BLOCK", 20)
    np.testing.assert_array_equal(fitted(4, x, y).outputs(x), whole)


def test_more_text_and_longer_contexts_reduce_the_loss():
    dataset = StdlibText(length=64, max_bytes=600_000).load()
    order = dataset.order(0)
    nats = {
        (number, size): nats_per_byte(fitted(number, *_first(dataset, order, size)), dataset.validation)
        for number, size in [(5, 200), (5, 1000), (5, 5000), (2, 5000)]
    }
    assert nats[5, 200] > nats[5, 1000] + 0.05 > nats[5, 5000] + 0.1
    assert nats[2, 5000] > nats[5, 5000] + 0.3
    assert 1 < nats[5, 5000] < 2.2


def _first(dataset, order, size):
    part = dataset.train.take(order[:size])
    return part.x, part.y


@pytest.mark.parametrize("order", [0, 9])
def test_invalid_orders_raise(order):
    with pytest.raises(UsageError, match=f"order={order}"):
        KneserNey(order)

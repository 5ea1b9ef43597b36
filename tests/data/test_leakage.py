"""What is in two places is found, whatever its label and its place, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.data.leakage import find_leaks


def pictures(number, seed=0, side=28):
    """Different smooth pictures uint8 [number, side, side, 1] with sharp edges, on black."""
    draw = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    planes = np.zeros((number, side, side))
    for _ in range(4):
        y, x, radius, grey = draw.uniform([0.2, 0.2, 0.1, 60], [0.8, 0.8, 0.3, 220], (number, 4)).T[..., None, None]
        planes = np.maximum(planes, grey * (((down - y) ** 2 + (right - x) ** 2) < radius**2))
    return stored(planes)[..., None]


def stored(values):
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def sentences(number, seed=0, words=25):
    """Texts of random words as bytes uint8 [number, 200], padded with zeros."""
    draw = np.random.default_rng(seed)
    vocabulary = ["".join(map(chr, draw.integers(97, 123, draw.integers(2, 9)))) for _ in range(2000)]
    return [" ".join(draw.choice(vocabulary, words)) for _ in range(number)]


def coded(texts):
    return np.stack([np.frombuffer(text.encode()[:200].ljust(200, b"\0"), np.uint8) for text in texts])


def pairs(found):
    """(the pool row that it duplicates, the row, whether exactly) of all duplicates."""
    rows = found.rows
    return list(zip(found.of[rows].tolist(), rows.tolist(), found.exact[rows].tolist()))


def recall(pool, test, kind="numbers"):
    """Share of test rows found with the pool row of the same number; nothing else may be found."""
    found = find_leaks(pool, test, kind=kind)
    assert not found.note
    assert not len(found.pool)
    assert np.array_equal(found.test.of[found.test.rows], found.test.rows)
    return len(found.test) / len(test)


def test_copies_are_found_once_each():
    pool, test = pictures(60), pictures(20, seed=1)
    pool[[7, 9]], pool[30], test[5], test[6] = test[3], pool[2], pool[40], pool[40]
    found = find_leaks(pool, test)
    assert pairs(found.test) == [(7, 3, True), (40, 5, True), (40, 6, True)]
    assert pairs(found.pool) == [(7, 9, True), (2, 30, True)]
    assert found.test.of.dtype == np.int64


def test_without_the_rows_named_nothing_is_in_two_places():
    rows = np.random.default_rng(0).integers(0, 40, (200, 1))
    pool, test = rows[:150], rows[150:]
    found = find_leaks(pool, test)
    assert not len(find_leaks(pool, np.delete(test, found.test.rows, 0)).test)
    assert not len(find_leaks(np.delete(pool, found.pool.rows, 0), test).pool)


@settings(deadline=None)
@given(
    pool=st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=1, max_size=30),
    test=st.lists(st.tuples(*[st.integers(0, 2)] * 2), max_size=15),
    kind=st.sampled_from([np.uint8, np.float64]),
)
def test_exact_duplicates_are_those_of_comparing_all_rows(pool, test, kind):
    found = find_leaks(np.array(pool, kind), np.array(test, kind).reshape(-1, 2))
    assert pairs(found.test) == [(pool.index(held), row, True) for row, held in enumerate(test) if held in pool]
    assert pairs(found.pool) == [(pool.index(held), row, True) for row, held in enumerate(pool) if held in pool[:row]]


def test_pictures_of_which_none_is_twice_there():
    found = find_leaks(pictures(2000), pictures(500, seed=1))
    assert not found.note
    assert not len(found.test)
    assert not len(found.pool)


def changed_pictures():
    x = pictures(300)
    noise = np.random.default_rng(0).normal(0, 3, x.shape)
    return {
        "noise": stored(x + noise),
        "brighter": stored(x + 20.0),
        "coarser": stored(np.round(x / 12) * 12),
        "right": np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1],
        "left": np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:],
        "down": np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1],
        "up": np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:],
        "as floats": x / np.float32(255) - 0.5 + 1e-4,
    }


@pytest.mark.parametrize("change", changed_pictures())
def test_changed_pictures_are_found(change):
    assert recall(pictures(300), changed_pictures()[change]) >= 0.97


def test_large_pictures_in_colour_are_found():
    x = np.concatenate([pictures(40, seed, side=75) for seed in range(3)], axis=3)
    assert recall(x, stored(x + np.random.default_rng(0).normal(0, 3, x.shape))) == 1


def test_a_background_that_all_share_makes_no_pictures_alike():
    draw = np.random.default_rng(0)
    x = np.repeat(draw.uniform(0, 200, (1, 28, 28)), 500, axis=0)
    x[np.arange(500)[:, None], draw.integers(0, 28, (500, 12)), draw.integers(0, 28, (500, 12))] += 55
    assert recall(x[:300], x[300:] * 0 + x[:200]) == 1
    assert not len(find_leaks(x[:300], x[300:]).test)


def test_a_changed_word_or_a_footer_leaves_a_text_the_same():
    texts = sentences(400)
    words = [text.split() for text in texts]
    changed = [" ".join([*text[:9], "something", *text[10:]]) for text in words]
    assert recall(coded(texts), coded(changed), "tokens") >= 0.97
    assert recall(coded(texts), coded([text + " sent from my phone" for text in texts]), "tokens") >= 0.97
    assert not len(find_leaks(coded(texts), coded(sentences(100, seed=1)), kind="tokens").test)


def test_sequences_of_words_are_judged_by_their_words():
    draw = np.random.default_rng(0)
    pool = draw.integers(1, 5000, (300, 40)).astype(np.int32)
    test = pool.copy()
    test[np.arange(300), draw.integers(0, 40, 300)] = 5001
    moved = np.pad(pool, ((0, 0), (3, 0)))[:, :40]
    assert recall(pool, test, "tokens") >= 0.97
    assert recall(pool, moved, "tokens") >= 0.97


def test_short_sequences_are_compared_exactly():
    pool = np.array([[1, 2, 3, 0], [4, 5, 6, 0]], np.uint8)
    found = find_leaks(pool, pool[1:], kind="tokens")
    assert pairs(found.test) == [(1, 0, True)]
    assert found.note
    assert "tokens per row, not 4" in found.note


def test_a_table_written_with_fewer_digits_is_the_same_table():
    units = 10.0 ** np.arange(-10, 10)
    x = np.random.default_rng(0).normal(3, 1, (400, 20)) * units
    other = x.copy()
    other[:, 4] += units[4]
    assert recall(x, np.round(x / units, 2) * units) == 1
    assert not len(find_leaks(x, other).test)


def test_in_few_columns_only_exact_duplicates_are_leaks():
    pool = np.random.default_rng(0).normal(size=(50, 15))
    pool = np.concatenate([pool, np.ones((50, 9))], axis=1)
    found = find_leaks(pool, np.concatenate([pool[:1], pool[1:2] + 1e-3]))
    assert pairs(found.test) == [(0, 0, True)]
    assert found.note
    assert "columns that vary, not 15" in found.note


def test_missing_numbers_are_compared_as_missing():
    pool = np.random.default_rng(0).normal(size=(100, 20))
    pool[::2, 3] = np.nan
    pool[5] = np.nan
    test = np.stack([pool[0], pool[2] + 1e-4, np.nan_to_num(pool[4]), pool[5], pool[7]])
    assert pairs(find_leaks(pool, test).test) == [(0, 0, True), (2, 1, False), (5, 3, True), (7, 4, True)]


def test_pictures_with_missing_numbers():
    pool = pictures(100).astype(np.float32)
    pool[:50, 3, 4] = np.nan
    pool[60] = np.inf
    test = np.concatenate([pool[:50] + 1, np.nan_to_num(pool[50:60], nan=0), pool[60:61]])
    found = find_leaks(pool, test)
    assert found.test.rows.tolist() == list(range(61))
    assert not len(find_leaks(pool, np.nan_to_num(pool[:50], nan=9)).test)


def test_equal_rows_are_each_reported_once():
    found = find_leaks(np.ones((3000, 28, 28, 1), np.uint8), np.ones((500, 28, 28, 1), np.uint8))
    assert pairs(found.pool) == [(0, row, True) for row in range(1, 3000)]
    assert pairs(found.test) == [(0, row, True) for row in range(500)]


def test_rows_of_a_crowd_of_nearly_equal_ones_are_duplicates():
    crowd = np.repeat(pictures(1, seed=5), 1000, axis=0) + np.random.default_rng(0).normal(0, 1, (1000, 28, 28, 1))
    pool = np.concatenate([pictures(2000), stored(crowd[:800])])
    found = find_leaks(pool, stored(crowd[800:]))
    assert found.test.rows.tolist() == list(range(200))
    assert found.test.of.min() >= 2000
    assert found.pool.rows.min() > 2000
    assert len(found.pool) > 600


def test_plain_pictures_of_different_greys_are_not_alike():
    pool = np.arange(100, dtype=np.float32)[:, None, None] * np.ones((28, 28), np.float32) / 7
    found = find_leaks(pool, pool[:3] + 0.01)
    assert not len(found.test)
    assert not len(found.pool)


@pytest.mark.parametrize("change", [0, 1])
def test_a_pool_of_one(change):
    pool = pictures(1)
    found = find_leaks(pool, np.concatenate([pictures(1, seed=1), pool + np.uint8(change)]))
    assert pairs(found.test) == [(0, 1, not change)]
    assert not len(found.pool)


@pytest.mark.parametrize(("rows", "tests"), [(0, 3), (3, 0), (0, 0)])
def test_an_empty_side_leaks_nothing(rows, tests):
    found = find_leaks(pictures(rows), pictures(tests))
    assert not len(found.test)
    assert (not found.note) == (rows > 0)


@pytest.mark.parametrize("kind", ["numbers", "tokens"])
def test_the_order_of_the_rows_changes_no_pair(kind):
    if kind == "numbers":
        pool, test = pictures(400), pictures(100, seed=1)
        pool[200:300], test[50:] = stored(pool[:100] * 0.9 + 5), stored(pool[350:] + 4.0)
    else:
        texts = sentences(400)
        texts[200:300] = [text + " yours" for text in texts[:100]]
        pool, test = coded(texts[:300]), coded([text[5:] for text in texts[250:]])
    order, other = np.random.default_rng(2).permutation(len(pool)), np.random.default_rng(3).permutation(len(test))
    one, two = find_leaks(pool, test, kind=kind), find_leaks(pool[order], test[other], kind=kind)
    assert sorted(other[two.test.rows].tolist()) == one.test.rows.tolist()
    assert len(one.test) >= 50
    within = {frozenset(order[[first, row]].tolist()) for first, row, _ in pairs(two.pool)}
    assert within == {frozenset(pair[:2]) for pair in pairs(one.pool)}
    assert len(within) >= 100 - 5


def test_types_may_differ_and_integers_are_exact():
    pool = pictures(50)
    assert pairs(find_leaks(pool, pool[7:8].astype(np.float64)).test) == [(7, 0, True)]
    # These three are one number as float32.
    large = np.array([[2**24, 5], [2**24 + 1, 5], [2**24 + 1, 5], [2**24, 6]])
    found = find_leaks(large, large[:2])
    assert pairs(found.test) == [(0, 0, True), (1, 1, True)]
    assert pairs(found.pool) == [(1, 2, True)]
    zeros = np.array([[0.0], [-0.0], [np.nan], [-np.nan]])
    assert pairs(find_leaks(zeros, zeros[:0]).pool) == [(0, 1, True), (2, 3, True)]


def test_rows_that_cannot_be_compared_are_refused():
    with pytest.raises(UsageError, match=r"\(28, 28, 1\) and test rows \(14, 14, 1\).*same shape"):
        find_leaks(pictures(2), pictures(2, side=14))
    with pytest.raises(UsageError, match=r"<U1.*have no numbers"):
        find_leaks(np.array([["a"]]), np.array([["b"]]))
    with pytest.raises(UsageError, match=r"are not tokens; give integers"):
        find_leaks(np.ones((2, 3)), np.ones((2, 3)), kind="tokens")
    with pytest.raises(UsageError, match=r"kind='words' is unknown"):
        find_leaks(np.ones((2, 3)), np.ones((2, 3)), kind="words")


@pytest.fixture(scope="module")
def fashion(shared_tfds):
    """Fashion-MNIST as TFDS has it: (pool, its labels, test, its labels)."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets")

    columns = []
    for split in ("train", "test"):
        source = tfds.data_source("fashion_mnist", split=split, data_dir=shared_tfds)
        starts = range(0, len(source), 2000)
        rows = [row for start in starts for row in source.__getitems__(range(start, min(start + 2000, len(source))))]
        columns += [np.stack([row["image"] for row in rows]), np.array([row["label"] for row in rows])]
    return columns


@pytest.mark.slow
def test_fashion_mnist_repeats_no_picture_exactly_and_some_nearly(fashion):
    """Its first release had 10 training pictures in the test set and 43 twice (issue 44): as many are put in."""
    pool, labels, test, test_labels = fashion
    rows = np.random.default_rng(0).permutation(10_000)[:96]
    pool, labels = pool.copy(), labels.copy()
    pool[rows[:10]], labels[rows[:10]] = test[rows[:10]], test_labels[rows[:10]]
    pool[rows[10:53] + 30_000], labels[rows[10:53] + 30_000] = pool[rows[53:]], labels[rows[53:]]
    found = find_leaks(pool, test)
    across, within = pairs(found.test), pairs(found.pool)
    assert {pair[:2] for pair in across if pair[2]} == {(row, row) for row in rows[:10]}
    assert {pair[:2] for pair in within if pair[2]} == set(zip(rows[53:], rows[10:53] + 30_000))
    # The others, 9 and 41, are one garment photographed once; none has two labels.
    assert 7 <= sum(not exact for _, _, exact in across) <= 11
    assert 36 <= sum(not exact for _, _, exact in within) <= 46
    assert all(labels[first] == test_labels[row] for first, row, _ in across)
    assert all(labels[first] == labels[row] for first, row, _ in within)

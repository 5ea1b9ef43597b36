"""Ratings and next items: nobody sees the future, each user's last events are held out, and what is wrong is said."""

from collections import Counter

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import NextItems, Ratings
from dlm.data.leakage import check_leakage

EVENTS = [  # (user, item, rating, time), in the order of the file
    ("ann", "a", 3.0, 10),
    ("bob", "a", 4.0, 5),
    ("ann", "b", 2.0, 7),
    ("cat", "c", 5.0, 1),
    ("ann", "d", 1.0, 10),
    ("bob", "c", 3.5, 5),
    ("cat", "b", 4.5, 2),
    ("bob", "d", 2.5, 5),
    ("ann", "c", 0.5, 8),
    ("bob", "b", 1.5, 4),
]
ITEMS = "abcd"


def written(folder, events, name="ratings.csv"):
    lines = ["who,what,stars,when", *(",".join(map(str, event)) for event in events)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / name)


def names(row):
    return "".join(ITEMS[item - 1] if item else "." for item in row)


def examples(split):
    return {(names(x), names(y)) for x, y in zip(np.asarray(split.x), split.y)}


@pytest.fixture
def path(tmp_path):
    return written(tmp_path, EVENTS)


def test_the_last_events_of_each_user_are_held_out_and_ties_keep_file_order(path):
    dataset = NextItems(path, user="who", item="what", time="when", length=3).load()
    # ann in time: b c a d (a before d, both at 10); bob: b a c d (three at 5); cat has too few to be tested.
    assert examples(dataset.test) == {("bca", "d"), ("bac", "d")}
    assert examples(dataset.validation) == {(".bc", "a"), (".ba", "c")}
    assert examples(dataset.train) == {("...", "b"), ("..b", "c"), ("..b", "a"), ("...", "c"), ("..c", "b")}
    assert len(dataset.train) == 6
    assert (dataset.vocabulary, dataset.num_classes) == (5, 0)
    assert dataset.train.x.dtype == np.int32
    assert check_leakage(dataset)[1].leaked == 0  # histories of one user share items, which is no leak
    assert "by design" in check_leakage(dataset)[1].note


def test_a_history_has_only_earlier_events():
    rng = np.random.default_rng(0)
    user, item = np.sort(rng.integers(0, 6, 80)), rng.integers(1, 40, 80)
    from dlm.data.sources.ratings import histories

    for length in (1, 4, 100):
        found = histories(user, item, length)
        for row in range(80):
            before = [item[other] for other in range(row) if user[other] == user[row]][-length:]
            assert found[row].tolist() == [0] * (length - len(before)) + before


def test_ratings_are_tokens_and_splits_are_disjoint(path):
    source = {"user": "who", "item": "what", "rating": "stars"}
    last = Ratings(path, **source, time="when", split="last").load()
    assert {(*x, y) for x, y in zip(last.test.x.tolist(), last.test.y.tolist())} == {(0, 6, 1.0), (1, 6, 2.5)}
    assert len(last.train) == 6
    drawn = Ratings(path, **source, test=0.2, validation=1).load()
    parts = (drawn.train, drawn.validation, drawn.test)
    assert [len(part) for part in parts] == [7, 1, 2]
    found = Counter((*x, y) for part in parts for x, y in zip(part.x.tolist(), part.y.tolist()))
    assert found == Counter(("abc".index(user[0]), 3 + ITEMS.index(item), y) for user, item, y, _ in EVENTS)
    assert (drawn.vocabulary, drawn.has_numeric_targets) == (7, True)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"rating": "start"}, "data.rating='start' is not a column.*'stars'"),
        ({"rating": "what"}, "data.rating='what'.*not numbers"),
        ({"user": "missing"}, "data.user='missing' has 1 rows without a value"),
    ],
)
def test_unsuitable_columns_are_usage_errors(source, says, tmp_path):
    events = [(*event, "" if row == 2 else row) for row, event in enumerate(EVENTS)]
    path = written(tmp_path, events)
    text = (tmp_path / "ratings.csv").read_text().replace("when", "when,missing", 1)
    (tmp_path / "ratings.csv").write_text(text)
    with pytest.raises(UsageError, match=says):
        Ratings(path, **({"user": "who", "item": "what", "rating": "stars"} | source)).load()


def test_too_few_events_and_a_missing_time_column_are_usage_errors(tmp_path):
    path = written(tmp_path, EVENTS[:4])
    with pytest.raises(UsageError, match="no user has at least 3 events"):
        NextItems(path, user="who", item="what", time="when").load()
    with pytest.raises(UsageError, match=r"data\.time"):
        Ratings(path, split="last")
    with pytest.raises(UsageError, match="is not a file"):
        Ratings(str(tmp_path / "absent.csv")).load()


def test_the_real_ratings(shared_tfds):
    source = {"user": "user_id", "item": "movie_id", "time": "timestamp"}
    ratings = Ratings("movielens/latest-small-ratings", rating="user_rating", **source).load(shared_tfds)
    assert [len(part) for part in (ratings.train, ratings.validation, ratings.test)] == [80_668, 10_084, 10_084]
    assert ratings.vocabulary == 610 + 9724
    following = NextItems("movielens/latest-small-ratings", **source).load(shared_tfds)
    assert [len(part) for part in (following.train, following.validation, following.test)] == [99_616, 610, 610]
    assert not (np.asarray(following.test.x) == following.test.y).any()

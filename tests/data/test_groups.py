"""Groups of examples: by classes, texts, few numbers, or quarters of many; they follow rows and change nothing."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from dlm import UsageError
from dlm.data import File
from dlm.data.columns import Column, text_values
from dlm.data.groups import groups_of


def test_each_kind_of_column_defines_groups():
    columns = {
        "sex": Column(np.array([0, 1, 1, -1], np.int32), "class", ("f", "m")),
        "town": Column(text_values(["Ulm", "Bonn", "Ulm", "Kiel"]), "text"),
        "plan": Column(np.array([2.0, 1.0, np.nan, 2.0]), "number"),
        "codes": Column(np.array([[7, 1], [7, 3], [7, 1], [7, 1]]), "number"),
    }
    names, codes = groups_of({"train": columns}, ("sex", "town", "plan", "codes[1]"))
    assert names == (
        ("sex", ("f", "m")),
        ("town", ("Bonn", "Kiel", "Ulm")),
        ("plan", ("1", "2")),
        ("codes[1]", ("1", "3")),
    )
    assert codes["train"].tolist() == [[0, 2, 1, 0], [1, 0, 0, 1], [1, 2, -1, 0], [-1, 1, 1, 0]]


def test_many_numbers_are_divided_at_the_quartiles_of_the_pool():
    pool, test = np.arange(1.0, 101.0), np.array([25.0, 25.5, 500.0, -3.0, np.nan])
    names, codes = groups_of(
        {"train": {"age": Column(pool, "number")}, "test": {"age": Column(test, "number")}}, ("age",)
    )
    assert names == (("age", ("age ≤ 25", "25 < age ≤ 50", "50 < age ≤ 75", "age > 75")),)
    assert np.bincount(codes["train"][:, 0]).tolist() == [25, 25, 25, 25]
    assert codes["test"][:, 0].tolist() == [0, 1, 3, 0, -1]


def test_a_text_absent_from_the_pool_is_in_the_others():
    splits = {
        part: {"town": Column(text_values(rows), "text")} for part, rows in (("train", ["a", "b"]), ("test", ["c"]))
    }
    names, codes = groups_of(splits, ("town",))
    assert names == (("town", ("a", "b", "others")),)
    assert codes["test"].tolist() == [[2]]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("sexx", "groups='sexx' is not a column of the data"),
        ("sex[3]", "choose an existing element"),
        ("pic", "has kind image"),
    ],
)
def test_unsuitable_group_columns_are_usage_errors(wanted, message):
    columns = {
        "sex": Column(np.array([0, 1], np.int32), "class", ("f", "m")),
        "pic": Column(np.zeros((2, 4, 4, 1), np.uint8), "image"),
    }
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        groups_of({"train": columns}, (wanted,))


def test_groups_follow_their_rows_into_the_splits_and_change_no_example(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "height": rng.normal(size=200),
            "sex": rng.choice(["f", "m"], 200),
            "label": rng.choice(["yes", "no"], 200),
        }
    )
    pyarrow.csv.write_csv(table, tmp_path / "mine.csv")
    source = File(str(tmp_path / "mine.csv"), target="label")
    plain, grouped = source.load(), source.load(groups=("sex",))
    assert plain.fingerprint == grouped.fingerprint
    assert grouped.groups == (("sex", ("f", "m")),)
    assert grouped.feature_names == ("height", "sex=f", "sex=m", "sex: others")
    for part in ("train", "validation", "test"):
        split = getattr(grouped, part)
        np.testing.assert_array_equal(split.x[:, 2], split.groups[:, 0])  # the very column that tells them apart
        assert getattr(plain, part).groups is None
    assert dataclasses.replace(source).load().class_names == ("no", "yes")


def test_a_threshold_gives_two_groups():
    columns = {
        "age": Column(np.array([25.0, 26.0, np.nan, 19.0]), "number"),
        "codes": Column(np.array([[7, 1], [7, 3], [7, 1], [7, 2]]), "number"),
        "sex": Column(np.array([0, 1, 1, 0], np.int32), "class", ("f", "m")),
    }
    names, codes = groups_of({"train": columns}, ("age<=25", "codes[1] <= 1.5"))
    assert names == (("age", ("age ≤ 25", "age > 25")), ("codes[1]", ("codes[1] ≤ 1.5", "codes[1] > 1.5")))
    assert codes["train"].tolist() == [[0, 0], [1, 1], [-1, 0], [0, 1]]
    with pytest.raises(UsageError, match="needs a column of single numbers"):
        groups_of({"train": columns}, ("sex<=1",))

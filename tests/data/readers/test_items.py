"""Data sets of any library with `__getitem__` give the same columns."""

import datetime
import types

import numpy as np
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data import from_items
from dlm.data.columns import Ragged
from dlm.data.readers.items import read_items

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 3), np.uint8)
ROWS = [{"image": picture, "label": k % 2} for k, picture in enumerate(PICTURES)]


def columns_of(dataset):
    return read_items({"train": dataset}).columns


class Mapped:
    """Like a map-style data set of PyTorch: a length, and pairs."""

    def __init__(self, items, length=None):
        self.items, self.length = items, length

    def __len__(self):
        return len(self.items) if self.length is None else self.length

    def __getitem__(self, index):
        return self.items[index]


class Unsized:
    def __getitem__(self, index):
        return ROWS[index]


def test_a_list_of_mappings():
    columns = columns_of(ROWS)
    assert {name: column.kind for name, column in columns.items()} == {"image": "image", "label": "number"}
    assert np.array_equal(columns["image"].values, PICTURES)
    assert columns["label"].values.tolist() == [0, 1, 0, 1]
    assert columns["label"].values.dtype == np.int64


def test_pairs_and_data_sets_without_length():
    columns = columns_of(Mapped([(row["image"], row["label"]) for row in ROWS]))
    assert np.array_equal(columns["x"].values, PICTURES)
    assert columns["y"].values.tolist() == [0, 1, 0, 1]
    assert len(columns_of(Unsized())["label"]) == 4


def test_grain_data_sets_give_the_same_also_if_filtered():
    grain = pytest.importorskip("grain")
    columns = columns_of(grain.MapDataset.source(ROWS))
    assert np.array_equal(columns["image"].values, PICTURES)
    doubled = grain.MapDataset.source(ROWS).map(lambda row: {**row, "label": row["label"] * 2})
    assert columns_of(doubled)["label"].values.tolist() == [0, 2, 0, 2]
    odd = grain.MapDataset.source(ROWS).filter(lambda row: row["label"] == 1)
    assert np.array_equal(columns_of(odd)["image"].values, PICTURES[1::2])
    with pytest.raises(UsageError, match="before it is repeated"):
        columns_of(grain.MapDataset.source(ROWS).repeat())


def test_splits_keep_their_items_also_if_filtered():
    data = read_items({"train": [{"x": 1}, None, {"x": 2}], "test": [{"x": 3}]})
    assert {split: columns["x"].values.tolist() for split, columns in data.splits().items()} == {
        "train": [1, 2],
        "test": [3],
    }


def test_class_names_of_hugging_face_features():
    class Dataset(Mapped):
        features = {"label": types.SimpleNamespace(names=["cat", "dog"]), "text": types.SimpleNamespace()}  # noqa: RUF012

    columns = columns_of(Dataset([{"text": f"text {k}", "label": (0, 1, -1, None)[k]} for k in range(4)]))
    assert (columns["label"].kind, columns["label"].names) == ("class", ("cat", "dog"))
    assert columns["label"].values.tolist() == [0, 1, -1, -1]


def test_values_of_every_kind():
    def row(k):
        return {
            "number": (1.5, None, 2, 3)[k],
            "truth": k % 2 == 0,
            "scalar": np.float32(k),
            "word": ("a", None, "b", "a")[k],
            "bytes": b"yes" if k else b"no",
            "day": datetime.date(2024, 1, 1 + k),
            "picture": Image.fromarray(PICTURES[k]).convert("L" if k else "RGB"),
            "vector": [k, 2.5],
            "ragged": np.arange(k),
            "sound": {"array": np.zeros(3 + k, np.float32), "sampling_rate": 8000},
        }

    columns = columns_of([row(k) for k in range(4)])
    assert np.array_equal(columns["number"].values, [1.5, np.nan, 2, 3], equal_nan=True)
    assert columns["truth"].values.tolist() == [1, 0, 1, 0]
    assert columns["scalar"].values.tolist() == [0, 1, 2, 3]
    assert (columns["word"].names, columns["word"].values.tolist()) == (("a", "b"), [0, -1, 1, 0])
    assert columns["bytes"].names == ("no", "yes")
    assert (columns["day"].kind, np.diff(columns["day"].values).tolist()) == ("date", [86400] * 3)
    assert columns["picture"].values.shape == (4, 3, 5, 3)
    assert (columns["vector"].kind, columns["vector"].values.shape) == ("number", (4, 2))
    assert [columns["ragged"].values[k].tolist() for k in range(4)] == [[], [0], [0, 1], [0, 1, 2]]
    assert (columns["sound"].kind, columns["sound"].rate, len(columns["sound"].values[3])) == ("audio", 8000, 6)


def test_images_of_several_shapes_are_ragged():
    column = columns_of([{"x": PICTURES[0]}, {"x": PICTURES[1, :2]}])["x"]
    assert column.kind == "image"
    assert isinstance(column.values, Ragged)
    assert np.array_equal(column.values[1], PICTURES[1, :2])


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ([], "has no items"),
        ([None], "has no items"),
        ([{}], "are empty"),
        (5, "int is not a sequence of items"),
        ({"x": [1]}, "dict is not a sequence"),
        (Mapped(ROWS, -1), "no valid length"),
        (Mapped(ROWS, 9), "has length 9 but no item 4"),
        (Mapped(ROWS, 2**50), "before it is repeated"),
        ([{"a": 1}, {"a": "x"}], "a has values of type int and str, the latter in item 1"),
        ([{"a": "x"}, {"a": 1}], "a has values of type str and int, the latter in item 1"),
        ([{"a": b"\xff"}], "not UTF-8 text"),
        ([{"a": object()}], "item 0 has object as a"),
        ([{"a": np.zeros(2)}, {"a": np.zeros((2, 2))}], r"arrays of \[1, 2\] axes"),
        ([{"a": np.zeros(2)}, {}], "item 1 has NoneType as a"),
        ([{"a": {"b": 1}}], "a has mappings"),
    ],
    ids=lambda value: None if isinstance(value, str) else "case",
)
def test_unsupported_data_sets_are_usage_errors(dataset, words):
    with pytest.raises(UsageError, match=words):
        columns_of(dataset)


def test_an_unknown_target_is_a_usage_error():
    items = [{"x": float(k), "y": k % 2} for k in range(40)]
    with pytest.raises(UsageError, match=r"data\.target='z' is not a column of the data"):
        from_items(items, name="made", target="z")

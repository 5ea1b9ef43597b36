"""Data sets of any library, as long as they have items: the same columns from each."""

import datetime
import types

import numpy as np
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data.columns import Ragged
from dlm.data.readers.items import columns_of

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 3), np.uint8)
ROWS = [{"image": picture, "label": k % 2} for k, picture in enumerate(PICTURES)]


class Mapped:
    """As PyTorch's map-style data sets are: a length, and pairs."""

    def __init__(self, items, length=None):
        self.items, self.length = items, length

    def __len__(self):
        return len(self.items) if self.length is None else self.length

    def __getitem__(self, place):
        return self.items[place]


class Unsized:
    def __getitem__(self, place):
        return ROWS[place]


def test_a_list_of_mappings():
    columns = columns_of(ROWS)
    assert {name: column.kind for name, column in columns.items()} == {"image": "image", "label": "number"}
    assert np.array_equal(columns["image"].values, PICTURES)
    assert columns["label"].values.tolist() == [0, 1, 0, 1]
    assert columns["label"].values.dtype == np.int64


def test_pairs_and_data_sets_that_only_an_index_error_ends():
    columns = columns_of(Mapped([(row["image"], row["label"]) for row in ROWS]))
    assert np.array_equal(columns["x"].values, PICTURES)
    assert columns["y"].values.tolist() == [0, 1, 0, 1]
    assert len(columns_of(Unsized())["label"]) == 4


def test_grain_gives_the_same_also_where_it_filters():
    grain = pytest.importorskip("grain")
    columns = columns_of(grain.MapDataset.source(ROWS))
    assert np.array_equal(columns["image"].values, PICTURES)
    doubled = grain.MapDataset.source(ROWS).map(lambda row: {**row, "label": row["label"] * 2})
    assert columns_of(doubled)["label"].values.tolist() == [0, 2, 0, 2]
    odd = grain.MapDataset.source(ROWS).filter(lambda row: row["label"] == 1)
    assert np.array_equal(columns_of(odd)["image"].values, PICTURES[1::2])
    with pytest.raises(UsageError, match="before it is repeated"):
        columns_of(grain.MapDataset.source(ROWS).repeat())


def test_names_of_classes_as_hugging_face_tells_them():
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


def test_pictures_of_several_shapes_are_kept_as_they_are():
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
        (5, "int is no sequence of items"),
        ({"x": [1]}, "dict is no sequence"),
        (Mapped(ROWS, -1), "no proper length"),
        (Mapped(ROWS, 9), "says that it has 9 items, and has none at 4"),
        (Mapped(ROWS, 2**50), "before it is repeated"),
        ([{"a": 1}, {"a": "x"}], "a holds int and str, the latter in item 1"),
        ([{"a": "x"}, {"a": 1}], "a holds str and int, the latter in item 1"),
        ([{"a": b"\xff"}], "no text in UTF-8"),
        ([{"a": object()}], "item 0 holds object as a"),
        ([{"a": np.zeros(2)}, {"a": np.zeros((2, 2))}], r"arrays of \[1, 2\] axes"),
        ([{"a": np.zeros(2)}, {}], "item 1 holds NoneType as a"),
        ([{"a": {"b": 1}}], "a holds mappings"),
    ],
    ids=lambda value: None if isinstance(value, str) else "case",
)
def test_what_is_no_data_set_is_refused_in_words(dataset, words):
    with pytest.raises(UsageError, match=words):
        columns_of(dataset)

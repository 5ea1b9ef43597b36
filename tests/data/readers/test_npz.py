"""Files of arrays: usual names, usual shapes, and no Python objects."""

import numpy as np
import pytest

from dlm import UsageError
from dlm.data.readers.npz import read_npz

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (6, 4, 5), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def read(tmp_path):
    def read(named="", **arrays):
        np.savez(tmp_path / "my.npz", **arrays)
        return read_npz(tmp_path / "my.npz", named)

    return read


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("images", "labels"), ("features", "target"), ("data", "Y")])
def test_usual_names_are_known(read, names):
    found = read(**dict(zip(names, (PICTURES, LABELS))))
    assert (set(found.columns), found.target, found.counts) == (set(names), names[1], {"all": 6})
    assert np.array_equal(found.columns[names[0]].values[..., 0], PICTURES)
    assert found.columns[names[0]].kind == "image"
    assert np.array_equal(found.columns[names[1]].values, LABELS)


@pytest.mark.parametrize("form", ["{}_{}", "{1}_{0}"])
def test_splits_are_recognized_by_name(read, form):
    arrays = {form.format(a, s): v for s in ("train", "val", "test") for a, v in (("x", PICTURES), ("y", LABELS))}
    found = read(**arrays)
    assert found.counts == {"train": 6, "validation": 6, "test": 6}
    assert len(found.columns["x"]) == 18
    for name in list(arrays):
        if "test" in name:
            del arrays[name]
    assert read(**arrays).counts == {"train": 6, "test": 6}


def test_a_target_with_an_unusual_name_is_set_by_name(read):
    found = read(named="weight", x=PICTURES, weight=np.linspace(0, 1, 6), y=LABELS)
    assert found.target == "weight"
    assert "Arrays not used: y." in found.remarks
    with pytest.raises(UsageError, match="no array 'wait'; did you mean 'weight'"):
        read(named="wait", x=PICTURES, weight=LABELS)


def test_shapes_and_kinds(read):
    found = read(x=RNG.integers(0, 256, (6, 3, 4, 5), np.uint8), y=np.eye(3)[LABELS])
    assert found.columns["x"].values.shape == (6, 4, 5, 3)
    assert (found.columns["y"].kind, found.columns["y"].values.tolist()) == ("class", LABELS.tolist())
    assert any("channels are first" in remark for remark in found.remarks)
    found = read(x=RNG.normal(size=(6, 3)).astype(np.float16), y=LABELS[:, None].astype(np.float64))
    assert (found.columns["x"].kind, found.columns["x"].values.dtype) == ("number", np.float32)
    assert found.columns["y"].values.shape == (6,)
    found = read(x=np.array([f"document {k}" for k in range(6)]), y=np.array([*"abcabc"]))
    assert found.columns["x"].kind == "text"
    assert found.columns["y"].names == ("a", "b", "c")
    found = read(x=np.array([[np.inf, 1.0]] * 6), y=LABELS == 1)
    assert np.isnan(found.columns["x"].values[:, 0]).all()
    assert found.columns["y"].names == ("false", "true")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": PICTURES}, "inputs and targets of the arrays x; name them x and y"),
        ({"x": PICTURES, "y": LABELS[:5]}, r"x has shape \(6, 4, 5\) and y \(5,\)"),
        ({"x": np.array([{}] * 6, object), "y": LABELS}, "array x has Python objects"),
        ({"x": PICTURES.astype(complex), "y": LABELS}, "complex"),
        ({"x": PICTURES, "y": np.zeros((6, 2, 2))}, r"targets y have shape \(6, 2, 2\)"),
        ({"x_train": PICTURES, "y_train": LABELS, "x_test": PICTURES[:, 1:], "y_test": LABELS}, "differ in shape"),
    ],
    ids=["alone", "lengths", "objects", "complex", "targets", "splits"],
)
def test_unsuitable_arrays_are_usage_errors(read, arrays, words):
    with pytest.raises(UsageError, match=words):
        read(**arrays)


def test_a_file_of_another_format_is_a_usage_error(tmp_path):
    for content in (b"no archive", b"PK\x03\x04 cut"):
        (tmp_path / "my.npz").write_bytes(content)
        with pytest.raises(UsageError, match=r"not an \.npz file"):
            read_npz(tmp_path / "my.npz")


def test_an_unused_array_of_objects_does_not_fail_the_file(read):
    data = read(x=PICTURES, y=LABELS, note=np.array(None, object))
    assert set(data.columns) == {"x", "y"}
    with pytest.raises(UsageError, match="array goal has Python objects"):
        read("goal", x=PICTURES, goal=np.array([None] * 6, object))

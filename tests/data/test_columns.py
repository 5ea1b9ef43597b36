"""Places of columns are columns too, and codes that are categories have a place of their own."""

import numpy as np
import pytest

from dlm import UsageError
from dlm.data import File
from dlm.data.columns import Column
from dlm.data.schema_inference import Choice

POOL = {
    "codes": Column(np.array([[0, 5], [1, 5], [2, 7], [0, 7]] * 5), "number"),
    "amounts": Column(np.arange(60.0).reshape(20, 3), "number"),
    "label": Column(np.array([0, 1] * 10, np.int32), "class", ("a", "b")),
}


def dataset(**choice):
    return Choice(target="label", validation=4, test=4, **choice).dataset("made", {"train": POOL}, groups=())


def _number(found):
    """Which row of the pool each example was."""
    return ((found.train.x[:, -1] - 2) / 3).astype(int)


def test_codes_have_a_place_each_and_numbers_stay_numbers():
    found = dataset(inputs=("codes", "amounts[2]"), categories=("codes",))
    assert found.feature_names == (
        *(f"codes[0]={code}" for code in (0, 1, 2)),
        "codes[0]: others",
        *(f"codes[1]={code}" for code in (5, 7)),
        "codes[1]: others",
        "amounts[2]",
    )
    assert np.array_equal(found.train.x[:, :3].argmax(axis=1), np.array([0, 1, 2, 0])[_number(found) % 4])
    assert np.all(found.train.x[:, :3].sum(axis=1) == 1)
    assert np.all(found.train.x[:, 4:6].sum(axis=1) == 1)


def test_one_place_of_several_can_be_a_category():
    found = dataset(inputs=("codes[0]", "amounts"), categories=("codes[0]",))
    assert found.feature_names[:4] == ("codes[0]=0", "codes[0]=1", "codes[0]=2", "codes[0]: others")
    assert found.train.x.shape[1] == 7


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"categories": ("kodes",)}, "no column"),
        ({"categories": ("amounts[9]",)}, "choose a place that it has"),
        ({"inputs": ("amounts[9]",)}, "choose a place that it has"),
    ],
)
def test_what_is_no_category_is_refused(choice, message):
    with pytest.raises(UsageError, match=message):
        dataset(**choice)


def test_amounts_are_no_codes():
    columns = {**POOL, "size": Column(np.linspace(0.5, 2, 20), "number")}
    with pytest.raises(UsageError, match="no codes"):
        Choice(target="label", inputs=("size",), categories=("size",)).dataset("made", {"train": columns})


def test_a_source_without_categories_is_the_source_of_before():
    from dlm.study.config import digest

    assert digest(File("table.csv")) == digest(File("table.csv", categories=()))

"""Elements of columns are columns too, and categories are one-hot encoded."""

import numpy as np
import pytest

from dlm import UsageError
from dlm.data.columns import Column
from dlm.data.sources.column_sources import ColumnSource

POOL = {
    "codes": Column(np.array([[0, 5], [1, 5], [2, 7], [0, 7]] * 5), "number"),
    "amounts": Column(np.arange(60.0).reshape(20, 3), "number"),
    "label": Column(np.array([0, 1] * 10, np.int32), "class", ("a", "b")),
}


def dataset(**options):
    return ColumnSource(target="label", validation=4, test=4, **options).to_dataset("made", {"train": POOL})


def _number(found):
    """Which row of the pool each example was."""
    return ((found.train.x[:, -1] - 2) / 3).astype(int)


def test_categories_are_one_hot_and_numbers_stay_numbers():
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


def test_an_element_of_a_column_can_be_a_category():
    found = dataset(inputs=("codes[0]", "amounts"), categories=("codes[0]",))
    assert found.feature_names[:4] == ("codes[0]=0", "codes[0]=1", "codes[0]=2", "codes[0]: others")
    assert found.train.x.shape[1] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ("kodes",)}, "not a column"),
        ({"categories": ("amounts[9]",)}, "choose an existing element"),
        ({"inputs": ("amounts[9]",)}, "choose an existing element"),
    ],
)
def test_invalid_categories_are_usage_errors(options, message):
    with pytest.raises(UsageError, match=message):
        dataset(**options)


def test_fractions_are_not_codes():
    columns = {**POOL, "size": Column(np.linspace(0.5, 2, 20), "number")}
    with pytest.raises(UsageError, match="not non-negative integers"):
        ColumnSource(target="label", inputs=("size",), categories=("size",)).to_dataset("made", {"train": columns})

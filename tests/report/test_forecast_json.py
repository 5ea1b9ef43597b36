"""forecast.json: there and back."""

import dataclasses
import json
import math

import numpy as np
import pytest

from dlm.curves.types import StudySummary
from dlm.report.forecast_file import from_json, to_json


def test_round_trip(digits: StudySummary) -> None:
    text = to_json(digits)
    assert from_json(text) == digits
    assert to_json(from_json(text)) == text
    assert json.loads(text)["learners"][0]["curve"]["learner"] == "mlp"


def test_numbers_of_numpy_are_written(digits: StudySummary) -> None:
    answer = dataclasses.replace(digits, level=np.float32(0.5), multiples=(np.int64(2),))
    assert from_json(to_json(answer)).level == 0.5


@pytest.mark.parametrize("number", [math.nan, math.inf, np.float32("nan")])
def test_unknown_numbers_are_refused(digits: StudySummary, number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(dataclasses.replace(digits, level=number))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("colour",), 1, "answer has the unknown field 'colour'"),
        (("level",), "high", "answer.level is 'high'; expected float"),
        (("learners",), 3, "answer.learners is 3; expected a list"),
        (
            ("learners", 0, "curve", "train_sizes"),
            ["x"],
            r"answer.learners\[0\].curve.sizes\[0\] is 'x'; expected int",
        ),
        (("learners", 0, "curve", "bound"), [0.0], r"answer.learners\[0\].curve.bound has 1 of 2"),
    ],
)
def test_a_wrong_field_is_named(digits: StudySummary, path: tuple[str | int, ...], value: object, message: str) -> None:
    data = json.loads(to_json(digits))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(data))


def test_a_missing_field_is_named(digits: StudySummary) -> None:
    data = json.loads(to_json(digits))
    del data["level"]
    with pytest.raises(ValueError, match="no field 'level'"):
        from_json(json.dumps(data))

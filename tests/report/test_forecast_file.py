"""forecast.json: reading and writing, and the stamp that detects every change."""

import contextlib
import copy
import dataclasses
import datetime
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.curves.summary import summarize
from dlm.curves.types import Crossover, Curve, ProbabilityBetter, StudySummary
from dlm.report.forecast_file import (
    FORECAST,
    PREVIOUS,
    add_stamp,
    from_json,
    hash_of_inputs,
    read_forecast,
    to_json,
    verify_stamp,
    write_forecast,
)

NOON = datetime.datetime(2026, 11, 25, 13, 0, 5, 678, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
SIZES = (64, 128, 256, 512)
SUMMARY = summarize(
    [Curve("a", SIZES, tuple((0.05 + 2 * n**-0.5, 0.06 + 2 * n**-0.5) for n in SIZES))], targets=(0, 0.9)
)
STAMPED = add_stamp(SUMMARY, {"a": [1024, 64], "other": [7]}, NOON)


def test_a_stamp_holds_the_time_and_the_inputs():
    stamp = STAMPED.stamp
    assert (stamp.created, stamp.largest_train_size) == ("2026-11-25T12:00:05+00:00", 512)
    assert [(one.learner, one.train_sizes) for one in stamp.measured] == [("a", (64, 128, 256, 512, 1024))]
    assert stamp.inputs_hash == hash_of_inputs([SUMMARY.learners[0].curve])
    assert verify_stamp(from_json(to_json(STAMPED))) == stamp


def test_a_forecast_without_a_stamp_is_rejected(digits: StudySummary):
    with pytest.raises(ValueError, match="has no stamp"):
        verify_stamp(digits)


def test_chances_come_back_from_json():
    pair = Crossover(
        "b", "a", "measured", 1.0, 2.0, 3.0, (ProbabilityBetter(64, 0.25, True), ProbabilityBetter(128, 0.5, False))
    )
    summary = dataclasses.replace(SUMMARY, crossovers=(pair,))
    assert from_json(to_json(summary)) == summary


def test_round_trip(digits: StudySummary) -> None:
    text = to_json(digits)
    assert from_json(text) == digits
    assert to_json(from_json(text)) == text
    assert json.loads(text)["learners"][0]["curve"]["learner"] == "mlp"


def test_numpy_scalars_are_written(digits: StudySummary) -> None:
    summarize = dataclasses.replace(digits, level=np.float32(0.5), multiples=(np.int64(2),))
    assert from_json(to_json(summarize)).level == 0.5


@pytest.mark.parametrize("number", [math.nan, math.inf, np.float32("nan")])
def test_nan_and_infinity_are_rejected(digits: StudySummary, number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(dataclasses.replace(digits, level=number))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("level",), "high", r"Expected `float`, got `str` - at `\$.level`"),
        (("learners",), 3, r"Expected `array`, got `int` - at `\$.learners`"),
        (
            ("learners", 0, "curve", "train_sizes"),
            ["x"],
            r"at `\$.learners\[0\].curve.train_sizes\[0\]`",
        ),
        (("learners", 0, "curve", "bound"), [0.0], r"at `\$.learners\[0\].curve.bound`"),
    ],
)
def test_a_field_of_another_type_is_named(
    digits: StudySummary, path: tuple[str | int, ...], value: object, message: str
) -> None:
    data = json.loads(to_json(digits))
    keys = data
    for step in path[:-1]:
        keys = keys[step]
    keys[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(data))


def test_a_missing_field_is_named(digits: StudySummary) -> None:
    data = json.loads(to_json(digits))
    del data["level"]
    with pytest.raises(ValueError, match="missing required field `level`"):
        from_json(json.dumps(data))


def paths(data, path=()):
    """The path of every number and text in a JSON value."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from paths(value, (*path, key))
    elif data is not None:
        yield path


DATA = json.loads(to_json(STAMPED))
PATHS = list(paths(DATA))


@pytest.mark.parametrize("keys", PATHS[:: len(PATHS) // 60], ids=lambda keys: ".".join(map(str, keys[-3:])))
def test_any_change_is_detected(keys):
    data = copy.deepcopy(DATA)
    inner = data
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = inner[keys[-1]] + "0" if isinstance(inner[keys[-1]], str) else inner[keys[-1]] * 1.0000001 + 1
    with pytest.raises(ValueError):  # noqa: PT011 - what says so depends on the keys
        verify_stamp(from_json(json.dumps(data)))


def test_a_changed_measurement_is_reported():
    data = copy.deepcopy(DATA)
    data["learners"][0]["curve"]["errors"][0][0] += 1e-15
    with pytest.raises(ValueError, match="has measurements that do not match"):
        verify_stamp(from_json(json.dumps(data)))


def test_an_identical_forecast_keeps_its_stamp_and_another_one_is_archived(tmp_path):
    assert write_forecast(STAMPED, tmp_path) == read_forecast(tmp_path / FORECAST) == read_forecast(tmp_path)
    write_forecast(add_stamp(SUMMARY, {"a": [1024]}), tmp_path)
    assert read_forecast(tmp_path).stamp == STAMPED.stamp
    more = summarize([Curve("a", SIZES[1:], SUMMARY.learners[0].curve.errors[1:])])
    write_forecast(add_stamp(more, {}), tmp_path)
    assert read_forecast(tmp_path).stamp.inputs_hash != STAMPED.stamp.inputs_hash
    (previous,) = (tmp_path / PREVIOUS).iterdir()
    assert previous.name == "2026-11-25T12-00-05.json"
    assert read_forecast(previous).stamp == STAMPED.stamp


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"level": NaN}', "\ud800", "9" * 5000])
def test_an_invalid_file_is_replaced(tmp_path, text):
    (tmp_path / FORECAST).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match="is not a forecast"):
        read_forecast(tmp_path / FORECAST)
    write_forecast(STAMPED, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FORECAST]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(keys=st.sampled_from(PATHS), depth=st.integers(1, 4), value=ANYTHING)
def test_any_content_is_read_or_rejected(tmp_path_factory, keys, depth, value):
    data = copy.deepcopy(DATA)
    inner = data
    for key in keys[: -depth or None][:-1]:
        inner = inner[key]
    inner[(keys[:-depth] or keys[:1])[-1]] = value
    path = tmp_path_factory.mktemp("any") / FORECAST
    path.write_text(json.dumps(data))
    with contextlib.suppress(UsageError):
        read_forecast(path)

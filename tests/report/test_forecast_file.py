"""The stamp of a forecast: exact inputs, the time, and any change is noticed."""

import contextlib
import copy
import dataclasses
import datetime
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from dlm import UsageError
from dlm.curves.score import score
from dlm.curves.summary import answer
from dlm.curves.types import Chance, Crossover, Curve, StudySummary
from dlm.report.forecast_file import (
    FORECAST,
    FORMER,
    checked,
    from_json,
    hash_of_inputs,
    keep,
    read_stamped,
    stamped,
    to_json,
)
from dlm.report.score import print_score

NOON = datetime.datetime(2026, 11, 25, 13, 0, 5, 678, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
SIZES = (64, 128, 256, 512)
TOLD = answer([Curve("a", SIZES, tuple((0.05 + 2 * n**-0.5, 0.06 + 2 * n**-0.5) for n in SIZES))], targets=(0, 1))
STAMPED = stamped(TOLD, {"a": [1024, 64], "other": [7]}, NOON)


def test_it_says_when_and_of_what():
    stamp = STAMPED.stamp
    assert (stamp.made, stamp.largest) == ("2026-11-25T12:00:05+00:00", 512)
    assert [(one.learner, one.train_sizes) for one in stamp.seen] == [("a", (64, 128, 256, 512, 1024))]
    assert stamp.inputs == hash_of_inputs([TOLD.learners[0].curve])
    assert checked(from_json(to_json(STAMPED))) == stamp


def test_files_of_before_are_read_but_not_trusted(digits: StudySummary):
    data = json.loads(to_json(digits))
    del data["stamp"]
    for learner in data["learners"]:
        del learner["noise"], learner["grid"], learner["curve"]["stderr"]
    assert from_json(json.dumps(data)) == digits
    with pytest.raises(ValueError, match="has no stamp: it was written before"):
        checked(from_json(json.dumps(data)))


def test_a_stamp_of_before_chances_were_told_still_holds():
    pair = Crossover("b", "a", "never", None, None, None)
    made = stamped(dataclasses.replace(TOLD, crossovers=(pair,)), {}, NOON)
    data = json.loads(to_json(from_json(to_json(made))))
    del data["crossovers"][0]["chances"]
    assert checked(from_json(json.dumps(data))) == made.stamp
    # The hash that the version before wrote.
    data["stamp"]["content"] = ""
    text = json.dumps(data, indent=1)
    assert made.stamp.content == hashlib.sha256(text.encode()).hexdigest()


def test_chances_come_back_from_json():
    pair = Crossover("b", "a", "at", 1.0, 2.0, 3.0, (Chance(64, 0.25, True), Chance(128, 0.5, False)))
    told = dataclasses.replace(TOLD, crossovers=(pair,))
    assert from_json(to_json(told)) == told


def paths(data, path=()):
    """Every place of a JSON value that holds a number or a text."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from paths(value, (*path, key))
    elif data is not None:
        yield path


DATA = json.loads(to_json(STAMPED))
PLACES = list(paths(DATA))


@pytest.mark.parametrize("place", PLACES[:: len(PLACES) // 60], ids=lambda place: ".".join(map(str, place[-3:])))
def test_a_change_anywhere_is_noticed(place):
    data = copy.deepcopy(DATA)
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = inner[place[-1]] + "0" if isinstance(inner[place[-1]], str) else inner[place[-1]] * 1.0000001 + 1
    with pytest.raises(ValueError):  # noqa: PT011 - what says so depends on the place
        checked(from_json(json.dumps(data)))


def test_a_measurement_that_was_changed_is_named_as_such():
    data = copy.deepcopy(DATA)
    data["learners"][0]["curve"]["errors"][0][0] += 1e-15
    with pytest.raises(ValueError, match="does not hold the measurements it was made of"):
        checked(from_json(json.dumps(data)))


def test_the_same_forecast_keeps_its_stamp_and_an_older_one_is_kept_beside(tmp_path):
    assert keep(STAMPED, tmp_path) == read_stamped(tmp_path / FORECAST) == read_stamped(tmp_path)
    keep(stamped(TOLD, {"a": [1024]}), tmp_path)
    assert read_stamped(tmp_path).stamp == STAMPED.stamp
    more = answer([Curve("a", SIZES[1:], TOLD.learners[0].curve.errors[1:])])
    keep(stamped(more, {}), tmp_path)
    assert read_stamped(tmp_path).stamp.inputs != STAMPED.stamp.inputs
    (former,) = (tmp_path / FORMER).iterdir()
    assert former.name == "2026-11-25T12-00-05.json"
    assert read_stamped(former).stamp == STAMPED.stamp


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"level": NaN}', "\ud800", "9" * 5000])
def test_what_stood_there_and_was_no_forecast_is_replaced(tmp_path, text):
    (tmp_path / FORECAST).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match="is no forecast"):
        read_stamped(tmp_path / FORECAST)
    keep(STAMPED, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FORECAST]


def forged(change):
    """The text of a forecast that was changed by someone who computed the hashes anew."""
    data = copy.deepcopy(DATA)
    change(data)
    return to_json(stamped(from_json(json.dumps(data)), {}))


CURVE = DATA["learners"][0]["curve"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("curve", "train_sizes"), [64]),
        (("curve", "train_sizes"), [64, 64, 256, 512]),
        (("curve", "train_sizes"), [-1, 128, 256, 512]),
        (("curve", "errors"), [[], *CURVE["errors"][1:]]),
        (("curve", "errors"), [[-0.5], *CURVE["errors"][1:]]),
        (("curve", "train_sizes"), [64, 128, 256, 10**400]),
        (("curve", "learner"), "\x1b[31mred"),
        (("curve", "stderr"), [0.1]),
        (("grid", "levels"), []),
        (("grid", "levels"), [0.0, 0.5]),
        (("grid", "train_sizes"), []),
        (("grid", "errors"), []),
        (("grid", "errors"), [[0.5]]),
    ],
)
def test_numbers_that_are_no_curve_are_refused_though_the_hashes_fit(tmp_path, field, value):
    path = tmp_path / FORECAST
    path.write_text(forged(lambda data: data["learners"][0][field[0]].update({field[1]: value})))
    with pytest.raises(UsageError, match="that are no curve with a forecast"):
        read_stamped(path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(place=st.sampled_from(PLACES), depth=st.integers(1, 4), value=ANYTHING)
def test_whatever_a_forecast_holds_it_is_read_or_refused(tmp_path_factory, place, depth, value):
    data = copy.deepcopy(DATA)
    inner = data
    for key in place[: -depth or None][:-1]:
        inner = inner[key]
    inner[(place[:-depth] or place[:1])[-1]] = value
    path = tmp_path_factory.mktemp("any") / FORECAST
    path.write_text(json.dumps(data))
    with contextlib.suppress(UsageError):
        read_stamped(path)


def test_a_level_that_is_none_is_refused_though_the_hashes_fit(tmp_path):
    (tmp_path / FORECAST).write_text(forged(lambda data: data.update(level=5.0)))
    with pytest.raises(UsageError, match="at level 5, which is not inside"):
        read_stamped(tmp_path)


NUMBERS = (
    st.floats()
    | st.integers()
    | st.sampled_from([0, 1, -1, 0.5, 1e-320, 1e308, 10**400, "", "x", None, [], [0.0, 1.0]])
)
LATER = Curve("a", (600, 1024, 9999), ((0.1, 0.2), (0.0,), (1.0,)), num_test=50)


@settings(deadline=None)
@given(place=st.sampled_from(PLACES), depth=st.integers(0, 2), value=NUMBERS)
def test_whatever_a_forger_writes_is_refused_or_scored(tmp_path_factory, place, depth, value):
    def change(data):
        inner = data
        for key in place[: len(place) - depth][:-1]:
            inner = inner[key]
        inner[place[: len(place) - depth][-1]] = value

    path = tmp_path_factory.mktemp("any") / FORECAST
    try:
        path.write_text(forged(change))
        told = read_stamped(path)
    except (ValueError, TypeError, IndexError):  # UsageError is a ValueError; the others are the forger's own
        return
    result = score(told, [LATER])
    if result.cells:
        print_score(told, result, Console(quiet=True), path)

"""forecast.json in its folder: read with its stamp, and written without losing one that came before."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import json
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dlm.curves.types import Curve, Grid, LearnerSummary, Seen, Stamp, StudySummary
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically


def to_json(answer: StudySummary) -> str:
    """The text of `forecast.json`. Raises ValueError for NaN and infinity: numbers are finite or absent."""
    # Numbers that came from NumPy are not always Python's own.
    return json.dumps(dataclasses.asdict(answer), indent=1, allow_nan=False, default=lambda number: number.item())


def from_json(text: str) -> StudySummary:
    """The answer that `to_json` wrote, so that a report can be drawn again.

    Raises ValueError that names the field, where the text was written by another version or is not an answer.
    """
    try:
        answer = _read(StudySummary, json.loads(text, parse_constant=_no_number), "answer")
    except RecursionError:
        raise ValueError("the text is nested too deep for an answer") from None
    assert isinstance(answer, StudySummary)
    return answer


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of an answer: its numbers are finite or absent")


def _read(kind: typing.Any, data: typing.Any, where: str) -> typing.Any:
    """`data` as the type `kind`: a dataclass, a tuple, an optional value, or a plain number, string or truth value."""
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), data, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None and type(None) in arguments:
            return None
        return _read(next(one for one in arguments if one is not type(None)), data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise ValueError(f"{where} is {data!r}; expected a list")
        if arguments[-1] is Ellipsis:
            return tuple(_read(arguments[0], item, f"{where}[{k}]") for k, item in enumerate(data))
        if len(data) != len(arguments):
            raise ValueError(f"{where} has {len(data)} of {len(arguments)} values: {data!r}")
        return tuple(_read(one, item, where) for one, item in zip(arguments, data, strict=True))
    accepted = (int, float) if kind is float else kind
    if not isinstance(data, accepted) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where} is {data!r}; expected {kind.__name__}")
    if kind is float and not abs(data) <= sys.float_info.max:
        raise ValueError(f"{where} is beyond every float; its numbers are finite or absent")
    return kind(data)


def _read_dataclass(kind: type, data: typing.Any, where: str) -> typing.Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where} is {data!r}; expected an object")
    hints = typing.get_type_hints(kind)
    if unknown := sorted(data.keys() - hints.keys()):
        raise ValueError(f"{where} has the unknown field {unknown[0]!r}; choose among {', '.join(hints)}")
    required = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    if missing := [name for name in required if name not in data]:
        raise ValueError(f"{where} has no field {missing[0]!r}; write it again with this version")
    return kind(**{name: _read(hints[name], value, f"{where}.{name}") for name, value in data.items()})


LARGEST = 10**18  # examples: more than any study's, and numbers up to here can be reckoned with


def stamped(
    answer: StudySummary, seen: Mapping[str, Iterable[int]], now: datetime.datetime | None = None
) -> StudySummary:
    """The answer with its stamp. `seen`: the sizes measured by now, by learner, beside those the answer is made of."""
    now = now or datetime.datetime.now(datetime.UTC)
    curves = [learner.curve for learner in answer.learners]
    train_sizes = {curve.learner: {*curve.train_sizes, *seen.get(curve.learner, ())} for curve in curves}
    stamp = Stamp(
        made=now.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        largest=max((curve.train_sizes[-1] for curve in curves if curve.train_sizes), default=0),
        seen=tuple(Seen(name, tuple(sorted(known))) for name, known in train_sizes.items()),
        inputs=hash_of_inputs(curves),
        content="",
    )
    answer = dataclasses.replace(answer, stamp=stamp)
    return dataclasses.replace(answer, stamp=dataclasses.replace(stamp, content=_hash_of_content(answer)))


def hash_of_inputs(curves: Sequence[Curve]) -> str:
    """SHA-256 of the measured numbers, exact to the last bit."""
    rows = [
        [
            curve.learner,
            [*map(int, curve.train_sizes)],
            [[*map(float, e)] for e in curve.errors],
            [*map(float, curve.stderr)],
        ]
        for curve in curves
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def checked(answer: StudySummary) -> Stamp:
    """The stamp, once it is seen to fit what it stands on; ValueError says what does not, and what to do."""
    stamp = answer.stamp
    if stamp is None:
        raise ValueError(
            "has no stamp: it was written before forecasts were stamped; forecast again, then measure more"
        )
    curves = [learner.curve for learner in answer.learners]
    if stamp.inputs != hash_of_inputs(curves):
        raise ValueError(
            "does not hold the measurements it was made of: their hash is another; use the file as written"
        )
    if stamp.content != _hash_of_content(answer):
        raise ValueError("was changed after it was made: the hash of its content is another; use the file as written")
    moment(stamp)
    if not 0 < answer.level < 1:
        raise ValueError(f"holds intervals at level {answer.level:g}, which is not inside (0, 1)")
    for learner in answer.learners:
        if not _sound(learner):
            raise ValueError(f"holds numbers of {learner.curve.learner!r} that are no curve with a forecast")
    return stamp


def moment(stamp: Stamp) -> datetime.datetime:
    """When the forecast was made; ValueError for what is no time with its zone."""
    made = datetime.datetime.fromisoformat(stamp.made)
    if made.tzinfo is None:
        raise ValueError(f"was made at {stamp.made!r}, which names no time zone; use the file as written")
    return made


def _hash_of_content(answer: StudySummary) -> str:
    assert answer.stamp is not None
    blank = dataclasses.replace(answer, stamp=dataclasses.replace(answer.stamp, content=""))
    # Read back first: a number means the same as 1 and as 1.0.
    told = json.loads(to_json(from_json(to_json(blank))))
    for pair in told["crossovers"]:
        if not pair["chances"]:
            del pair["chances"]  # files of before had none, and are to keep their hash
    return hashlib.sha256(json.dumps(told, indent=1).encode()).hexdigest()


def _sound(learner: LearnerSummary) -> bool:
    """Whether sizes ascend, and errors are there, as many as there should be, none negative."""
    curve, grid = learner.curve, learner.grid
    if not curve.learner.isprintable() or max(curve.train_sizes, default=0) > LARGEST:
        return False
    whole = len(curve.train_sizes) == len(curve.errors) and len(curve.stderr) in (0, len(curve.train_sizes))
    measured = (
        whole and _ascend((0, *curve.train_sizes)) and all(errors and min(errors) >= 0 for errors in curve.errors)
    )
    return measured and (grid is None or _sound_grid(grid))


def _sound_grid(grid: Grid) -> bool:
    levels = [round(level, 9) for level in grid.levels]
    if not (
        grid.train_sizes and _ascend((0, *grid.train_sizes, LARGEST + 1)) and 0.5 in levels and _ascend((0, *levels, 1))
    ):
        return False
    rows = [len(row) == len(grid.levels) and row[0] >= 0 and list(row) == sorted(row) for row in grid.errors]
    return (
        len(levels) > 1
        and len(rows) == len(grid.train_sizes)
        and all(rows)
        and math.isfinite(max(map(max, grid.errors)))
    )


def _ascend(numbers: Sequence[float]) -> bool:
    return all(before < after for before, after in itertools.pairwise(numbers))


FORECAST = "forecast.json"
FORMER = "forecasts"
MAX_BYTES = 256 << 20
_MOST_SAID = 300  # characters of what a file holds that are shown


def keep(told: StudySummary, folder: Path) -> StudySummary:
    """Write a stamped forecast; what stands in forecast.json then.

    The very same forecast keeps its first stamp. One made of other measurements is kept in `forecasts/`, named after
    its time, so that it can be scored when what it foretold is measured.
    """
    told = from_json(to_json(told))
    path = folder / FORECAST
    former = None
    with contextlib.suppress(UsageError):
        former = read_stamped(path)
    if former is not None and former.stamp is not None and told.stamp is not None:
        unchanged = dataclasses.replace(former, stamp=None) == dataclasses.replace(told, stamp=None)
        if unchanged and former.stamp.seen == told.stamp.seen:
            return former
        if former.stamp.inputs != told.stamp.inputs:
            (folder / FORMER).mkdir(exist_ok=True)
            name = moment(former.stamp).strftime("%Y-%m-%dT%H-%M-%S.json")
            write_atomically(folder / FORMER / name, to_json(former))
    write_atomically(path, to_json(told))
    return told


def read_stamped(path: Path) -> StudySummary:
    """A forecast whose stamp fits. UsageError says what is wrong with the file, and what to do."""
    try:
        if path.is_dir():
            path = path / FORECAST
        if path.exists() and not path.is_file():
            raise ValueError("is no plain file; name a forecast.json")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"is longer than {MAX_BYTES >> 20} MB; name a forecast.json")
        answer = from_json(data.decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; name the forecast.json of an earlier forecast") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a forecast.json that can") from None
    except ValueError as error:
        raise UsageError(f"{path} is no forecast: {str(error)[:_MOST_SAID]}") from None
    try:
        checked(answer)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path} {str(error)[:_MOST_SAID]}") from None
    return answer

"""The answer as JSON text, and back."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing

from dlm.curves.answer import Answer


def to_json(answer: Answer) -> str:
    """The text of `forecast.json`. Raises ValueError for NaN and infinity: numbers are finite or absent."""
    # Numbers that came from NumPy are not always Python's own.
    return json.dumps(dataclasses.asdict(answer), indent=1, allow_nan=False, default=lambda number: number.item())


def from_json(text: str) -> Answer:
    """The answer that `to_json` wrote, so that a report can be drawn again.

    Raises ValueError that names the field, where the text was written by another version or is not an answer.
    """
    try:
        answer = _read(Answer, json.loads(text, parse_constant=_no_number), "answer")
    except RecursionError:
        raise ValueError("the text is nested too deep for an answer") from None
    assert isinstance(answer, Answer)
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

"""`--set path=value`: change any field of a declared study, by its path, checked against the field's declared type."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.errors import UsageError, nearest
from dlm.study import Study, replaced


def apply(study: Study, assignments: Sequence[str]) -> Study:
    """The study with each `path=value` applied in turn.

    Raises UsageError for a text without `=`, an unknown path (with the nearest valid ones) and a value that is not of
    the field's type.
    """
    for text in assignments:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            raise UsageError(f"--set={text} is not of the form path=value, such as --set=budget.epochs=20")
        study = replaced(study, path, parse(value.strip(), declared_type(study, path), path))
    return study


def parse_ints(text: str, flag: str) -> tuple[int, ...]:
    """Comma-separated whole numbers; `_` may group digits."""
    return parse(text, tuple[int, ...], flag)


def pick(learners: Mapping[str, Any], names: Sequence[str], flag: str) -> dict[str, Any]:
    """Some of a study's learners, by name. UsageError for one that it does not have."""
    for name in names:
        if name not in learners:
            raise UsageError(f"{flag}={name} is no learner of this study; {nearest(name, learners)}")
    return {name: learner for name, learner in learners.items() if name in names}


def paths(config: Any, prefix: str = "") -> list[str]:
    """Every path of a study that `--set` takes."""
    found: list[str] = []
    for name, child, hint in _children(config):
        if _is_node(child):
            found += paths(child, f"{prefix}{name}.")
        elif _is_plain(hint):
            found.append(prefix + name)
    return found


def declared_type(study: Study, path: str) -> Any:
    """The type hint of the field at `path`."""
    config: Any = study
    hint: Any = None
    for depth, part in enumerate(path.split(".")):
        fields = {name: (child, child_hint) for name, child, child_hint in _children(config)}
        if part not in fields:
            parent = ".".join(path.split(".")[:depth])
            if config is None:
                raise UsageError(f"--set={path}: {parent} is None in this study; declare it in the experiment first")
            raise UsageError(f"--set={path}: no such field; {nearest(path, paths(study))}")
        config, hint = fields[part]
    if _is_node(config) or not _is_plain(hint):
        inner = [known for known in paths(study) if known.startswith(path + ".")]
        remedy = f"set one of {', '.join(inner)}" if inner else "change it in the experiment file"
        raise UsageError(f"--set={path}: it is not a plain value; {remedy}")
    return hint


def parse(text: str, hint: Any, path: str) -> Any:
    """`text` as a value of type `hint`; UsageError names the path, the value and the type it should have."""
    try:
        return _convert(text, hint)
    except ValueError:
        raise UsageError(f"{path}={text!r} is not {_describe(hint)}") from None


def _convert(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if text not in arguments:
            raise ValueError(text)
        return text
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(text, arguments)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        return tuple(_convert(part, arguments[0]) for part in parts)
    if hint is bool:
        return {"true": True, "1": True, "false": False, "0": False}[_known_bool(text)]
    if hint is type(None):
        if text.lower() != "none":
            raise ValueError(text)
        return None
    value = hint(text)
    if hint is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _first_that_fits(text: str, options: Sequence[Any]) -> Any:
    for option in options:
        try:
            return _convert(text, option)
        except ValueError:
            continue
    raise ValueError(text)


def _known_bool(text: str) -> str:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text.lower()


def _describe(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(option) for option in arguments)
    if origin is tuple:
        return f"a comma-separated list of which each is {_describe(arguments[0])}"
    names = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", type(None): "none"}
    return names[hint]


def _is_plain(hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is_plain(option) for option in arguments if option is not type(None))
    if origin is tuple:
        return len(arguments) == 2 and _is_plain(arguments[0])
    return hint in (int, float, bool, str)


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) or dataclasses.is_dataclass(value)


def _children(config: Any) -> list[tuple[str, Any, Any]]:
    """(name, value, declared type) of each field of a config or entry of a mapping."""
    if isinstance(config, Mapping):
        return [(name, child, type(child)) for name, child in config.items()]
    if not dataclasses.is_dataclass(config):
        return []
    hints = typing.get_type_hints(type(config))
    return [(field.name, getattr(config, field.name), hints[field.name]) for field in dataclasses.fields(config)]

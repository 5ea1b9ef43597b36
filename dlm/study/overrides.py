"""Applies `--set path=value` and the flags that restrict a study, checked against declared types."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.study.config import describe, field_hints, is_plain, replaced
from dlm.study.study import Study
from dlm.utils.errors import UsageError, nearest

RESTRICTIONS = ("train_sizes", "seeds", "learners", "precision", "target_error")  # flags that `restrict` takes


def apply(study: Any, assignments: Sequence[str], flag: str = "--set") -> Any:
    """The study, or other config, with all `path=value` assignments of a flag applied at once; the last one counts.

    Raises UsageError for text without `=`, an unknown path, a value that does not have the field's type, and a value
    that the study's own checks refuse.
    """
    changes: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            raise UsageError(f"{flag}={text} does not have the form path=value; for example --set=budget.epochs=20")
        changes[path] = parse(value.strip(), declared_type(study, path, flag), path)
    return replaced(study, changes)


def restrict(
    study: Study,
    train_sizes: str = "",
    seeds: str = "",
    learners: Sequence[str] = (),
    precision: str | None = None,
    target_error: str = "",
) -> Study:
    """The study with the values of the flags of these names; an empty one changes nothing.

    Raises UsageError for a text that cannot be parsed and for an unknown learner.
    """
    changes: dict[str, Any] = {}
    if not study.name:
        raise UsageError("--set=name= leaves the study without a name; give one, because it names the workdir")
    if train_sizes:
        changes["train_sizes"] = parse(train_sizes, tuple[int, ...], "--train_sizes")
    if seeds:
        changes["seeds"] = parse(seeds, int | tuple[int, ...], "--seeds")
    for name in learners:
        if name not in study.learners:
            raise UsageError(f"--learners={name} is not a learner of this study; {nearest(name, study.learners)}")
    if learners:
        changes["learners"] = {name: learner for name, learner in study.learners.items() if name in learners}
        changes["tuning"] = {name: axes for name, axes in study.tuning.items() if name in learners}
    if precision:
        changes["precision"] = precision
    if target_error:
        changes["targets"] = target_errors(target_error)
    return dataclasses.replace(study, **changes)


def target_errors(text: str) -> tuple[float, ...]:
    """The errors in the text of --target_error; none for an empty one."""
    errors: tuple[float, ...] = parse(text, tuple[float, ...], "--target_error")
    return errors


def paths(config: Any, prefix: str = "") -> list[str]:
    """All paths of a study that `--set` accepts."""
    result: list[str] = []
    for name, child, hint in _children(config):
        if _is_node(child):
            result += paths(child, f"{prefix}{name}.")
        elif is_plain(hint):
            result.append(prefix + name)
    return result


def declared_type(study: Study, path: str, flag: str = "--set") -> Any:
    """The type hint of the field at `path`."""
    config: Any = study
    hint: Any = None
    for depth, part in enumerate(path.split(".")):
        fields = {name: (child, child_hint) for name, child, child_hint in _children(config)}
        if part not in fields:
            parent = ".".join(path.split(".")[:depth])
            if config is None:
                raise UsageError(f"{flag}={path}: {parent} is None in this study; declare it in the experiment first")
            raise UsageError(f"{flag}={path}: no such field; {nearest(path, paths(study))}")
        config, hint = fields[part]
    if _is_node(config) or not is_plain(hint):
        inner = [known for known in paths(study) if known.startswith(path + ".")]
        listed = ", ".join(inner[:12]) + ", …" * (len(inner) > 12)
        remedy = f"set one of {listed}" if inner else "change it in the experiment file"
        raise UsageError(f"{flag}={path} is not a single value; {remedy}")
    return hint


def parse(text: str, hint: Any, path: str) -> Any:
    """`text` as a value of type `hint`. UsageError with the path, the value and the expected type."""
    try:
        return _convert(text, hint)
    except (ValueError, KeyError):
        raise UsageError(f"{path}={text!r} is not {describe(hint)}") from None


def _convert(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {str(choice): choice for choice in arguments}[text]
    if origin in (typing.Union, types.UnionType):
        return _convert_union(text, arguments)
    if origin is tuple:
        return _tuple(text, arguments)
    if hint is bool:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    if hint is type(None):
        return {"none": None}[text.lower()]
    value = hint(text)
    if hint is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _tuple(text: str, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    for opening, closing in ("()", "[]"):
        if text.startswith(opening) and text.endswith(closing) and len(text) > 1:
            text = text[1:-1].strip()
    parts = [part.strip() for part in text.removesuffix(",").split(",")] if text.strip() else []
    expanded = hints[:1] * len(parts) if hints[-1] is ... else hints
    if len(expanded) != len(parts) or any(not part and hint is not str for part, hint in zip(parts, expanded)):
        raise ValueError(text)
    return tuple(_convert(part, hint) for part, hint in zip(parts, expanded))


def _convert_union(text: str, options: Sequence[Any]) -> Any:
    # None first and str last, because any text is a str.
    readable = [option for option in options if option is type(None) or is_plain(option)]
    for option in sorted(readable, key=lambda option: (option is not type(None), option is str)):
        with contextlib.suppress(ValueError, KeyError):
            return _convert(text, option)
    raise ValueError(text)


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) or dataclasses.is_dataclass(value)


def _children(config: Any) -> list[tuple[str, Any, Any]]:
    """(name, value, declared type) of each field of a config or entry of a mapping."""
    if isinstance(config, Mapping):
        return [(name, child, type(child)) for name, child in config.items()]
    if not dataclasses.is_dataclass(config):
        return []
    hints = field_hints(config)
    return [(field.name, getattr(config, field.name), hints[field.name]) for field in dataclasses.fields(config)]

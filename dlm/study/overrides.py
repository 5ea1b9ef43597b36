"""`--set path=value`: change any field of a declared study by its path, checked against its declared type."""

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


def apply(study: Any, assignments: Sequence[str]) -> Study:
    """The study with every `path=value` applied, all at once; of the same path the last.

    Raises UsageError for a text without `=`, an unknown path (with the nearest valid ones), a value that is
    not of the field's type and one that the study or its parts refuse.
    """
    changes: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            raise UsageError(f"--set={text} is not of the form path=value, such as --set=budget.epochs=20")
        changes[path] = parse(value.strip(), declared_type(study, path), path)
    return replaced(study, changes)


def restrict(
    study: Study, train_sizes: str = "", seeds: str = "", learners: Sequence[str] = (), precision: str | None = None
) -> Study:
    """The study with the values of --train_sizes, --seeds, --learners and --precision; an empty one changes nothing.

    Raises UsageError for a text that cannot be parsed and for an unknown learner.
    """
    changes: dict[str, Any] = {}
    if not study.name:
        raise UsageError("--set=name= leaves the study without a name, which names its workdir; give one")
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
    return dataclasses.replace(study, **changes)


def paths(config: Any, prefix: str = "") -> list[str]:
    """Every path of a study that `--set` takes."""
    found: list[str] = []
    for name, child, hint in _children(config):
        if _is_node(child):
            found += paths(child, f"{prefix}{name}.")
        elif is_plain(hint):
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
    if _is_node(config) or not is_plain(hint):
        inner = [known for known in paths(study) if known.startswith(path + ".")]
        some = ", ".join(inner[:12]) + ", …" * (len(inner) > 12)
        remedy = f"set one of {some}" if inner else "change it in the experiment file"
        raise UsageError(f"--set={path}: it is not a plain value; {remedy}")
    return hint


def parse(text: str, hint: Any, path: str) -> Any:
    """`text` as a value of type `hint`; UsageError names the path, the value and the type it should have."""
    try:
        return _convert(text, hint)
    except (ValueError, KeyError):
        raise UsageError(f"{path}={text!r} is not {describe(hint)}") from None


def _convert(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {str(choice): choice for choice in arguments}[text]
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(text, arguments)
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
    each = hints[:1] * len(parts) if hints[-1] is ... else hints
    # An empty part is a slip, but for text.
    if len(each) != len(parts) or any(not part and hint is not str for part, hint in zip(parts, each)):
        raise ValueError(text)
    return tuple(_convert(part, hint) for part, hint in zip(parts, each))


def _first_that_fits(text: str, options: Sequence[Any]) -> Any:
    # None first, as every text is a str; parts that are no plain values cannot be written as a text.
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

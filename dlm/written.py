"""A study as the text of an experiment module that declares it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlm.errors import UsageError
from dlm.files import write_atomically
from dlm.study import Study

WIDTH = 110  # of a line of the module
HOMES = ("dlm", "dlm.data", "dlm.models", "dlm.baselines", "dlm.tasks")  # where users import from, first found first


def module_text(study: Study, question: str, command: str) -> str:
    """The module: a docstring with question and command, the imports, and `study()`."""
    imports: dict[str, set[str]] = defaultdict(set)
    body = _said(dataclasses.replace(study, name=""), imports, indent=4)
    lines = [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(imports.items())]
    return (
        f'"""{question}\n\n    {command}\n"""\n\n' + "\n".join(lines) + "\n\n\n"
        f'def study() -> Study:\n    """As proposed for these data; change what you like."""\n    return {body}\n'
    )


def write_module(study: Study, question: str, path: str) -> Path:
    """Write the module to a new .py file."""
    file = Path(path).expanduser()
    if file.suffix != ".py":
        raise UsageError(f"--save_experiment={path} must name a .py file, such as experiments/mine.py")
    if file.exists():
        raise UsageError(f"--save_experiment={path} is there already; choose another name, or remove it first")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, module_text(study, question, f"python launch.py --experiment={path}"))
    return file


def _said(value: Any, imports: dict[str, set[str]], indent: int) -> str:
    """A config as an expression that makes it, with the fields that are not at their default."""
    if dataclasses.is_dataclass(value):
        name = type(value).__name__
        imports[_home(type(value))].add(name)
        fields = sorted(dataclasses.fields(value), key=lambda field: bool(field.kw_only))
        fields = [field for field in fields if _is_told(field, getattr(value, field.name))]
        parts = [f"{field.name}={_said(getattr(value, field.name), imports, indent + 4)}" for field in fields]
        return _laid_out(f"{name}(", parts, ")", indent)
    if isinstance(value, Mapping):
        return _laid_out(
            "{", [f"{json.dumps(key)}: {_said(item, imports, indent + 4)}" for key, item in value.items()], "}", indent
        )
    if isinstance(value, tuple):
        inner = ", ".join(_said(item, imports, indent) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _is_told(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.default is dataclasses.MISSING or value != field.default


def _laid_out(opening: str, parts: list[str], closing: str, indent: int) -> str:
    """On one line where that is short, else a line a part."""
    short = opening + ", ".join(parts) + closing
    if len(short) + indent <= WIDTH and "\n" not in short:
        return short
    inner = "".join(f"{' ' * (indent + 4)}{part},\n" for part in parts)
    return f"{opening}\n{inner}{' ' * indent}{closing}"


def _home(kind: type) -> str:
    for home in HOMES:
        if getattr(sys.modules.get(home), kind.__name__, None) is kind:
            return home
    if kind.__module__.startswith("experiments"):
        raise UsageError(f"{kind.__name__} is declared in an experiment and cannot be written into another module")
    return kind.__module__

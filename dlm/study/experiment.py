"""Finds, lists, loads and writes experiment modules: files with one function, `study() -> Study`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import os
import sys
import traceback
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlm.study.study import Study
from dlm.study.sweep import Axes
from dlm.utils.errors import UsageError, nearest
from dlm.utils.files import write_atomically

WIDTH = 110  # of a line in a written module


def module_text(study: Study, question: str, command: str) -> str:
    """Source of an experiment module: a docstring with question and command, imports, and `study()`."""
    imports: dict[str, set[str]] = defaultdict(set)
    body = _expression(dataclasses.replace(study, name=""), imports, indent=4)
    lines = [_import_line(home, sorted(names)) for home, names in sorted(imports.items())]
    return (
        f'"""{question}\n\n    {command}\n"""\n\n' + "\n".join(lines) + "\n\n\n"
        f'def study() -> Study:\n    """The study proposed for these data; change it as needed."""\n    return {body}\n'
    )


def _import_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDTH else _wrapped(f"from {module} import (", names, ")", 0)


def write_module(study: Study, question: str, path: str) -> Path:
    """Write an experiment module to a new .py file. UsageError for another suffix or an existing file."""
    file = Path(path).expanduser()
    if file.suffix != ".py":
        raise UsageError(f"--save_experiment={path} must name a .py file, for example experiments/mine.py")
    if file.exists():
        raise UsageError(f"--save_experiment={path} exists; choose another name, or remove it first")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, module_text(study, question, f"python launch.py --experiment={path}"))
    return file


def _expression(value: Any, imports: dict[str, set[str]], indent: int) -> str:
    """A config as a Python expression with the fields that differ from their defaults."""
    if isinstance(value, Axes) and value.points:
        imports["dlm"].add("zipped")
        return repr(value)
    if dataclasses.is_dataclass(value):
        imports[_home(type(value))].add(type(value).__name__)
        fields = sorted(dataclasses.fields(value), key=lambda field: bool(field.kw_only))
        values = {
            field.name: getattr(value, field.name) for field in fields if getattr(value, field.name) != field.default
        }
        parts = [f"{name}={_expression(item, imports, indent + 4)}" for name, item in values.items()]
        return _wrapped(f"{type(value).__name__}(", parts, ")", indent)
    if isinstance(value, Mapping):
        parts = [f"{json.dumps(key)}: {_expression(item, imports, indent + 4)}" for key, item in value.items()]
        return _wrapped("{", parts, "}", indent)
    if isinstance(value, tuple):
        inner = ", ".join(_expression(item, imports, indent) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _wrapped(opening: str, parts: list[str], closing: str, indent: int) -> str:
    """Code on one line if it fits, otherwise one line per part."""
    short = opening + ", ".join(parts) + closing
    if len(short) + indent <= WIDTH and "\n" not in short:
        return short
    inner = "".join(f"{' ' * (indent + 4)}{part},\n" for part in parts)
    return f"{opening}\n{inner}{' ' * indent}{closing}"


def _home(kind: type) -> str:
    if getattr(sys.modules["dlm"], kind.__name__, None) is kind:
        return "dlm"
    if kind.__module__.startswith("experiments"):
        raise UsageError(f"{kind.__name__} is declared in an experiment and cannot be written into another module")
    return kind.__module__


_PACKAGE = Path(__file__).resolve().parents[1]
# The wheel holds the experiments inside the package; in a clone they are beside it.
FOLDER = next(filter(Path.is_dir, (_PACKAGE / "experiments", _PACKAGE.parent / "experiments")), _PACKAGE)


def find(name: str) -> Path:
    """The file of an experiment, from its name or the path of a .py file."""
    if not name:
        known = ", ".join(names())
        raise UsageError(f"--experiment is missing; choose one of {known} or a .py file, or give --data=PATH")
    if name.endswith(".py") or "/" in name:
        path = Path(name).expanduser()
        if not os.path.isfile(path):  # False also for a name that is too long
            raise UsageError(
                f"--experiment={name}: the file does not exist; give a name from --list or the path of a .py file"
            )
        return path.resolve()
    path = FOLDER / f"{name}.py"
    if not os.path.isfile(path):
        raise UsageError(f"--experiment={name} is unknown; {nearest(name, names())}")
    return path


def names() -> list[str]:
    """Names of the experiments that come with dlm."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def question(path: Path) -> str:
    """First line of an experiment's docstring; the module is not run."""
    try:
        return (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]
    except (OSError, SyntaxError, ValueError):
        return "(not readable as Python)"


def load(name: str) -> Study:
    """Run an experiment module and return its study, named after the file.

    Raises UsageError, with the cause chained, if the module raises or has no `study()` that returns a Study.
    """
    path = find(name)
    spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--experiment={name}: {path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their own module by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "study", None)):
            raise UsageError(f"{path} has no function study(); add one that returns a dlm.Study")
        study = module.study()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        where = _last_line_in(path, error)
        raise UsageError(
            f"{path}{where} raised {type(error).__name__}: {error}; fix the module (--debug shows the traceback)"
        ) from error
    if not isinstance(study, Study):
        raise UsageError(f"{path}: study() returned {type(study).__name__}; it must return a dlm.Study")
    return dataclasses.replace(study, name=study.name or path.stem)


def _last_line_in(path: Path, error: BaseException) -> str:
    """`:LINE` of the deepest frame inside the module, for messages."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""

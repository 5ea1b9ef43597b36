"""Find, list and load experiment modules: files with one function, `study() -> Study`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlm.study.study import Study
from dlm.utils.errors import UsageError, nearest
from dlm.utils.files import write_atomically

WIDTH = 110  # of a line of the module


def module_text(study: Study, question: str, command: str) -> str:
    """The module: a docstring with question and command, the imports, and `study()`."""
    imports: dict[str, set[str]] = defaultdict(set)
    body = _said(dataclasses.replace(study, name=""), imports, indent=4)
    lines = [_import_line(home, sorted(names)) for home, names in sorted(imports.items())]
    return (
        f'"""{question}\n\n    {command}\n"""\n\n' + "\n".join(lines) + "\n\n\n"
        f'def study() -> Study:\n    """As proposed for these data; change what you like."""\n    return {body}\n'
    )


def _import_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return (
        line if len(line) <= WIDTH else f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
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
    if getattr(sys.modules["dlm"], kind.__name__, None) is kind:
        return "dlm"
    if kind.__module__.startswith("experiments"):
        raise UsageError(f"{kind.__name__} is declared in an experiment and cannot be written into another module")
    return kind.__module__


_PACKAGE = Path(__file__).resolve().parents[1]
# The wheel holds the experiments inside the package; in a clone they are beside it.
FOLDER = next(filter(Path.is_dir, (_PACKAGE / "experiments", _PACKAGE.parent / "experiments")), _PACKAGE)


def find(name: str) -> Path:
    """The file of an experiment, given by its name or by a path to any `.py`."""
    if not name:
        known = ", ".join(names())
        raise UsageError(f"--experiment is missing; choose one of {known} or a .py file, or give --data=PATH")
    if name.endswith(".py") or "/" in name:
        path = Path(name).expanduser()
        if not _is_file(path):
            raise UsageError(
                f"--experiment={name}: there is no such file; give a name from --list or a path to a .py file"
            )
        return path.resolve()
    path = FOLDER / f"{name}.py"
    if not _is_file(path):
        raise UsageError(f"--experiment={name} is unknown; {nearest(name, names())}")
    return path


def names() -> list[str]:
    """The experiments of the project, by name."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def question(path: Path) -> str:
    """First line of an experiment's docstring, read without running the module."""
    try:
        return (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]
    except (OSError, SyntaxError, ValueError):
        return "(not readable as Python)"


def load(name: str) -> Study:
    """Run an experiment module and return its study, named after the file.

    Raises UsageError if the module raises or has no `study()` that returns a Study; the cause is chained to
    it.
    """
    path = find(name)
    spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--experiment={name}: {path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of the module look their own module up by name.
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
            f"{path}{where} raised {type(error).__name__}: {error}; mend the module (--debug shows where)"
        ) from error
    if not isinstance(study, Study):
        raise UsageError(f"{path}: study() returned {type(study).__name__}; it must return a dlm.Study")
    return dataclasses.replace(study, name=study.name or path.stem)


def _last_line_in(path: Path, error: BaseException) -> str:
    """`:LINE` of the deepest frame inside the module, for an error without a traceback."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    return f":{line}" if line else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system, a folder that may not be searched
        return False

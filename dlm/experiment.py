"""Find, list and load experiment modules: files with one function, `study() -> Study`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import sys
from pathlib import Path

from dlm.errors import UsageError, nearest
from dlm.study import Study

FOLDER = Path(__file__).resolve().parent.parent / "experiments"


def find(name: str) -> Path:
    """The file of an experiment, given by its name or by a path to any `.py`."""
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

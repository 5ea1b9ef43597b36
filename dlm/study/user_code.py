"""Identifies functions, classes and flax modules of user code, so that they can be part of a study.

A function or class of an installed package is identified by its module and name; other code by its name and a hash of
its source without comments, docstrings of the file and formatting, so that moving it to another file changes no trial
id and changing it does.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import sysconfig
import textwrap
from collections.abc import Callable
from typing import Any, TypeGuard

from dlm.utils.errors import UsageError

Code = type | Callable[..., Any]
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_flax_module(value: Any) -> bool:
    """Whether a value is an instance of `flax.linen.Module`; flax is not imported."""
    return any((base.__module__, base.__name__) == ("flax.linen.module", "Module") for base in type(value).__mro__)


def is_code(value: Any) -> TypeGuard[Code]:
    """Whether a value is a function, a class or a `functools.partial`."""
    return (callable(value) and not dataclasses.is_dataclass(value)) or isinstance(value, type)


def module_fields(module: Any) -> dict[str, Any]:
    """Fields of a linen module by name, except functions at their default: these are part of the class's source."""
    fields = {field: getattr(module, field.name) for field in dataclasses.fields(module)}
    return {
        field.name: value
        for field, value in fields.items()
        if field.name not in ("parent", "name") and not (is_code(value) and value is field.default)
    }


def check_code(value: Code, where: str) -> None:
    """UsageError unless a function or class has a name and a source that identify it."""
    if isinstance(value, functools.partial):
        check_code(value.func, where)
        return
    name = getattr(value, "__qualname__", "")
    if not name or "<" in name:
        kind = "a lambda" if "<lambda>" in name else f"{name or type(value).__name__}, which is defined in a function,"
        raise UsageError(
            f"{where}={kind} has no name that identifies it in records; define it with def or class at the top level "
            "of a module"
        )
    code_identity(value, where)


def code_identity(value: Code, where: str = "code") -> dict[str, Any]:
    """JSON-ready identity of a function or class. UsageError if its source cannot be read."""
    if isinstance(value, functools.partial):
        arguments = {"args": list(value.args), "keywords": dict(value.keywords)}
        return {"partial": code_identity(value.func, where), **arguments}
    path = _source_file(value)
    if path is None or path.startswith(_INSTALLED):
        return {"code": f"{value.__module__}.{value.__qualname__}"}
    bases = value.__mro__ if isinstance(value, type) else (value,)
    own = [base for base in bases if not (_source_file(base) or _INSTALLED[0]).startswith(_INSTALLED)]
    return {"code": value.__qualname__, "source": _source_hash(tuple(own), where)}


def _source_file(value: Code) -> str | None:
    """The file that defines a function or class; None for built-in code."""
    try:
        return inspect.getsourcefile(inspect.unwrap(value))
    except TypeError:
        return None


@functools.cache
def _source_hash(values: tuple[Code, ...], where: str) -> str:
    try:
        sources = [ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(v))))) for v in values]
    except (OSError, SyntaxError) as error:
        raise UsageError(
            f"{where}: the source of {values[0].__qualname__} cannot be read ({error}); define it in a file"
        ) from error
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]

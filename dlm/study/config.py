"""Checks, replaces and hashes configs: frozen dataclasses of scalars, tuples, mappings, other configs and user code.

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
import json
import math
import sysconfig
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from dlm.utils.errors import UsageError

SCALARS = {int: "an integer", float: "a number", bool: "true or false", str: "text", type(None): "none"}


def field_hints(config: Any) -> dict[str, Any]:
    """Type hint of each field of a dataclass; without a resolvable hint, the type of its value."""
    try:
        hints = typing.get_type_hints(type(config))
    except (NameError, TypeError, AttributeError, SyntaxError):  # names imported under TYPE_CHECKING
        hints = {}
    return {f.name: hints.get(f.name, type(getattr(config, f.name))) for f in dataclasses.fields(config)}


def is_plain(hint: Any) -> bool:
    """Whether text can be parsed as the hint: numbers, text, choices, tuples of these, and unions with one of them."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(is_plain(option) for option in arguments if option is not type(None))
    if origin is tuple:
        inner = [argument for argument in arguments if argument is not ...]
        return bool(inner) and all(is_plain(part) and typing.get_origin(part) is not tuple for part in inner)
    return isinstance(hint, type) and hint in (int, float, bool, str)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the hint's type. NaN does not; hints that cannot be checked (`Any`, mappings) accept all."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value in arguments
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is tuple and arguments:
        if not isinstance(value, tuple):
            return False
        hints = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(hints) == len(value) and all(fits(item, part) for item, part in zip(value, hints))
    if hint is int or hint is float:
        kinds = (int,) if hint is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and value == value
    try:
        return hint is Any or not isinstance(hint, type) or isinstance(value, hint)
    except TypeError:  # a protocol that does not support isinstance
        return True


def describe(hint: Any) -> str:
    """A hint in words, for messages."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(option) for option in arguments)
    if origin is tuple and arguments and arguments[-1] is ...:
        return f"a comma-separated list, each {describe(arguments[0])}"
    if origin is tuple and arguments:
        return f"a comma-separated list of {len(arguments)}: " + ", ".join(describe(part) for part in arguments)
    return SCALARS.get(hint) or f"of type {getattr(hint, '__name__', hint)}"


def check_fields(config: Any, where: str) -> None:
    """UsageError for a field of a dataclass whose value does not have the hint's type."""
    for name, hint in field_hints(config).items():
        value = getattr(config, name)
        if fits(value, hint):
            continue
        remedy = "; write a tuple, (…,)" if isinstance(value, list) else ""
        raise UsageError(f"{_join(where, name)}={value!r} is not {describe(hint)}{remedy}")


def check_amounts(config: Any, where: str, most: float = math.inf) -> None:
    """Like `check_fields`, for fields that are finite numbers from 0 to `most`; converts those with the hint float."""
    check_fields(config, where)
    for name, hint in field_hints(config).items():
        value = getattr(config, name)
        if not 0 <= value <= most or value == math.inf:
            rule = "a finite number of at least 0" if most == math.inf else f"between 0 and {most}"
            raise UsageError(f"{where}.{name}={value!r} must be {rule}")
        if hint is float:
            object.__setattr__(config, name, float(value))


def check_frozen(value: Any, where: str, allow_code: bool = False) -> None:
    """UsageError unless `value` can be in a study: a scalar, tuple, frozen dataclass or mapping, or flax module.

    `where` is its path, empty for the study itself. Functions and classes are allowed in fields of flax modules and in
    fields with the metadata `code`.
    """
    if is_flax_module(value):
        check_code(type(value), where)
        for name, item in module_fields(value).items():
            check_frozen(item, _join(where, name), allow_code=True)
    elif allow_code and is_code(value):
        check_code(value, where)
    elif isinstance(value, type):
        raise UsageError(f"{where}={value.__name__} is a class; write {value.__name__}(…), an instance")
    elif dataclasses.is_dataclass(value):
        if not getattr(type(value), "__dataclass_params__").frozen:  # noqa: B009 - unknown to type checkers
            raise UsageError(f"{where}: {type(value).__name__} is mutable; declare it as dataclass(frozen=True)")
        check_fields(value, where)
        for field in dataclasses.fields(value):
            check_frozen(getattr(value, field.name), _join(where, field.name), field.metadata.get("code", False))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            check_frozen(item, f"{where}[{index}]", allow_code)
    elif isinstance(value, Mapping) and type(value).__hash__ is not None:
        for key, item in value.items():
            check_frozen(item, _join(where, str(key)), allow_code)
    elif value is not None and not isinstance(value, bool | int | float | str):
        remedies = {"list": "write a tuple", "dict": "write a frozen dataclass"}
        remedy = remedies.get(type(value).__name__, "use numbers, text, tuples and frozen dataclasses")
        raise UsageError(f"{where}={value!r} cannot be part of a study; {remedy}")
    elif value != value:
        raise UsageError(f"{where}={value!r} is not a number")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


class FrozenDict(Mapping[str, Any]):
    """A hashable mapping. It keeps the order of its items, which does not matter for equality."""

    def __init__(self, items: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **more: Any):
        self._items = {**dict(items), **more}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenDict({self._items})"


def replaced(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with fields at dotted paths replaced at once, so that checks across fields see only the result.

    Raises UsageError if the config's own checks raise any exception.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        groups.setdefault(head, {})[rest] = value
    if not groups:
        return config
    if isinstance(config, FrozenDict):
        return FrozenDict({**config, **{head: _replaced_part(config[head], group) for head, group in groups.items()}})
    fields = {head: _replaced_part(getattr(config, head), group) for head, group in groups.items()}
    try:
        return dataclasses.replace(config, **fields)
    except UsageError:
        raise
    except Exception as error:
        values = ", ".join(f"{path}={value!r}" for path, value in changes.items())
        raise UsageError(f"{type(config).__name__} refuses {values}: {type(error).__name__}: {error}") from error


def _replaced_part(config: Any, changes: Mapping[str, Any]) -> Any:
    return changes[""] if "" in changes else replaced(config, changes)


def canonical(value: Any) -> Any:
    """JSON-ready form of a config; two forms are equal exactly if the configs are equal (1.0 becomes 1).

    A dataclass is identified by its name without its module, so moving it to another file changes no trial id. A field
    with the metadata `omit_default` is absent while it has its default, so adding it changes no trial id either.
    """
    if is_flax_module(value):
        return {"type": code_identity(type(value)), **canonical(module_fields(value))}
    if is_code(value):
        return canonical(code_identity(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        values = [(field, item) for field, item in values if not _is_omitted(field, item)]
        return {"type": type(value).__qualname__, **{field.name: canonical(item) for field, item in values}}
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # JSON has no infinity
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(f"{value!r} cannot be part of a study; use numbers, text, tuples and frozen dataclasses")


def _is_omitted(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.metadata.get("omit_default", False) and value == field.default


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of a canonical form by dotted path; a list is a leaf."""
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {path: leaf for key, child in value.items() for path, leaf in flat(child, f"{prefix}{key}.").items()}


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the canonical form."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has(config: Any, path: str) -> bool:
    """Whether a config has a field at a dotted path."""
    head, _, rest = path.partition(".")
    if isinstance(config, FrozenDict):
        return head in config and (has(config[head], rest) if rest else True)
    if not dataclasses.is_dataclass(config) or head not in {field.name for field in dataclasses.fields(config)}:
        return False
    return has(getattr(config, head), rest) if rest else True


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

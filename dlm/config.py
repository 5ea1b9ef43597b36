"""Tools for configs, frozen dataclasses all the way down: a hashable mapping, replacing, hashing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.errors import UsageError

UNSAID = "unsaid"


class FrozenDict(Mapping[str, Any]):
    """A hashable mapping that keeps its order, and is equal in any."""

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
    """`config` with fields at dotted paths replaced, at once: rules between fields see the outcome alone.

    UsageError if the config refuses, whatever it raises.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        groups.setdefault(head, {})[rest] = value
    if not groups:
        return config
    if isinstance(config, FrozenDict):
        return FrozenDict({**config, **{head: _inside(config[head], group) for head, group in groups.items()}})
    fields = {head: _inside(getattr(config, head), group) for head, group in groups.items()}
    try:
        return dataclasses.replace(config, **fields)
    except UsageError:
        raise
    except Exception as error:
        told = ", ".join(f"{path}={value!r}" for path, value in changes.items())
        raise UsageError(f"{type(config).__name__} refuses {told}: {type(error).__name__}: {error}") from error


def _inside(config: Any, changes: Mapping[str, Any]) -> Any:
    return changes[""] if "" in changes else replaced(config, changes)


def canonical(value: Any) -> Any:
    """JSON-ready form of a config in which equal configs, and only those, are equal: 1.0 is 1 there too.

    A dataclass goes by its name without its module, so that moving it to another file changes no trial. A field that
    is declared `unsaid` is left out at its default, so that ids from before there was such a field stay.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
        said = {f.name: item for f, item in fields.items() if UNSAID not in f.metadata or item != f.default}
        return {"type": type(value).__qualname__, **{name: canonical(item) for name, item in said.items()}}
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(f"{value!r} cannot be part of a study; use numbers, text, tuples and frozen dataclasses")


def unsaid(default: Any) -> Any:
    """A dataclass's field that goes without saying at its default, see `canonical`."""
    return dataclasses.field(default=default, metadata={UNSAID: True})


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the canonical form."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has(config: Any, path: str) -> bool:
    """Whether a config has a field at a dotted path."""
    head, _, rest = path.partition(".")
    if not dataclasses.is_dataclass(config) or head not in {field.name for field in dataclasses.fields(config)}:
        return False
    return has(getattr(config, head), rest) if rest else True

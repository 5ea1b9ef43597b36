"""JSON, an object a line or one list of objects, as an Arrow table: a column a field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from dlm.data.own.files import check_fits, text_of
from dlm.errors import UsageError

ENDINGS = (".jsonl", ".ndjson", ".json")


def read_json(path: Path) -> pa.Table:
    """A field that an object lacks is missing. UsageError for a line that is no object, with its number."""
    check_fits(path.stat().st_size, "save it as parquet, or take a part of it")
    text = text_of(path)
    rows = _listed(text) if text.lstrip().startswith("[") else [_object(line, k) for k, line in _numbered(text)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UsageError('holds no objects with fields; give one a line, such as {"text": "good", "label": "yes"}')
    return pa.table([_field(name, [row.get(name) for row in rows]) for name in names], names)


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    # Not splitlines: a text within JSON may hold U+2028 and the like.
    return ((k, line) for k, line in enumerate(text.split("\n"), start=1) if line.strip())


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"line {number:,} is no JSON ({error}); give one object a line") from None
    if not isinstance(row, dict):
        raise UsageError(f"line {number:,} is no object but {line.strip()[:40]!r}; give one object a line")
    return row


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is no JSON ({error}); give one object a line, or a list of objects") from None
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError("is a list of other things than objects; give objects of a field a column")
    return rows


def _field(name: str, values: list[Any]) -> pa.ChunkedArray:
    """A field of all rows as Arrow's. Where numbers and texts are mixed, all are texts."""
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        if any(isinstance(value, dict | list) for value in values):
            raise UsageError(f"field {name!r} holds lists or objects of several kinds; leave it out") from None
    return pa.chunked_array([pa.array([None if value is None else str(value) for value in values])])

"""Tables of somebody's own, CSV, parquet or JSON, as columns; what is no use for learning is left out and told."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dlm.data.columns import Column
from dlm.data.readers import arrow, delimited
from dlm.data.readers.audio import waves
from dlm.data.readers.images import pictures
from dlm.data.readers.paths import about, check_fits, listed, text_of
from dlm.data.readers.user_dataset import Found
from dlm.utils.errors import UsageError, nearest

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")


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


def encoded(name: str, rows: Sequence[bytes | None], size: tuple[int, int] | None) -> tuple[Column, tuple[str, ...]]:
    """Bytes of files, WAV or any format of pictures, as a column. UsageError names a row that cannot be read."""
    files = [row or b"" for row in rows]
    sounds = next(filter(None, files), b"").startswith(b"RIFF")
    column, kept, remarks = waves(files) if sounds else pictures(files, size)
    if not kept.all():
        broken = int(kept.argmin())
        raise UsageError(
            f"row {broken + 1:,} of column {name!r} is no {'sound' if sounds else 'picture'}; leave it out"
        )
    return column, remarks


PARQUET = (".parquet", ".pq")
ENDINGS = (*delimited.ENDINGS, *PARQUET, *JSON_ENDINGS)

_TARGETS = ("target", "label", "labels", "class", "y")
_ID = re.compile(
    r"(^|[\W_])(?i:id|ids|uid|uuid|guid|key|index|idx|rownames)$|[a-z](Id|ID)$|^Unnamed: ?\d+$|^__index_level_\d+__$"
)
_CODE = r"^[0-9A-Fa-f-]{16,}$"  # hashes and UUIDs


def read_tables(files: Mapping[str, Sequence[Path]]) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """The rows of all, {"all": files}, or of each split, as in {"train": files, "test": files}; and remarks.

    UsageError for a file that is no such table, and for files of a split that do not go together.
    """
    tables: dict[str, pa.Table] = {}
    remarks: list[str] = []
    for split, paths in files.items():
        parts = []
        for path in paths:
            with about(path.name) if len(files) + len(paths) > 2 else contextlib.nullcontext():
                table, told = read_table(path)
            parts.append(table)
            remarks += [remark for remark in told if remark not in remarks]
        tables[split] = _joined(parts)
    return tables, tuple(remarks)


def found_in_tables(tables: Mapping[str, pa.Table], target: str, size: tuple[int, int] | None = None) -> Found:
    """Tables as one data set. The target stays whatever it holds; a split without it is left out.

    Columns that a split lacks are left out too: what is not known in testing cannot be learned from. `size` is that of
    pictures inside a table.
    """
    tables, without = _with_target(tables, target)
    shared, apart = _shared(tables)
    columns, left_out = columns_of_table(_joined(shared), target, size)
    counts = {split: table.num_rows for split, table in tables.items()}
    counts = counts if len(counts) > 1 else {"all": sum(counts.values())}
    return Found(columns, counts, target, (*without, *apart, *left_out))


def guessed_target(names: Sequence[str]) -> str:
    """The one column whose name says that it is the target; empty where none or several do."""
    found = [name for name in names if name.casefold() in _TARGETS]
    return found[0] if len(found) == 1 else ""


def read_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """A table as Arrow's, and in sentences what was assumed."""
    ending = path.suffix.casefold()
    if ending in PARQUET or ending in JSON_ENDINGS:
        table = _parquet(path) if ending in PARQUET else read_json(path)
        remarks: tuple[str, ...] = ()
    else:
        table, remarks = delimited.read_delimited(path)
    if not table.num_rows:
        raise UsageError("no row follows the names of the columns; give one row an example")
    return table, remarks


def columns_of_table(
    table: pa.Table, target: str = "", size: tuple[int, int] | None = None
) -> tuple[dict[str, Column], tuple[str, ...]]:
    """An Arrow table's columns that can be learned from, and which were left out and why. The target always stays."""
    if target and target not in table.column_names:
        raise UsageError(f"there is no column {target!r}; {nearest(target, table.column_names)[:400]}")
    columns: dict[str, Column] = {}
    remarks: list[str] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for name in table.column_names:
        array = table.column(name)
        column, told = (_target(name, array), ()) if name == target else _input(name, array, size)
        reason = "" if name == target else _no_use(name, array, column)
        if column is None or reason:
            left_out[reason].append(name)
            continue
        columns[name] = column
        remarks += told
        if pa.types.is_floating(array.type) and (infinite := pc.sum(pc.is_inf(array)).as_py()):
            remarks.append(f"Column {name}: infinite values are taken as missing: {infinite:,}.")
    remarks += [f"Columns left out, since {reason}: {listed(names)}." for reason, names in left_out.items()]
    return columns, tuple(remarks)


def _parquet(path: Path) -> pa.Table:
    try:
        groups = pq.ParquetFile(path).metadata
        size = sum(groups.row_group(k).total_byte_size for k in range(groups.num_row_groups))
        check_fits(size, "leave columns out, or sample its rows")
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, PermissionError | UsageError):
            raise
        raise UsageError(f"is no parquet file ({str(error)[:200]}); write it anew") from None
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise UsageError(f"names {listed(twice)} more than once; give each column a name of its own")
    return table


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise UsageError(f"the files do not go together ({error}); give a column the same kind in each") from None


def _with_target(tables: Mapping[str, pa.Table], target: str) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """Only the splits that have the target, if any has."""
    has = {split: table for split, table in tables.items() if target in table.column_names}
    without = [split for split in tables if split not in has]
    if not target or not has or not without:
        return dict(tables), ()
    return has, (f"Left out, since it has no column {target}: {listed(without)}.",)


def _shared(tables: Mapping[str, pa.Table]) -> tuple[list[pa.Table], tuple[str, ...]]:
    """The columns that every split has, and the names of others."""
    first = next(iter(tables.values()))
    names = [name for name in first.column_names if all(name in table.column_names for table in tables.values())]
    others = sorted({name for table in tables.values() for name in table.column_names} - set(names))
    told = (f"Columns left out, since not every split has them: {listed(others)}.",) if others else ()
    return [table.select(names) for table in tables.values()], told


def _target(name: str, array: pa.ChunkedArray) -> Column:
    if array.null_count == len(array):
        raise UsageError(f"column {name!r} has no value in any row; choose another to predict")
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    column = arrow.classes(array) if text or pa.types.is_boolean(array.type) else arrow.column(name, array)
    if column is None:
        raise UsageError(f"column {name!r} is of type {array.type}; choose a target of numbers, texts or truth values")
    return column


def _input(name: str, array: pa.ChunkedArray, size: tuple[int, int] | None) -> tuple[Column | None, tuple[str, ...]]:
    """A column, of pictures or sounds where it holds encoded files as Hugging Face writes them: {bytes, path}."""
    if pa.types.is_struct(array.type) and array.type.get_field_index("bytes") >= 0:
        return encoded(name, pc.struct_field(array, "bytes").to_pylist(), size)
    return arrow.column(name, array), ()


def _no_use(name: str, array: pa.ChunkedArray, column: Column | None) -> str:
    """Why nothing can be learned from a column, to follow the word since; empty if something may."""
    if pa.types.is_null(array.type):
        return "no two of their values differ"
    if column is None:
        return f"{array.type} is no kind that is read"
    if column.kind not in ("number", "class", "text", "date") or array.type.num_fields:
        return ""
    array = pc.cast(array, array.type.value_type) if pa.types.is_dictionary(array.type) else array
    distinct = pc.count_distinct(array).as_py()
    if distinct < 2:
        return "no two of their values differ"
    given = len(array) - array.null_count
    if column.kind == "class" and distinct > arrow.MANY and distinct > given / 2:
        return f"nearly all values differ ({distinct:,} in {len(array):,} rows)"
    if column.kind == "text" and pc.all(pc.match_substring_regex(array, _CODE)).as_py():
        return "they are codes"
    if distinct == len(array) and column.kind in ("number", "text") and (_ID.search(name) or _counts(column)):
        return f"all {distinct:,} values differ as identifiers do"
    return ""


def _counts(column: Column) -> bool:
    """Whether a column counts the rows, from 0 or 1."""
    values = column.values
    return isinstance(values, np.ndarray) and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))

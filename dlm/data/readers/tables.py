"""Reads CSV, Parquet and JSON tables as columns, without columns that are not useful as inputs."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dlm.data.columns import Column
from dlm.data.readers import arrow, text_tables
from dlm.data.readers.audio import read_audio
from dlm.data.readers.files import check_fits, error_context, listed
from dlm.data.readers.images import read_images
from dlm.data.readers.user_dataset import UserDataset
from dlm.data.schema_inference import why_unusable
from dlm.utils.errors import UsageError, nearest

PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = (*text_tables.CSV_SUFFIXES, *PARQUET_SUFFIXES, *text_tables.JSON_SUFFIXES)


def read_tables(files: Mapping[str, Sequence[Path]]) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """The table of each split, files of a split concatenated; and remarks.

    files: {"all": paths}, or paths by split. Raises UsageError for unreadable files, and for files with different types
    of a column.
    """
    tables: dict[str, pa.Table] = {}
    remarks: dict[str, None] = {}
    for split, paths in files.items():
        parts = []
        for path in paths:
            with error_context(path.name) if len(files) + len(paths) > 2 else contextlib.nullcontext():
                table, table_remarks = read_table(path)
            parts.append(table)
            remarks |= dict.fromkeys(table_remarks)
        tables[split] = _concatenated(parts)
    return tables, tuple(remarks)


def read_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """An Arrow table, and remarks on how it was read."""
    suffix = path.suffix.casefold()
    remarks: tuple[str, ...] = ()
    if suffix in PARQUET_SUFFIXES:
        table = _parquet(path)
    elif suffix in text_tables.JSON_SUFFIXES:
        table = text_tables.read_json(path)
    else:
        table, remarks = text_tables.read_csv(path)
    if not table.num_rows:
        raise UsageError("the table has no rows; give one row per example")
    return table, remarks


def from_tables(tables: Mapping[str, pa.Table], target: str, size: tuple[int, int] | None = None) -> UserDataset:
    """Tables of splits as one data set. The target is always a column; a split without it is dropped.

    Columns that a split lacks are dropped too, since they would be unknown at test time. size: of images in a table.
    """
    remarks: list[str] = []
    with_target = {split: table for split, table in tables.items() if target in table.column_names}
    if target and with_target and len(with_target) < len(tables):
        dropped = [split for split in tables if split not in with_target]
        remarks.append(f"Dropped splits without column {target}: {listed(dropped)}.")
        tables = with_target
    first = next(iter(tables.values()))
    names = [name for name in first.column_names if all(name in table.column_names for table in tables.values())]
    others = sorted({name for table in tables.values() for name in table.column_names} - set(names))
    if others:
        remarks.append(f"Dropped columns that are not in every split: {listed(others)}.")
    table = _concatenated([table.select(names) for table in tables.values()])
    columns, column_remarks = columns_of_table(table, target, size)
    counts = {split: table.num_rows for split, table in tables.items()}
    counts = counts if len(counts) > 1 else {"all": sum(counts.values())}
    return UserDataset(columns, counts, target, (*remarks, *column_remarks))


def columns_of_table(
    table: pa.Table, target: str = "", size: tuple[int, int] | None = None
) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The useful columns of an Arrow table, the target always; and remarks on the dropped ones."""
    if target and target not in table.column_names:
        raise UsageError(f"the table has no column {target!r}; {nearest(target, table.column_names)[:400]}")
    columns: dict[str, Column] = {}
    remarks: list[str] = []
    dropped: dict[str, list[str]] = defaultdict(list)
    for name in table.column_names:
        array = table.column(name)
        column, column_remarks = (_target(name, array), ()) if name == target else _input(name, array, size)
        reason = "" if name == target else why_unusable(name, array, column)
        if column is None or reason:
            dropped[reason].append(name)
            continue
        columns[name] = column
        remarks += column_remarks
        if pa.types.is_floating(array.type) and (infinite := pc.sum(pc.is_inf(array)).as_py()):
            remarks.append(f"Column {name}: {infinite:,} infinite values are treated as missing.")
    remarks += [f"Dropped columns, since {reason}: {listed(names)}." for reason, names in dropped.items()]
    return columns, tuple(remarks)


def _parquet(path: Path) -> pa.Table:
    try:
        metadata = pq.ParquetFile(path).metadata
        size = sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
        check_fits(size, "remove columns, or sample its rows")
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, PermissionError | UsageError):
            raise
        raise UsageError(f"not a Parquet file ({str(error)[:200]}); write it again") from None
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise UsageError(f"column names {listed(repeated)} are repeated; give each column its own name")
    return table


def _concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise UsageError(f"the files have different column types ({error}); use one type per column") from None


def _target(name: str, array: pa.ChunkedArray) -> Column:
    if array.null_count == len(array):
        raise UsageError(f"column {name!r} has no values; choose another target")
    is_class = arrow.is_string(array.type) or pa.types.is_boolean(array.type)
    column = arrow.class_column(array) if is_class else arrow.column(name, array)
    if column is None:
        raise UsageError(f"column {name!r} has type {array.type}; choose a target of numbers, texts or booleans")
    return column


def _input(name: str, array: pa.ChunkedArray, size: tuple[int, int] | None) -> tuple[Column | None, tuple[str, ...]]:
    """A column, and remarks; of images or sounds if it has encoded files as Hugging Face stores them: {bytes, path}."""
    if not pa.types.is_struct(array.type) or array.type.get_field_index("bytes") < 0:
        return arrow.column(name, array), ()
    files = [row or b"" for row in pc.struct_field(array, "bytes").to_pylist()]
    is_audio = next(filter(None, files), b"").startswith(b"RIFF")
    column, readable, remarks = read_audio(files) if is_audio else read_images(files, size)
    if not readable.all():
        row = int(readable.argmin()) + 1
        raise UsageError(f"row {row:,} of column {name!r} is not {'a sound' if is_audio else 'an image'}; remove it")
    return column, remarks

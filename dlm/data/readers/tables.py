"""Reads CSV, Parquet and JSON tables as columns, without columns that are not useful as inputs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dlm.data.columns import Column, FileKind, Size
from dlm.data.readers import arrow, notations, text_tables
from dlm.data.readers.audio import read_audio
from dlm.data.readers.files import check_fits, error_context, listed
from dlm.data.readers.images import read_images
from dlm.data.readers.user_dataset import UserDataset
from dlm.data.schema_inference import repeated_identifier, why_unusable
from dlm.utils.errors import UsageError, nearest

PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = (*text_tables.CSV_SUFFIXES, *PARQUET_SUFFIXES, *text_tables.JSON_SUFFIXES)


@dataclasses.dataclass(frozen=True)
class SplitTables:
    """What a reader of files returns: an Arrow table of each split, before its columns are inferred.

    splits: a single one is "all", several are train, test and perhaps validation. kinds: columns of a known kind, which
    are texts, or names of files of images or sounds. target: the column to predict, if it is known. group: a column of
    names. Target, group and `inputs` are never dropped.
    """

    splits: Mapping[str, pa.Table]
    remarks: tuple[str, ...] = ()
    kinds: Mapping[str, FileKind] = dataclasses.field(default_factory=dict)
    target: str = ""
    group: str = ""
    inputs: tuple[str, ...] = ()

    @property
    def first(self) -> pa.Table:
        """The table of the first split."""
        return next(iter(self.splits.values()))


def read_tables(files: Mapping[str, Sequence[Path]]) -> SplitTables:
    """The table of each split, files of a split concatenated.

    files: {"all": paths}, or paths by split. Raises UsageError for unreadable files, and for files with different types
    of a column.
    """
    splits: dict[str, pa.Table] = {}
    remarks: dict[str, None] = {}
    for split, paths in files.items():
        parts = []
        for path in paths:
            with error_context(path.name) if len(files) + len(paths) > 2 else contextlib.nullcontext():
                table, table_remarks = read_table(path)
            parts.append(table)
            remarks |= dict.fromkeys(table_remarks)
        splits[split] = _concatenated(parts)
    return SplitTables(splits, tuple(remarks))


def read_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """An Arrow table, and remarks on how it was read."""
    suffix, separator = path.suffix.casefold(), ","
    if suffix in PARQUET_SUFFIXES:
        table = _parquet(path)
    elif suffix in text_tables.JSON_SUFFIXES:
        table = text_tables.read_json(path)
    else:
        table, separator = text_tables.read_csv(path)
    if not table.num_rows:
        raise UsageError("the table has no rows; give one row per example")
    return _normalized(table, separator)


def _normalized(table: pa.Table, separator: str) -> tuple[pa.Table, tuple[str, ...]]:
    """The table with plain types and cleaned texts, which are numbers or dates if they are written like these.

    All formats of tables share this step. Also returns remarks. Raises UsageError for names that differ in white space
    or Unicode form only.
    """
    names = notations.cleaned(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UsageError(f"the column names {listed(repeated)} occur more than once; give each column its own name")
    columns, remarks = [], []
    for name, array in zip(names, table.columns):
        column, remark = arrow.decoded(array), ""
        if arrow.is_string(column.type):
            column, remark = notations.converted(column, separator)
        columns.append(column)
        remarks += [f"Column {name}: {remark}"] if remark else []
    return pa.table(columns, names), tuple(remarks)


def from_tables(data: SplitTables, size: Size | None = None) -> UserDataset:
    """The useful columns of all splits. The target is always a column; a split without it is dropped.

    Columns that a split lacks are dropped too, since they would be unknown at test time; so are rows whose image or
    sound cannot be read. size: height and width that images are resized to.
    """
    target, splits = data.target, data.splits
    remarks = [*data.remarks]
    with_target = {split: table for split, table in splits.items() if target in table.column_names}
    if target and with_target and len(with_target) < len(splits):
        dropped = [split for split in splits if split not in with_target]
        remarks.append(f"Dropped splits without column {target}: {listed(dropped)}.")
        splits = with_target
    first = next(iter(splits.values()))
    names = [name for name in first.column_names if all(name in table.column_names for table in splits.values())]
    others = sorted({name for table in splits.values() for name in table.column_names} - set(names))
    if others:
        remarks.append(f"Dropped columns that are not in every split: {listed(others)}.")
    table = _concatenated([table.select(names) for table in splits.values()])
    columns, readable, column_remarks = columns_of_table(table, target, data.kinds, size, data.group, data.inputs)
    counts = {split: part.num_rows for split, part in splits.items()}
    counts = counts if len(counts) > 1 else {"all": table.num_rows}
    return UserDataset(columns, counts, target, (*remarks, *column_remarks)).where(readable)


def columns_of_table(
    table: pa.Table,
    target: str = "",
    kinds: Mapping[str, FileKind] | None = None,
    size: Size | None = None,
    group: str = "",
    inputs: Sequence[str] = (),
) -> tuple[dict[str, Column], np.ndarray, tuple[str, ...]]:
    """Useful columns of a table, target, group and inputs always; which rows could be read, bool [N]; remarks."""
    if target and target not in table.column_names:
        raise UsageError(f"the table has no column {target!r}; {nearest(target, table.column_names)[:400]}")
    if group and group not in table.column_names:
        raise UsageError(f"data.group={group!r} is not a column; {nearest(group, table.column_names)[:400]}")
    columns: dict[str, Column] = {}
    readable = np.ones(table.num_rows, bool)
    remarks: list[str] = []
    dropped: dict[str, list[str]] = defaultdict(list)
    for name in table.column_names:
        array, kind = table.column(name), (kinds or {}).get(name)
        if name == group and name != target:
            columns[name] = _group(name, array)
        elif kind == "texts":
            columns[name] = arrow.text_column(array)
        elif name != target and (media := _media(array, kind, size)):
            columns[name] = media[0]
            readable &= media[1]
            remarks += media[2]
        else:
            column = _target(name, array) if name == target else arrow.column(name, array)
            reason = "" if name == target else why_unusable(name, array, column)
            reason = "" if name in inputs and column is not None else reason
            if column is None or reason:
                dropped[reason].append(name)
                continue
            columns[name] = column
            if name not in (target, *inputs) and repeated_identifier(name, column):
                remarks.append(
                    f"Column {name}: an input, though its name is one of identifiers and its values repeat; data.group="
                    f"{name} keeps its rows in one split, data.inputs without it leaves it out."
                )
            if pa.types.is_floating(array.type) and (infinite := pc.sum(pc.is_inf(array)).as_py()):
                remarks.append(f"Column {name}: {infinite:,} infinite values are treated as missing.")
    for reason, names in dropped.items():
        is_usable = "constant" not in reason and "not supported" not in reason
        remedy = " data.inputs uses them." if is_usable else ""
        remarks.append(f"Dropped columns, since {reason}: {listed(names)}.{remedy}")
    return columns, readable, tuple(remarks)


def _media(
    array: pa.ChunkedArray, kind: FileKind | None, size: Size | None
) -> tuple[Column, np.ndarray, tuple[str, ...]] | None:
    """Images or sounds of a column of file names, or of encoded files that Hugging Face stores as {bytes, path}."""
    if kind is not None:
        paths = [Path(name) for name in array.to_pylist()]
        return read_audio(paths) if kind == "sounds" else read_images(paths, size)
    if not pa.types.is_struct(array.type) or array.type.get_field_index("bytes") < 0:
        return None
    files = [row or b"" for row in pc.struct_field(array, "bytes").to_pylist()]
    is_sound = next(filter(None, files), b"").startswith(b"RIFF")
    return read_audio(files) if is_sound else read_images(files, size)


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


def _group(name: str, array: pa.ChunkedArray) -> Column:
    """The values of a column as names, whatever their type. Raises UsageError for lists and other nested types."""
    try:
        return arrow.class_column(pc.cast(array, pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UsageError(f"data.group={name!r} has type {array.type}; choose a column of names or numbers") from None


def _target(name: str, array: pa.ChunkedArray) -> Column:
    if array.null_count == len(array):
        raise UsageError(f"column {name!r} has no values; choose another target")
    is_class = arrow.is_string(array.type) or pa.types.is_boolean(array.type)
    column = arrow.class_column(array) if is_class else arrow.column(name, array)
    if column is None:
        raise UsageError(f"column {name!r} has type {array.type}; choose a target of numbers, texts or booleans")
    return column

"""Records as a table: for Arrow, pandas and polars, as Parquet and CSV."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from dlm import record_schema, records
from dlm.errors import UsageError, choose
from dlm.files import replacing
from dlm.optional import needed
from dlm.records import Record

LIBRARIES = ("arrow", "pandas", "polars")
_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
_KEY = ("trial_id", "step", "split", "metric")
_ORDER = ("learner", "hyper", "train_size", "subset_seed", *_KEY)
_BLOCK_BYTES = 16 << 20  # parsed at a time, on one core; a line is about a kilobyte

SCHEMA = pa.schema(
    [
        pa.field(
            one.name, _ARROW[one.kind], metadata={"description": one.meaning, "unit": one.unit, "empty": one.empty}
        )
        for one in record_schema.COLUMNS
    ],
    metadata={"dlm.records.version": str(record_schema.VERSION), "dlm.records.columns": record_schema.as_json()},
)


def read(workdir: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], library: str = "arrow") -> Any:
    """The records of one workdir, or of several, as a table of a library; see `dlm.records.read`."""
    choose("library", library, LIBRARIES)
    module = needed(library, library, "dlm.records.read(..., library=...)") if library != "arrow" else None
    if isinstance(workdir, str | os.PathLike):
        table = of_workdir(Path(workdir))
    elif workdir:
        table = pa.concat_tables([_named(of_workdir(Path(one)), os.fspath(one)) for one in workdir])
    else:
        raise UsageError(f"{workdir} names no workdir; give at least one")
    if module is None:
        return table
    return module.from_arrow(table) if library == "polars" else table.to_pandas()


def of_workdir(workdir: Path) -> pa.Table:
    """All records of a workdir, in the order of `of_rows`. UsageError if there is no such folder."""
    if not workdir.is_dir():
        raise UsageError(f"{workdir}: there is no such workdir; name the folder of a run, such as runs/digits")
    table = _parsed(records.lines(workdir))
    return of_rows(records.rows(workdir)) if table is None else _ordered(_last_of_each(table))


def of_rows(rows: Sequence[Record]) -> pa.Table:
    """Records as a table, one column a field, sorted so that the same numbers give the same table."""
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in SCHEMA]
    return _ordered(pa.table(columns, schema=SCHEMA))


def write(table: pa.Table, folder: Path, formats: Sequence[str] = ("parquet", "csv")) -> list[Path]:
    """Write records.parquet and records.csv, or one of them."""
    writers: dict[str, Callable[..., None]] = {"parquet": pyarrow.parquet.write_table, "csv": pyarrow.csv.write_csv}
    paths = [folder / f"records.{name}" for name in formats]
    for name, path in zip(formats, paths):
        with replacing(path) as temporary:
            writers[name](table, temporary)
    return paths


def _parsed(lines: Sequence[bytes]) -> pa.Table | None:
    """The rows of lines as `records.append` wrote them, by Arrow's parser, which is as strict as `records.rows`.

    None where a line has no checksum, or anything is not as `append` writes it: then rows are to be read one by one.
    Lines whose checksum does not fit are passed over.
    """
    judged = [(line, records.fits(line)) for line in lines if line]
    data = b"\n".join(line for line, fitting in judged if fitting)
    if not data or any(fitting is None for _, fitting in judged) or not data.isascii():
        return None
    parsing = pa.json.ParseOptions(
        explicit_schema=SCHEMA.append(pa.field("crc32", pa.string())), unexpected_field_behavior="error"
    )
    try:
        table = pa.json.read_json(pa.BufferReader(data), pa.json.ReadOptions(block_size=_BLOCK_BYTES), parsing)
    except pa.ArrowInvalid:
        return None
    table = table.drop_columns("crc32").cast(SCHEMA)
    return table if table.num_rows == data.count(b"\n") + 1 and _complete(table, data) else None


def _complete(table: pa.Table, data: bytes) -> bool:
    """Whether each value was there and is finite: a field that is absent reads as null, and NaN as a number."""
    for field in dataclasses.fields(Record):
        column = table[field.name]
        # `"value": null`, with these quotes, stands nowhere inside a text: there a quote has a backslash before it.
        said = data.count(b'"%s": null' % field.name.encode()) if "None" in str(field.type) else 0
        if field.default is not None and column.null_count != said:
            return False
        if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            return False
    return True


def _last_of_each(table: pa.Table) -> pa.Table:
    """Of rows with the same key the last one."""
    numbered = table.select(_KEY).append_column("line", pa.array(range(table.num_rows), pa.int64()))
    last = numbered.group_by(list(_KEY)).aggregate([("line", "max")])["line_max"]
    return table if len(last) == table.num_rows else table.take(last)


def _ordered(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in _ORDER])


def _named(table: pa.Table, workdir: str) -> pa.Table:
    """The table with the workdir's name as its first column."""
    return table.add_column(0, "workdir", pa.array([workdir] * table.num_rows, pa.string()))

"""Builds tables of records for Arrow, pandas and polars, and writes them as Parquet and CSV."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dlm.storage import description, record_log
from dlm.storage.record_log import Record
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import replacing
from dlm.utils.optional_imports import import_optional

VERSION = 1  # changes when a column changes its meaning or is removed; new columns at the end do not change it


class ColumnDescription(NamedTuple):
    """A column of the table: name, type and unit of its values, their meaning, and when there is none."""

    name: str
    kind: str
    unit: str
    meaning: str
    empty: str


_KINDS = {"Unit": "str", "Status": "str"}
COLUMNS = tuple(
    ColumnDescription(field.name, _KINDS.get(str(field.type), str(field.type)), **field.metadata)
    for field in dataclasses.fields(Record)
)
LIBRARIES = ("arrow", "pandas", "polars")
_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
_ORDER = ("learner", "hyper", "train_size", "subset_seed", "trial_id", "step", "split", "metric")

SCHEMA = pa.schema(
    [
        pa.field(c.name, _ARROW[c.kind], metadata={"description": c.meaning, "unit": c.unit, "empty": c.empty})
        for c in COLUMNS
    ],
    metadata={
        "dlm.records.version": str(VERSION),
        "dlm.records.columns": json.dumps([column._asdict() for column in COLUMNS]),
    },
)


def read(workdir: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], library: str = "arrow") -> Any:
    """All records of one or several workdirs as a table of `library`.

    `docs/records.md` describes the columns. For a sequence of workdirs, a column `workdir` comes first. `library` is
    "arrow" (a pyarrow Table), "pandas" or "polars" (a DataFrame). Raises UsageError for a folder that
    does not exist or has a study.json of another format, and for a library that is unknown or not installed.
    """
    choose("library", library, LIBRARIES)
    module = import_optional(library, f"library={library!r}") if library != "arrow" else None
    if isinstance(workdir, str | os.PathLike):
        table = _read(Path(workdir))
    elif workdir:
        table = pa.concat_tables([_with_workdir(_read(Path(path)), os.fspath(path)) for path in workdir])
    else:
        raise UsageError(f"workdir={workdir} names no workdir; give at least one")
    if module is None:
        return table
    return module.from_arrow(table) if library == "polars" else table.to_pandas()


def table_of(rows: Sequence[Record]) -> pa.Table:
    """Records as a table with one column per field, sorted so that equal records give equal tables."""
    columns = zip(*map(operator.attrgetter(*SCHEMA.names), rows)) if rows else [[] for _ in SCHEMA]
    filled = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA)]
    return pa.table(filled, schema=SCHEMA).sort_by([(name, "ascending") for name in _ORDER])


def write(table: pa.Table, folder: Path, formats: Sequence[str] = ("parquet", "csv")) -> list[Path]:
    """Write records.parquet, records.csv or both, and return their paths."""
    writers: dict[str, Callable[..., None]] = {"parquet": pyarrow.parquet.write_table, "csv": pyarrow.csv.write_csv}
    paths = [folder / f"records.{name}" for name in formats]
    for name, path in zip(formats, paths):
        with replacing(path) as temporary:
            writers[name](table, temporary)
    return paths


def _read(folder: Path) -> pa.Table:
    if not folder.is_dir():
        raise UsageError(f"workdir={folder} does not exist; name the folder of a run, for example runs/digits")
    with contextlib.suppress(description.DamagedDescription):  # records have checksums of their own
        description.read(folder)
    return table_of(record_log.rows(folder))


def _with_workdir(table: pa.Table, workdir: str) -> pa.Table:
    """The table with the workdir's name as its first column."""
    return table.add_column(0, "workdir", pa.array([workdir] * table.num_rows, pa.string()))

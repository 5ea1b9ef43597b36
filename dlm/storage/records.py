"""Builds tables of records for Arrow, pandas and polars, and writes them as Parquet and CSV."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dlm.storage import description, record_log
from dlm.storage.record_log import Record
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import replacing
from dlm.utils.optional_imports import import_optional

VERSION = 1  # changes when a column changes its meaning or is removed; new columns at the end do not change it


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column of the table: name, type and unit of its values, their meaning, and when there is none."""

    name: str
    kind: str
    unit: str
    meaning: str
    empty: str = "never"


COLUMNS = (
    _Column("study", "str", "", "name of the study"),
    _Column("trial_id", "str", "", "hash of everything that determines the trial's numbers"),
    _Column("learner", "str", "", "name of the learner in the study"),
    _Column("train_size", "int", "examples", "size of the training subset"),
    _Column("subset_seed", "int", "", "seed of the training subset"),
    _Column("init_seed", "int", "", "seed of the initial weights"),
    _Column("hyper", "str", "", "the learner's config, as JSON"),
    _Column("step", "int", "updates", "updates applied; iterations for a classical learner"),
    _Column("split", "str", "", "`train`, `validation` or `test`"),
    _Column("metric", "str", "", "`error`, which decreases as learning improves; `loss`; `error_without_leaks`, the "
           "error on test examples without a copy in the training pool; other metrics of the task, see "
           "docs/decisions.md"),
    _Column("value", "float | None", "see `unit`", "the number", "there is none; `status` and `note` say why"),
    _Column("unit", "str", "", "unit of the value, for example `error rate` or `nats per byte`; losses are in nats"),
    _Column("num_examples", "int", "examples", "number of examples measured; for the training loss of a "
           "gradient-trained learner, the size of the last batch"),
    _Column("status", "str", "", "`running` before the end of the trial; `done`; `diverged`; `failed`"),
    _Column("subset_hash", "str", "", "hash of the training subset's content, equal for all learners"),
    _Column("data", "str", "", "name and content hash of the data read"),
    _Column("packing", "str", "", "`exact`: models train one after another; `fast`: side by side; `none`: a classical "
           "learner"),
    _Column("precision", "str", "", "`float32` or `bfloat16`; `none` for a classical learner"),
    _Column("seconds", "float", "seconds", "the trial's share of training time, up to `step`"),
    _Column("device", "str", "", "device of the trial"),
    _Column("versions", "str", "", "versions of the libraries that determine the numbers"),
    _Column("note", "str", "", "why there is no number", "there is a number"),
    _Column("together", "int", "rows", "number of rows of the trial written at this step; with fewer rows present, the "
           "trial is measured again; 0: unknown"),
    _Column("noise", "str", "", "noise added to the examples, for example `label=0.2, test missing=0.1`", "none"),
    _Column("flops", "float | None", "floating-point operations", "operations of the trial's updates up to `step`, "
           "counted from the compiled program", "not counted: a classical learner"),
    _Column("joules", "float | None", "joules", "energy of these updates, from the device's meter, shared among the "
           "models that trained together", "the device has no meter"),
    _Column("inference_seconds", "float | None", "seconds per example", "time of one prediction on the test set: in "
           "batches on all devices for a network; on one CPU core for a classical learner", "the trial has not ended, "
           "or its predictions did not fit in memory"),
)  # fmt: skip


def as_json() -> str:
    """All columns as JSON: a list of objects with `name`, `kind`, `unit`, `meaning`, `empty`."""
    return json.dumps([dataclasses.asdict(column) for column in COLUMNS])


LIBRARIES = ("arrow", "pandas", "polars")
_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
_ORDER = ("learner", "hyper", "train_size", "subset_seed", "trial_id", "step", "split", "metric")

SCHEMA = pa.schema(
    [
        pa.field(c.name, _ARROW[c.kind], metadata={"description": c.meaning, "unit": c.unit, "empty": c.empty})
        for c in COLUMNS
    ],
    metadata={"dlm.records.version": str(VERSION), "dlm.records.columns": as_json()},
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

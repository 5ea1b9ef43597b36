"""Records as a table: for Arrow, pandas and polars, as Parquet and CSV."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from dlm.storage import record_log
from dlm.storage.record_log import Record
from dlm.utils.errors import UsageError, choose
from dlm.utils.files import replacing
from dlm.utils.optional_imports import import_optional

VERSION = 1  # another one when a column changes its meaning or goes; new columns at the end leave it


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its name, the type and unit of its values, what they mean, and when there is none."""

    name: str
    kind: str
    unit: str
    meaning: str
    empty: str = "never"


COLUMNS = (
    Column("study", "str", "", "name of the study"),
    Column("trial_id", "str", "", "hash of everything that decides the trial's numbers"),
    Column("learner", "str", "", "name of the learner in the study"),
    Column("train_size", "int", "examples", "size of the training subset"),
    Column("subset_seed", "int", "", "which subset of that size"),
    Column("init_seed", "int", "", "which initial weights"),
    Column("hyper", "str", "", "the learner's config, as JSON"),
    Column("step", "int", "updates", "updates applied; iterations, for a classical learner"),
    Column("split", "str", "", "`train`, `validation` or `test`"),
    Column("metric", "str", "", "`error`, which falls as learning improves; `loss`; `error_without_leaks`, of test "
           "examples that are not in the pool too; and what else a task measures, see docs/decisions.md"),
    Column("value", "float | None", "see `unit`", "the number", "there was none: `status` and `note` say why"),
    Column("unit", "str", "", "unit of the value, such as `error rate` or `nats per byte`; losses are in nats"),
    Column("num_examples", "int", "examples", "examples behind the value; the last batch, for a training loss of a "
           "gradient-trained learner"),
    Column("status", "str", "", "`running`, a number on the way; `done`; `diverged`; `failed`"),
    Column("subset_hash", "str", "", "content of the training subset; the same for all learners of a cell"),
    Column("data", "str", "", "name and content hash of the data read"),
    Column("packing", "str", "", "`exact`, members one after another; `fast`, side by side; `none`, for a classical "
           "learner"),
    Column("precision", "str", "", "`float32` or `bfloat16`; `none`, for a classical learner"),
    Column("seconds", "float", "seconds", "the trial's share of training time, up to `step`"),
    Column("device", "str", "", "what it ran on"),
    Column("versions", "str", "", "of the libraries that decide numbers"),
    Column("note", "str", "", "why there is no number", "there is nothing to say"),
    Column("together", "int", "rows", "rows of the trial written at this step; where fewer are left, the trial is "
           "measured again; 0: not known"),
    Column("noise", "str", "", "what was wrong with the examples, such as `label=0.2, test missing=0.1`",
           "nothing was"),
    Column("flops", "float | None", "floating-point operations", "what the trial's updates up to `step` took, by the "
           "program's count", "not counted: classical learners, and workdirs of before"),
    Column("joules", "float | None", "joules", "what they took by the device's meter, shared out over the members that "
           "trained at once", "the device has no meter"),
    Column("inference_seconds", "float | None", "seconds an example", "what an answer for a test example takes: of "
           "the devices, in batches, for a network; of one processor, for a classical learner", "the trial is on its "
           "way, or there was no memory for it, and in workdirs of before"),
)  # fmt: skip


def as_json() -> str:
    """All columns as JSON: a list of objects with `name`, `kind`, `unit`, `meaning`, `empty`."""
    return json.dumps([dataclasses.asdict(column) for column in COLUMNS])


def as_markdown() -> str:
    """All columns as the table of docs/records.md."""
    types = {"str": "text", "int": "whole number", "float": "number", "float | None": "number"}
    rows = [f"| `{one.name}` | {types[one.kind]} | {one.unit} | {one.meaning} | {one.empty} |" for one in COLUMNS]
    return "\n".join(["| column | type | unit | meaning | empty when |", "|---|---|---|---|---|", *rows])


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
        for one in COLUMNS
    ],
    metadata={"dlm.records.version": str(VERSION), "dlm.records.columns": as_json()},
)


def read(workdir: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], library: str = "arrow") -> Any:
    """All records as a table of `library`: "arrow" (a pyarrow Table), "pandas" or "polars" (a DataFrame).

    `docs/records.md` describes the columns. Of several workdirs, a column `workdir` comes first. UsageError for a
    folder that does not exist, and for a library that is unknown or not installed.
    """
    choose("library", library, LIBRARIES)
    module = import_optional(library, f"library={library!r}") if library != "arrow" else None
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
    """All records of a workdir, in the order of `table_of`. UsageError if there is no such folder."""
    if not workdir.is_dir():
        raise UsageError(f"{workdir}: there is no such workdir; name the folder of a run, such as runs/digits")
    table = _parsed(record_log.lines(workdir))
    return table_of(record_log.rows(workdir)) if table is None else _ordered(_last_of_each(table))


def table_of(rows: Sequence[Record]) -> pa.Table:
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


def export(workdir: Path) -> list[Path]:
    """Write records.parquet and records.csv beside the JSON lines."""
    return write(of_workdir(workdir), workdir)


def _parsed(lines: Sequence[bytes]) -> pa.Table | None:
    """The rows of lines as `records.append` wrote them, by Arrow's parser, which is as strict as `records.rows`.

    None where a line has no checksum, or anything is not as `append` writes it: then rows are to be read one by one.
    Lines whose checksum does not fit are passed over.
    """
    judged = [(line, record_log.fits(line)) for line in lines if line]
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

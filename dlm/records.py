"""Records: one row is one number. Append-only JSON lines while a study runs, a table for whoever reads it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FILE = "records.jsonl"
FINAL = ("done", "diverged", "failed")


@dataclasses.dataclass(frozen=True)
class Record:
    """One number of one trial.

    `step` is the number of updates applied; `split` train, validation or test; `metric` error, loss, …;
    `value` is None where there is no number (diverged, failed: `note` says why). `num_examples` stand behind
    the value; `seconds` are training seconds of the trial up to `step`. `hyper` is the learner's config as
    JSON text, for who sweeps one. `packing` and `precision` are "none" for a classical learner.
    """

    study: str
    trial_id: str
    learner: str
    train_size: int
    subset_seed: int
    init_seed: int
    hyper: str
    step: int
    split: str
    metric: str
    value: float | None
    unit: str
    num_examples: int
    status: str
    subset_hash: str
    data: str
    packing: str
    precision: str
    seconds: float
    device: str
    versions: str
    note: str = ""

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What makes a row the same row: a later one with this key replaces it."""
        return self.trial_id, self.step, self.split, self.metric


def append(workdir: Path, rows: Sequence[Record]) -> None:
    """Append rows in one write, on disk when this returns. Values that are not finite become None."""
    lines = [json.dumps(_finite(dataclasses.asdict(row)), allow_nan=False) + "\n" for row in rows]
    handle = os.open(workdir / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # A line that a crash cut short must not swallow the one that follows it.
        end = os.lseek(handle, 0, os.SEEK_END)
        torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
        data = ("\n" if torn else "").encode() + "".join(lines).encode()
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def rows(workdir: Path) -> list[Record]:
    """Every record, a later row of the same key in place of the earlier. Damaged lines are passed over."""
    path = Path(workdir) / FILE
    if not path.exists():
        return []
    kept: dict[tuple[str, int, str, str], Record] = {}
    for line in path.read_bytes().split(b"\n"):
        record = _parse(line)
        if record is not None:
            kept[record.key] = record
    return list(kept.values())


def ends(records: Iterable[Record]) -> dict[str, Record]:
    """The test error that ends each finished trial, by trial id; of a cell tried again, the one that worked.

    A trial's last rows are written together with its test error at their end: it is finished when that row
    stands.
    """
    found: dict[str, Record] = {}
    for row in records:
        if (row.split, row.metric) != ("test", "error") or row.status not in FINAL:
            continue
        before = found.get(row.trial_id)
        if before is None or row.status != "failed" or before.status == "failed":
            found[row.trial_id] = row
    return found


def finished(records: Iterable[Record]) -> dict[str, str]:
    """Status of each finished trial, by trial id."""
    return {trial_id: row.status for trial_id, row in ends(records).items()}


def read(workdir: str | os.PathLike[str]) -> Any:
    """All records of a workdir as a pyarrow Table (`.to_pandas()` where pandas is installed)."""
    return table(rows(Path(workdir)))


def table(records: Sequence[Record]) -> Any:
    """Records as a pyarrow Table, one column a field, sorted so that the same numbers give the same table."""
    import pyarrow as pa

    types = {"int": pa.int64(), "str": pa.string(), "float": pa.float64(), "float | None": pa.float64()}
    schema = pa.schema([(field.name, types[str(field.type)]) for field in dataclasses.fields(Record)])
    ordered = sorted(records, key=lambda row: (row.learner, row.hyper, row.train_size, row.subset_seed, *row.key))
    return pa.Table.from_pylist([dataclasses.asdict(row) for row in ordered], schema=schema)


def export(workdir: Path) -> list[Path]:
    """Write records.parquet and records.csv beside the JSON lines."""
    import pyarrow.csv
    import pyarrow.parquet

    everything = read(workdir)
    paths = [workdir / "records.parquet", workdir / "records.csv"]
    writers = [pyarrow.parquet.write_table, pyarrow.csv.write_csv]
    for path, write in zip(paths, writers):
        temporary = path.with_suffix(path.suffix + ".tmp")
        write(everything, temporary)
        os.replace(temporary, path)
    return paths


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _parse(line: bytes) -> Record | None:
    """The record of a line; None for one that a crash cut short, or that something else wrote."""
    try:
        fields = json.loads(line.decode("utf-8"))
        # Rows from before there was a choice say nothing: gradient-trained learners were computed in float32.
        fields.setdefault("precision", "none" if fields.get("packing") == "none" else "float32")
        return Record(**{name: _typed(value, _KINDS[name]) for name, value in fields.items()})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


_KINDS = {field.name: str(field.type) for field in dataclasses.fields(Record)}


def _typed(value: Any, kind: str) -> Any:
    """A field's value if it is what a table's column takes; ValueError otherwise."""
    if isinstance(value, bool):
        raise ValueError(value)
    if kind == "str" and isinstance(value, str):
        value.encode()  # a UnicodeEncodeError for half a character
        return value
    if kind == "int" and isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if kind == "float | None" and value is None:
        return None
    if kind.startswith("float") and isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise ValueError(value)

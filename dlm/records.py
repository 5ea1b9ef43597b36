"""Records: one row is one number. Append-only JSON lines while a study runs, a table for whoever reads it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "records.jsonl"
FINAL = ("done", "diverged", "failed")


@dataclasses.dataclass(frozen=True)
class Record:
    """One number of one trial.

    `step` is the number of updates applied; `split` train, validation or test; `metric` error, loss, …; `value` is None
    where there is no number (diverged, failed: `note` says why). `num_examples` stand behind the value; `seconds` are
    training seconds of the trial up to `step`. `hyper` is the learner's config as JSON text, for who sweeps one.
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
    """Every record, a later row of the same key in place of the earlier. Lines cut short by a crash are passed over."""
    path = Path(workdir) / FILE
    if not path.exists():
        return []
    kept: dict[tuple[str, int, str, str], Record] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        record = _parse(line)
        if record is not None:
            kept[record.key] = record
    return list(kept.values())


def finished(records: Iterable[Record]) -> dict[str, str]:
    """Status of each finished trial, by trial id.

    A trial's last rows are written together with its test error at their end: it is finished when that row stands.
    """
    return {
        row.trial_id: row.status
        for row in records
        if (row.split, row.metric) == ("test", "error") and row.status in FINAL
    }


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


def _parse(line: str) -> Record | None:
    try:
        fields: Mapping[str, Any] = json.loads(line)
        return Record(**fields)
    except (ValueError, TypeError):
        return None

"""Records: one row is one number. Append-only JSON lines while a study runs, a table for whoever reads it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dlm.files import DAMAGED, replacing

FILE = "records.jsonl"
FINAL = ("done", "diverged", "failed")


@dataclasses.dataclass(frozen=True)
class Record:
    """One number of one trial.

    `step` is the number of updates applied; `split` train, validation or test; `metric` error, loss, …;
    `value` is None where there is no number (diverged, failed: `note` says why). `num_examples` stand behind
    the value; `seconds` are training seconds of the trial up to `step`. `hyper` is the learner's config as
    JSON text, for who sweeps one. `packing` and `precision` are "none" for a classical learner. `together` rows of a
    trial at this step were written at once; fewer mean that some were lost (0: not known). `noise` says what was wrong
    with examples, such as `label=0.2, test missing=0.1`; empty: nothing. `flops`, `joules`: what the trial's updates up
    to `step` took, by the program's count and the device's meter; None where there is none.
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
    together: int = 0
    noise: str = ""
    flops: float | None = None
    joules: float | None = None

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What makes a row the same row: a later one with this key replaces it."""
        return self.trial_id, self.step, self.split, self.metric


def append(workdir: Path, rows: Sequence[Record]) -> None:
    """Append rows in one write, on disk when this returns; none is there if it raises OSError, on a full disk, say.

    Values that are not finite become None. Each line ends with a checksum of what stands before it.
    """
    data = b"".join(_sealed(row) for row in rows)
    handle = os.open(workdir / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # A line that a crash cut short must not swallow the one that follows it.
        end = os.lseek(handle, 0, os.SEEK_END)
        torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
        try:
            _write(handle, b"\n" + data if torn else data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)


def rows(workdir: Path) -> list[Record]:
    """Every record, a later row of the same key in place of the earlier. Damaged lines are passed over."""
    kept: dict[tuple[str, int, str, str], Record] = {}
    for line in _lines(workdir):
        record = _parse(line)
        if record is not None:
            kept[record.key] = record
    return list(kept.values())


def mend(workdir: Path) -> list[int]:
    """Move damaged lines to a file beside, `records.jsonl.damaged`, and say which they were (from 1).

    What they held is then missing, and is measured again. Only whoever holds the workdir may do this.
    """
    lines = _lines(workdir)
    damaged = [number for number, line in enumerate(lines, start=1) if line and _parse(line) is None]
    if damaged:
        path = workdir / FILE
        with open(path.with_name(FILE + DAMAGED), "ab") as file:
            _write(file.fileno(), b"".join(lines[number - 1] + b"\n" for number in damaged))
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in lines if line and _parse(line) is not None))
    return damaged


def measured_steps(records: Iterable[Record]) -> dict[str, set[int]]:
    """The steps at which all rows that were written together are there, by trial id."""
    records = list(records)
    present = Counter((row.trial_id, row.step) for row in records)
    found: dict[str, set[int]] = {}
    for row in records:
        if present[row.trial_id, row.step] >= row.together:
            found.setdefault(row.trial_id, set()).add(row.step)
    return found


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
        with replacing(path) as temporary:
            write(everything, temporary)
    return paths


def _lines(workdir: Path) -> list[bytes]:
    path = Path(workdir) / FILE
    return path.read_bytes().split(b"\n") if path.exists() else []


def _write(handle: int, data: bytes) -> None:
    """All of it, on disk."""
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _sealed(row: Record) -> bytes:
    """A row as a line of JSON whose last field is the CRC-32 of the line without it."""
    body = json.dumps(_finite(dataclasses.asdict(row)), allow_nan=False).encode()
    return body[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(body)


_SEAL = re.compile(rb', "crc32": "([0-9a-f]{8})"}$')


def _unsealed(line: bytes) -> bytes:
    """The line without its checksum; ValueError if that does not fit. A line by another hand may have none."""
    seal = _SEAL.search(line)
    if seal is None:
        return line
    body = line[: seal.start()] + b"}"
    if int(seal[1], 16) != zlib.crc32(body):
        raise ValueError("the checksum does not fit")
    return body


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _parse(line: bytes) -> Record | None:
    """The record of a line; None for one that was cut short or changed, or that something else wrote."""
    try:
        fields = json.loads(_unsealed(line).decode("utf-8"))
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

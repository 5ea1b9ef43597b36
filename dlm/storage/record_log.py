"""Records: one row is one number. Append-only JSON lines while a study runs, a table for whoever reads it.

The tables are made by `dlm.storage.records`, imported when one is asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import operator
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dlm.utils.files import DAMAGED, replacing

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
    to `step` took, by the program's count and the device's meter; None where there is none. `inference_seconds`: what
    an answer for one test example takes, once the trial is done.
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
    inference_seconds: float | None = None

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
    for line in lines(workdir):
        record = _parse(line)
        if record is not None:
            kept[record.key] = record
    return list(kept.values())


class Follower:
    """Reads the records of a workdir that somebody else writes, at each call those that came since the last one."""

    def __init__(self, workdir: Path) -> None:
        self._path, self._read, self._file = Path(workdir) / FILE, 0, -1

    def __call__(self) -> list[Record]:
        """New records, of lines that are whole; all of them once more where the file was replaced."""
        try:
            with open(self._path, "rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino != self._file or about.st_size < self._read:
                    self._file, self._read = about.st_ino, 0
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._read += len(whole) + len(newline)
        parsed = [_parse(line) for line in whole.split(b"\n")]
        return [row for row in parsed if row is not None]


def mend(workdir: Path) -> list[int]:
    """Move damaged lines to a file beside, `records.jsonl.damaged`, and say which they were (from 1).

    What they held is then missing, and is measured again. Only whoever holds the workdir may do this.
    """
    found = lines(workdir)
    damaged = [number for number, line in enumerate(found, start=1) if line and _parse(line) is None]
    if damaged:
        path = workdir / FILE
        with open(path.with_name(FILE + DAMAGED), "ab") as file:
            _write(file.fileno(), b"".join(found[number - 1] + b"\n" for number in damaged))
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in found if line and _parse(line) is not None))
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


def lines(workdir: Path) -> list[bytes]:
    """The lines of a workdir's records as they stand in the file, unchecked; some may be empty."""
    path = Path(workdir) / FILE
    return path.read_bytes().split(b"\n") if path.exists() else []


def _write(handle: int, data: bytes) -> None:
    """All of it, on disk."""
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _sealed(row: Record) -> bytes:
    """A row as a line of JSON whose last field is the CRC-32 of the line without it."""
    return seal(json.dumps(_finite(vars(row)), allow_nan=False).encode()) + b"\n"


def seal(body: bytes) -> bytes:
    """A JSON object with the CRC-32 of itself as its last field."""
    return body[:-1] + b', "crc32": "%08x"}' % zlib.crc32(body)


_SEAL = re.compile(rb', "crc32": "([0-9a-f]{8})"}')
_SEAL_LENGTH = len(b', "crc32": "01234567"}')


def fits(line: bytes) -> bool | None:
    """Whether a line is what its checksum says; None for a line without one, which another hand may have written."""
    seal = _SEAL.fullmatch(line, max(0, len(line) - _SEAL_LENGTH))
    return seal and int(seal[1], 16) == zlib.crc32(b"}", zlib.crc32(line[:-_SEAL_LENGTH]))


def _unsealed(line: bytes) -> bytes:
    """The line without its checksum; ValueError if that does not fit."""
    fitting = fits(line)
    if fitting is None:
        return line
    if not fitting:
        raise ValueError("the checksum does not fit")
    return line[:-_SEAL_LENGTH] + b"}"


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _parse(line: bytes) -> Record | None:
    """The record of a line; None for one that was cut short or changed, or that something else wrote."""
    try:
        text = _unsealed(line).decode("utf-8").strip(" \t\r\n")
        fields, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise ValueError("more than one value")
        if _as_appended(text, fields):
            # Past __init__, which sets a frozen dataclass's fields one by one and takes longer than the parsing.
            record = object.__new__(Record)
            vars(record).update(fields)
            return record
        # Rows from before there was a choice say nothing: gradient-trained learners were computed in float32.
        fields.setdefault("precision", "none" if fields.get("packing") == "none" else "float32")
        return Record(**{name: _typed(value, _KINDS[name]) for name, value in fields.items()})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


_DECODER = json.JSONDecoder()
_KINDS = {field.name: str(field.type) for field in dataclasses.fields(Record)}
_NAMES = tuple(_KINDS)
_TYPES = {"str": (str,), "int": (int,), "float": (float,), "float | None": (float, type(None))}
_APPENDED = set(itertools.product(*(_TYPES[kind] for kind in _KINDS.values())))  # the types of a row's values
_WHOLE = operator.itemgetter(*(k for k, kind in enumerate(_KINDS.values()) if kind == "int"))
_REAL = operator.itemgetter(*(k for k, kind in enumerate(_KINDS.values()) if kind.startswith("float")))


def _as_appended(text: str, fields: Any) -> bool:
    """Whether all that `_typed` asks of each value holds, asked of the whole row at once, as most rows are like that.

    True only for every field in its order. False says nothing: the values are then asked one by one.
    """
    if tuple(fields) != _NAMES or tuple(map(type, values := tuple(fields.values()))) not in _APPENDED:
        return False
    whole = _WHOLE(values)
    # Half a character can only come from an escape; a sum is finite only if all that is added is.
    return (
        "\\u" not in text
        and min(whole) >= -(2**63)
        and max(whole) < 2**63
        and math.isfinite(sum(filter(None, _REAL(values))))
    )


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

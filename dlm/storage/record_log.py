"""Appends records (one row is one number) to records.jsonl and reads them back; each line has a checksum."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dlm.study.names import ERROR, TEST, Status, Unit
from dlm.utils.files import DAMAGED, replacing

FILE = "records.jsonl"


def _column(meaning: str, unit: str = "", empty: str = "never", **default: Any) -> Any:
    """A field, with the meaning and unit of its values, and when there is none."""
    return dataclasses.field(metadata={"unit": unit, "meaning": meaning, "empty": empty}, **default)


@dataclasses.dataclass(frozen=True)
class Record:
    """One number of one trial. The descriptions of the fields are those of docs/records.md and of tables."""

    # fmt: off
    study: str = _column("name of the study")
    trial_id: str = _column("hash of everything that determines the trial's numbers")
    learner: str = _column("name of the learner in the study")
    train_size: int = _column("size of the training subset", "examples")
    subset_seed: int = _column("seed of the training subset")
    init_seed: int = _column("seed of the initial weights")
    hyper: str = _column("the learner's config, as JSON")
    step: int = _column("updates applied; iterations for a classical learner", "updates")
    split: str = _column("`train`, `validation` or `test`")
    metric: str = _column("`error`, which decreases as learning improves; `loss`; `error_without_leaks`, the error on "
                          "test examples without a copy in the training pool; other metrics of the task, see "
                          "docs/decisions.md")
    value: float | None = _column("the number", "see `unit`", "there is none; `status` and `note` say why")
    unit: Unit = _column("unit of the value, for example `error rate` or `nats per byte`; losses are in nats")
    num_examples: int = _column("number of examples measured; for a gradient-trained learner the training loss is that "
                                "of the last batch, and the training error that of the subset's first examples, as "
                                "many as the test set has and at most 1,024", "examples")
    status: Status = _column("`running` before the end of the trial; `done`; `diverged`; `failed`")
    subset_hash: str = _column("hash of the training subset's content, equal for all learners")
    data: str = _column("name and content hash of the data read")
    packing: str = _column("`exact`: models train one after another; `fast`: side by side; `none`: a classical learner")
    precision: str = _column("`float32` or `bfloat16`; `none` for a classical learner")
    seconds: float = _column("the trial's share of training time, up to `step`", "seconds")
    device: str = _column("device of the trial")
    versions: str = _column("versions of the libraries that determine the numbers")
    note: str = _column("why there is no number", empty="there is a number", default="")
    together: int = _column("number of rows of the trial written at this step; with fewer rows present, the trial is "
                            "measured again; 0: unknown", "rows", default=0)
    noise: str = _column("noise added to the examples, for example `label=0.2, test missing=0.1`", empty="none",
                         default="")
    flops: float | None = _column("operations of the trial's updates up to `step`, counted from the compiled program",
                                  "floating-point operations", "not counted: a classical learner", default=None)
    joules: float | None = _column("energy of these updates, from the device's meter, shared among the models that "
                                   "trained together", "joules", "the device has no meter", default=None)
    inference_seconds: float | None = _column(
        "time of one prediction on the test set: in batches on all devices for a network; on one CPU core for a "
        "classical learner", "seconds per example", "the trial has not ended, or its predictions did not fit in memory",
        default=None)
    hold_out: int = _column("index of the trial's hold-out in a study with `splits`, otherwise 0", default=0)
    # fmt: on

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Identity of the row: a later row with this key replaces it."""
        return self.trial_id, self.step, self.split, self.metric


_DECODER = msgspec.json.Decoder(Record)


def append(folder: Path, rows: Sequence[Record]) -> list[Record]:
    """Append rows in one write, which is on disk on return, and return them as a reader gets them.

    A value that is not finite becomes None. Raises OSError, for example on a full disk; no row is then in the file.
    """
    sealed = [seal(msgspec.json.encode(row)) for row in rows]
    data = b"".join(line + b"\n" for line in sealed)
    handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # A newline ends a line that a crash truncated, so that the next row is not part of it.
        end = os.lseek(handle, 0, os.SEEK_END)
        is_torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
        try:
            _write(handle, b"\n" + data if is_torn else data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)
    return _parse_all(sealed)


def rows(folder: Path) -> list[Record]:
    """All records of a workdir; a later row replaces an earlier one with its key. Damaged lines are skipped."""
    return list({record.key: record for record in _parse_all(_lines(folder))}.values())


class Follower:
    """Reads the records of a workdir while another process writes them: each call returns those since the last."""

    def __init__(self, folder: Path) -> None:
        self._path, self._offset, self._inode = Path(folder) / FILE, 0, -1

    def __call__(self) -> list[Record]:
        """New records of complete lines; all records again if the file was replaced."""
        try:
            with open(self._path, "rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    self._inode, self._offset = stat.st_ino, 0
                file.seek(self._offset)
                complete, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(complete) + len(newline)
        return _parse_all(complete.split(b"\n"))


def mend(folder: Path) -> list[int]:
    """Move damaged lines to records.jsonl.damaged and return their numbers, from 1. Requires the workdir's lock.

    Their trials then lack numbers and are measured again.
    """
    lines = _lines(folder)
    damaged = [number for number, line in enumerate(lines, start=1) if line and _parse(line) is None]
    if damaged:
        path = folder / FILE
        with open(path.with_name(FILE + DAMAGED), "ab") as file:
            _write(file.fileno(), b"".join(lines[number - 1] + b"\n" for number in damaged))
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in lines if line and _parse(line) is not None))
    return damaged


def measured_steps(records: Iterable[Record]) -> dict[str, set[int]]:
    """Steps of each trial (by id) at which all rows that were written together are present."""
    records = list(records)
    num_present = Counter((row.trial_id, row.step) for row in records)
    steps: dict[str, set[int]] = {}
    for row in records:
        if num_present[row.trial_id, row.step] >= row.together:
            steps.setdefault(row.trial_id, set()).add(row.step)
    return steps


def ends(records: Iterable[Record]) -> dict[str, Record]:
    """The final test error of each finished trial, by trial id; a failed attempt does not replace another status.

    The test error is the last of the rows that are written together at a trial's end.
    """
    result: dict[str, Record] = {}
    for row in records:
        if (row.split, row.metric) != (TEST, ERROR) or row.status == Status.RUNNING:
            continue
        before = result.get(row.trial_id)
        if before is None or row.status != Status.FAILED or before.status == Status.FAILED:
            result[row.trial_id] = row
    return result


def finished(records: Iterable[Record]) -> dict[str, Status]:
    """Final status of each finished trial, by trial id."""
    return {trial_id: row.status for trial_id, row in ends(records).items()}


def seal(body: bytes) -> bytes:
    """A JSON object with a checksum as its last field: the CRC-32 of the bytes before it."""
    content = body[:-1].rstrip()
    return content + b', "crc32": "%08x"}' % zlib.crc32(content)


_SEAL = re.compile(rb', "crc32": "([0-9a-f]{8})"}')
_SEAL_LENGTH = len(b', "crc32": "01234567"}')


def has_valid_seal(line: bytes) -> bool | None:
    """Whether a JSON object matches its checksum; None without a checksum."""
    match = _SEAL.fullmatch(line, max(0, len(line) - _SEAL_LENGTH))
    return match and int(match[1], 16) == zlib.crc32(line[:-_SEAL_LENGTH])


def _parse_all(lines: Iterable[bytes]) -> list[Record]:
    return [record for line in lines if (record := _parse(line)) is not None]


def _parse(line: bytes) -> Record | None:
    """The record of a line; None for a line that is damaged or not a record."""
    if not has_valid_seal(line):
        return None
    try:
        return _DECODER.decode(line)
    except msgspec.DecodeError:
        return None


def _lines(folder: Path) -> list[bytes]:
    path = Path(folder) / FILE
    return path.read_bytes().split(b"\n") if path.exists() else []


def _write(handle: int, data: bytes) -> None:
    """Write all bytes and wait until they are on disk."""
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)

"""Which column of somebody's table is which."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlm.utils.errors import UsageError, nearest

ERROR = (
    "error", "err", "error_rate", "test_error", "test_err", "err_test", "error_test", "test_error_rate", "val_error",
    "validation_error",
)  # fmt: skip
LOSS = (
    "loss", "test_loss", "val_loss", "validation_loss", "eval_loss", "nll", "cross_entropy", "mse", "rmse", "mae",
)  # fmt: skip
ACCURACY = (
    "accuracy", "acc", "test_accuracy", "test_acc", "val_accuracy", "val_acc", "validation_accuracy",
)  # fmt: skip

# The first name of each is the one that counts where there are several.
_NAMES = {
    "size": (
        "size", "train_sizes", "n", "train_size", "n_train", "num_train", "training_size", "train_examples",
        "training_examples", "num_examples", "n_examples", "examples", "samples", "n_samples", "num_samples", "anchor",
    ),
    "error": (*ERROR, *LOSS, *ACCURACY),
    "repeat": ("repeat", "rep", "replicate", "seed", "fold", "run", "trial"),
    "learner": ("learner", "model", "method", "algorithm", "classifier", "architecture"),
    "stderr": ("stderr", "std_err", "se", "sem", "standard_error", "std_error"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where each column stands; None for one that is not there. `measure` is the plain name of the error's column."""

    size: int
    error: int
    repeat: int | None
    learner: int | None
    stderr: int | None
    measure: str
    unused: tuple[str, ...]


def columns(header: Sequence[str]) -> Columns:
    """The columns of a header. UsageError where size or error is missing, or one could be either of two."""
    plain = [_plain(name) for name in header]
    found = {role: _one(role, names, plain) for role, names in _NAMES.items()}
    size, error = found["size"], found["error"]
    if size is None or error is None:
        missing = "size" if size is None else "error"
        read = ", ".join(repr(name.strip()[:40]) for name in header[:12])
        close = nearest(missing, [name for name in plain if name and name[:1].isalpha()][:12])
        remedy = f" ({close})" if close.startswith("did you mean") else ""
        raise UsageError(
            f"the first line names no column {missing}{remedy}: it reads {read}; begin with a line such as size,error"
        )
    places = {place for place in found.values() if place is not None}
    return Columns(
        size=size,
        error=error,
        repeat=found["repeat"],
        learner=found["learner"],
        stderr=found["stderr"],
        measure=plain[error],
        unused=tuple(name.strip() for k, name in enumerate(header) if k not in places and name.strip()),
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().casefold())


def _one(role: str, names: Sequence[str], plain: Sequence[str]) -> int | None:
    """The place of the column for a role: the one with its first name, else the only one with another of its names."""
    places = [k for k, name in enumerate(plain) if name == names[0]] or [
        k for k, name in enumerate(plain) if name in names
    ]
    if len(places) > 1:
        both = " and ".join(repr(plain[k]) for k in places)
        raise UsageError(
            f"the first line names {both}, and each could be the {role}; call the one that is meant {names[0]!r}"
        )
    return places[0] if places else None


ONLY_LEARNER = "model"  # what it is called where the table names none
MAX_BYTES = 64 << 20
MAX_ROWS = 200_000
LARGEST = 10**15
_LONGEST_NAME = 80
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ABSENT = ("", "nan", "na", "n/a", "none", "null", "inf", "-inf", "+inf", "infinity", "-infinity")


@dataclasses.dataclass(frozen=True)
class MeasurementRow:
    """One measurement; `stderr`, `repeat` are None where the table has no such column."""

    line: int
    size: int
    error: float
    stderr: float | None
    learner: str
    repeat: str | None


def read_rows(path: Path) -> tuple[Columns, list[MeasurementRow]]:
    """The columns and rows of a table. UsageError says what is wrong on which line, the rule and the remedy."""
    text = _text(path)
    first = next(line for line in text.splitlines() if line.strip())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        lines = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
        _, names = next(lines, (0, []))
        header = columns(names)
        rows = list(_checked(lines, len(names), header))
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} cannot be read ({error}); mend its quotes") from None
    if not rows:
        raise UsageError("no row follows the names of the columns; give one row for each measurement")
    return header, rows


def _checked(lines: Iterator[tuple[int, list[str]]], width: int, header: Columns) -> Iterator[MeasurementRow]:
    for count, (line, cells) in enumerate(lines, start=1):
        if count > MAX_ROWS:
            raise UsageError(f"more than {MAX_ROWS:,} rows; a curve is a few: average repeats, or cut the table")
        yield _row(cells, width, header, line)


def _text(path: Path) -> str:
    data = _bytes(path)
    if len(data) > MAX_BYTES:
        raise UsageError(f"is longer than {MAX_BYTES >> 20} MB; a curve is a few rows: average repeats, or cut it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError("is no text in UTF-8; save the table as CSV with that encoding")
    if not text.strip():
        raise UsageError("is empty; its first line names columns, such as size,error, and a row a measurement follows")
    return text


def _bytes(path: Path) -> bytes:
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
        if not folder and not other:
            with open(path, "rb") as file:
                return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("there is no such file; name a table with the columns size and error") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot be read ({reason}); name a table that can") from None
    raise UsageError(f"is {'a folder' if folder else 'no plain file'}; name a table of text, such as curve.csv")


def _row(cells: Sequence[str], width: int, header: Columns, line: int) -> MeasurementRow:
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != width:
        raise UsageError(
            f"line {line} has {len(cells)} cells where {width} columns are named; give each row as many, and write "
            "decimals with a point"
        )
    size = _number(cells[header.size], "size", line)
    if not 1 <= size <= LARGEST or size != int(size):
        raise UsageError(
            f"line {line}: size {size:g} is no whole number of examples from 1 to {LARGEST:.0e}; a share of the data "
            "must be multiplied by how many examples there are"
        )
    error = _number(cells[header.error], header.measure, line)
    if error < 0:
        raise UsageError(f"line {line}: {header.measure} {error:g} is negative; give a number that falls towards 0")
    stderr = None if header.stderr is None else _number(cells[header.stderr], "stderr", line)
    if stderr is not None and stderr < 0:
        raise UsageError(f"line {line}: stderr {stderr:g} is negative; give the standard error of the mean")
    learner = ONLY_LEARNER if header.learner is None else _name(cells[header.learner], line)
    return MeasurementRow(
        line, int(size), error, stderr, learner, None if header.repeat is None else cells[header.repeat].strip()
    )


def _number(text: str, what: str, line: int) -> float:
    text = text.strip()
    if text.casefold() in _ABSENT:
        raise UsageError(f"line {line}: {what} {text!r} is no finite number; leave the row out")
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"line {line}: {what} {text[:40]!r} is not a number; write it like 1000 or 0.25")
    value = float(text)
    if not math.isfinite(value):
        raise UsageError(f"line {line}: {what} {text[:40]} is beyond every number; use a larger unit")
    return value


def _name(text: str, line: int) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"line {line}: learner {name[:40]!r} is no name; give 1 to {_LONGEST_NAME} characters that can be printed"
        )
    return name

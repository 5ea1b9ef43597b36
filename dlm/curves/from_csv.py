"""Reads learning curves from a table with one measurement per row: comma-, semicolon- or tab-separated text.

The CSV module of the standard library is used because messages name the line of the file, which readers of whole
columns do not report.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dlm.curves.types import Curve
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

# The first name has priority if several columns match.
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
    """Index of each column; None if absent. `measure`: normalized name of the error column."""

    size: int
    error: int
    repeat: int | None
    learner: int | None
    stderr: int | None
    measure: str
    unused: tuple[str, ...]


def columns(header: Sequence[str]) -> Columns:
    """The columns of a header. UsageError if size or error is missing or ambiguous."""
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
    """Index of the column for a role: the one with its first name, otherwise the only one with another name."""
    places = [k for k, name in enumerate(plain) if name == names[0]] or [
        k for k, name in enumerate(plain) if name in names
    ]
    if len(places) > 1:
        both = " and ".join(repr(plain[k]) for k in places)
        raise UsageError(
            f"the first line names {both}, and each could be the {role}; rename the intended column to {names[0]!r}"
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
    """One measurement; `stderr` and `repeat` are None without such a column."""

    line: int
    size: int
    error: float
    stderr: float | None
    learner: str
    repeat: str | None


def read_rows(path: Path) -> tuple[Columns, list[MeasurementRow]]:
    """Columns and rows of a table. UsageError names the line, the rule and the remedy."""
    text = _text(path)
    first = next(line for line in text.splitlines() if line.strip())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        lines = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
        _, names = next(lines, (0, []))
        header = columns(names)
        rows = list(_checked(lines, len(names), header))
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} cannot be parsed ({error}); correct its quotes") from None
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
        raise UsageError("is not UTF-8 text; save the table as CSV with that encoding")
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
    raise UsageError(f"is {'a folder' if folder else 'not a regular file'}; name a table of text, such as curve.csv")


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
            f"line {line}: size {size:g} is not a whole number from 1 to {LARGEST:.0e}; a share of the data "
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
        raise UsageError(f"line {line}: {what} {text!r} is not a finite number; remove the row")
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"line {line}: {what} {text[:40]!r} is not a number; write it like 1000 or 0.25")
    value = float(text)
    if not math.isfinite(value):
        raise UsageError(f"line {line}: {what} {text[:40]} exceeds the largest float; use a larger unit")
    return value


def _name(text: str, line: int) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"line {line}: learner {name[:40]!r} is not a valid name; give 1 to {_LONGEST_NAME} printable characters"
        )
    return name


Bound = tuple[float, float | None]

MAX_LEARNERS = 30
MAX_SIZES = 1000  # of one learner
MAX_REPEATS = 10_000  # of one size


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Curves, and remarks on the assumptions made by the reader."""

    curves: tuple[Curve, ...]
    remarks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Measure:
    """Unit and range of the errors, and remarks on how they were inferred."""

    unit: str
    bound: Bound
    remarks: tuple[str, ...] = ()


def read_curve_table(path: Path, *, bound: Bound | None = None, learners: Sequence[str] = ()) -> CurveTable:
    """The curves of a table, of all learners or of those named.

    Columns size and error, and perhaps repeat, learner, stderr; `columns` knows other names of these. `bound` is the
    error's possible range; by default the column's name and numbers tell. UsageError holds what was found and on
    which line, the rule and the remedy.
    """
    try:
        header, rows = read_rows(path)
        rows, measure = _measure(header.measure, rows, bound)
        _check_bound(rows, measure.bound)
        curves = tuple(_curve(name, part, measure) for name, part in _by_learner(rows, learners).items())
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    unused = (f"Columns not used: {_listed(header.unused)}.",) if header.unused else ()
    return CurveTable(curves, measure.remarks + unused)


def _measure(name: str, rows: list[MeasurementRow], bound: Bound | None) -> tuple[list[MeasurementRow], _Measure]:
    """The rows as errors, with their unit and range."""
    above = next((row for row in rows if row.error > 1), None)
    if name in ACCURACY:
        if above:
            raise UsageError(
                f"line {above.line}: {name} {above.error:g} is above 1; give a share, or 1 minus it as error"
            )
        rows = [dataclasses.replace(row, error=round(1 - row.error, 12)) for row in rows]
        remark = f"Column {name}: read as error = 1 − {name}, a rate from 0 to 1. Targets are errors too."
        return rows, _Measure("error rate", bound or (0.0, 1.0), (remark,))
    if name not in ERROR:
        remark = f"Column {name}: assumed to be non-negative without an upper bound; set one with --bound=0,5."
        unit = name.replace("_", " ")
        return rows, _Measure(unit, bound) if bound else _Measure(unit, (0.0, None), (remark,))
    if bound:
        return rows, _Measure("error rate" if bound == (0.0, 1.0) else "error", bound)
    if not above:
        remark = f"Column {name}: all values are in [0, 1], so it is read as a rate; --bound=0, removes the bound."
        return rows, _Measure("error rate", (0.0, 1.0), (remark,))
    if "rate" in name:
        raise UsageError(
            f"line {above.line}: {name} {above.error:g} is above 1; give a share, or name the column error"
        )
    remark = f"Column {name}: values above 1, so it is not read as a rate; set a bound with --bound=0,100."
    return rows, _Measure("error", (0.0, None), (remark,))


def _check_bound(rows: Iterable[MeasurementRow], bound: Bound) -> None:
    low, high = bound
    for row in rows:
        if row.error < low or (high is not None and row.error > high):
            ends = f"{low:g} to {'any' if high is None else format(high, 'g')}"
            raise UsageError(f"line {row.line}: error {row.error:g} is outside the bound, {ends}; widen --bound")


def _by_learner(rows: Iterable[MeasurementRow], learners: Sequence[str]) -> dict[str, list[MeasurementRow]]:
    found: dict[str, list[MeasurementRow]] = defaultdict(list)
    for row in rows:
        found[row.learner].append(row)
    for name in learners:
        if name not in found:
            raise UsageError(f"--learners={name} is not a learner of this table; {nearest(name, found)[:400]}")
    picked = {name: part for name, part in found.items() if not learners or name in learners}
    if len(picked) > MAX_LEARNERS:
        raise UsageError(f"{len(picked):,} learners are more than {MAX_LEARNERS}; choose some, with --learners")
    return picked


def _curve(name: str, rows: Iterable[MeasurementRow], measure: _Measure) -> Curve:
    by_size: dict[int, list[MeasurementRow]] = defaultdict(list)
    for row in rows:
        by_size[row.size].append(row)
    if len(by_size) > MAX_SIZES:
        raise UsageError(f"{name}: {len(by_size):,} sizes are more than {MAX_SIZES:,}; keep a few an octave")
    train_sizes = sorted(by_size)
    for size in train_sizes:
        _check_repeats(name, by_size[size])
    return Curve(
        learner=name,
        train_sizes=tuple(train_sizes),
        errors=tuple(tuple(row.error for row in by_size[size]) for size in train_sizes),
        unit=measure.unit,
        bound=measure.bound,
        stderr=tuple(row.stderr for size in train_sizes for row in by_size[size] if row.stderr is not None),
    )


def _check_repeats(name: str, rows: list[MeasurementRow]) -> None:
    """UsageError for too many rows of one size, a duplicate repeat, or two means of one size."""
    if len(rows) > MAX_REPEATS:
        raise UsageError(
            f"{name}: {len(rows):,} rows of size {rows[0].size:,}, more than {MAX_REPEATS:,}; average them"
        )
    first: dict[str | None, MeasurementRow] = {}
    for row in rows:
        before = first.setdefault(row.repeat if row.stderr is None else None, row)
        if before is row:
            continue
        if row.stderr is not None:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,} on line {before.line} too, and stderr is that of a "
                "mean; give one row a size, or leave stderr out"
            )
        if row.repeat is not None:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,}, repeat {row.repeat[:40]!r} on line {before.line} too; "
                "remove one, or distinguish curves by a column learner"
            )


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = [name[:40] if name.isprintable() else ascii(name)[:40] for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")

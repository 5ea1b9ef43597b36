"""Reads learning curves from a table with one measurement per row: comma-, semicolon- or tab-separated text.

The CSV module of the standard library is used because messages name the line of the file, which readers of whole
columns do not report.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import operator
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dlm.curves.types import Curve
from dlm.utils.errors import UsageError, nearest

Bound = tuple[float, float | None]

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

# Names of the column of each role. The first name has priority if several columns match.
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
ONLY_LEARNER = "model"  # name of the learner of a table without a learner column
MAX_ROWS = 200_000
MAX_LEARNERS = 30
LARGEST = 10**15
_LONGEST_NAME = 80
_PERCENT = re.compile(r"_*[(\[]?_*(in_)?(%|percent|per_cent|percentage|pct)_*[)\]]?$")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float() also reads "1_000" and "nan"


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Curves, and remarks on the assumptions made by the reader."""

    curves: tuple[Curve, ...]
    remarks: tuple[str, ...]


class _Measurement(NamedTuple):
    """One row; `stderr` and `repeat` are None without such a column."""

    line: int
    size: int
    error: float
    stderr: float | None
    learner: str
    repeat: str | None


def read_curve_table(path: Path, *, bound: Bound | None = None, learners: Sequence[str] = ()) -> CurveTable:
    """The curves of a table, of all learners or of those named.

    Columns are size and error, and optionally repeat, learner and stderr, also under other common names. `bound` is the
    possible range of the error; by default it follows from the column's name and values. UsageError names the line, the
    rule and the remedy.
    """
    try:
        header, columns, rows = _read(path)
        name = _normalized(header[columns["error"]])
        percent = name != _base(name)
        if percent:
            rows = _as_fractions(name, rows)
            low, high = bound or (0.0, 100.0)
            name, bound = _base(name), (low / 100, None if high is None else high / 100)
        unit, taken, remark = _unit_and_bound(name, rows, bound)
        if name in ACCURACY:
            rows = [row._replace(error=round(1 - row.error, 12)) for row in rows]
        _check_bound(rows, taken)
        groups = _by_learner(rows, learners)
        curves = tuple(_curve(learner, group, unit, taken) for learner, group in groups.items())
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    unused = [name.strip() for k, name in enumerate(header) if k not in columns.values() and name.strip()]
    remarks = [remark] if remark else []
    if percent:
        column = header[columns["error"]].strip()
        remarks.insert(0, f"Column {column}: read as per cent and divided by 100. Target errors are fractions: 0.05.")
    if unused:
        listed = ", ".join(name[:40] for name in unused[:12] if name.isprintable())
        remarks.append(f"Columns not used: {listed}{' …' if len(unused) > 12 else ''}.")
    return CurveTable(curves, tuple(remarks))


def _read(path: Path) -> tuple[list[str], dict[str, int], list[_Measurement]]:
    """The header, the index of each role's column, and the rows."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _parse(file)
    except FileNotFoundError:
        raise UsageError("there is no such file; name a table with the columns size and error") from None
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror}); name a table that can") from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text; save the table as CSV with that encoding") from None


def _parse(file: Iterable[str]) -> tuple[list[str], dict[str, int], list[_Measurement]]:
    lines = enumerate(file)
    num_blank, first = next(((number, line) for number, line in lines if line.strip()), (0, ""))
    separator = re.fullmatch(r'"?sep=(.)"?', first.strip())  # as spreadsheets write it
    if separator:
        num_blank, first = next(((number, line) for number, line in lines if line.strip()), (0, ""))
    if not first:
        raise UsageError("is empty; its first line names columns, such as size,error, and each row is a measurement")
    text = itertools.chain([first], (line for _, line in lines))
    reader = csv.reader(text, delimiter=separator[1] if separator else max(",;\t", key=first.count), strict=True)
    rows: list[_Measurement] = []
    try:
        header = next(reader)
        columns = _columns(header)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_row(cells, header, columns, num_blank + reader.line_num))
            if len(rows) > MAX_ROWS:
                raise UsageError(f"more than {MAX_ROWS:,} rows; a curve is a few: average repeats, or cut the table")
    except csv.Error as error:
        line = num_blank + reader.line_num
        raise UsageError(f"line {line} cannot be parsed ({error}); correct its quotes") from None
    if not rows:
        raise UsageError("no row follows the names of the columns; give one row for each measurement")
    return header, columns, rows


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Index of each role's column. UsageError if size or error is missing, or a role is ambiguous."""
    names = [_base(_normalized(name)) for name in header]
    columns = {}
    for role, known in _NAMES.items():
        preferred = [k for k, name in enumerate(names) if name == known[0]]
        indices = preferred or [k for k, name in enumerate(names) if name in known]
        if len(indices) > 1:
            both = " and ".join(repr(_normalized(header[k])) for k in indices)
            raise UsageError(
                f"the first line names {both}, and each could be the {role}; rename the intended column to {known[0]!r}"
            )
        if indices:
            columns[role] = indices[0]
    for role in ("size", "error"):
        if role not in columns:
            read = ", ".join(repr(name.strip()[:40]) for name in header[:12])
            close = nearest(role, [name for name in names if name[:1].isalpha()][:12])
            remedy = f" ({close})" if close.startswith("did you mean") else ""
            raise UsageError(
                f"the first line names no column {role}{remedy}: it reads {read}; begin with a line such as size,error"
            )
    return columns


def _normalized(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().casefold())


def _base(name: str) -> str:
    """The normalized name of an error column without its unit, if that is per cent."""
    base = _PERCENT.sub("", name)
    return base if base in (*ERROR, *ACCURACY, *_NAMES["stderr"]) else name


def _as_fractions(name: str, rows: Sequence[_Measurement]) -> list[_Measurement]:
    """Percentages as fractions. UsageError for one above 100."""
    above = next((row for row in rows if row.error > 100), None)
    if above:
        raise UsageError(
            f"line {above.line}: {name} {above.error:g} is above 100; correct it, or name the column error if "
            "it is not a percentage"
        )
    scaled = [(row, None if row.stderr is None else round(row.stderr / 100, 12)) for row in rows]
    return [row._replace(error=round(row.error / 100, 12), stderr=stderr) for row, stderr in scaled]


def _row(cells: Sequence[str], header: Sequence[str], columns: dict[str, int], line: int) -> _Measurement:
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(header):
        raise UsageError(
            f"line {line} has {len(cells)} cells where {len(header)} columns are named; give each row as many, and "
            "write decimals with a point"
        )
    own = {role: cells[k].strip() for role, k in columns.items()}
    size = _number(own["size"], "size", line)
    error = _number(own["error"], _normalized(header[columns["error"]]), line)
    stderr = _number(own["stderr"], "stderr", line) if "stderr" in own else None
    if not 1 <= size <= LARGEST or size != int(size):
        raise UsageError(
            f"line {line}: size {size:g} is not a whole number from 1 to {LARGEST:.0e}; multiply a share of the data "
            "by the number of examples"
        )
    learner = own.get("learner", ONLY_LEARNER)
    if not learner or len(learner) > _LONGEST_NAME or not learner.isprintable():
        raise UsageError(
            f"line {line}: learner {learner[:40]!r} is not a valid name; give 1 to {_LONGEST_NAME} printable characters"
        )
    return _Measurement(line, int(size), error, stderr, learner, own.get("repeat"))


def _number(text: str, name: str, line: int) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        remedy = "write it like 1000 or 0.25, or remove the row"
        if text.endswith("%"):
            remedy = "write 25 % as 0.25, or omit the sign and name the column error_percent"
        raise UsageError(f"line {line}: {name} {text[:40]!r} is not a number; {remedy}")
    if value < 0:
        raise UsageError(f"line {line}: {name} {value:g} is negative; give a number of at least 0")
    return value


def _unit_and_bound(name: str, rows: Iterable[_Measurement], bound: Bound | None) -> tuple[str, Bound, str]:
    """Unit and range of the values of a column, and a remark on how they were inferred."""
    above = next((f"line {row.line}: {name} {row.error:g} is above 1" for row in rows if row.error > 1), "")
    if above and (name in ACCURACY or (name in ERROR and "rate" in name and not bound)):
        remedy = "1 minus it as error" if name in ACCURACY else "name the column error"
        raise UsageError(f"{above}; give a share, name the column {name}_percent, or {remedy}")
    if name in ACCURACY:
        remark = f"Column {name}: read as error = 1 − {name}, a rate from 0 to 1. Targets are errors too."
        return "error rate", bound or (0.0, 1.0), remark
    unit = "error" if name in ERROR else name.replace("_", " ")
    if bound:
        return "error rate" if name in ERROR and bound == (0.0, 1.0) else unit, bound, ""
    if name not in ERROR:
        remark = "assumed to be non-negative without an upper bound; set one with --bound=0,5."
    elif above:
        remark = (
            "values above 1, so it is not read as a rate; name it error_percent if it is one, or set --bound=0,100."
        )
    else:
        remark = "all values are in [0, 1], so it is read as a rate; --bound=0, removes the bound."
        return "error rate", (0.0, 1.0), f"Column {name}: {remark}"
    return unit, (0.0, None), f"Column {name}: {remark}"


def _check_bound(rows: Iterable[_Measurement], bound: Bound) -> None:
    low, high = bound
    for row in rows:
        if row.error < low or (high is not None and row.error > high):
            ends = f"{low:g} to {'any' if high is None else format(high, 'g')}"
            raise UsageError(f"line {row.line}: error {row.error:g} is outside the bound, {ends}; widen --bound")


def _by_learner(rows: Iterable[_Measurement], learners: Sequence[str]) -> dict[str, list[_Measurement]]:
    groups: dict[str, list[_Measurement]] = defaultdict(list)
    for row in rows:
        groups[row.learner].append(row)
    for name in learners:
        if name not in groups:
            raise UsageError(f"--learners={name} is not a learner of this table; {nearest(name, groups)[:400]}")
    selected = {name: part for name, part in groups.items() if not learners or name in learners}
    if len(selected) > MAX_LEARNERS:
        raise UsageError(f"{len(selected):,} learners are more than {MAX_LEARNERS}; choose some, with --learners")
    return selected


def _curve(name: str, rows: Iterable[_Measurement], unit: str, bound: Bound) -> Curve:
    size = operator.attrgetter("size")
    groups = [list(group) for _, group in itertools.groupby(sorted(rows, key=size), key=size)]
    for group in groups:
        _check_repeats(name, group)
    return Curve(
        learner=name,
        train_sizes=tuple(group[0].size for group in groups),
        errors=tuple(tuple(row.error for row in group) for group in groups),
        unit=unit,
        bound=bound,
        stderr=tuple(row.stderr for group in groups for row in group if row.stderr is not None),
    )


def _check_repeats(name: str, rows: Sequence[_Measurement]) -> None:
    """UsageError for a duplicate repeat, or two means, of one size."""
    lines: dict[str, int] = {}
    for row in rows:
        if row.stderr is not None and row is not rows[0]:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,} on line {rows[0].line} too, and stderr is that of a "
                "mean; give one row per size, or omit stderr"
            )
        if row.repeat is not None and lines.setdefault(row.repeat, row.line) != row.line:
            raise UsageError(
                f"line {row.line}: {name} has size {row.size:,}, repeat {row.repeat[:40]!r} on line "
                f"{lines[row.repeat]} too; remove one, or distinguish curves by a column learner"
            )

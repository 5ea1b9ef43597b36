"""Reads CSV and JSON files as Arrow tables; infers the separator of a CSV file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from dlm.data.readers import notations
from dlm.data.readers.files import check_fits, listed, read_text
from dlm.utils.errors import UsageError

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_SEPARATORS = (";", "\t", ",")  # in order of preference
_SAMPLE = 1 << 16
_BLOCK = 1 << 24


def read_csv(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The table of a CSV file whose first line names the columns, and remarks on numbers and dates.

    Raises UsageError for text that is not UTF-8, rows of different length, and files that exceed the memory.
    """
    check_fits(path.stat().st_size, "save fewer columns, or sample its rows")
    text = read_text(path)
    separator, names, lines = _header(text)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(text.encode()),
            pacsv.ReadOptions(block_size=_BLOCK, column_names=names, skip_rows=lines),
            pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pacsv.ConvertOptions(null_values=notations.MISSING, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        reason = "a quote is not closed, or a row is too long" if "straddling" in str(error) else f"{error}"
        raise UsageError(_row_error(text, separator, len(names)) or f"not a valid CSV file: {reason}") from None
    remarks: list[str] = []
    for index, name in enumerate(names):
        if pa.types.is_string(table.schema.field(index).type):
            column, remark = notations.converted(table.column(index), separator)
            table = table.set_column(index, name, column)
            remarks += [f"Column {name}: {remark}"] if remark else []
    return table, tuple(remarks)


def _header(text: str) -> tuple[str, list[str], int]:
    """The separator on which most rows agree, the names of the columns, and the number of lines of the header."""
    if not text.strip():
        raise UsageError("the file is blank; choose one whose first line names the columns")
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    separator = max(_SEPARATORS, key=lambda each: _agreement(sample, each))
    reader = _csv(sample, separator)
    cells = [cell.strip() for cell in next(filter(None, reader))]
    _check_header(cells)
    return separator, [cell or f"column {number}" for number, cell in enumerate(cells, start=1)], reader.line_num


def _csv(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _agreement(sample: str, separator: str) -> tuple[float, int]:
    """Share of rows with as many cells as the first, and that number."""
    try:
        widths = [len(row) for row in _csv(sample, separator) if row]
    except csv.Error:
        return 0.0, 1
    return (widths.count(widths[0]) / len(widths) if widths[0] > 1 else 0.0), widths[0]


def _check_header(cells: list[str]) -> None:
    """Raises UsageError for repeated names, and for a first line of numbers, which is a row and not a header."""
    numbers = [float(cell) for cell in cells if re.match(notations.NUMBER, cell)]
    steps = {b - a for a, b in pairwise(numbers)}
    is_sequence = len(numbers) > 2 and len(steps) == 1 and steps != {0.0}  # 0, 1, 2 … or years may be names
    is_data = any(number % 1 for number in numbers) or len(set(numbers)) < len(numbers)
    if numbers and (is_data or (2 * len(numbers) >= len(cells) and not is_sequence)):
        raise UsageError(
            f"the first line must name the columns, but is {listed(cells, 6)}; insert a line of names above it"
        )
    repeated = [name for name, count in Counter(filter(None, cells)).items() if count > 1]
    if repeated:
        raise UsageError(f"the first line repeats the names {listed(repeated)}; give each column its own name")


def _row_error(text: str, separator: str, width: int) -> str:
    """A message about the first row with another number of cells than the header; empty if there is none."""
    reader = _csv(text, separator)
    try:
        cells = next((row for row in reader if row and len(row) != width), None)
    except csv.Error as error:
        return f"line {reader.line_num} cannot be read ({error}); correct its quotes"
    if cells is None:
        return ""
    mark = {"\t": "the tab", ",": "the comma", ";": "the semicolon"}[separator]
    return (
        f"line {reader.line_num} has {len(cells)} cells, but the header has {width}; give each row as many, and quote "
        f"cells that contain {mark}"
    )


def read_json(path: Path) -> pa.Table:
    """The table of a file with one JSON object per line, or a list of objects; absent fields are missing values."""
    check_fits(path.stat().st_size, "save it as Parquet, or read a part of it")
    rows = _objects(read_text(path))
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UsageError(
            'the file has no objects with fields; write one per line, like {"text": "good", "label": "yes"}'
        )
    return pa.table([_field(name, [row.get(name) for row in rows]) for name in names], names)


def _objects(text: str) -> list[dict[str, Any]]:
    """The objects of a list, or of one line each."""
    is_list = text.lstrip().startswith("[")
    rows: list[dict[str, Any]] = []
    # Not splitlines: JSON strings may contain U+2028 and other line separators.
    for number, line in enumerate([text] if is_list else text.split("\n"), start=1):
        if not line.strip():
            continue
        where = "the file" if is_list else f"line {number:,}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is not valid JSON ({error}); write one object per line, or a list") from None
        items = value if is_list else [value]
        if not all(isinstance(item, dict) for item in items):
            what = "a list of objects" if is_list else "an object"
            raise UsageError(f"{where} is not {what}; write objects with a field per column")
        rows += items
    return rows


def _field(name: str, values: list[Any]) -> pa.ChunkedArray:
    """A field of all rows; numbers mixed with texts become texts."""
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        if any(isinstance(value, dict | list) for value in values):
            raise UsageError(f"field {name!r} has lists or objects of different types; remove it") from None
    return pa.chunked_array([pa.array([None if value is None else str(value) for value in values])])

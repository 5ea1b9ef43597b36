"""Reads CSV and JSON files as Arrow tables; infers the separator of a CSV file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dlm.data.readers import notations
from dlm.data.readers.files import check_fits, listed, read_text
from dlm.utils.errors import UsageError

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_SEPARATORS = (";", "\t", ",")  # in order of preference
_SAMPLE = 1 << 16
_BLOCK = 1 << 24


def read_csv(path: Path) -> tuple[pa.Table, str]:
    """The table of a CSV file whose first line names the columns, and its separator; a line sep=; before it is skipped.

    Integers that float64 would round are texts.

    Raises UsageError for text that is not UTF-8, rows of different length, and files that exceed the memory.
    """
    check_fits(path.stat().st_size, "save fewer columns, or sample its rows")
    text = read_text(path)
    separator, names, lines = _header(text)
    types: dict[str, pa.DataType] = {}
    try:
        table = _parsed(text, separator, names, lines, types)
        for name, column in zip(names, table.columns):
            if pa.types.is_floating(column.type) and (pc.max(pc.abs(column)).as_py() or 0) >= 2**53:
                types[name] = pa.string()
        if types:
            table = _with_doubles(table, _parsed(text, separator, names, lines, types), types)
    except pa.ArrowInvalid as error:
        reason = "a quote is not closed, or a row is too long" if "straddling" in str(error) else f"{error}"
        raise UsageError(_row_error(text, separator, len(names)) or f"not a valid CSV file: {reason}") from None
    return table, separator


def _parsed(text: str, separator: str, names: list[str], lines: int, types: dict[str, pa.DataType]) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(text.encode()),
        pacsv.ReadOptions(block_size=_BLOCK, column_names=names, skip_rows=lines),
        pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
        pacsv.ConvertOptions(null_values=notations.MISSING, strings_can_be_null=True, column_types=types),
    )


def _with_doubles(table: pa.Table, texts: pa.Table, names: Iterable[str]) -> pa.Table:
    """The table with columns as texts where all are integers, which float64 would round."""
    for name in names:
        column = pc.utf8_trim_whitespace(texts.column(name))
        if pc.all(pc.match_substring_regex(column, r"^[+-]?\d+$")).as_py():
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _header(text: str) -> tuple[str, list[str], int]:
    """The separator on which most rows agree, the names of the columns, and the number of lines of the header."""
    if not text.strip():
        raise UsageError("the file is blank; choose one whose first line names the columns")
    declared = re.match(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', text)  # as spreadsheets write it
    if declared and declared[1] not in _SEPARATORS:
        raise UsageError(f"the first line declares sep={declared[1]}; use a comma, a semicolon or a tab")
    skipped = declared[0] if declared else ""
    text = text[len(skipped) :]
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    separator = declared[1] if declared else max(_SEPARATORS, key=lambda each: _agreement(sample, each))
    reader = _csv(sample, separator)
    cells = [cell.strip() for cell in next(filter(None, reader))]
    _check_header(cells)
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        generated = f"column {number}"
        while generated in cells:
            generated += "_"
        names.append(cell or generated)
    return separator, names, reader.line_num + len(re.findall(r"\r\n|\r|\n", skipped))


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
        raise UsageError(
            f"the first line has the names {listed(repeated)} more than once; give each column its own name"
        )


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

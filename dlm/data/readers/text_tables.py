"""Reads CSV and JSON files as Arrow tables; infers the separator, and numbers and dates in local notations."""

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
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dlm.data.readers.files import check_fits, check_utf8, listed, read_text
from dlm.utils.errors import UsageError

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
MISSING = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", "?",
)  # fmt: skip
MAX_INVALID_SHARE = 0.05  # of texts in a column of numbers

_SEPARATORS = (";", "\t", ",")  # in order of preference
_SAMPLE = 1 << 16
_BLOCK = 1 << 24
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_GROUPED = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"  # 1,234.5
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"  # 3,14 and 1.234,5
_DATE = (
    r"^(?P<first>\d{1,2}|\d{4})(?P<mark>[./-])(?P<second>\d{1,2})[./-](?P<third>\d{1,2}|\d{4})"
    r"(?P<time>(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?)$"
)


def read_csv(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The table of a CSV file whose first line names the columns, and remarks on numbers and dates.

    Raises UsageError for text that is not UTF-8, rows of different length, and files that exceed the memory.
    """
    check_fits(path.stat().st_size, "save fewer columns, or sample its rows")
    check_utf8(path)
    separator, names, lines = _header(path)
    options = pacsv.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    try:
        table = pacsv.read_csv(
            path,
            pacsv.ReadOptions(block_size=_BLOCK, column_names=names, skip_rows=lines),
            pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
            options,
        )
    except pa.ArrowInvalid as error:
        reason = "a quote is not closed, or a row is too long" if "straddling" in str(error) else f"{error}"
        raise UsageError(_row_error(path, separator, len(names)) or f"not a valid CSV file: {reason}") from None
    remarks: list[str] = []
    for index, name in enumerate(names):
        if pa.types.is_string(table.schema.field(index).type):
            column, remark = _converted(table.column(index), separator)
            table = table.set_column(index, name, column)
            remarks += [f"Column {name}: {remark}"] if remark else []
    return table, tuple(remarks)


def _header(path: Path) -> tuple[str, list[str], int]:
    """The separator on which most rows agree, the names of the columns, and the number of lines of the header."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        sample = file.read(_SAMPLE)
    if not sample.strip():
        raise UsageError("the file is blank; choose one whose first line names the columns")
    if len(sample) == _SAMPLE:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    separator = max(_SEPARATORS, key=lambda each: _agreement(sample, each))
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    cells = [cell.strip() for cell in next(filter(None, reader))]
    _check_header(cells)
    return separator, [cell or f"column {number}" for number, cell in enumerate(cells, start=1)], reader.line_num


def _agreement(sample: str, separator: str) -> tuple[float, int]:
    """Share of rows with as many cells as the first, and that number."""
    rows = [row for row in _rows(sample, separator) if row]
    width = len(rows[0])
    return (sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0), width


def _rows(sample: str, separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(sample, newline=""), delimiter=separator))
    except csv.Error:
        return [[sample]]


def _check_header(cells: list[str]) -> None:
    """Raises UsageError for repeated names, and for a first line of numbers, which is a row and not a header."""
    numbers = [float(cell) for cell in cells if re.match(_NUMBER, cell)]
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


def _row_error(path: Path, separator: str, width: int) -> str:
    """A message about the first row with another number of cells than the header; empty if there is none."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
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


def _converted(column: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray, str]:
    """Texts as numbers or dates if they are, and a remark; other texts with white space trimmed."""
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.is_in(column, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), column)
    present = column.drop_null()
    if not len(present):
        return column, ""
    numbers, remark = _numbers(column, present, separator)
    if numbers is not None:
        return numbers, remark
    times, notation = dates(column)
    if times is not None:
        return times, f"dates like {present[0]} are read {notation}."
    return column, f"not read as dates: {notation}." if notation else ""


def _numbers(column: pa.ChunkedArray, present: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray | None, str]:
    """Texts as numbers, with commas or a few invalid values; and a remark. None if they are not numbers."""
    plain = pc.match_substring_regex(present, _NUMBER)
    if pc.all(plain).as_py():
        return pc.cast(column, pa.float64()), ""
    with_comma = present.filter(pc.match_substring(present, ","))
    example = with_comma[0].as_py() if len(with_comma) else ""
    if separator != ";" and example and pc.all(pc.or_(plain, pc.match_substring_regex(present, _GROUPED))).as_py():
        bare = pc.replace_substring(column, ",", "")
        remark = f"commas are read as thousands separators, {example} as {example.replace(',', '')}."
        return pc.cast(bare, pa.float64()), remark
    if example and pc.all(pc.match_substring_regex(present, _COMMA)).as_py():
        bare = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
        point = example.replace(".", "").replace(",", ".")
        return pc.cast(bare, pa.float64()), f"commas are read as decimal points, {example} as {point}."
    invalid = present.filter(pc.invert(plain))
    if len(invalid) > MAX_INVALID_SHARE * len(present) or pc.count_distinct(present.filter(plain)).as_py() <= 20:
        return None, ""
    bare = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, pa.scalar(None, pa.string()))
    example = invalid[0].as_py()[:40]
    remark = f"{len(invalid):,} of {len(present):,} values are not numbers and are missing, for example {example!r}."
    return pc.cast(bare, pa.float64()), remark


def dates(texts: pa.ChunkedArray) -> tuple[pa.ChunkedArray | None, str]:
    """(timestamps, their notation), or (None, why they are not read); empty if they do not look like dates."""
    present = texts.drop_null()
    if not len(present) or not pc.all(pc.match_substring_regex(present, _DATE)).as_py():
        return None, ""
    parts = pc.extract_regex(texts, _DATE)
    first, second, third = (pc.struct_field(parts, k) for k in ("first", "second", "third"))
    order, notation = _order(
        [pc.min_max(pc.cast(part, pa.int32())).as_py() for part in (first, second, third)], present
    )
    if order is None:
        return None, notation
    year, month, day = ((first, second, third)[k] for k in order)
    iso = pc.binary_join_element_wise(year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-")
    clock = pc.utf8_lpad(pc.utf8_ltrim(pc.struct_field(parts, "time"), " T"), 5, "0")
    clock = pc.if_else(pc.equal(clock, "00000"), "00:00", clock)
    try:
        return pc.cast(pc.binary_join_element_wise(iso, clock, " "), pa.timestamp("s")), notation
    except pa.ArrowInvalid:
        return None, "some are not valid calendar days"


def _order(ranges: list[dict[str, int]], dates: pa.ChunkedArray) -> tuple[tuple[int, ...] | None, str]:
    """Positions of year, month and day among three numbers with these ranges, and the name of the notation."""
    first, second, third = ranges
    if first["min"] > 31 and third["max"] <= 31:
        return (0, 1, 2), "year first"
    if third["min"] <= 31 or first["max"] > 31:
        return None, "years need four digits"
    if second["max"] > 12 and first["max"] <= 12:
        return (2, 0, 1), "month first"
    if first["max"] > 12 or pc.all(pc.match_substring(dates, ".")).as_py():
        return (2, 1, 0), "day first"
    return None, f"{dates[0].as_py()} may start with the day or the month; write dates like 2024-12-31"


def read_json(path: Path) -> pa.Table:
    """The table of a file with one JSON object per line, or a list of objects; absent fields are missing values."""
    check_fits(path.stat().st_size, "save it as Parquet, or read a part of it")
    text = read_text(path)
    # Not splitlines: JSON strings may contain U+2028 and other line separators.
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    rows = _objects(text) if text.lstrip().startswith("[") else [_object(line, number) for number, line in lines]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UsageError(
            'the file has no objects with fields; write one per line, like {"text": "good", "label": "yes"}'
        )
    return pa.table([_field(name, [row.get(name) for row in rows]) for name in names], names)


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"line {number:,} is not valid JSON ({error}); write one object per line") from None
    if not isinstance(row, dict):
        raise UsageError(f"line {number:,} is not an object but {line.strip()[:40]!r}; write one object per line")
    return row


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid JSON ({error}); write one object per line, or a list of objects") from None
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError("the JSON list has items that are not objects; write objects with a field per column")
    return rows


def _field(name: str, values: list[Any]) -> pa.ChunkedArray:
    """A field of all rows; numbers mixed with texts become texts."""
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        if any(isinstance(value, dict | list) for value in values):
            raise UsageError(f"field {name!r} has lists or objects of different types; remove it") from None
    return pa.chunked_array([pa.array([None if value is None else str(value) for value in values])])

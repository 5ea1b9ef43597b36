"""Tables in comma, semicolon or tab separated text, as Arrow tables: which separator, which names, which numbers."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dlm.data.readers.paths import check_fits, check_text, listed
from dlm.utils.errors import UsageError

_DATE = (
    r"^(?P<first>\d{1,2}|\d{4})(?P<mark>[./-])(?P<second>\d{1,2})[./-](?P<third>\d{1,2}|\d{4})"
    r"(?P<time>(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?)$"
)


def dates(texts: pa.ChunkedArray) -> tuple[pa.ChunkedArray | None, str]:
    """(timestamps, how they were read), or (None, why not, empty where they are no dates at all)."""
    given = texts.drop_null()
    if not len(given) or not pc.all(pc.match_substring_regex(given, _DATE)).as_py():
        return None, ""
    parts = pc.extract_regex(texts, _DATE)
    first, second, third = (pc.struct_field(parts, k) for k in ("first", "second", "third"))
    order, how = _order([pc.min_max(pc.cast(part, pa.int32())).as_py() for part in (first, second, third)], given)
    if order is None:
        return None, how
    year, month, day = ((first, second, third)[k] for k in order)
    iso = pc.binary_join_element_wise(year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-")
    clock = pc.utf8_lpad(pc.utf8_ltrim(pc.struct_field(parts, "time"), " T"), 5, "0")
    clock = pc.if_else(pc.equal(clock, "00000"), "00:00", clock)
    try:
        return pc.cast(pc.binary_join_element_wise(iso, clock, " "), pa.timestamp("s")), how
    except pa.ArrowInvalid:
        return None, "some are no days of the calendar"


def _order(ranges: list[dict[str, int]], given: pa.ChunkedArray) -> tuple[tuple[int, ...] | None, str]:
    """Places of year, month and day among three numbers of these ranges, and what that is called."""
    first, second, third = ranges
    if first["min"] > 31 and third["max"] <= 31:
        return (0, 1, 2), "year first"
    if third["min"] <= 31 or first["max"] > 31:
        return None, "years want four digits"
    if second["max"] > 12 and first["max"] <= 12:
        return (2, 0, 1), "month first"
    if first["max"] > 12 or pc.all(pc.match_substring(given, ".")).as_py():
        return (2, 1, 0), "day first"
    return None, f"{given[0].as_py()} may begin with the day or the month; write it like 2024-12-31"


ENDINGS = (".csv", ".tsv", ".tab")
MISSING = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", "?",
)  # fmt: skip
FEW_STRAYS = 0.05  # a column with fewer texts among numbers than this is one of numbers

_SEPARATORS = (";", "\t", ",")  # the first counts where two fit equally well
_SAMPLE = 1 << 16
_BLOCK = 1 << 24
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_GROUPED = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"  # 1,234.5
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"  # 3,14 and 1.234,5


def read_delimited(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows of a table, and in sentences how its texts were read as numbers and dates.

    The first line names the columns. UsageError for what is no text in UTF-8, no table or larger than memory.
    """
    check_fits(path.stat().st_size, "save it as parquet and read a part of its columns, or sample its rows")
    check_text(path)
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
        told = "a quote is not closed, or a row is too long; mend it" if "straddling" in str(error) else f"{error}"
        raise UsageError(_misfit(path, separator, len(names)) or f"is no table: {told}") from None
    remarks: list[str] = []
    for place, name in enumerate(names):
        if pa.types.is_string(table.schema.field(place).type):
            column, remark = _reread(table.column(place), separator)
            table = table.set_column(place, name, column)
            remarks += [f"Column {name}: {remark}"] if remark else []
    return table, tuple(remarks)


def _header(path: Path) -> tuple[str, list[str], int]:
    """The separator that most rows agree on, the names of the columns, and how many lines these take up."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        sample = file.read(_SAMPLE)
    if not sample.strip():
        raise UsageError("the file holds nothing but blanks; name one whose first line names columns")
    if len(sample) == _SAMPLE:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    separator = max(_SEPARATORS, key=lambda mark: _agreement(sample, mark))
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    cells = [cell.strip() for cell in next(filter(None, reader))]
    _check_header(cells)
    return separator, [cell or f"column {place}" for place, cell in enumerate(cells, start=1)], reader.line_num


def _agreement(sample: str, separator: str) -> tuple[float, int]:
    rows = [row for row in _rows(sample, separator) if row]
    width = len(rows[0])
    return (sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0), width


def _rows(sample: str, separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(sample, newline=""), delimiter=separator))
    except csv.Error:
        return [[sample]]


def _check_header(cells: list[str]) -> None:
    """UsageError for names that stand twice, and for a first line of numbers: a row, not the names of columns."""
    numbers = [float(cell) for cell in cells if re.match(_NUMBER, cell)]
    steps = {b - a for a, b in pairwise(numbers)}
    run = len(numbers) > 2 and len(steps) == 1 and steps != {0.0}  # 0, 1, 2 … or years are names
    odd = any(number % 1 for number in numbers) or len(set(numbers)) < len(numbers)
    if numbers and (odd or (2 * len(numbers) >= len(cells) and not run)):
        raise UsageError(
            f"the first line must name the columns; it reads {listed(cells, 6)}; put a line of names above it"
        )
    twice = [name for name, count in Counter(filter(None, cells)).items() if count > 1]
    if twice:
        raise UsageError(f"the first line names {listed(twice)} more than once; give each column a name of its own")


def _misfit(path: Path, separator: str, width: int) -> str:
    """The first row that has not as many cells as there are names, in words; empty if none is found."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        try:
            cells = next((row for row in reader if row and len(row) != width), None)
        except csv.Error as error:
            return f"line {reader.line_num} cannot be read ({error}); mend its quotes"
    if cells is None:
        return ""
    mark = {"\t": "the tab", ",": "the comma", ";": "the semicolon"}[separator]
    return (
        f"line {reader.line_num} has {len(cells)} cells where {width} columns are named; give each row as many, and "
        f"put a cell that holds {mark} in quotes"
    )


def _reread(column: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray, str]:
    """Texts that are numbers or dates in disguise, as such, and what was done; other texts without outer blanks."""
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.is_in(column, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), column)
    given = column.drop_null()
    if not len(given):
        return column, ""
    numbers, remark = _numbers(column, given, separator)
    if numbers is not None:
        return numbers, remark
    times, how = dates(column)
    if times is not None:
        return times, f"dates such as {given[0]} are read {how}."
    return column, f"not read as dates, for {how}." if how else ""


def _numbers(column: pa.ChunkedArray, given: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray | None, str]:
    """Numbers with commas, and numbers among which few texts are."""
    plain = pc.match_substring_regex(given, _NUMBER)
    if pc.all(plain).as_py():
        return pc.cast(column, pa.float64()), ""
    with_comma = given.filter(pc.match_substring(given, ","))
    example = with_comma[0].as_py() if len(with_comma) else ""
    if separator != ";" and example and pc.all(pc.or_(plain, pc.match_substring_regex(given, _GROUPED))).as_py():
        bare = pc.replace_substring(column, ",", "")
        told = f"commas are read as marks of thousands, {example} as {example.replace(',', '')}."
        return pc.cast(bare, pa.float64()), told
    if example and pc.all(pc.match_substring_regex(given, _COMMA)).as_py():
        bare = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
        point = example.replace(".", "").replace(",", ".")
        return pc.cast(bare, pa.float64()), f"decimals are read with a comma, {example} as {point}."
    strays = given.filter(pc.invert(plain))
    if len(strays) > FEW_STRAYS * len(given) or pc.count_distinct(given.filter(plain)).as_py() <= 20:
        return None, ""
    bare = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, pa.scalar(None, pa.string()))
    told = f"{len(strays):,} of {len(given):,} values are no numbers, such as {strays[0].as_py()[:40]!r}, and missing."
    return pc.cast(bare, pa.float64()), told

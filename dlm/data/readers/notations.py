"""Converts texts to numbers and dates in local notations: 1.234,5 and 31.12.2024."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MISSING = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", "?",
)  # fmt: skip
MAX_INVALID_SHARE = 0.05  # of texts in a column of numbers
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_GROUPED = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"  # 1,234.5
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"  # 3,14 and 1.234,5
_DATE = (
    r"^(?P<first>\d{1,2}|\d{4})(?P<mark>[./-])(?P<second>\d{1,2})[./-](?P<third>\d{1,2}|\d{4})"
    r"(?P<time>(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?)$"
)


def converted(column: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray, str]:
    """Texts as numbers or dates if they are, and a remark; other texts with white space trimmed.

    separator: of the file's cells; with semicolons, a comma is a decimal point, never a thousands separator.
    """
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.is_in(column, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), column)
    present = column.drop_null()
    if not len(present):
        return column, ""
    numbers, remark = _numbers(column, present, separator)
    if numbers is not None:
        return numbers, remark
    times, notation = _dates(column)
    if times is not None:
        return times, f"dates like {present[0]} are read {notation}."
    return column, f"not read as dates: {notation}." if notation else ""


def _numbers(column: pa.ChunkedArray, present: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray | None, str]:
    """Texts as numbers, with commas or a few invalid values; and a remark. None if they are not numbers."""
    plain = pc.match_substring_regex(present, NUMBER)
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
    bare = pc.if_else(pc.match_substring_regex(column, NUMBER), column, pa.scalar(None, pa.string()))
    example = invalid[0].as_py()[:40]
    remark = f"{len(invalid):,} of {len(present):,} values are not numbers and are missing, for example {example!r}."
    return pc.cast(bare, pa.float64()), remark


def _dates(texts: pa.ChunkedArray) -> tuple[pa.ChunkedArray | None, str]:
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

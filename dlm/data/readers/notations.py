"""Converts texts to numbers and dates in local notations: 1.234,5, $1,250.00, 57.3 %, 31.12.2024, Jan 5, 2024."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", "?",
)  # fmt: skip
# Missing only among numbers and dates; elsewhere they may be names of classes.
MISSING_NUMBERS = (
    "None", "none", "NONE", "-", "--", "—", "–", ".", "..", "...", "*", "NaT", "n.a.", "N.A.", "nil", "#DIV/0!",
    "#VALUE!", "#REF!", "#NUM!", "#NAME?", "missing", "Missing", "unknown", "Unknown",
)  # fmt: skip
MAX_INVALID_SHARE = 0.05  # of texts in a column of numbers
HINT_SHARE = 0.5  # of texts that look like numbers or dates, from which a remark says why they are not
_READ = "texts are read as numbers."
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_CODE = r"^[+-]?0\d"  # 00123 is a code, whose zeros matter
_GROUPED = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"  # 1,234.5
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"  # 3,14 and 1.234,5
_SPACED = r"^([+-]?\d{1,3}(?:[ '’\x{A0}\x{202F}\x{2009}]\d{3})+)([.,]\d+)?$"  # 1 234.5 and 1'234.5
_CURRENCY = r"[$€£¥₹]"
_MONEY = rf"^([+-]?)\s*({_CURRENCY})\s*([+-]?[\d.,'’ ]*\d[\d.,]*)$|^([+-]?[\d.,'’ ]*\d)\s*({_CURRENCY})$"
_LIKE_NUMBER = r"^[<>~≈≤≥$€£¥₹+(-]*\s*\d[\d.,'’ ]*\s*[%)\pL°/$€£¥₹²³]{0,6}$"
_LIKE_DATE = (
    r"^\d{1,2}:\d{2}|^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b|"
    r"^(\d{1,2}[ .-]+)?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\pL*[ .,-]+\d"
)
_DATE = (
    r"^(?P<first>\d{1,2}|\d{4})(?P<mark>[./-])(?P<second>\d{1,2})[./-](?P<third>\d{1,2}|\d{4})"
    r"(?:[ T]+(?P<hour>\d{1,2})(?P<rest>:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) ?(?P<half>[AaPp]\.?[Mm]\.?)?)?"
    r" ?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_DAYS = (
    "%b %d %Y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d. %b %Y", "%Y %b %d", "%Y-%b-%d", "%a %d %b %Y",
    "%a, %d %b %Y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %I:%M%p")


def cleaned(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts in Unicode's normal form C without white space around them."""
    return pc.utf8_normalize(pc.utf8_trim_whitespace(column), form="NFC")


def converted(column: pa.ChunkedArray, separator: str = ",") -> tuple[pa.ChunkedArray, str]:
    """Texts as numbers or dates if they are, and a remark; other texts cleaned.

    separator: of the file's cells; with semicolons, a comma is a decimal point, never a thousands separator. Codes with
    leading zeros stay texts.
    """
    column = cleaned(column)
    column = _without(column, MISSING)
    if column.null_count == len(column):
        return column, ""
    marked = _without(column, MISSING_NUMBERS)
    present = marked.drop_null()
    if not len(present):
        return column, ""
    missing = _missing_remark(column, marked)
    numbers, remark = _numbers(marked, present, separator)
    if numbers is not None:
        return numbers, " ".join(filter(None, (remark if remark != _READ or not missing else "", missing)))
    times, notation = _dates(marked, present)
    if times is not None:
        return times, " ".join(filter(None, (f"dates like {present[0]} are read {notation}.", missing)))
    return column, f"not read as dates: {notation}." if notation else _hint(present)


def _without(column: pa.ChunkedArray, marks: tuple[str, ...]) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(column, value_set=pa.array(marks, column.type)), pa.scalar(None, column.type), column)


def _missing_remark(column: pa.ChunkedArray, marked: pa.ChunkedArray) -> str:
    count = marked.null_count - column.null_count
    if not count:
        return ""
    marks = pc.unique(column.filter(pc.and_(pc.is_null(marked), pc.is_valid(column)))).to_pylist()
    examples = ", ".join(map(repr, marks[:4]))
    return f"{count:,} of {len(column) - column.null_count:,} values ({examples}) are read as missing."


def _hint(present: pa.ChunkedArray) -> str:
    """Why texts that look like numbers or dates are neither; empty if they do not."""
    if pc.count_distinct(present).as_py() < 3:
        return ""
    for pattern, kind, remedy in (
        (_LIKE_DATE, "dates", "write dates like 2024-12-31, or like 2024-12-31 13:05"),
        (_LIKE_NUMBER, "numbers", "write all as plain numbers in one unit, and leave missing ones empty"),
    ):
        like = pc.match_substring_regex(present, pattern)
        count = pc.sum(like).as_py()
        if count < HINT_SHARE * len(present):
            continue
        others = present.filter(pc.invert(like))
        is_code = pc.any(pc.match_substring_regex(present, _CODE)).as_py() and kind == "numbers"
        example = (others if len(others) else present)[0].as_py()[:40]
        why = "leading zeros are kept" if is_code else f"for example {example!r}"
        return f"texts, not {kind}, though {count:,} of {len(present):,} look like {kind} ({why}); {remedy}."
    return ""


def _numbers(column: pa.ChunkedArray, present: pa.ChunkedArray, separator: str) -> tuple[pa.ChunkedArray | None, str]:
    """Texts as numbers, with commas or a few invalid values; and a remark. None if they are not numbers."""
    plain = pc.match_substring_regex(present, NUMBER)
    if pc.any(pc.match_substring_regex(present, _CODE)).as_py():
        return None, ""
    if pc.all(plain).as_py():
        numbers = pc.cast(column, pa.float64())
        # Identifiers of so many digits that float64 would make them equal stay texts.
        is_exact = not pc.any(pc.match_substring_regex(present, r"\d{16}")).as_py()
        if is_exact or pc.count_distinct(numbers).as_py() == pc.count_distinct(column).as_py():
            return numbers, _READ
        return None, ""
    column, note = _without_symbols(column)
    bare_present = column.drop_null()
    result, remark = _with_commas(column, bare_present, separator)
    if result is not None:
        return result, remark or note
    plain = pc.match_substring_regex(bare_present, NUMBER)
    invalid = present.filter(pc.invert(plain))
    if len(invalid) > MAX_INVALID_SHARE * len(present) or pc.count_distinct(present.filter(plain)).as_py() <= 20:
        return None, ""
    bare = pc.if_else(pc.match_substring_regex(column, NUMBER), column, pa.scalar(None, column.type))
    example = invalid[0].as_py()[:40]
    remark = f"{len(invalid):,} of {len(present):,} values are not numbers and are missing, for example {example!r}."
    return pc.cast(bare, pa.float64()), " ".join(filter(None, (note, remark)))


def _with_commas(
    column: pa.ChunkedArray, present: pa.ChunkedArray, separator: str
) -> tuple[pa.ChunkedArray | None, str]:
    """Numbers that are plain or have commas, and a remark on the commas; None if some are neither."""
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
    return None, ""


def _without_symbols(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Texts without one currency, per cent signs, spaces between digits and brackets of negative numbers; a remark."""
    bare = pc.replace_substring(column, "−", "-")
    bare = pc.replace_substring_regex(bare, r"^\((.*\d.*)\)$", r"-\1")
    present = bare.drop_null()
    percent = pc.match_substring_regex(present, r"\d\s*%$")
    if pc.all(percent).as_py():
        bare = pc.replace_substring_regex(bare, r"\s*%$", "")
    else:
        symbols = pc.unique(pc.struct_field(pc.extract_regex(present, rf"(?P<symbol>{_CURRENCY})"), "symbol"))
        if len(symbols.drop_null()) == 1:
            bare = pc.replace_substring_regex(bare, _MONEY, r"\1\3\4")
    spaced = pc.match_substring_regex(bare, _SPACED)
    bare = pc.if_else(spaced, pc.replace_substring_regex(bare, r"[ '’\x{A0}\x{202F}\x{2009}]", ""), bare)
    changed = column.filter(pc.and_(pc.is_valid(column), pc.not_equal(column, bare)))
    if not len(changed):
        return column, ""
    after = bare.filter(pc.and_(pc.is_valid(column), pc.not_equal(column, bare)))
    return bare, f"texts like {changed[0].as_py()[:40]} are read as {after[0].as_py()[:40].replace(',', '')}."


def _dates(texts: pa.ChunkedArray, present: pa.ChunkedArray) -> tuple[pa.ChunkedArray | None, str]:
    """(timestamps, their notation), or (None, why they are not read); empty if they do not look like dates."""
    if not pc.all(pc.match_substring_regex(present, _DATE)).as_py():
        times = _named_months(texts, present)
        return times, "with the name of the month" if times is not None else ""
    parts = pc.extract_regex(texts, _DATE)
    names = ("first", "second", "third", "hour", "rest", "half", "zone")
    first, second, third, hour, rest, half, zone = (pc.struct_field(parts, name) for name in names)
    order, notation = _order(
        [pc.min_max(pc.cast(part, pa.int32())).as_py() for part in (first, second, third)], present
    )
    if order is None:
        return None, notation
    year, month, day = ((first, second, third)[k] for k in order)
    iso = pc.binary_join_element_wise(year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-")
    try:
        days = pc.cast(iso, pa.timestamp("s")).to_numpy().astype("datetime64[us]")
        clock = _clock(hour, rest, half) - _offset(zone)
    except (pa.ArrowInvalid, ValueError):
        return None, "some are not valid calendar days or times of day"
    return pa.chunked_array([pa.array(days + clock, pa.timestamp("us"))]), notation


def _clock(hour: pa.ChunkedArray, rest: pa.ChunkedArray, half: pa.ChunkedArray) -> np.ndarray:
    """Time of day as timedelta64[us]; zero without one. Raises ValueError for an hour or minute that does not exist."""
    hours = np.array([int(value) if value else 0 for value in hour.to_pylist()])
    halves = np.array([(value or "").lower()[:1] for value in half.to_pylist()])
    is_half = halves != ""
    if np.any(hours > 23) or np.any(is_half & ((hours < 1) | (hours > 12))):
        raise ValueError("hour")
    hours = np.where(is_half, hours % 12 + 12 * (halves == "p"), hours)
    parsed = {text: _microseconds(text) for text in set(rest.to_pylist())}
    return (np.array([parsed[text] for text in rest.to_pylist()]) + hours * 3_600_000_000).astype("timedelta64[us]")


def _microseconds(rest: str | None) -> int:
    """Of the minutes and seconds after the hour, such as :05 and :05:59.25."""
    minutes, seconds = ((rest or "").split(":")[1:] + ["0", "0"])[:2]
    if int(minutes) > 59 or float(seconds) >= 61:
        raise ValueError("minute")
    return int(minutes) * 60_000_000 + round(float(seconds) * 1e6)


def _offset(zone: pa.ChunkedArray) -> np.ndarray:
    """Offset of time zones such as +02:00 from UTC as timedelta64[us]."""
    minutes = []
    for text in zone.to_pylist():
        match = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text or "")
        minutes.append((60 * int(match[2]) + int(match[3])) * (-1 if match[1] == "-" else 1) if match else 0)
    return np.array(minutes).astype("timedelta64[m]")


def _named_months(texts: pa.ChunkedArray, present: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Dates with English names of months, all of one format; None for others."""
    if not pc.all(pc.match_substring_regex(present, r"\d\D*\pL{3}|\pL{3}\D*\d")).as_py():
        return None
    for form in (day + time for day in _DAYS for time in _TIMES):
        if pc.strptime(present.slice(0, 1), form, "s", error_is_null=True).null_count:
            continue
        times = pc.strptime(texts, form, "s", error_is_null=True)
        # The parser turns February 30 into March 1.
        day = pc.struct_field(pc.extract_regex(texts, r"(?:^|[^\d:])(?P<day>\d{1,2})(?:[^\d:]|$)"), "day")
        if times.null_count == texts.null_count and pc.all(pc.equal(pc.cast(day, pa.int64()), pc.day(times))).as_py():
            return times
    return None


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

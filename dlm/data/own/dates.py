"""Dates that are written otherwise than 2024-12-31: 31.12.2024, 31/12/2024, 12/31/2024, 2024/12/31."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

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

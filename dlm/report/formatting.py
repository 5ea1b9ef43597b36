"""Numbers and short phrases as a reader wants them: units, sensible digits, thousands separators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dlm.curves.types import Curve, Prediction, RequiredSize

# From this probability on, a target counts as reachable and the chance is not worth a remark.
SURE = 0.995
_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def is_rate(unit: str) -> bool:
    """Whether errors of this unit are shares of 1 and read best as percentages."""
    return unit.casefold().strip().endswith("error rate")


def error_number(value: float, unit: str, like: float | None = None) -> str:
    """An error without its unit, with as many decimals as `like` (default: itself) deserves.

    Rates are percentages: one decimal from 1 % up, two significant digits below. Other units: three digits.
    """
    scale = 100.0 if is_rate(unit) else 1.0
    shown, reference = scale * value, abs(scale * (value if like is None else like))
    if reference and not 1e-6 <= reference < 1e9:
        return f"{shown:.3g}"
    digits = _decimals(reference, is_rate(unit))
    # A small number is not zero: say below which it lies.
    if 0 < shown < 0.5 * 10**-digits:
        return f"<{10**-digits:.{digits}f}"
    return f"{shown:,.{digits}f}"


def error_text(value: float, unit: str) -> str:
    """An error with its unit: "1.1 %", "1.23 nats per byte"."""
    return f"{error_number(value, unit)} {unit_text(unit)}"


def unit_text(unit: str) -> str:
    """The unit to write behind a number."""
    return "%" if is_rate(unit) else unit


def target_text(target: float, unit: str) -> str:
    """A target as the user gave it: "5 %", "1.25 nats per byte"."""
    return f"{(100 * target if is_rate(unit) else target):.4g} {unit_text(unit)}"


def percent(level: float) -> str:
    """The level of an interval: "95 %", "99.9 %"."""
    return f"{100 * level:.4g} %"


def chance(probability: float) -> str:
    """A probability as a whole percentage; never rounded to certainty: "88 %", "<1 %", ">99 %"."""
    if 0 < probability < 0.01:
        return "<1 %"
    if 0.99 < probability < 1:
        return ">99 %"
    return f"{100 * probability:.0f} %"


def about(count: float, rounding: Callable[[float], int] = round, digits: int = 2) -> str:
    """An estimated number of examples, to two significant digits: "60", "1,300", "25 million"."""
    if count >= 1e15:
        return f"{count:.1e}"
    dropped = max(0, math.floor(math.log10(count)) + 1 - digits) if count >= 1 else 0
    rounded = rounding(count / 10**dropped) * 10**dropped
    for size, word in _LARGE:
        if rounded >= size:
            return f"{rounded / size:.3g} {word}"
    return f"{rounded:,}"


def at_least(count: float) -> str:
    """A lower bound, rounded down to three significant digits."""
    return about(count, math.floor, digits=3)


def seeds(count: int) -> str:
    """The number of seeds in words: "1 seed", "8 seeds"."""
    return f"{count:,} seed" + ("" if count == 1 else "s")


def listed(parts: Sequence[str]) -> str:
    """Parts in words: "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def forecast_phrase(prediction: Prediction, unit: str) -> str:
    """The error of a forecast with its interval: "1.1 % [0.8, 1.6]"."""
    low, high = (error_number(end, unit, prediction.median) for end in (prediction.low, prediction.high))
    return f"{error_text(prediction.median, unit)} [{low}, {high}]"


def times_text(prediction: Prediction, curve: Curve) -> str:
    """How much more data a forecast stands for: "2x the data"."""
    return f"{prediction.train_size / curve.train_sizes[-1]:.3g}x the data"


def size_interval(low: float | None, high: float | None) -> str:
    """An interval of sizes, rounded outwards, after a blank: " [45, 90]", " [45 or more]" or nothing."""
    if low is not None and high is not None:
        return f" [{about(low, math.floor)}, {about(high, math.ceil)}]"
    if low is not None:
        return f" [{about(low, math.floor)} or more]"
    return f" [at most {about(high, math.ceil)}]" if high is not None else ""


def need_phrase(need: RequiredSize) -> str:
    """How many examples a target takes, short: "about 3,000 [2,000, 5,000]", "more than 12,000", …"""
    interval = size_interval(need.low, need.high)
    if need.kind == "reached" and need.median is not None:
        return f"reached at about {about(need.median)}{interval}"
    if need.kind == "interval" and (need.median is not None or interval):
        # Without a middle the interval stands alone and needs no brackets.
        return interval.strip(" []") if need.median is None else f"about {about(need.median)}{interval}"
    if need.kind == "more than" and need.low is not None:
        return f"more than {at_least(need.low)}"
    # A kind without its numbers says nothing that can be printed.
    return "undetermined" if need.kind in ("interval", "more than") else need.kind


def need_cell(need: RequiredSize) -> str:
    """The same for a table, with the chance of ever getting there where that is in doubt."""
    doubtful = need.kind == "interval" and need.p_reachable < SURE
    return need_phrase(need) + (f", {chance(need.p_reachable)} likely" if doubtful else "")


def _decimals(shown: float, rate: bool) -> int:
    if shown == 0:
        return 1
    exponent = math.floor(math.log10(shown))
    return max(1, 1 - exponent) if rate else max(0, 2 - exponent)

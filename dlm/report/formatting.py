"""Formats numbers for readers: units, significant digits, thousands separators, intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dlm.curves.types import Curve, Prediction, RequiredSize

CERTAIN = 0.995  # from this probability on, a target is reported as reachable without a probability
_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def is_rate(unit: str) -> bool:
    """Whether errors of this unit are shares of 1, which are shown as percentages."""
    return unit.casefold().strip().endswith("error rate")


def error_number(value: float, unit: str, like: float | None = None) -> str:
    """An error without its unit, with the decimals that suit `like` (default: itself).

    Rates are percentages: one decimal from 1 % on, two significant digits below. Other units: three significant digits.
    """
    scale = 100.0 if is_rate(unit) else 1.0
    scaled, reference = scale * value, abs(scale * (value if like is None else like))
    if reference and not 1e-6 <= reference < 1e9:
        return f"{scaled:.3g}"
    digits = _decimals(reference, is_rate(unit))
    if 0 < scaled < 0.5 * 10**-digits:  # a small number is not zero
        return f"<{10**-digits:.{digits}f}"
    return f"{scaled:,.{digits}f}"


def error_text(value: float, unit: str) -> str:
    """An error with its unit: "1.1 %", "1.23 nats per byte"."""
    return f"{error_number(value, unit)} {unit_text(unit)}"


def unit_text(unit: str) -> str:
    """The unit that follows a number."""
    return "%" if is_rate(unit) else unit


def target_text(target: float, unit: str) -> str:
    """A target as declared: "5 %", "1.25 nats per byte"."""
    return f"{(100 * target if is_rate(unit) else target):.4g} {unit_text(unit)}"


def percent(level: float) -> str:
    """The level of an interval: "95 %", "99.9 %"."""
    return f"{100 * level:.4g} %"


def probability_text(probability: float) -> str:
    """A probability as a percentage, never 0 or 1: "88 %", "99.4 %", "<0.1 %", ">99.9 %"."""
    if not 0.001 <= probability <= 0.999:
        return "<0.1 %" if probability < 0.5 else ">99.9 %"
    return f"{100 * probability:.{0 if 0.01 <= probability <= 0.99 else 1}f} %"


def about(count: float, rounding: Callable[[float], int] = round, digits: int = 2) -> str:
    """An estimated number of examples with two significant digits: "60", "1,300", "25 million"."""
    if count >= 1e15:
        return f"{count:.1e}"
    dropped = max(0, math.floor(math.log10(count)) + 1 - digits) if count >= 1 else 0
    rounded = rounding(count / 10**dropped) * 10**dropped
    for size, word in _LARGE:
        if rounded >= size:
            return f"{rounded / size:.3g} {word}"
    return f"{rounded:,}"


def seeds(count: int) -> str:
    """A number of seeds: "1 seed", "8 seeds"."""
    return f"{count:,} seed" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """A duration in words: "25 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def of_hold_outs(count: int) -> str:
    """ " of 5 hold-outs", after a number of test examples; empty for one."""
    return f" of {count} hold-outs" if count > 1 else ""


def listed(parts: Sequence[str]) -> str:
    """Parts in words: "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def forecast_text(prediction: Prediction, unit: str) -> str:
    """A forecast error with its interval: "1.1 % [0.8, 1.6]"."""
    low, high = (error_number(end, unit, prediction.median) for end in (prediction.low, prediction.high))
    return f"{error_text(prediction.median, unit)} [{low}, {high}]"


def multiple_text(prediction: Prediction, curve: Curve) -> str:
    """The size of a forecast as a multiple of the largest measured size: "now", "2x the data"."""
    if prediction.train_size == curve.train_sizes[-1]:
        return "now"
    return f"{prediction.train_size / curve.train_sizes[-1]:.3g}x the data"


def size_interval(low: float | None, high: float | None) -> str:
    """An interval of sizes, rounded outwards, after a blank: " [45, 90]", " [45 or more]", or nothing."""
    if low is not None and high is not None:
        return f" [{about(low, math.floor)}, {about(high, math.ceil)}]"
    if low is not None:
        return f" [{about(low, math.floor)} or more]"
    return f" [at most {about(high, math.ceil)}]" if high is not None else ""


def required_size_text(size: RequiredSize) -> str:
    """The examples that a target needs: "about 3,000 [2,000, 5,000]", "reached at about 300"."""
    interval = size_interval(size.low, size.high)
    if size.kind == "reached" and size.median is not None:
        return f"reached at about {about(size.median)}{interval}"
    if size.kind == "interval" and (size.median is not None or interval):
        return interval.strip(" []") if size.median is None else f"about {about(size.median)}{interval}"
    if size.kind == "unsupported" and size.low is not None:
        return f"outside the supported range, more than {about(size.low, math.floor)}"
    return "undetermined" if size.kind in ("interval", "unsupported") else size.kind


def required_size_cell(size: RequiredSize) -> str:
    """The same for a table, with the probability that the target is reachable if it is in doubt."""
    doubtful = size.kind == "interval" and size.p_reachable < CERTAIN
    return required_size_text(size) + (f", probability {probability_text(size.p_reachable)}" if doubtful else "")


def _decimals(scaled: float, rate: bool) -> int:
    if scaled == 0:
        return 1
    exponent = math.floor(math.log10(scaled))
    return max(1, 1 - exponent) if rate else max(0, 2 - exponent)

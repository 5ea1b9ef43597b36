"""Where to put ticks on a logarithmic axis, and how to write them."""

from __future__ import annotations

import math

from dlm.report.phrases import is_rate

# From coarse to fine: the first steps within a decade that give enough ticks are taken.
_STEPS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_THOUSANDS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def log_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Round values within [low, high], 0 < low < high: as many as read well, at most `most`."""
    best: list[float] = []
    for steps in _STEPS:
        ticks = _within(low, high, steps)
        if len(best) < len(ticks) <= most:
            best = ticks
    if len(best) >= 3:
        return best
    # Less than about a third of a decade: equal steps.
    step = 10.0 ** math.floor(math.log10(high - low))
    for part in (step / 5, step / 2, step, 2 * step):
        ticks = [k * part for k in range(math.ceil(low / part), math.floor(high / part) + 1)]
        if 3 <= len(ticks) <= most:
            return ticks
    # Wider than `most` decades: every second one, or every third …
    decades = _within(low, high, (1.0,))
    return decades[:: math.ceil(len(decades) / most)] if len(decades) > most else best


def error_label(value: float, unit: str) -> str:
    """The label of an error tick: "2%", "0.5%", "1.25"."""
    return f"{100 * value:.6g}%" if is_rate(unit) else f"{value:.6g}"


def size_label(value: float) -> str:
    """The label of a size tick: "50", "1k", "2.5M"."""
    for size, letter in _THOUSANDS:
        if value >= size:
            return f"{value / size:.6g}{letter}"
    return f"{value:.6g}"


def _within(low: float, high: float, steps: tuple[float, ...]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    # The slack keeps a tick that sits exactly on a limit.
    return [s * 10.0**d for d in decades for s in steps if low * (1 - 1e-9) <= s * 10.0**d <= high * (1 + 1e-9)]

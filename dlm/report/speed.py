"""Recent speed, and times in words."""

from __future__ import annotations

import math

_MEMORY_SECONDS = 60.0  # older reports count for little
_SLOWEST = 3.0  # a report counts as at most this many times slower than the speed so far
_TRUSTED_SECONDS = 2.0  # what was expected counts as if it had been measured for so long


class Speed:
    """An exponential average of units a second over the last minute of work; `expected` stands for the start.

    Pauses without progress (evaluation, saving) count, since they come again. A single long one (a computer asleep)
    must not make the rest look slow: the time of each report is limited to a few times what the average predicts.
    """

    def __init__(self, expected: float | None = None) -> None:
        self._idle = 0.0
        self._units = expected * _TRUSTED_SECONDS if expected else 0.0
        self._seconds = _TRUSTED_SECONDS if expected else 0.0

    @property
    def value(self) -> float | None:
        """Units a second, or None before anything was measured."""
        return self._units / self._seconds if self._seconds > 0 else None

    def add(self, units: float, seconds: float) -> None:
        """Note that `units` more were done within `seconds`."""
        self._idle += max(seconds, 0.0)
        if units <= 0:
            return
        known, passed, self._idle = self.value, self._idle, 0.0
        if known is not None:
            passed = min(passed, _SLOWEST * units / known)
        if passed > 0:
            kept = math.exp(-passed / _MEMORY_SECONDS)
            self._units = self._units * kept + units
            self._seconds = self._seconds * kept + passed


def duration(seconds: float) -> str:
    """A time in words: "25 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"."""
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

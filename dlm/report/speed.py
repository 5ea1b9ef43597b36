"""Recent speed and the time left, from reports of how much is done."""

from __future__ import annotations

import math

_MEMORY_SECONDS = 60.0  # older reports count for little
_SLOWEST = 3.0  # a report counts as at most this many times slower than the speed so far
_MIXED = 0.1  # weight of a report during which the phase changed


class Speed:
    """An exponential average of progress over time.

    Pauses without progress (evaluation, saving) count, since they come again. A single long one (compilation)
    must not make the rest look slow: the time of each report is limited to a few times what the average
    predicts, and the time before the first progress does not count at all.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float, str] | None = None  # done, seconds, phase
        self._idle = 0.0
        self._progress = 0.0
        self._seconds = 0.0

    @property
    def value(self) -> float | None:
        """Units a second, or None before anything was measured."""
        return self._progress / self._seconds if self._seconds > 0 else None

    def report(self, done: float, seconds: float, phase: str) -> bool:
        """Notes that `done` units were finished at `seconds`; returns whether that was progress.

        The first report only sets the start: what an earlier run had done before is no progress of this one.
        """
        last, self._last = self._last, (done, seconds, phase)
        if last is None:
            return False
        gained, passed = done - last[0], seconds - last[1]
        if gained <= 0:
            self._idle += max(passed, 0.0)
            return False
        self._average(gained, passed, weight=1.0 if phase == last[2] else _MIXED)
        return True

    def _average(self, gained: float, passed: float, weight: float) -> None:
        known, idle, self._idle = self.value, self._idle, 0.0
        if known is not None:
            passed = min(passed + idle, _SLOWEST * gained / known)
        if passed <= 0:
            return
        kept = math.exp(-passed / _MEMORY_SECONDS)
        self._progress = self._progress * kept + weight * gained
        self._seconds = self._seconds * kept + weight * passed


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

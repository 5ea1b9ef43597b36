"""How long the rest of a run takes: updates by their speed, fits by what earlier ones took and how that grew."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable

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


STEEPEST = 3.0  # a fit's time grows at most with this power of the size
PRIOR = 2 * math.log(2) ** 2  # what is believed of the exponent before it is measured: the weight of its being 1


@dataclasses.dataclass
class _Updates:
    """The updates of one cohort; `flops` are those of an update."""

    total: int
    flops: float
    speed: Speed
    done: int = 0


class Left:
    """The work of a run in seconds, as far as it is known: a share that is done and the time for the rest."""

    def __init__(self) -> None:
        self._updates: dict[str, _Updates] = {}
        self._fits: dict[str, _Fits] = defaultdict(_Fits)
        self._workers = 0

    def expect_updates(self, cohort: str, total: int, flops: float, per_second: float | None = None) -> None:
        """So many updates of a cohort are to be made, at that speed if it was tried."""
        self._updates[cohort] = _Updates(total, flops, Speed(per_second))

    def expect_fits(self, cells: Iterable[tuple[str, int]], workers: int = 0) -> None:
        """Fits of a (learner, size) each are to be made: before the updates, or by so many processes beside them.

        On a CPU these take the processors from the training; where they do not, what is left is said too long.
        """
        self._workers = workers
        for learner, size in cells:
            self._fits[learner].waiting[size] += 1

    def updated(self, cohort: str, updates: int, seconds: float | None = None) -> None:
        """Updates were made within `seconds`, measurements and saves in between included; None: they need not be."""
        part = self._updates[cohort]
        part.done += updates
        if seconds is not None:
            part.speed.add(updates, seconds)

    def fitted(self, learner: str, size: int, seconds: float) -> None:
        """A fit was made, or failed."""
        part = self._fits[learner]
        part.waiting[size] -= 1
        part.seconds[size].append(seconds)

    def seconds(self) -> float | None:
        """Time for what is left; None while there is work of which nothing is known."""
        updates, fits = self._parts()
        if updates is None or fits is None:
            return None
        return updates + fits / max(1, self._workers)

    def share(self) -> float | None:
        """Share of the work that is done, by the time that it takes; None where there is none, or its time is open."""
        updates, fits_left = self._parts()
        if updates is None or fits_left is None:
            return None
        left = updates + fits_left
        made = [part.done / speed for part in self._updates.values() if (speed := self._speed(part))]
        done = math.fsum([*made, *(sum(map(sum, fits.seconds.values())) for fits in self._fits.values())])
        return done / (done + left) if done + left > 0 else None

    def _parts(self) -> tuple[float | None, float | None]:
        """Seconds that updates, and that fits, still take; None for what is not known."""
        return _sum(self._updates_left()), _sum([fits.left() for fits in self._fits.values()])

    def _updates_left(self) -> list[float | None]:
        left = [(max(0, part.total - part.done), self._speed(part)) for part in self._updates.values()]
        return [0.0 if not updates else updates / speed if speed else None for updates, speed in left]

    def _speed(self, part: _Updates) -> float | None:
        """Updates a second of a cohort; before any was made, as if its operations took what those of others take."""
        if part.speed.value is not None:
            return part.speed.value
        known = [(other.flops, 1 / other.speed.value) for other in self._updates.values() if other.speed.value]
        pace = sum(seconds for _, seconds in known) / max(sum(flops for flops, _ in known), 1.0)
        return 1 / (part.flops * pace) if pace * part.flops > 0 else None


def _sum(parts: list[float | None]) -> float | None:
    known = [seconds for seconds in parts if seconds is not None]
    return math.fsum(known) if len(known) == len(parts) else None


@dataclasses.dataclass
class _Fits:
    """Fits of one classical learner: how many wait at each size, and what those made took."""

    waiting: Counter[int] = dataclasses.field(default_factory=Counter)
    seconds: dict[int, list[float]] = dataclasses.field(default_factory=lambda: defaultdict(list))

    def left(self) -> float | None:
        waiting = +self.waiting
        if waiting and not self.seconds:
            return None
        return math.fsum(count * self._expected(size) for size, count in waiting.items())

    def _expected(self, size: int) -> float:
        """What fits of that size took, without the first one's imports; beyond, along a power law of those known.

        Its exponent is that of least squares, drawn towards 1 as if by two sizes a factor 4 apart.
        """
        if size in self.seconds:
            return statistics.median_low(self.seconds[size])
        known = {known: statistics.median_low(seconds) for known, seconds in self.seconds.items()}
        x, y = [math.log(known_size) for known_size in known], [math.log(max(each, 1e-9)) for each in known.values()]
        middle, height = statistics.fmean(x), statistics.fmean(y)
        along = sum((each - middle) * (value - height) for each, value in zip(x, y))
        slope = (along + PRIOR) / (sum((each - middle) ** 2 for each in x) + PRIOR)
        nearest = min(known, key=lambda known_size: abs(math.log(known_size / size)))
        return known[nearest] * (size / nearest) ** min(max(slope, 0.0), STEEPEST)

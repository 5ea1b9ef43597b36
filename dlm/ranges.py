"""Points drawn from ranges of hyperparameters, fixed when they are declared: every trial has its id before it runs.

They are a scrambled Halton sequence (Halton 1960; Owen 2017, "A randomized Halton algorithm in R"): each range is
covered evenly, which plain random points do not do (Bousquet et al. 2017, "Critical hyper-parameters: no random, no
cry"), and more points keep those there were. Made here of Python's own generator, whose numbers stay from version to
version, and rounded: a trial's id is a hash of its values, so that no library or machine may move them.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping
from typing import Any

from dlm.axes import Axes
from dlm.config import FrozenDict
from dlm.errors import UsageError

MOST_RANGES = 16
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
_FINEST = 2.0**-32


@dataclasses.dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, evenly or, with `log`, evenly in their logarithm; to four digits."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        least = 0.0 if self.log else -math.inf
        if not (least < self.low < self.high < math.inf):
            above = " above 0" if self.log else ""
            raise UsageError(f"the range from {self.low!r} to {self.high!r} must ascend between finite numbers{above}")

    def at(self, share: float) -> float:
        """The value below which a share of the range lies."""
        evenly = self.low + share * (self.high - self.low)
        exact = self.low * (self.high / self.low) ** share if self.log else evenly
        return self.rounded(exact)

    def rounded(self, value: float) -> float:
        """A number of the range to four digits, and still in it."""
        return min(max(float(f"{value:.4g}"), self.low), self.high)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of some values, each as likely."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise UsageError(f"choice{self.values!r} leaves nothing to choose; give two values or more")

    def at(self, share: float) -> Any:
        """The value at a share of the list."""
        return self.values[int(share * len(self.values))]


Range = Between | OneOf


def uniform(low: float, high: float) -> Between:
    """Numbers between two ends, for `drawn`."""
    return Between(low, high)


def log_uniform(low: float, high: float) -> Between:
    """Positive numbers between two ends, evenly in their logarithm: a learning rate, say; for `drawn`."""
    return Between(low, high, log=True)


def choice(*values: Any) -> OneOf:
    """One of these values, for `drawn`."""
    return OneOf(values)


def drawn(space: Mapping[str, Range] | None = None, /, *, points: int, seed: int = 0, **ranges: Range) -> Axes:
    """So many points of a space of ranges: a random search whose points are known before it begins.

    Keys are as for `grid`. More points keep the first ones; another `seed` gives others.
    UsageError for what is no range, and where the space has fewer different points.
    """
    given = checked_space("drawn", space, ranges, points)
    shares = [_sequence(base, f"{seed} {path}", points) for base, path in zip(_BASES, given)]
    made = [
        FrozenDict({path: each.at(share) for (path, each), share in zip(given.items(), row)}) for row in zip(*shares)
    ]
    if len(set(made)) < points:
        raise UsageError(f"of points={points}, {len(set(made))} differ; ask for fewer, or use grid(…) for all of them")
    return Axes(tuple(made))


def checked_space(
    caller: str, space: Mapping[str, Range] | None, ranges: Mapping[str, Range], points: Any
) -> dict[str, Range]:
    """The ranges that a caller was given, by path. UsageError for what is no range, and for no number of points."""
    given = {**(space or {}), **ranges}
    if not 1 <= len(given) <= MOST_RANGES:
        raise UsageError(
            f"{caller} takes 1 to {MOST_RANGES} ranges, not {len(given)}; such as lr=log_uniform(1e-4, 1e-1)"
        )
    for path, each in given.items():
        if not isinstance(each, Between | OneOf):
            raise UsageError(f"{path}={each!r} is no range; use uniform(…), log_uniform(…) or choice(…)")
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise UsageError(f"points={points!r} must be a whole number of at least 1")
    return given


def _sequence(base: int, seed: str, count: int) -> list[float]:
    """Shares in [0, 1): digits of 0, 1, 2, … in a base, each place's digits shuffled, mirrored behind the point."""
    rng, weight = random.Random(seed), 1.0 / base
    shares = [0.0] * count
    place = 0
    while weight > _FINEST:
        keys = [rng.random() for _ in range(base)]  # not shuffle(), which Python may change
        digits = sorted(range(base), key=keys.__getitem__)
        shares = [share + weight * digits[index // base**place % base] for index, share in enumerate(shares)]
        weight, place = weight / base, place + 1
    return shares

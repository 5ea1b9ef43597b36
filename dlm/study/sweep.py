"""Hyperparameter sweeps: points that have a length before they cost anything."""

from __future__ import annotations

import dataclasses
import itertools
import keyword
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.study.config import FrozenDict, has
from dlm.study.learner import full_path
from dlm.utils.errors import UsageError, nearest


@dataclasses.dataclass(frozen=True)
class Axes:
    """Points of a hyperparameter sweep; `*` crosses two sweeps, `+` joins them, `len` counts the points.

    Its `repr` is Python that makes the same points, to be written into an experiment.
    """

    points: tuple[FrozenDict, ...] = (FrozenDict(),)

    def __mul__(self, other: Axes) -> Axes:
        both = {path for a in self.points for path in a} & {path for b in other.points for path in b}
        if both:
            raise UsageError(f"both sweeps of a product vary {', '.join(sorted(both))}; vary it in one")
        return Axes(tuple(FrozenDict({**a, **b}) for a, b in itertools.product(self.points, other.points)))

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.points + other.points)

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        alike = [(paths, list(points)) for paths, points in itertools.groupby(self.points, key=tuple)]
        return " + ".join(_as_zipped(paths, points) for paths, points in alike) or "Axes(())"


def grid(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """Every combination. Keys are hyperparameters (`lr=`) or paths in a learner (`{"model.widths": …}`)."""
    axes = _columns(paths, values)
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in itertools.product(*axes.values())))


def zipped(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """The first values together, the second together, and so on; all the same length."""
    axes = _columns(paths, values)
    lengths = {name: len(column) for name, column in axes.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"zipped axes have lengths {lengths}; give all the same number of values")
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in zip(*axes.values())) or (FrozenDict(),))


def _as_zipped(paths: tuple[str, ...], points: Sequence[Mapping[str, Any]]) -> str:
    """A call of `zipped` that makes points which all vary the same paths."""
    if not paths:
        return " + ".join(["zipped()"] * len(points))
    columns = {path: repr(tuple(point[path] for point in points)) for path in paths}
    if all(path.isidentifier() and not keyword.iskeyword(path) for path in paths):
        return f"zipped({', '.join(f'{path}={column}' for path, column in columns.items())})"
    return f"zipped({{{', '.join(f'{path!r}: {column}' for path, column in columns.items())}}})"


def _columns(paths: Mapping[str, Sequence[Any]] | None, values: Mapping[str, Sequence[Any]]) -> dict[str, tuple]:
    """Values of each axis; UsageError for one without any, or with a single value in place of several."""
    columns = {}
    for path, column in {**(paths or {}), **values}.items():
        if isinstance(column, str) or not hasattr(column, "__iter__"):
            raise UsageError(f"axis {path}={column!r} is one value; give a list, {path}=({column!r},)")
        columns[path] = tuple(column)
        if not columns[path]:
            raise UsageError(f"axis {path} has no values; give at least one, or leave it out")
    return columns


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


def check_tuning(given: Any, learners: Mapping[str, Any], axes: Axes, *, equal: bool) -> None:
    """UsageError for a study's tuning that cannot be meant, and for unequal means."""
    if not isinstance(given, Mapping) or not all(isinstance(points, Axes) for points in given.values()):
        raise UsageError(
            f"tuning={given!r} must map learners to their points, such as {{'mlp': grid(lr=(1e-3, 1e-2))}}"
        )
    for name, points in given.items():
        if name not in learners:
            raise UsageError(f"tuning.{name} is no learner of this study; {nearest(str(name), learners)}")
        _check_paths(name, learners[name], points, axes)
    counts = {name: len(set(points.points)) for name, points in given.items()}
    if equal and len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"tuning gives unequal means (points: {told}); give each learner as many, or say equal_tuning=False, which "
            "the report tells"
        )


def _check_paths(name: str, learner: Any, points: Axes, axes: Axes) -> None:
    swept = {full_path(path, learner) for point in axes.points for path in point}
    for path in dict.fromkeys(path for point in points.points for path in point):
        if not has(learner, full_path(path, learner)):
            raise UsageError(f"tuning.{name}: {path!r} is no field of it; use lr, …, model.widths, … or c, …")
        both = [other for other in swept if _overlap(full_path(path, learner), other)]
        if both:
            raise UsageError(f"tuning.{name} and axes both vary {path}; vary it in one of them")


def _overlap(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")

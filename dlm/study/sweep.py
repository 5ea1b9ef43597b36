"""Builds hyperparameter sweeps (grids, zipped lists, quasi-random points) and checks a study's tuning."""

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

MAX_DIMENSIONS = 16
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)  # of the Halton sequence
_RESOLUTION = 2.0**-32


@dataclasses.dataclass(frozen=True)
class Axes:
    """Points of a hyperparameter sweep. `*` crosses two sweeps, `+` concatenates them, `len` counts the points.

    Its `repr` is Python code that makes the same points.
    """

    points: tuple[FrozenDict, ...] = (FrozenDict(),)

    def __mul__(self, other: Axes) -> Axes:
        both = {path for a in self.points for path in a} & {path for b in other.points for path in b}
        if both:
            raise UsageError(f"both sweeps of a product vary {', '.join(sorted(both))}; vary it in one of them")
        return Axes(tuple(FrozenDict({**a, **b}) for a, b in itertools.product(self.points, other.points)))

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.points + other.points)

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        groups = [(paths, list(points)) for paths, points in itertools.groupby(self.points, key=tuple)]
        return " + ".join(_zipped_code(paths, points) for paths, points in groups) or "Axes(())"


def grid(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """All combinations of values. Keys are hyperparameters (`lr=`) or paths in a learner (`{"model.widths": …}`)."""
    axes = _columns(paths, values)
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in itertools.product(*axes.values())))


def zipped(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """The first values as one point, the second values as the next, and so on; all lists have the same length."""
    axes = _columns(paths, values)
    lengths = {name: len(column) for name, column in axes.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"zipped axes have lengths {lengths}; give all the same number of values")
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in zip(*axes.values())) or (FrozenDict(),))


def _zipped_code(paths: tuple[str, ...], points: Sequence[Mapping[str, Any]]) -> str:
    """A call of `zipped` that makes points which vary the same paths."""
    if not paths:
        return " + ".join(["zipped()"] * len(points))
    columns = {path: repr(tuple(point[path] for point in points)) for path in paths}
    if all(path.isidentifier() and not keyword.iskeyword(path) for path in paths):
        return f"zipped({', '.join(f'{path}={column}' for path, column in columns.items())})"
    return f"zipped({{{', '.join(f'{path!r}: {column}' for path, column in columns.items())}}})"


def _columns(paths: Mapping[str, Sequence[Any]] | None, values: Mapping[str, Sequence[Any]]) -> dict[str, tuple]:
    """Values of each axis. UsageError for an empty axis, or a single value instead of a list."""
    columns = {}
    for path, column in {**(paths or {}), **values}.items():
        if isinstance(column, str) or not hasattr(column, "__iter__"):
            raise UsageError(f"axis {path}={column!r} is one value; give a list, {path}=({column!r},)")
        columns[path] = tuple(column)
        if not columns[path]:
            raise UsageError(f"axis {path} has no values; give at least one, or leave it out")
    return columns


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A uniform distribution on [low, high], or with `log` a log-uniform one; values have four significant digits."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        least = 0.0 if self.log else -math.inf
        if not (least < self.low < self.high < math.inf):
            positive = " above 0" if self.log else ""
            raise UsageError(f"low={self.low!r} and high={self.high!r} must ascend between finite numbers{positive}")

    def quantile(self, q: float) -> float:
        """The value below which a share `q` of the distribution lies."""
        linear = self.low + q * (self.high - self.low)
        return self.rounded(self.low * (self.high / self.low) ** q if self.log else linear)

    def rounded(self, value: float) -> float:
        """A value rounded to four digits, clipped to [low, high]."""
        return min(max(float(f"{value:.4g}"), self.low), self.high)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A uniform distribution on a list of values."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise UsageError(f"choice{self.values!r} has no alternative; give at least two values")

    def quantile(self, q: float) -> Any:
        """The value at a share `q` of the list."""
        return self.values[int(q * len(self.values))]


Distribution = Uniform | OneOf


def uniform(low: float, high: float) -> Uniform:
    """A uniform distribution on [low, high], for `quasi_random`."""
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> Uniform:
    """A log-uniform distribution on [low, high], for `quasi_random`; for example of learning rates."""
    return Uniform(low, high, log=True)


def choice(*values: Any) -> OneOf:
    """A uniform distribution on some values, for `quasi_random`."""
    return OneOf(values)


def quasi_random(
    space: Mapping[str, Distribution] | None = None, /, *, points: int, seed: int = 0, **distributions: Distribution
) -> Axes:
    """A fixed number of points of a scrambled Halton sequence: a random search whose points are known in advance.

    Keys are as for `grid`. The first points stay the same when `points` grows; another `seed` gives other points.

    Raises UsageError for a value that is not a distribution, and if the space has fewer distinct points.
    """
    checked = check_space("quasi_random", space, distributions, points)
    columns = [_halton(base, f"{seed} {path}", points) for base, path in zip(_BASES, checked)]
    result = tuple(
        FrozenDict({path: distribution.quantile(q) for (path, distribution), q in zip(checked.items(), row)})
        for row in zip(*columns)
    )
    if len(set(result)) < points:
        raise UsageError(
            f"points={points} exceeds the {len(set(result))} distinct points of the space; ask for fewer, or use "
            "grid(…) for all of them"
        )
    return Axes(result)


def check_space(
    caller: str, space: Mapping[str, Distribution] | None, distributions: Mapping[str, Distribution], points: Any
) -> dict[str, Distribution]:
    """The distributions of a search space by path. UsageError for other values, and for an invalid number of points."""
    result = {**(space or {}), **distributions}
    if not 1 <= len(result) <= MAX_DIMENSIONS:
        raise UsageError(
            f"{caller} takes 1 to {MAX_DIMENSIONS} distributions, not {len(result)}; for example "
            "lr=log_uniform(1e-4, 1e-1)"
        )
    for path, value in result.items():
        if not isinstance(value, Uniform | OneOf):
            raise UsageError(f"{path}={value!r} is not a distribution; use uniform(…), log_uniform(…) or choice(…)")
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise UsageError(f"points={points!r} must be an integer of at least 1")
    return result


def _halton(base: int, seed: str, count: int) -> list[float]:
    """Scrambled van der Corput sequence in [0, 1): the digits of 0, 1, 2, …, permuted and reversed."""
    rng, weight = random.Random(seed), 1.0 / base
    values = [0.0] * count
    position = 0
    while weight > _RESOLUTION:
        keys = [rng.random() for _ in range(base)]  # not shuffle(), whose result may change between Python versions
        digits = sorted(range(base), key=keys.__getitem__)
        values = [value + weight * digits[index // base**position % base] for index, value in enumerate(values)]
        weight, position = weight / base, position + 1
    return values


def check_tuning(tuning: Any, learners: Mapping[str, Any], axes: Axes, *, equal: bool) -> None:
    """UsageError for a study's tuning of unknown learners or fields, and for unequal tuning budgets if `equal`."""
    if not isinstance(tuning, Mapping) or not all(isinstance(points, Axes) for points in tuning.values()):
        raise UsageError(
            f"tuning={tuning!r} must map learners to their points, for example {{'mlp': grid(lr=(1e-3, 1e-2))}}"
        )
    for name, points in tuning.items():
        if name not in learners:
            raise UsageError(f"tuning.{name} is not a learner of this study; {nearest(str(name), learners)}")
        _check_paths(name, learners[name], points, axes)
    counts = {name: len(set(points.points)) for name, points in tuning.items()}
    if equal and len(set(counts.values())) > 1:
        budgets = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"learners have different tuning budgets ({budgets}); give each the same number of points, or set "
            "equal_tuning=False"
        )


def _check_paths(name: str, learner: Any, points: Axes, axes: Axes) -> None:
    swept = {full_path(path, learner) for point in axes.points for path in point}
    for path in dict.fromkeys(path for point in points.points for path in point):
        if not has(learner, full_path(path, learner)):
            raise UsageError(f"tuning.{name}: {path!r} is not a field of it; use lr, …, model.widths, … or C, …")
        if any(_overlap(full_path(path, learner), other) for other in swept):
            raise UsageError(f"tuning.{name} and axes both vary {path}; vary it in one of them")


def _overlap(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")

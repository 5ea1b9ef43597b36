"""Hyperparameter sweeps: points that have a length before they cost anything."""

from __future__ import annotations

import dataclasses
import itertools
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.config import FrozenDict
from dlm.errors import UsageError


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

"""Tuning with equal means: points of its own for each learner, as many for one as for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlm.axes import Axes
from dlm.config import has
from dlm.errors import UsageError, nearest
from dlm.learner import full_path


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

"""Builds forecasting tasks from measured curves: the visible points, and the sizes to forecast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve, Bound, SplitCurve, number

Array = NDArray[np.float64]

RATIOS = (2, 4, 8, 16)
LEAST_SIZES = 3  # minimum number of sizes for a forecast
FEW_SEEDS = (3, 5)
LARGE = 16_000  # minimum number of rows of a data set in the archive of single splits
_ROUNDED = 1.01  # tolerance: sizes are rounded to whole examples
_SAME_PLACE = 0.5  # of a step: maximum distance of a thinned size from its position


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A forecasting task: `errors` [K] or [K, S] at `train_sizes` [K] are visible, the error at `at` [A] is predicted.

    `targets` [A] are measured means with standard errors `target_se` [A] (0 if unknown). `ratio` is the largest
    requested size over the largest visible one. `seeds` is the number of visible repeats at each size (0: the
    archive's means, 1: single runs); `per_octave` the number of sizes in a factor of two (0: all).
    """

    archive: str
    curve: str
    dataset: str
    learner: str
    train_sizes: Array
    errors: Array
    stderr: Array | None
    repeats: Array | None
    bound: Bound
    at: Array
    targets: Array
    target_se: Array
    ratio: float
    seeds: int = 0
    per_octave: int = 0

    @property
    def key(self) -> str:
        """A unique name of the task."""
        return f"{self.archive}|{self.curve}|{self.ratio:g}|{self.seeds}|{self.per_octave}"

    @property
    def means(self) -> Array:
        """Mean errors [K]."""
        return self.errors if self.errors.ndim == 1 else np.nanmean(self.errors, axis=1)


def visible_indices(train_sizes: Array, ratio: float, per_octave: int = 0) -> NDArray[np.intp]:
    """Indices of the sizes up to n_max/ratio, all or about `per_octave` in a factor of two, including the largest."""
    within = np.flatnonzero(train_sizes <= train_sizes[-1] / ratio * _ROUNDED)
    if not per_octave or not len(within):
        return within
    logs = np.log2(train_sizes[within])
    steps = np.arange(math.floor((logs[-1] - logs[0]) * per_octave + _SAME_PLACE) + 1)
    positions = logs[-1] - steps / per_octave
    nearest = np.abs(logs[None, :] - positions[:, None]).argmin(axis=1)
    return within[np.unique(nearest)]


def cut(curve: ArchiveCurve, ratio: float, per_octave: int = 0) -> Task | None:
    """The curve up to n_max/ratio with n_max as the target; None if fewer than 3 sizes are left."""
    rows = visible_indices(curve.train_sizes, ratio, per_octave)
    if len(rows) < LEAST_SIZES:
        return None
    stderr, repeats = _known(curve.stderr[rows]), _known(curve.repeats[rows])
    return Task(
        archive=curve.archive,
        curve=curve.name,
        dataset=curve.dataset,
        learner=curve.learner,
        train_sizes=curve.train_sizes[rows],
        errors=curve.errors[rows],
        stderr=stderr,
        repeats=repeats,
        bound=curve.bound,
        at=curve.train_sizes[-1:],
        targets=curve.errors[-1:],
        target_se=np.nan_to_num(curve.stderr[-1:]),
        ratio=ratio,
        seeds=1 if repeats is not None and (repeats == 1).all() and stderr is None else 0,
        per_octave=per_octave,
    )


def _known(column: Array) -> Array | None:
    return column if np.isfinite(column).all() else None


def cuts(
    curves: Iterable[ArchiveCurve], ratios: Sequence[float] = RATIOS, per_octaves: Sequence[int] = (0,)
) -> list[Task]:
    """All cuts of all curves that leave enough sizes."""
    return [
        task
        for curve in curves
        for ratio in ratios
        for per_octave in per_octaves
        if (task := cut(curve, ratio, per_octave)) is not None
    ]


def with_few_seeds(task: Task, seeds: int) -> Task:
    """The task with `seeds` repeats sampled at each size around the measured mean, instead of mean and stderr.

    A repeat is normal with the s.d. of single repeats, stderr · sqrt(repeats), and clipped into the bound.
    The draws depend on the task's name alone.
    """
    if task.stderr is None or task.repeats is None:
        raise ValueError(f"{task.curve} has no stderr and repeats to sample single repeats from; use its means")
    spread = task.stderr * np.sqrt(task.repeats)
    rng = np.random.default_rng(number(f"{task.key}|{seeds}"))
    repeats = task.errors[:, None] + spread[:, None] * rng.standard_normal((len(spread), seeds))
    low, high = task.bound
    return dataclasses.replace(task, errors=np.clip(repeats, low, high), stderr=None, repeats=None, seeds=seeds)


def split_task(curve: SplitCurve, ratio: float, seeds: int, archive: str = "lcdb10") -> Task | None:
    """A cut of a curve with `seeds` of its measured splits at each size; the target is the mean of all.

    Splits are sampled without replacement, independently for each size. None if fewer than 3 sizes are left.
    """
    rows = visible_indices(curve.train_sizes, ratio)
    if len(rows) < LEAST_SIZES:
        return None
    rng = np.random.default_rng(number(f"{archive}|{curve.name}|{ratio:g}|{seeds}"))
    table = np.full((len(rows), seeds), np.nan)
    for row, place in zip(table, rows):
        errors = curve.errors[place]
        row[: len(errors)] = rng.choice(errors, min(seeds, len(errors)), replace=False)
    last = curve.errors[-1]
    spread = last.std(ddof=1) / math.sqrt(len(last)) if len(last) > 1 else 0.0
    return Task(
        archive=archive,
        curve=curve.name,
        dataset=curve.dataset,
        learner=curve.learner,
        train_sizes=curve.train_sizes[rows],
        errors=table,
        stderr=None,
        repeats=None,
        bound=(0.0, 1.0),
        at=curve.train_sizes[-1:],
        targets=np.array([last.mean()]),
        target_se=np.array([spread]),
        ratio=ratio,
        seeds=seeds,
    )


def published(curve: ArchiveCurve) -> Task | None:
    """The published split: points marked "fit" are visible, "extrapolate" marks targets; None without a split."""
    fit, targets = curve.part == "fit", curve.part == "extrapolate"
    if not targets.any() or fit.sum() < LEAST_SIZES:
        return None
    return Task(
        archive=curve.archive,
        curve=curve.name,
        dataset=curve.dataset,
        learner=curve.learner,
        train_sizes=curve.train_sizes[fit],
        errors=curve.errors[fit],
        stderr=_known(curve.stderr[fit]),
        repeats=_known(curve.repeats[fit]),
        bound=curve.bound,
        at=curve.train_sizes[targets],
        targets=curve.errors[targets],
        target_se=np.nan_to_num(curve.stderr[targets]),
        ratio=float(curve.train_sizes[targets].max() / curve.train_sizes[fit].max()),
        seeds=1,
    )

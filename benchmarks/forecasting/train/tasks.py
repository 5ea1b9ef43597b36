"""Builds training tasks from measured curves: some points are given, others are the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve
from dlm.curves.points import MAX_SIZES, Points, make_points

Array = NDArray[np.float64]

NUM_PLACES = 8  # targets per task
_INSIDE = 2  # targets within the range of the given sizes
_INSIDE_WEIGHT = 0.5
ROUNDING = 3e-5  # of the archives' error rates
_STEPS = (0.0, 0.25, 0.5, 0.5, 1.0, 1.0, 2.0)  # minimum distances of given sizes in octaves; 0: all sizes
_REPEATS = (0, 0, 0, 1, 2, 3, 5, 10)  # resampled at each size; 0: as measured


class Batch(NamedTuple):
    """B tasks. The first seven fields are those of `network.CurveBatch`; the others [B, NUM_PLACES] are the targets.

    `place`: log size relative to the last given; `target`, `target_noise`: log error relative to the last given, and
    its standard error; `target_zero`: 1 where the error is zero; `weight`: 0 for padding.
    """

    log_size: Any
    log_error: Any
    noise: Any
    zero: Any
    there: Any
    level: Any
    bounded: Any
    place: Any
    target: Any
    target_noise: Any
    target_zero: Any
    weight: Any


def draw_tasks(curves: Sequence[ArchiveCurve], num: int, rng: np.random.Generator) -> Batch:
    """`num` random tasks from error-rate curves; given sizes and targets are random."""
    tasks: list[Batch] = []
    while len(tasks) < num:
        task = _task(curves[int(rng.integers(len(curves)))], rng)
        if task is not None:
            tasks.append(task)
    return Batch(*(np.stack(column).astype(np.float32) for column in zip(*tasks)))


def _task(curve: ArchiveCurve, rng: np.random.Generator) -> Batch | None:
    size, num = curve.train_sizes, len(curve.train_sizes)
    cut = _cut(size, rng)
    if not 2 <= cut < num - 1:
        return None
    given = _thinned(np.log2(size[: cut + 1]), float(rng.choice(_STEPS)))
    if len(given) > 3 and rng.random() < 0.5:
        given = given[int(rng.integers(0, len(given) - 2)) :]
    points = _resampled(curve, given, int(rng.choice(_REPEATS)), rng)
    if points is None:
        return None
    ahead = np.arange(cut + 1, num)
    targets = rng.choice(ahead, min(NUM_PLACES - _INSIDE, len(ahead)), replace=False)
    if num - 1 not in targets:
        targets[0] = num - 1
    return _packed(curve, points, np.concatenate([targets, rng.choice(cut + 1, _INSIDE)]), len(targets))


def _cut(size: Array, rng: np.random.Generator) -> int:
    """Index of the last given size: uniform, or such that the largest size is 2, 4, 8 or 16 times as large."""
    if rng.random() < 0.5:
        return int(rng.integers(2, max(len(size) - 1, 3)))
    return int(np.searchsorted(size, size[-1] / rng.choice([2, 4, 8, 16]) * 1.01, side="right")) - 1


def _thinned(octaves: Array, step: float) -> NDArray[np.int64]:
    """Indices from the last downwards, at least about `step` octaves apart."""
    indices = [len(octaves) - 1]
    for index in range(len(octaves) - 2, -1, -1):
        if octaves[indices[-1]] - octaves[index] >= 0.93 * step:
            indices.append(index)
    return np.array(indices[::-1])


def _resampled(curve: ArchiveCurve, given: NDArray[np.int64], repeats: int, rng: np.random.Generator) -> Points | None:
    """The given points as measured, or resampled with `repeats` repeats; None without enough points or errors."""
    size, error = curve.train_sizes[given], curve.errors[given]
    spread = np.nan_to_num(curve.stderr[given])
    have = np.nan_to_num(curve.repeats[given], nan=1.0)
    if len(given) < 3 or not error.any():
        return None
    if 0 < repeats < have.min():
        single = spread * np.sqrt(have)
        # The measured value is already a mean of `have` repeats, so only the missing variance is added.
        shift = single * np.sqrt(1 / repeats - 1 / have) * rng.standard_normal(len(size))
        error = np.clip(error + shift, 0.0, 1.0)
        spread = single / np.sqrt(repeats)
        if repeats > 1:
            spread = spread * np.sqrt(rng.chisquare(repeats - 1, len(size)) / (repeats - 1))
    if not error.any():
        return None
    unknown = repeats == 1 or not spread.any() or rng.random() < 0.1
    return make_points(size, error, None if unknown else spread, bound=(0.0, 1.0))


def _packed(curve: ArchiveCurve, points: Points, targets: NDArray[np.int64], ahead: int) -> Batch:
    count = len(points.train_sizes)

    def padded(values: Array) -> Array:
        return np.concatenate([values, np.zeros(MAX_SIZES - count)])

    def places(values: Array) -> Array:
        return np.concatenate([values, np.zeros(NUM_PLACES - len(targets))])

    error, stderr = curve.errors[targets], np.nan_to_num(curve.stderr[targets])
    positive = np.maximum(error, 1e-12)
    columns = (np.log(points.x), points.log_error, points.noise, points.zero, np.ones(count))
    target_columns = [
        np.log(curve.train_sizes[targets] / points.train_sizes[-1]),
        np.where(error > 0, np.log(positive) - points.base, 0.0),
        np.minimum(np.hypot(stderr, ROUNDING) / positive, 1.0),
        (error <= 0).astype(float),
        np.where(np.arange(len(targets)) < ahead, 1.0, _INSIDE_WEIGHT),
    ]
    return Batch._make([*map(padded, columns), np.array(points.base), np.array(1.0), *map(places, target_columns)])

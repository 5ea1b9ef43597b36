"""Builds training tasks from measured curves: some points are given, others are the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve
from dlm.curves.points import MAX_SIZES, Points, make_points

Array = NDArray[np.float64]

NUM_PLACES = 8  # asked for in one task
_INSIDE = 2  # ... of which lie among the given sizes
_INSIDE_WEIGHT = 0.5
ROUNDING = 3e-5  # of the archives' error rates
_STEPS = (0.0, 0.25, 0.5, 0.5, 1.0, 1.0, 2.0)  # least distances of given sizes in octaves; 0: all
_REPEATS = (0, 0, 0, 1, 2, 3, 5, 10)  # drawn at each size; 0: as measured


class Batch(NamedTuple):
    """B tasks. The first seven are as in `network.Context`; the others [B, NUM_PLACES] are what is asked.

    `place`: log size relative to the last given; `target`, `target_noise`: log error relative to the last given, and
    its standard error; `target_zero`: 1 where the error is zero; `weight`: 0 where nothing is asked.
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
    """`num` random tasks from error-rate curves: every choice of what is given and asked is drawn."""
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
    points = _measured_again(curve, given, int(rng.choice(_REPEATS)), rng)
    if points is None:
        return None
    ahead = np.arange(cut + 1, num)
    asked = rng.choice(ahead, min(NUM_PLACES - _INSIDE, len(ahead)), replace=False)
    if num - 1 not in asked:
        asked[0] = num - 1
    return _packed(curve, points, np.concatenate([asked, rng.choice(cut + 1, _INSIDE)]), len(asked))


def _cut(size: Array, rng: np.random.Generator) -> int:
    """Index of the last given size: any, or where what remains is a factor of 2, 4, 8 or 16."""
    if rng.random() < 0.5:
        return int(rng.integers(2, max(len(size) - 1, 3)))
    return int(np.searchsorted(size, size[-1] / rng.choice([2, 4, 8, 16]) * 1.01, side="right")) - 1


def _thinned(octaves: Array, step: float) -> NDArray[np.int64]:
    """Indices from the last downwards, at least about `step` octaves apart."""
    kept = [len(octaves) - 1]
    for index in range(len(octaves) - 2, -1, -1):
        if octaves[kept[-1]] - octaves[index] >= 0.93 * step:
            kept.append(index)
    return np.array(kept[::-1])


def _measured_again(
    curve: ArchiveCurve, given: NDArray[np.int64], repeats: int, rng: np.random.Generator
) -> Points | None:
    """The given points as measured, or as so many repeats drawn around them would show; None if they say nothing."""
    size, error = curve.train_sizes[given], curve.errors[given]
    spread = np.nan_to_num(curve.stderr[given])
    have = np.nan_to_num(curve.repeats[given], nan=1.0)
    if len(given) < 3 or not error.any():
        return None
    if 0 < repeats < have.min():
        one = spread * np.sqrt(have)
        # What is measured is a mean of `have` already, so the draws are around it, with what is missing of the spread.
        shift = one * np.sqrt(1 / repeats - 1 / have) * rng.standard_normal(len(size))
        error = np.clip(error + shift, 0.0, 1.0)
        spread = one / np.sqrt(repeats)
        if repeats > 1:
            spread = spread * np.sqrt(rng.chisquare(repeats - 1, len(size)) / (repeats - 1))
    if not error.any():
        return None
    silent = repeats == 1 or not spread.any() or rng.random() < 0.1
    return make_points(size, error, None if silent else spread, bound=(0.0, 1.0))


def _packed(curve: ArchiveCurve, points: Points, asked: NDArray[np.int64], ahead: int) -> Batch:
    count = len(points.train_sizes)

    def padded(values: Array) -> Array:
        return np.concatenate([values, np.zeros(MAX_SIZES - count)])

    def places(values: Array) -> Array:
        return np.concatenate([values, np.zeros(NUM_PLACES - len(asked))])

    error, stderr = curve.errors[asked], np.nan_to_num(curve.stderr[asked])
    positive = np.maximum(error, 1e-12)
    columns = (np.log(points.x), points.log_error, points.noise, points.zero, np.ones(count))
    asked_for = [
        np.log(curve.train_sizes[asked] / points.train_sizes[-1]),
        np.where(error > 0, np.log(positive) - points.base, 0.0),
        np.minimum(np.hypot(stderr, ROUNDING) / positive, 1.0),
        (error <= 0).astype(float),
        np.where(np.arange(len(asked)) < ahead, 1.0, _INSIDE_WEIGHT),
    ]
    return Batch._make([*map(padded, columns), np.array(points.base), np.array(1.0), *map(places, asked_for)])

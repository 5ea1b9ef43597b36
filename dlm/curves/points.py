"""Validates and pools the measured points of one curve: sizes, log mean errors, standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Bound = tuple[float | None, float | None]

MIN_SIZES = 3
MAX_SIZES = 24  # more are merged with their neighbours, without effect on network and laws
ZERO_SPREAD = 0.7  # log-scale standard deviation of an error that was measured as exactly zero
_PRIOR_REPEATS = 4.0  # weight of the curve's pooled relative noise, in repeats


class Points(NamedTuple):
    """One curve, K distinct ascending sizes: log mean error above `base`, its s.e. `noise` (0: unknown).

    `zero` [K] is 1 where the error was measured as exactly zero; log_error is then that of half the least positive one.
    """

    train_sizes: Array
    log_error: Array
    noise: Array
    repeats: Array
    zero: Array
    base: float

    @property
    def x(self) -> Array:
        """Sizes relative to the largest."""
        return self.train_sizes / self.train_sizes[-1]

    @property
    def noise_known(self) -> bool:
        """Whether repeats or standard errors determine the noise."""
        return bool(((self.noise > 0) & (self.noise < ZERO_SPREAD)).any())

    def first(self, count: int) -> Points:
        """The `count` smallest sizes."""
        return self._replace(**{name: getattr(self, name)[:count] for name in self._fields[:5]})

    @property
    def num_zero(self) -> int:
        """How many sizes had no error at all."""
        return int((self.zero > 0.5).sum())


def make_points(
    train_sizes: ArrayLike,
    errors: ArrayLike | Sequence[Sequence[float]],
    stderr: ArrayLike | None = None,
    repeats: ArrayLike | None = None,
    bound: Bound = (0.0, None),
    least: int = MIN_SIZES,
) -> Points:
    """Validated and pooled points. ValueError for invalid values or fewer than `least` distinct sizes."""
    size, mean, spread, count = _columns(train_sizes, errors, stderr, repeats)
    _check(size, mean, bound)
    keep = np.isfinite(mean)
    distinct = len(np.unique(size[keep]))
    if distinct < least:
        raise ValueError(f"{distinct} distinct sizes are too few to fit a law; give at least {least}")
    return _merge_neighbours(_pool(size[keep], mean[keep], spread[keep], count[keep]))


def check_at_sizes(at: ArrayLike) -> Array:
    """Sizes [A] to forecast at. ValueError unless there is at least one and all are positive."""
    at_sizes = np.atleast_1d(np.asarray(at, dtype=float))
    if at_sizes.ndim != 1 or at_sizes.size == 0:
        raise ValueError("at is empty or not one list; give at least one size to forecast at")
    _check_positive("at", at_sizes)
    return at_sizes


def _check_positive(name: str, sizes: Array) -> None:
    wrong = ~(np.isfinite(sizes) & (sizes > 0))
    if wrong.any():
        raise ValueError(f"{name}={sizes[wrong][0]:g} is not a positive number; give sizes in examples")


def _columns(
    train_sizes: ArrayLike,
    errors: ArrayLike | Sequence[Sequence[float]],
    stderr: ArrayLike | None,
    repeats: ArrayLike | None,
) -> tuple[Array, Array, Array, Array]:
    """Size, mean, standard error of the mean (NaN if unknown) and number of repeats per row."""
    size = np.atleast_1d(np.asarray(train_sizes, dtype=float))
    table = rectangular(errors)
    if size.ndim != 1 or table.ndim > 2:
        raise ValueError(f"sizes have shape {size.shape} and errors {table.shape}; give [K] and [K] or [K, repeats]")
    if len(table) != len(size):
        raise ValueError(f"{len(size)} sizes but {len(table)} errors; give one row of errors for each size")
    if table.ndim == 1 and stderr is None and repeats is None:
        size, table = _group(size, table)
    if table.ndim == 2:
        mean, spread, count = _row_statistics(table)
    else:
        mean, spread, count = table, np.full(len(size), np.nan), np.ones(len(size))
    for name, given in (("stderr", stderr), ("repeats", repeats)):
        if given is not None and np.ndim(given) > 0 and np.shape(given) != size.shape:
            raise ValueError(f"{name} has shape {np.shape(given)} but there are {len(size)} sizes; give one for each")
    if stderr is not None:
        spread = np.broadcast_to(np.asarray(stderr, dtype=float), size.shape).copy()
        if (spread < 0).any():
            raise ValueError(f"stderr={spread.min():g} is negative; give standard errors of the means")
    if repeats is not None:
        count = np.broadcast_to(np.asarray(repeats, dtype=float), size.shape).copy()
        if not (count >= 1).all():
            raise ValueError(f"repeats={count.min():g} must be at least 1; leave out sizes without a repeat")
    return size, mean, spread, count


def rectangular(errors: ArrayLike | Sequence[Sequence[float]]) -> Array:
    """Errors as [K] or [K, S]; lists of different numbers of repeats are filled up with NaN. ValueError for text."""
    try:
        if isinstance(errors, list | tuple) and any(map(np.ndim, errors)):
            rows = [np.atleast_1d(np.asarray(row, dtype=float)) for row in errors]
            if {row.ndim for row in rows} == {1}:
                return padded(rows)
        return np.atleast_1d(np.asarray(errors, dtype=float))
    except (TypeError, ValueError):
        raise ValueError(
            f"errors={str(errors)[:60]} are not numbers; give one error, or one list of repeats, for each size"
        ) from None


def _group(size: Array, errors: Array) -> tuple[Array, Array]:
    """Groups errors of equal sizes into rows of repeats, which determine the noise."""
    distinct = np.unique(size)
    if len(distinct) in (0, len(size)):
        return size, errors
    return distinct, padded([errors[size == one] for one in distinct])


def padded(rows: Sequence[Sequence[float] | Array]) -> Array:
    """Rows of different lengths as one table [K, S], filled up with NaN."""
    table = np.full((len(rows), max(map(len, rows), default=1)), np.nan)
    for row, values in zip(table, rows):
        row[: len(values)] = values
    return table


def _row_statistics(table: Array) -> tuple[Array, Array, Array]:
    """Mean, standard error and number of the finite repeats, per row of [K, S].

    The relative spread is pooled over rows, because a few repeats estimate it poorly.
    """
    there = np.isfinite(table)
    count = there.sum(axis=1).astype(float)
    total = np.where(there, table, 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(table), np.nan), where=count > 0)
    squares = np.where(there, table - mean[:, None], 0.0) ** 2
    scale = np.where(mean > 0, mean, 1.0)
    own = squares.sum(axis=1) / scale**2
    freedom = np.maximum(count - 1, 0)
    if freedom.sum() == 0:
        return mean, np.full(len(table), np.nan), np.maximum(count, 1)
    usable = (freedom > 0) & (mean > 0)
    pooled = np.median(own[usable] / freedom[usable]) if usable.any() else 0.0
    variance = (own + _PRIOR_REPEATS * pooled) / (freedom + _PRIOR_REPEATS)
    return mean, np.sqrt(variance / np.maximum(count, 1)) * scale, np.maximum(count, 1)


def _check(size: Array, mean: Array, bound: Bound) -> None:
    if len(size) == 0:
        raise ValueError(f"no sizes; give at least {MIN_SIZES}")
    _check_positive("train_size", size)
    if np.isinf(mean).any():
        raise ValueError(f"error {mean[np.isinf(mean)][0]:g} is not finite; use NaN for a missing repeat")
    if not np.isfinite(mean).any():
        raise ValueError("every error is NaN; give at least one finished repeat at 3 sizes")
    low, high = bound
    least, most = np.nanmin(mean), np.nanmax(mean)
    if least < 0:
        raise ValueError(f"error {least:g} is negative; give a non-negative number that falls as learning improves")
    if low is not None and least < low - 1e-12:
        raise ValueError(f"error {least:g} is below bound {low:g}; widen `bound` or correct the unit")
    if high is not None and most > high + 1e-12:
        raise ValueError(f"error {most:g} is above bound {high:g}; widen `bound` or correct the unit")


def _pool(size: Array, mean: Array, spread: Array, count: Array) -> Points:
    """One row per distinct size; a mean of zero becomes half the smallest positive one, with large noise."""
    distinct, index = np.unique(size, return_inverse=True)
    num = np.bincount(index, count).astype(float)
    pooled = np.bincount(index, count * mean) / num
    variance = np.bincount(index, (count * np.nan_to_num(spread)) ** 2) / num**2
    zero = pooled <= 0
    if zero.all():
        return Points(distinct, np.zeros(len(zero)), np.full(len(zero), ZERO_SPREAD), num, np.ones(len(zero)), -np.inf)
    pooled = np.where(zero, 0.5 * pooled[~zero].min(), pooled)
    noise = np.where(zero, ZERO_SPREAD, np.minimum(np.sqrt(variance) / pooled, ZERO_SPREAD))
    # Rounded, so that a change of unit gives bit-identical numbers and draws.
    log_error = np.round(np.log(pooled / pooled[-1]), 10)
    return Points(
        distinct,
        log_error,
        np.round(noise, 10).astype(float),
        num,
        zero.astype(float),
        float(np.log(pooled[-1])),
    )


def _merge_neighbours(points: Points) -> Points:
    """Merges neighbours on the log axis until at most MAX_SIZES points remain."""
    if len(points.train_sizes) <= MAX_SIZES:
        return points
    edges = np.linspace(np.log(points.train_sizes[0]), np.log(points.train_sizes[-1]), MAX_SIZES + 1)
    index = np.minimum(np.searchsorted(edges, np.log(points.train_sizes), side="right") - 1, MAX_SIZES - 1)
    _, index, num = np.unique(index, return_inverse=True, return_counts=True)

    def average(column: Array) -> Array:
        return np.bincount(index, column) / num

    size = np.exp(average(np.log(points.train_sizes)))
    noise = np.sqrt(average(points.noise**2) / num)
    repeats = np.bincount(index, points.repeats).astype(float)
    log_error = average(points.log_error)
    return Points(size, log_error - log_error[-1], noise, repeats, average(points.zero), points.base + log_error[-1])

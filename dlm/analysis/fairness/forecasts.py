"""Forecasts of a group's error, and the training-set size at which it reaches the error of all other examples.

The forecaster knows the noise of seeds. That a group's test examples happen to be hard or easy moves its whole curve by
a factor, whose spread is added here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from dlm.analysis.fairness.groups import Array, Indices, Measure
from dlm.curves.exponent import MIN_SIZES_FOR_EXPONENT, Exponent
from dlm.curves.forecaster import curve_forecast, first_size_reaching, required_size_estimate
from dlm.curves.measurement_noise import noise_warning
from dlm.curves.summary import required_size_of, summarize
from dlm.curves.types import Curve, LearnerSummary, RequiredSize

_NO_MISTAKE = 1.0  # variance of the log of an error of zero, which counts as half a mistake


def exponent(
    tables: Mapping[int, Array], indices: Indices, *, measure: Measure, level: float = 0.95
) -> Exponent | None:
    """The exponent of some test examples, from errors [S, N] by size; None for fewer than three sizes or no mistake."""
    train_sizes = sorted(tables)
    own = [tables[size][:, indices] for size in train_sizes]
    if len(train_sizes) < MIN_SIZES_FOR_EXPONENT or not any(table.any() for table in own):
        return None
    x = np.log(np.array(train_sizes, dtype=float))
    weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    means = np.array([table.mean() for table in own])
    seen = np.where(means > 0, means, 0.5 / len(indices) if measure.is_rate else means[means > 0].min() / 2)
    y = np.log(measure.finish(seen))
    slope = float(weight @ y)
    # Influence on the slope of an example's error at each size.
    lever = weight * measure.slope(seen) / measure.finish(seen) / len(indices)
    test = float(
        ((sum(lever_k * (table.mean(axis=0) - table.mean()) for lever_k, table in zip(lever, own))) ** 2).sum()
    )
    test += float((weight[means == 0] ** 2).sum()) * _NO_MISTAKE
    seeds, freedom = _seeds(own, lever)
    if not freedom:  # one seed: the scatter around the line, if it is larger
        scatter = y - y.mean() - slope * (x - x.mean())
        freedom = len(x) - 2
        seeds = max(float(scatter @ scatter) / freedom * float(weight @ weight) - test, 0.0)
    # The test set's variance has as many degrees of freedom as mistakes at the size with the fewest.
    freedoms = np.array([max(float(means.min()) * len(indices), 1.0), freedom])
    half = math.hypot(*(special.stdtrit(freedoms, (1 + level) / 2) * np.sqrt([test, seeds])))
    return Exponent(-slope, -slope - half, -slope + half)


def _seeds(own: list[Array], lever: Array) -> tuple[float, int]:
    """Variance of the slope between seeds beyond that of single examples, and its degrees of freedom; 0 for one seed.

    Seeds are paired if all sizes have equally many; otherwise the sizes are independent.
    """
    if len({len(table) for table in own}) == 1:
        added = [sum(lever_k * table for lever_k, table in zip(lever, own))]
    else:
        added = [lever_k * table for lever_k, table in zip(lever, own)]
    several = [table for table in added if len(table) > 1]
    excess = sum(
        (float(table.sum(axis=1).var(ddof=1)) - float(table.var(axis=0, ddof=1).sum())) / len(table)
        for table in several
    )
    return max(excess, 0.0), min((len(table) - 1 for table in several), default=0)


def summarize_group(
    curve: Curve, own: Array, *, measure: Measure, targets: Sequence[float], multiples: Sequence[float], level: float
) -> LearnerSummary:
    """Law, forecast and required sizes of a group's curve; `own` [S, N]: errors of its test examples at the last size.

    Intervals include the sampling error of the group's test examples.
    """
    error = float(measure.finish(np.array(own.mean())))
    curve = dataclasses.replace(curve, test_stderr=shared_spread(own, measure) * error or None)
    summary = summarize([curve], targets=targets, multiples=multiples, level=level).learners[0]
    note = "" if summary.note == noise_warning(curve) else summary.note  # the page has the group's test examples
    return dataclasses.replace(summary, note=note, grid=None)


def need(
    curve: Curve | None, own: Array, others: Array, *, measure: Measure, level: float, seed: int = 0
) -> RequiredSize:
    """Examples with which the group's error is where everyone else's is at its largest measured size.

    `own` [S, N] and `others` [S, M]: errors of the test examples of the group, and of everyone else, at that size.
    `curve` None: its points carry no forecast. Training sets are mixed as the pool is. "reached" where the group's
    error is not above the others' already.
    """
    error, target = (float(measure.finish(np.array(table.mean()))) for table in (own, others))
    if error <= target:
        return RequiredSize(target, "reached", None, None, None, 1.0)
    undetermined = RequiredSize(target, "undetermined", None, None, None, 0.0)
    if curve is None or target <= 0:
        return undetermined
    try:
        forecast = curve_forecast(curve, np.array([float(curve.train_sizes[-1])]), level, seed)
    except ValueError:
        return undetermined
    normal = np.random.default_rng(seed).standard_normal(len(forecast.samples))
    spread = math.hypot(shared_spread(own, measure), mean_spread(others, measure))
    train_sizes = required_size_estimate(first_size_reaching(forecast.curves, target * np.exp(spread * normal)), level)
    return required_size_of(target, train_sizes, curve, level)


def mean_spread(table: Array, measure: Measure) -> float:
    """Standard deviation of the log of an error from [S, N], by test examples and seeds."""
    by_seed = table.mean(axis=1)
    seeds = float(by_seed.var(ddof=1)) / len(by_seed) if len(by_seed) > 1 else 0.0
    return math.hypot(shared_spread(table, measure), _relative(seeds, table, measure))


def shared_spread(table: Array, measure: Measure) -> float:
    """Standard deviation of the log of an error from [S, N] by test examples, which all seeds share.

    No mistake counts as half a mistake; the variance is at least that of half a mistake.
    """
    seeds, count = table.shape
    variance = float(table.mean(axis=0).var(ddof=1))
    if seeds > 1:
        variance -= float(table.var(axis=0, ddof=1).mean()) / seeds
    least = 0.5 / count if measure.is_rate else 0.0
    return _relative(max(variance, least) / count, table, measure)


def _relative(variance: float, table: Array, measure: Measure) -> float:
    mean = np.array(max(float(table.mean()), 0.5 / table.shape[1] if measure.is_rate else 1e-300))
    return float(math.sqrt(variance) * measure.slope(mean) / measure.finish(mean))

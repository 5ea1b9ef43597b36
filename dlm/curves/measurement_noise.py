"""What moves a measured error though the learner stays the same: the draw of the training, and that of the test set.

Seeds show the first. They share one test set, so none of them shows the second: it is the binomial one of a share
of mistakes, no more than sqrt(p(1 − p) / examples), and only a larger test set makes it less.
"""

from __future__ import annotations

import dataclasses
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from dlm.curves.forecaster import Forecast, describe_law, forecast
from dlm.curves.laws import fit_mixture
from dlm.curves.points import MIN_SIZES, Points, make_points
from dlm.curves.types import Curve, MeasurementNoise

Array = NDArray[np.float64]

FEW_MISTAKES = 25  # below, chance alone moves an error by more than a fifth of it (one standard error)
_WORTH_A_WORD = 0.05  # share of the error that the test set's noise must have before it is warned of
_RATE = (0.0, 1.0)


def binomial_noise(error: float, curve: Curve) -> float | None:
    """Binomial standard error of an error rate; None where it is no rate, or the test set is not known.

    No mistake at all is taken for half a mistake, as the test set could not have shown a smaller share.
    """
    if curve.bound != _RATE or curve.num_test <= 0 or not 0 <= error <= 1:
        return None
    share = min(max(error, 0.5 / curve.num_test), 1 - 0.5 / curve.num_test)
    return math.sqrt(share * (1 - share) / curve.num_test)


def training_noise(errors: tuple[float, ...]) -> float | None:
    """Standard deviation over the seeds of one size; None for fewer than two."""
    if len(errors) < 2:
        return None
    return float(np.std(errors, ddof=1)) if len(set(errors)) > 1 else 0.0  # which NumPy rounds to something


def noise_at_largest(curve: Curve) -> MeasurementNoise | None:
    """Both noises at the largest size; None where neither is known."""
    if not curve.train_sizes:
        return None
    errors = curve.errors[-1]
    training, test = training_noise(errors), binomial_noise(float(np.mean(errors)), curve)
    if training is None and test is None:
        return None
    return MeasurementNoise(curve.train_sizes[-1], training, test, len(errors))


def standard_errors(curve: Curve) -> Array | None:
    """Standard error [K] of each mean, where the seeds do not show it: as given, or the binomial one; else None."""
    if curve.stderr:
        return np.array(curve.stderr, dtype=float)
    if any(len(errors) > 1 for errors in curve.errors):
        return None
    known = [binomial_noise(float(np.mean(errors)), curve) for errors in curve.errors]
    return np.array(known, dtype=float) if known and None not in known else None


def standard_error(curve: Curve, place: int) -> float | None:
    """Standard error of the mean at one size: as given, else of its seeds and of the test set, as far as known.

    The test set's is part of it although the smaller sizes share that set: which of its examples are missed changes
    from size to size, so only some of its noise is in a forecast already.
    """
    errors = curve.errors[place]
    if curve.stderr:
        return curve.stderr[place]
    training, test = training_noise(errors), binomial_noise(float(np.mean(errors)), curve)
    if training is None:
        return test
    return math.hypot(training / math.sqrt(len(errors)), test or 0.0)


def noise_warning(curve: Curve) -> str:
    """A warning where the test set moves the last error more than the seeds do, and by an amount that matters."""
    noise = noise_at_largest(curve)
    if noise is None or noise.test is None:
        return ""
    error = float(np.mean(curve.errors[-1]))
    of_the_mean = None if noise.training is None else noise.training / math.sqrt(noise.num_seeds)
    few = error * curve.num_test < FEW_MISTAKES
    if not few and (of_the_mean is None or noise.test <= max(of_the_mean, _WORTH_A_WORD * error)):
        return ""
    told = (
        f"the error at {noise.train_size:,} examples is about {error * curve.num_test:.0f} mistakes in "
        f"{curve.num_test:,} test examples; another test split may differ by ±{200 * noise.test:.1f} %"
    )
    if of_the_mean is None:
        return told
    if noise.test > of_the_mean:
        told += f", other seeds by ±{200 * of_the_mean:.1f} %: the test set's noise dominates"
    return f"{told}. The intervals do not hold this; a larger test set makes it less"


def only_finite(curve: Curve) -> Curve:
    """The curve in ascending sizes, without errors that are not finite: these are counted as failed."""
    rows = sorted(
        (size, kept, stderr)
        for size, errors, stderr in zip(
            curve.train_sizes, curve.errors, curve.stderr or (0.0,) * len(curve.train_sizes)
        )
        if (kept := tuple(error for error in errors if math.isfinite(error)))
    )
    lost = sum(map(len, curve.errors)) - sum(len(kept) for _, kept, _ in rows)
    train_sizes, errors = tuple(size for size, _, _ in rows), tuple(kept for _, kept, _ in rows)
    stderrs = tuple(stderr for _, _, stderr in rows) if curve.stderr else ()
    return dataclasses.replace(
        curve, train_sizes=train_sizes, errors=errors, num_failed=curve.num_failed + lost, stderr=stderrs
    )


def repeats_table(curve: Curve) -> Array:
    """Errors [K, S] with NaN where a size has fewer seeds than another."""
    table = np.full((len(curve.train_sizes), max(map(len, curve.errors), default=1)), np.nan)
    for row, errors in zip(table, curve.errors):
        row[: len(errors)] = errors
    return table


def curve_points(curve: Curve) -> Points:
    """The points of a curve, however few."""
    return make_points(
        np.array(curve.train_sizes), repeats_table(curve), stderr=standard_errors(curve), bound=curve.bound, least=1
    )


def curve_forecast(curve: Curve, at: Array, level: float, seed: int) -> Forecast:
    """The forecast of a curve. Draws of different learners are independent, whatever their order."""
    return forecast(
        np.array(curve.train_sizes),
        repeats_table(curve),
        stderr=standard_errors(curve),
        at=at,
        level=level,
        bound=curve.bound,
        seed=zlib.crc32(curve.learner.encode()) + seed,
    )


def curve_law(curve: Curve) -> str:
    """The law that describes a curve so far, as `Forecast.law` has it; empty where there are too few sizes for one."""
    clean = only_finite(curve)
    if len(clean.train_sizes) < MIN_SIZES:
        return ""
    try:
        points = curve_points(clean)
        return describe_law(fit_mixture(points), points)
    except ValueError:
        return ""

"""Noise of measured errors: variance over seeds, and binomial variance of the test set.

All seeds share one test set, so they do not show its noise: at most sqrt(p(1 − p) / num_test), which only a larger test
set reduces. With several hold-outs they show it too; it is removed from their spread, because it is added as the
sampling error of all test sets.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from dlm.curves.points import Array, Points, make_points, padded
from dlm.curves.types import Curve, MeasurementNoise

FEW_MISTAKES = 25  # with fewer, the standard error exceeds a fifth of the error
_MIN_RELATIVE_NOISE = 0.05  # relative test-set noise below which no warning is given
_LEAST_TRAINING_SHARE = 0.1  # of the variance over hold-outs, that training is assumed to cause
_RATE = (0.0, 1.0)


def binomial_noise(error: float, curve: Curve) -> float | None:
    """Binomial standard error of an error rate; None for other units or an unknown test set.

    Zero errors count as half an error, the resolution of the test set.
    """
    if curve.bound != _RATE or curve.num_test <= 0 or not 0 <= error <= 1:
        return None
    share = min(max(error, 0.5 / curve.num_test), 1 - 0.5 / curve.num_test)
    return math.sqrt(share * (1 - share) / curve.num_test)


def training_noise(errors: tuple[float, ...]) -> float | None:
    """Standard deviation over the seeds of one size; None for fewer than two."""
    if len(errors) < 2:
        return None
    return float(np.std(errors, ddof=1)) if len(set(errors)) > 1 else 0.0  # NumPy returns a rounding error instead of 0


def noise_at_largest(curve: Curve) -> MeasurementNoise | None:
    """Noise at the largest size; None if unknown."""
    if not curve.train_sizes:
        return None
    errors = curve.errors[-1]
    training, test = training_noise(errors), binomial_noise(float(np.mean(errors)), curve)
    if training is None and test is None:
        return None
    return MeasurementNoise(curve.train_sizes[-1], training, test, len(errors))


def standard_errors(curve: Curve) -> Array | None:
    """Standard errors [K] of the means, as given or binomial; None if the seeds determine them or they are unknown."""
    if curve.stderr:
        return np.array(curve.stderr, dtype=float)
    if any(len(errors) > 1 for errors in curve.errors):
        return None
    known = [binomial_noise(float(np.mean(errors)), curve) for errors in curve.errors]
    return np.array(known, dtype=float) if known and None not in known else None


def standard_error(curve: Curve, place: int) -> float | None:
    """Standard error of the mean at one size: as given, otherwise from its seeds and the test set, if known.

    The test-set part is included although smaller sizes share the test set: the misclassified examples differ between
    sizes, so a forecast contains only part of this noise.
    """
    errors = curve.errors[place]
    if curve.stderr:
        return curve.stderr[place]
    training, test = training_noise(errors), binomial_noise(float(np.mean(errors)), curve)
    if training is None:
        return test
    return math.hypot(training / math.sqrt(len(errors)), test or 0.0)


def noise_warning(curve: Curve) -> str:
    """A warning if the test set contributes more noise to the last error than the seeds, and a relevant amount."""
    noise = noise_at_largest(curve)
    if noise is None or noise.test is None:
        return ""
    error = float(np.mean(curve.errors[-1]))
    of_the_mean = None if noise.training is None else noise.training / math.sqrt(noise.num_seeds)
    few = error * curve.num_test < FEW_MISTAKES
    if not few and (of_the_mean is None or noise.test <= max(of_the_mean, _MIN_RELATIVE_NOISE * error)):
        return ""
    hold_outs = f" of {curve.hold_outs} hold-outs" if curve.hold_outs > 1 else ""
    message = (
        f"the error at {noise.train_size:,} examples is about {error * curve.num_test:.0f} mistakes in "
        f"{curve.num_test:,} test examples{hold_outs}; another test split may differ by ±{200 * noise.test:.1f} %"
    )
    if of_the_mean is None:
        return message
    if noise.test > of_the_mean:
        message += f", other seeds by ±{200 * of_the_mean:.1f} %: the test set's noise dominates"
    return f"{message}. The intervals include this noise; a larger test set reduces it"


def only_finite(curve: Curve) -> Curve:
    """The curve with ascending sizes and finite errors; other errors count as failed."""
    rows = sorted(
        (size, finite, stderr)
        for size, errors, stderr in zip(
            curve.train_sizes, curve.errors, curve.stderr or (0.0,) * len(curve.train_sizes)
        )
        if (finite := tuple(error for error in errors if math.isfinite(error)))
    )
    num_failed = sum(map(len, curve.errors)) - sum(len(finite) for _, finite, _ in rows)
    train_sizes, errors = tuple(size for size, _, _ in rows), tuple(finite for _, finite, _ in rows)
    stderrs = tuple(stderr for _, _, stderr in rows) if curve.stderr else ()
    return dataclasses.replace(
        curve, train_sizes=train_sizes, errors=errors, num_failed=curve.num_failed + num_failed, stderr=stderrs
    )


def repeats(curve: Curve) -> Array:
    """Errors [K, S] of the repeats at each size, padded with NaN.

    Seeds that share the whole pool are one repeat: the noise at that size is then estimated from the other sizes.
    """
    if curve.hold_outs > 1:
        return padded(_without_test_noise(curve))
    rows = zip(curve.train_sizes, curve.errors)
    return padded([(float(np.mean(errors)),) if size == curve.pool_size else errors for size, errors in rows])


def _without_test_noise(curve: Curve) -> list[Array]:
    """The errors of each size, closer to their mean by the share of the hold-outs' sampling error in their variance."""
    rows = [np.array(errors) for errors in curve.errors]
    spread = sum(float(row.var(ddof=1)) for row in rows if len(row) > 1)
    test = sum(_test_variance(float(row.mean()), curve) for row in rows if len(row) > 1)
    share = max(1 - test / spread, _LEAST_TRAINING_SHARE) if spread else 1.0
    return [row.mean() + math.sqrt(share) * (row - row.mean()) for row in rows]


def _test_variance(error: float, curve: Curve) -> float:
    """Variance of an error by the choice of one hold-out; 0 if unknown."""
    last = float(np.mean(curve.errors[-1]))
    binomial, at_last = binomial_noise(error, curve), binomial_noise(last, curve)
    if binomial is None or at_last is None:
        return curve.hold_outs * ((curve.test_stderr or 0.0) * error / last) ** 2 if last else 0.0
    return curve.hold_outs * (binomial * (curve.test_stderr or at_last) / at_last) ** 2


def curve_points(curve: Curve) -> Points:
    """The points of a curve with at least one size."""
    return make_points(
        np.array(curve.train_sizes), repeats(curve), stderr=standard_errors(curve), bound=curve.bound, least=1
    )

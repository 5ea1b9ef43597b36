"""Summarizes a study: forecasts, required training-set sizes, and crossovers between learners."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from dlm.curves.crossover import compared_curve, crossover_of
from dlm.curves.diagnostics import CALIBRATED_REACH, carried_reach
from dlm.curves.forecaster import (
    NUM_DRAWS,
    Forecast,
    RequiredSizeEstimate,
    check_level,
    curve_forecast,
    first_size_reaching,
    on_new_examples,
    required_size_estimate,
)
from dlm.curves.measurement_noise import noise_at_largest, noise_warning, only_finite
from dlm.curves.new_examples import ON_NEW_EXAMPLES, ON_TEST_SET, joint_normals, sampling_error
from dlm.curves.points import MIN_SIZES, Array
from dlm.curves.types import (
    Curve,
    ForecastGrid,
    LearnerSummary,
    Prediction,
    RequiredSize,
    RequiredSizeKind,
    StudySummary,
)
from dlm.utils.errors import UsageError

FIGURE_REACH = 10.0
_FIGURE_SIZES, _FIGURE_DRAWS = 60, 1000
_GRID_SIZES = 40
_GRID_LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


def summarize(
    curves: Sequence[Curve],
    *,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
    seed: int = 0,
    test_correlation: Sequence[Sequence[float]] = (),
) -> StudySummary:
    """Forecasts at `multiples` of the largest size, required sizes for `targets`, and crossovers of all pairs.

    `test_correlation`: correlations [L][L] of the curves' sampling errors on their common test set; 0.5 by default. A
    curve without a forecast gets a `note` with the reason instead of an exception, so that the other curves are
    still summarized. Raises ValueError for an invalid level, target or multiple.
    """
    check_level(level)
    for name, values, rule in (("target", targets, 0.0), ("multiple", multiples, 1e-9)):
        for value in values:
            if not (math.isfinite(value) and value >= rule):
                raise ValueError(f"{name}={value} is not a {'non-negative' if rule == 0 else 'positive'} number")
    _check_targets(curves, targets)
    clean = [only_finite(curve) for curve in curves]
    normals = joint_normals(len(clean), NUM_DRAWS, seed, test_correlation).T
    results = [_try_forecast(curve, multiples, level, seed, normal) for curve, normal in zip(clean, normals)]
    learners = tuple(_learner_summary(curve, result, targets, level) for curve, result in zip(clean, results))
    compared = []
    for curve, result, normal in zip(clean, results, normals):
        with contextlib.suppress(ValueError):
            compared.append(compared_curve(curve, result.forecast, normal))
    crossovers = tuple(
        crossover_of(a, b, level, seed)
        for a, b in itertools.combinations(compared, 2)
        if a.curve.noise == b.curve.noise
    )
    known = all(sampling_error(curve) for curve in clean)
    estimand = ON_NEW_EXAMPLES if known else ON_TEST_SET
    return StudySummary(learners, crossovers, tuple(map(float, multiples)), level, estimand)


def _check_targets(curves: Sequence[Curve], targets: Sequence[float]) -> None:
    """UsageError for a target that every error meets, such as a percentage where errors are fractions."""
    ends = [curve.bound[1] for curve in curves]
    largest = max((end for end in ends if end is not None), default=math.inf) if None not in ends else math.inf
    for target in targets:
        if target >= largest:
            remedy = f"; {target:g} % is written {target / 100:g}" if largest == 1 and target <= 100 else ""
            raise UsageError(f"target error {target:g} is not below {largest:g}, the largest possible error{remedy}")


@dataclasses.dataclass(frozen=True)
class _ForecastResult:
    """A forecast, the supported `multiples` of the largest size, and a note on unsupported ones."""

    forecast: Forecast | None
    multiples: tuple[float, ...] = ()
    carries: bool = False
    note: str = ""


def _try_forecast(curve: Curve, multiples: Sequence[float], level: float, seed: int, normal: Array) -> _ForecastResult:
    train_sizes = np.unique(np.array(curve.train_sizes, dtype=float))
    if len(train_sizes) < MIN_SIZES:
        number = "1 size is" if len(train_sizes) == 1 else f"{len(train_sizes)} sizes are"
        return _ForecastResult(None, note=f"{number} too few to fit a law; measure at least {MIN_SIZES}")
    supported = tuple(multiple for multiple in multiples if multiple <= carried_reach(train_sizes))
    try:
        at = np.array([*supported, 1.0]) * train_sizes[-1]
        forecast = on_new_examples(curve_forecast(curve, at, level, seed), sampling_error(curve), normal)
    except ValueError as error:
        return _ForecastResult(None, note=str(error))
    reason = forecast.diagnostics["reason"]
    if reason:
        return _ForecastResult(forecast, note=reason)
    if len(supported) < len(multiples):
        span, most = train_sizes[-1] / train_sizes[0], max(multiples)
        note = (
            f"{len(train_sizes)} sizes over a span of {span:.3g}x do not support a {most:.3g}x extrapolation; add sizes"
        )
        return _ForecastResult(forecast, supported, True, note)
    return _ForecastResult(forecast, supported, True, noise_warning(curve))


def _learner_summary(curve: Curve, result: _ForecastResult, targets: Sequence[float], level: float) -> LearnerSummary:
    forecast = result.forecast
    supported = forecast if result.carries else None
    required_sizes = tuple(_required_size(curve, supported, target, level) for target in targets)
    noise = noise_at_largest(curve)
    if forecast is None:
        return LearnerSummary(curve, "", (), (), required_sizes, result.note, noise=noise)
    largest = float(curve.train_sizes[-1])
    reach = max((min(multiple, FIGURE_REACH) for multiple in result.multiples), default=1.0)
    grid = np.unique(np.rint(np.geomspace(curve.train_sizes[0], largest * reach, _FIGURE_SIZES)))
    ahead = np.array(result.multiples) * largest
    predictions = _predictions(forecast, ahead, level) if result.multiples else ()
    return LearnerSummary(
        curve=curve,
        law=forecast.law,
        fitted=_predictions(forecast.thinned(_FIGURE_DRAWS), grid, level),
        predictions=predictions,
        required_sizes=required_sizes,
        note=result.note,
        current=_predictions(forecast, np.array([largest]), level)[0],
        noise=noise,
        grid=_grid(curve, forecast, level) if result.carries else None,
        warnings=tuple(forecast.diagnostics["warnings"]),
    )


def _grid(curve: Curve, forecast: Forecast, level: float) -> ForecastGrid:
    """Quantiles up to the supported reach, from which the forecast can be scored at any size in that range.

    They are of the error on the test set, with which the forecast is scored.
    """
    largest = curve.train_sizes[-1]
    levels = sorted({*_GRID_LEVELS, round((1 - level) / 2, 9), round((1 + level) / 2, 9)} - {0.0, 1.0})
    reach = largest * carried_reach(np.unique(np.array(curve.train_sizes, dtype=float)))
    train_sizes = np.unique(np.rint(np.geomspace(largest, max(math.floor(reach), largest), _GRID_SIZES)))
    errors = np.quantile(forecast.test_set_curves.at(train_sizes), levels, axis=0).T
    return ForecastGrid(tuple(levels), tuple(map(int, train_sizes)), tuple(tuple(map(float, row)) for row in errors))


def _predictions(forecast: Forecast, train_sizes: Array, level: float) -> tuple[Prediction, ...]:
    ends = [(1 - level) / 2, (1 + level) / 2]
    quantiles = np.quantile(forecast.curves.at(train_sizes), [0.5, *ends], axis=0)
    if forecast.estimand == ON_NEW_EXAMPLES:
        inner = np.quantile(forecast.test_set_curves.at(train_sizes), ends, axis=0)
        quantiles = np.concatenate([quantiles, inner])
    return tuple(Prediction(round(size), *map(float, row)) for size, row in zip(train_sizes, quantiles.T))


def _required_size(curve: Curve, forecast: Forecast | None, target: float, level: float) -> RequiredSize:
    """The size that `target` requires; no size beyond the supported reach is reported."""
    if forecast is not None:
        # Without the checks of `required_train_size`: a target may suit the unit of another curve only.
        estimate = required_size_estimate(first_size_reaching(forecast.curves, target), level)
        return required_size_of(target, estimate, curve, level)
    reached = _reached_at(curve, target)
    if reached is None:
        return RequiredSize(target, "undetermined", None, None, None, 0.0)
    return RequiredSize(target, "reached", None, reached, None, 1.0)


def required_size_of(target: float, estimate: RequiredSizeEstimate, curve: Curve, level: float) -> RequiredSize:
    """Classifies an estimated size; sizes beyond the supported and calibrated reach are not reported."""
    if estimate.p_reachable <= 1 - level:
        return RequiredSize(target, "not reachable", None, None, None, estimate.p_reachable)
    largest = curve.train_sizes[-1]
    reach = largest * min(carried_reach(np.unique(np.array(curve.train_sizes, dtype=float))), CALIBRATED_REACH)
    low, median, high = (
        None if math.isinf(size) else float(round(size)) for size in (estimate.low, estimate.median, estimate.high)
    )
    if low is None or median is None or median > reach:
        least = reach if low is None else min(low, reach)
        return RequiredSize(target, "unsupported", float(round(least)), None, None, estimate.p_reachable)
    kind: RequiredSizeKind = "reached" if median <= largest else "interval"
    return RequiredSize(target, kind, low, median, high if high and high <= reach else None, estimate.p_reachable)


def _reached_at(curve: Curve, target: float) -> float | None:
    """The measured size at which the mean over seeds first reaches `target`, interpolated in log-log."""
    means = [float(np.mean(errors)) for errors in curve.errors]
    for index, (size, mean) in enumerate(zip(curve.train_sizes, means)):
        if mean > target:
            continue
        if index == 0 or target <= 0 or mean <= 0:
            return float(size)
        before, above = curve.train_sizes[index - 1], means[index - 1]
        share = math.log(above / target) / math.log(above / mean)
        return float(round(before * (size / before) ** share))
    return None

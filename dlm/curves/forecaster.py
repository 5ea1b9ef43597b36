"""Forecasts one learning curve: joint draws of the expected error at any size, and required sizes."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dlm.curves.diagnostics import PLATEAU_FALL, PLATEAU_REACH, diagnose
from dlm.curves.laws import LawMixture, fit_mixture
from dlm.curves.measurement_noise import repeats, standard_errors
from dlm.curves.new_examples import ON_NEW_EXAMPLES, ON_TEST_SET, NewExampleDraws, SamplingError, joint_normals
from dlm.curves.points import Array, Bound, Points, check_at_sizes, make_points, rectangular
from dlm.curves.predictive import Draws, draw, predictive
from dlm.curves.types import Curve
from dlm.utils.display import HtmlDisplay

NUM_DRAWS = 4000
SEARCH_REACH = 1000.0  # required sizes are searched up to this multiple of the largest size
_SEARCH_SIZES = 160


@dataclasses.dataclass(frozen=True)
class RequiredSizeEstimate:
    """Required training-set size for a target error: quantiles over the draws; inf beyond the searched sizes.

    `p_reachable`: share of draws that reach the target within 1000 times the largest measured size.
    """

    low: float
    median: float
    high: float
    p_reachable: float


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast(HtmlDisplay):
    """Forecast of the expected error at sizes `at` [A].

    Attributes:
      samples: [D, A], each row a draw of the curve.
      level: of the interval `low`..`high`.
      curves: the draws, callable at other sizes; of the error on new examples if the test set's size is known.
      test_set_curves: the draws of the error on the test set that the measurements used.
      points: the measured points.
    """

    at: Array
    samples: Array
    level: float
    curves: Draws | NewExampleDraws = dataclasses.field(repr=False)
    test_set_curves: Draws = dataclasses.field(repr=False)
    points: Points = dataclasses.field(repr=False)

    @property
    def estimand(self) -> str:
        """The quantity that samples, intervals and required sizes refer to."""
        return ON_TEST_SET if self.curves is self.test_set_curves else ON_NEW_EXAMPLES

    def thinned(self, num_draws: int) -> Forecast:
        """The forecast with the first draws only, which is faster; `samples` keeps all."""
        test_set_curves = self.test_set_curves.first(num_draws)
        curves = test_set_curves if self.curves is self.test_set_curves else self.curves.first(num_draws)
        return dataclasses.replace(self, curves=curves, test_set_curves=test_set_curves)

    @functools.cached_property
    def _mixture(self) -> LawMixture:
        return fit_mixture(self.points)

    @functools.cached_property
    def law(self) -> str:
        """Formula of the law that describes the measured points best; the forecast does not use it."""
        fit, points = self._mixture.best, self.points
        row = int(np.argmax(fit.probability))
        error = float(np.exp(points.base + fit.log_scale[row]))
        text = fit.law.text(error, float(points.train_sizes[-1]), *map(float, fit.theta[row]))
        return f"error ≈ {text} ({fit.law.name}, weight {self._mixture.weights.max():.2f})"

    @functools.cached_property
    def diagnostics(self) -> dict[str, Any]:
        """`weights` of the laws, `warnings`, `noise`, and whether the points support it (`carries`, `reason`)."""
        now, later = self.test_set_curves.at(self.points.train_sizes[-1] * np.array([1.0, PLATEAU_REACH])).T
        flat = float((later > (1 - PLATEAU_FALL) * now).mean())
        return diagnose(self._mixture, self.points, float(self.at.max()), flat)

    @property
    def median(self) -> Array:
        """Median over the draws [A]."""
        return np.median(self.samples, axis=0)

    @property
    def low(self) -> Array:
        """Lower end [A] of the central interval at `level`."""
        return self.quantile((1 - self.level) / 2)[0]

    @property
    def high(self) -> Array:
        """Upper end [A] of the central interval at `level`."""
        return self.quantile((1 + self.level) / 2)[0]

    def quantile(self, q: ArrayLike) -> Array:
        """Quantiles q over the draws -> [len(q), A]."""
        return np.quantile(self.samples, np.atleast_1d(np.asarray(q, dtype=float)), axis=0)

    def required_train_size(self, target: float, level: float = 0.95) -> RequiredSizeEstimate:
        """The size at which the expected error reaches `target`, with a central interval at `level`."""
        if not target >= 0:
            raise ValueError(f"target={target} is negative or not a number; give a non-negative error")
        largest = self.test_set_curves.bound[1]
        if largest is not None and target >= largest:
            raise ValueError(
                f"target={target} is not below {largest:g}, the largest possible error; 5 % is written 0.05"
            )
        check_level(level)
        return required_size_estimate(first_size_reaching(self.curves, target), level)


def required_size_estimate(reached: Array, level: float) -> RequiredSizeEstimate:
    """Quantiles of the sizes [D] at which the drawn curves reach a target."""
    tail = (1 - level) / 2
    low, median, high = np.quantile(reached, [tail, 0.5, 1 - tail], method="inverted_cdf")
    return RequiredSizeEstimate(float(low), float(median), float(high), float(np.isfinite(reached).mean()))


def first_size_reaching(curves: Draws | NewExampleDraws, target: float | Array) -> Array:
    """Smallest size [D] at which each drawn curve is at or below `target` (scalar or [D]); inf beyond SEARCH_REACH."""
    if isinstance(curves, NewExampleDraws):
        return first_size_reaching(curves.draws, curves.on_test_set(np.asarray(target, dtype=float)))
    target = np.asarray(target, dtype=float)
    smallest, largest = curves.smallest, curves.largest
    grid = np.geomspace(smallest, largest * SEARCH_REACH, _SEARCH_SIZES)
    error = curves.at(grid)
    below = error <= target[..., None]
    after = below.argmax(axis=1)
    reached = below[np.arange(len(error)), after]
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(error))
    high, low = (np.log(np.maximum(error[rows, column], 1e-300)) for column in (before, after))
    share = np.clip((high - np.log(np.maximum(target, 1e-300))) / np.where(high > low, high - low, 1.0), 0, 1)
    size = np.exp(np.log(grid[before]) + share * np.log(grid[after] / grid[before]))
    return np.where(reached, size, np.inf)


def check_level(level: float) -> None:
    """Raises ValueError unless level is inside (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not in (0, 1); give the coverage of the interval, for example 0.95")


def forecast(
    train_sizes: ArrayLike,
    errors: ArrayLike | Sequence[Sequence[float]],
    *,
    stderr: ArrayLike | None = None,
    repeats: ArrayLike | None = None,
    at: ArrayLike,
    level: float = 0.95,
    bound: Bound = (0.0, None),
    num_test: int | None = None,
    seed: int = 0,
) -> Forecast:
    """Forecasts the expected error at sizes `at` [A] from errors measured at `train_sizes` [K].

    Without `num_test`, intervals are of the error on the test set that the measurements share. With it they are of the
    error on new examples, and wider by the sampling error of the test set.

    Args:
      train_sizes: [K] positive, at least 3 distinct; equal sizes are pooled.
      errors: [K] means, or [K, S] repeats with NaN for missing ones, or K lists of repeats; non-negative.
      stderr: standard error of each mean, scalar or [K]; default: from the repeats, otherwise from the misfit.
      repeats: number of repeats behind each mean, scalar or [K].
      at: [A] positive sizes.
      level: coverage of the central interval `low`..`high`.
      bound: smallest and largest possible error; None: no bound.
      num_test: number of test examples behind each error, which must be an error rate; sets `bound` to (0, 1).
      seed: of the draws; equal arguments give identical forecasts.

    Raises:
      ValueError: for invalid arguments, with the value, the rule and the remedy.
    """
    check_level(level)
    at_sizes = check_at_sizes(at)
    if num_test is not None:
        bound = _check_rate(num_test, errors)
    points = make_points(train_sizes, errors, stderr, repeats, bound)
    curves = draw(predictive(points, bound), points.train_sizes, bound, NUM_DRAWS, seed)
    result = Forecast(at_sizes, curves.at(at_sizes), level, curves, curves, points)
    if num_test is None:
        return result
    return on_new_examples(result, SamplingError(num_test), joint_normals(1, NUM_DRAWS, seed)[:, 0])


def on_new_examples(forecast: Forecast, sampling: SamplingError | None, normal: Array) -> Forecast:
    """The forecast of the error on new examples; unchanged where the sampling error is unknown. normal: [D]."""
    if sampling is None:
        return forecast
    curves = NewExampleDraws(forecast.test_set_curves, sampling, normal)
    return dataclasses.replace(forecast, curves=curves, samples=curves.at(forecast.at))


def _check_rate(num_test: int, errors: ArrayLike | Sequence[Sequence[float]]) -> Bound:
    """The bound of error rates. ValueError unless `num_test` is a count and no error exceeds 1."""
    if isinstance(num_test, bool) or num_test != int(num_test) or num_test < 1:
        raise ValueError(f"num_test={num_test} is not a number of test examples; give an integer of at least 1")
    largest = np.nanmax(rectangular(errors), initial=0.0)
    if largest > 1:
        raise ValueError(
            f"num_test={num_test} needs error rates, and an error is {largest:g}; give fractions between 0 and 1, or "
            "omit num_test"
        )
    return (0.0, 1.0)


def forecast_many(
    curves: Iterable[Sequence[Any]],
    *,
    at: ArrayLike | Sequence[ArrayLike],
    level: float = 0.95,
    bound: Bound = (0.0, None),
    seed: int = 0,
) -> list[Forecast]:
    """Forecasts each (train_sizes, errors[, stderr[, repeats]]); `at`: one list of sizes, or one list per curve."""
    rows = [tuple(curve) for curve in curves]
    for row in rows:
        if not 2 <= len(row) <= 4:
            raise ValueError(
                f"a curve has {len(row)} columns; give (train_sizes, errors), optionally with stderr and repeats"
            )
    nested = isinstance(at, (list, tuple)) and len(at) > 0 and np.ndim(at[0]) > 0
    lists: list[Any] = list(at) if nested and isinstance(at, (list, tuple)) else [at] * len(rows)
    if len(lists) != len(rows):
        raise ValueError(f"{len(lists)} lists in `at` for {len(rows)} curves; give one list, or one per curve")
    names = ("train_sizes", "errors", "stderr", "repeats")
    return [
        forecast(**dict(zip(names, row)), at=at_sizes, level=level, bound=bound, seed=seed)
        for row, at_sizes in zip(rows, lists)
    ]


def curve_forecast(curve: Curve, at: Array, level: float, seed: int) -> Forecast:
    """The forecast of a curve on its test set, seeded by the learner's name: draws of two learners are independent."""
    return forecast(
        np.array(curve.train_sizes),
        repeats(curve),
        stderr=standard_errors(curve),
        at=at,
        level=level,
        bound=curve.bound,
        seed=zlib.crc32(curve.learner.encode()) + seed,
    )

"""The forecast of one learning curve: joint draws of the expected error at any size, and what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm.curves.draws import Draws, draw
from dlm.curves.mixture import Mixture, fit_mixture
from dlm.curves.points import MIN_SIZES, Bound, Points, check_places, read_points

Array = NDArray[np.float64]

NUM_DRAWS = 4000
SEARCH_REACH = 1000.0  # sizes_for looks this many times beyond the largest size; draws say nothing of further ones
_SEARCH_SIZES = 160
CALIBRATED_REACH = 16.0  # the constants were chosen on extrapolations up to here
_REACH_OF = {3: 4.0, 4: 16.0}  # a curve of so few sizes carries at most this; more sizes carry MOST_REACH
_MOST_REACH = 100.0


@dataclasses.dataclass(frozen=True)
class SizeAnswer:
    """Sizes that a target error takes: quantiles over the draws (inf: never, as far as the draws can say).

    `p_reachable` is the share of draws that reach the target within 1000 times the largest measured size.
    """

    low: float
    median: float
    high: float
    p_reachable: float


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """Forecast error at sizes `at` [A]; a row of `samples` [D, A] is one drawn curve of the expected error.

    `law` is the likeliest law in one line; `diagnostics` holds `weights` of the families, `alarms`,
    `noise`, and whether the points carry an extrapolation this far (`carries`, `reason`).
    """

    at: Array
    samples: Array
    level: float
    law: str
    diagnostics: dict[str, Any]
    curves: Draws = dataclasses.field(repr=False)

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

    def logpdf(self, error: ArrayLike) -> Array:
        """Log density [A] of the expected error at `error` (scalar or [A]), by kernels in log error."""
        value = np.broadcast_to(np.asarray(error, dtype=float), self.at.shape)
        tiny = np.finfo(float).tiny
        logs = np.log(np.maximum(self.samples, tiny))
        target = np.log(np.maximum(value, tiny))
        low, high = np.quantile(logs, [0.25, 0.75], axis=0)
        spread = np.maximum(np.minimum(logs.std(axis=0), (high - low) / 1.34), 1e-9)
        width = 0.9 * spread * len(logs) ** -0.2
        kernel = -0.5 * ((target - logs) / width) ** 2
        density = np.logaddexp.reduce(kernel, axis=0) - np.log(len(logs) * width * np.sqrt(2 * np.pi))
        return np.where(value > 0, density - target, -np.inf)

    def sizes_for(self, target: float, level: float = 0.95) -> SizeAnswer:
        """The size at which the expected error first reaches `target`, with a central interval at `level`."""
        if not target >= 0:
            raise ValueError(f"target={target} is not an error; give a non-negative number")
        check_level(level)
        reached = first_size(self.curves, target)
        tail = (1 - level) / 2
        low, median, high = np.quantile(reached, [tail, 0.5, 1 - tail], method="inverted_cdf")
        return SizeAnswer(float(low), float(median), float(high), float(np.isfinite(reached).mean()))


def first_size(curves: Draws, target: float) -> Array:
    """Size [D] at which each drawn curve is first at or below `target`; inf if not within SEARCH_REACH."""
    smallest, largest = curves.sizes[0], curves.sizes[-1]
    grid = np.geomspace(smallest, largest * SEARCH_REACH, _SEARCH_SIZES)
    error = curves.at(grid)
    below = error <= target
    after = below.argmax(axis=1)
    reached = below[np.arange(len(error)), after]
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(error))
    high, low = (np.log(np.maximum(error[rows, column], 1e-300)) for column in (before, after))
    share = np.clip((high - np.log(max(target, 1e-300))) / np.where(high > low, high - low, 1.0), 0, 1)
    size = np.exp(np.log(grid[before]) + share * np.log(grid[after] / grid[before]))
    return np.where(reached, size, np.inf)


def check_level(level: float) -> None:
    """Raises ValueError unless level is inside (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not inside (0, 1); give the share an interval should hold, such as 0.95")


def forecast(
    sizes: ArrayLike,
    errors: ArrayLike | Sequence[Sequence[float]],
    *,
    stderr: ArrayLike | None = None,
    repeats: ArrayLike | None = None,
    at: ArrayLike,
    level: float = 0.95,
    bound: Bound = (0.0, None),
    seed: int = 0,
) -> Forecast:
    """Forecasts the expected error at sizes `at` [A] from errors measured at `sizes` [K].

    Args:
      sizes: [K] positive, at least 3 distinct; a size that occurs twice is pooled.
      errors: [K] means, or [K, S] repeats where NaN is a missing one; non-negative.
      stderr: standard error of each mean, a number or [K]; by default from the repeats, else from the misfit.
      repeats: how many repeats stand behind each mean, a number or [K].
      at: [A] positive sizes.
      level: share of the central interval `low`..`high`.
      bound: smallest and largest error possible; None for no bound.
      seed: of the draws; equal arguments give equal forecasts.

    Raises:
      ValueError: what was given, the rule it breaks, and the remedy.
    """
    check_level(level)
    places = check_places(at)
    points = read_points(sizes, errors, stderr, repeats, bound)
    mixture = fit_mixture(points)
    curves = draw(mixture, points, bound, NUM_DRAWS, np.random.default_rng(seed))
    return Forecast(
        at=places,
        samples=curves.at(places),
        level=level,
        law=describe_law(mixture, points),
        diagnostics=diagnose(mixture, points, float(places.max())),
        curves=curves,
    )


def forecast_many(
    curves: Iterable[tuple[ArrayLike, ArrayLike]],
    *,
    at: ArrayLike | Sequence[ArrayLike],
    level: float = 0.95,
    bound: Bound = (0.0, None),
    seed: int = 0,
) -> list[Forecast]:
    """`forecast` of each (sizes, errors); `at` is one list of sizes for all curves, or a list of lists."""
    pairs = list(curves)
    nested = isinstance(at, (list, tuple)) and len(at) > 0 and np.ndim(at[0]) > 0
    lists: list[Any] = list(at) if nested and isinstance(at, (list, tuple)) else [at] * len(pairs)
    if len(lists) != len(pairs):
        raise ValueError(f"{len(lists)} lists in at but {len(pairs)} curves; give one list, or one for each")
    return [
        forecast(sizes, errors, at=place, level=level, bound=bound, seed=seed)
        for (sizes, errors), place in zip(pairs, lists)
    ]


def describe_law(mixture: Mixture, points: Points) -> str:
    """The likeliest law in one line."""
    fit = mixture.best
    row = int(np.argmax(fit.probability))
    error = float(np.exp(points.base + fit.log_scale[row]))
    text = fit.law.text(error, float(points.sizes[-1]), *map(float, fit.theta[row]))
    return f"error ≈ {text} ({fit.law.name}, weight {mixture.weights.max():.2f})"


def carried_reach(sizes: Array) -> float:
    """How many times the largest of distinct ascending `sizes` a forecast is stood by; 1 for under 3."""
    if len(sizes) < MIN_SIZES:
        return 1.0
    return float(min(_REACH_OF.get(len(sizes), _MOST_REACH), (sizes[-1] / sizes[0]) ** 3))


def diagnose(mixture: Mixture, points: Points, farthest: float) -> dict[str, Any]:
    """Weights per family, alarms in plain words, and whether the points carry a forecast of `farthest`."""
    num, largest = len(points.sizes), float(points.sizes[-1])
    reach, span = farthest / largest, largest / float(points.sizes[0])
    limit = carried_reach(points.sizes)
    noise = float(np.hypot(mixture.sigma, np.median(points.noise)))
    total_change = float(np.abs(points.log_error - points.log_error[-1]).max())
    if reach > limit * 1.0001:
        reason = f"{num} sizes over a span of {span:.3g}x cannot carry a {reach:.3g}x extrapolation: add sizes"
    elif noise > 0.5:
        reason = f"the points scatter by {noise:.0%} around every law: add repeats or sizes"
    elif points.num_zero > num / 2:
        reason = f"{points.num_zero} of {num} errors are zero: use a larger test set"
    else:
        reason = ""
    step_noise = 2 * np.hypot(np.hypot(points.noise[1:], points.noise[:-1]), 1.4 * mixture.sigma)
    # Twice the noise is exceeded by chance now and then, so a rise must also be visible.
    alarms = {
        "too few sizes": num < 5,
        "extrapolation beyond 16x": reach > CALIBRATED_REACH,
        "not monotone": bool((np.diff(points.log_error) > np.maximum(step_noise, 0.01)).any()),
        "plateau": mixture.flat_share > 0.5,
        "noise floor": noise > 0.5 * max(total_change, 1e-12),
        "zero errors": points.num_zero > 0,
    }
    return {
        "weights": {fit.law.name: float(weight) for fit, weight in zip(mixture.fits, mixture.weights)},
        "alarms": [name for name, on in alarms.items() if on],
        "noise": noise,
        "carries": not reason,
        "reason": reason,
    }

"""Part "required-size": whether the interval of a required size contains the size at which the target is reached."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve, number
from benchmarks.forecasting.backtest.calibration import DENSE, THINNED
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import Task, cut, visible_indices
from benchmarks.forecasting.scored_tasks import forecast_tasks, map_chunks
from benchmarks.forecasting.scores import base_rate_brier, brier

Array = NDArray[np.float64]

RATIOS = (4, 8, 16)
SHARES = (0.97, 0.93, 0.85, 0.7, 0.5)  # targets, as shares of the error at the largest visible size
LEVEL = 0.9
UNREACHABLE = 0.05  # p_reachable up to which a target counts as not reachable, as in a study
FAR = 1e3  # multiple of the largest size up to which `required_train_size` searches

_COLUMNS = (
    "set",
    "K",
    "targets",
    "reached",
    f"coverage {100 * LEVEL:.0f} %",
    "below interval, of all",
    "above interval, of all",
    "open above",
    "median/true",
    "P(reached by n_max)",
    "Brier",
    "base-rate Brier",
    "Brier of p_reachable",
    "not reachable",
    "but reached",
)


@dataclasses.dataclass(frozen=True, eq=False)
class TargetTask:
    """A task with all later sizes in `at`, a target error, and the size at which the curve reaches it (inf: never)."""

    task: Task
    target: float
    reached_at: float


class SizeForecast(NamedTuple):
    """Forecast and true size: low and high are the interval at LEVEL, `by_end` is P(reached by n_max = `end`)."""

    archive: str
    ratio: float
    reached_at: float
    low: float
    median: float
    high: float
    by_end: float
    ever: float
    end: float


def monotone(curve: ArchiveCurve) -> Array:
    """Isotonic fit of the errors [K], so that noise at a single size does not count as reaching a target."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(curve.errors, increasing=False).x)


def first_reached(train_sizes: Array, errors: Array, target: float) -> float:
    """The size at which decreasing errors reach the target, interpolated in log-log; inf if they do not."""
    below = np.flatnonzero(errors <= target)
    if not len(below):
        return math.inf
    after = below[0]
    if after == 0:
        return float(train_sizes[0])
    top, bottom = (math.log(max(float(errors[index]), 1e-12)) for index in (after - 1, after))
    share = (top - math.log(target)) / (top - bottom)
    return float(train_sizes[after - 1] * (train_sizes[after] / train_sizes[after - 1]) ** share)


def target_task(curve: ArchiveCurve, ratio: float, per_octave: int) -> TargetTask | None:
    """A cut with a target below all visible errors, a share selected by hash; None if there is no such cut."""
    task = cut(curve, ratio, per_octave)
    if task is None:
        return None
    decreasing = monotone(curve)
    last = visible_indices(curve.train_sizes, ratio)[-1]
    share = SHARES[number(task.key) % len(SHARES)]
    target = share * float(decreasing[last])
    if not 0 < target < task.means.min():
        return None
    at = curve.train_sizes[last + 1 :]
    later = dataclasses.replace(task, at=at, targets=curve.errors[last + 1 :], target_se=np.zeros(len(at)))
    return TargetTask(later, target, first_reached(curve.train_sizes, decreasing, target))


def forecast_sizes(targets: Sequence[TargetTask]) -> list[SizeForecast]:
    """Forecasts the required sizes and the probability that the target is reached by n_max."""
    forecasts = []
    for one, forecast in zip(targets, forecast_tasks([target.task for target in targets])):
        if isinstance(forecast, str):
            continue
        size = forecast.required_train_size(one.target, LEVEL)
        by_end = float((forecast.samples.min(axis=1) <= one.target).mean())
        sizes = (size.low, size.median, size.high, by_end, size.p_reachable)
        end = float(one.task.at[-1])
        forecasts.append(SizeForecast(one.task.archive, one.task.ratio, one.reached_at, *sizes, end))
    return forecasts


def target_tasks(setting: Setting) -> list[TargetTask]:
    """All tasks with targets, in the order of a hash."""
    built = [
        one
        for archive in setting.cut_archives
        for curve in setting.archive(archive)
        for ratio in RATIOS
        if (one := target_task(curve, ratio, THINNED if archive == DENSE else 0)) is not None
    ]
    return sorted(built, key=lambda one: number(one.task.key))


def run(setting: Setting) -> Part:
    """Coverage of the required sizes beyond the visible ones, and Brier scores of the probability to reach a target."""
    forecasts = map_chunks(forecast_sizes, target_tasks(setting), setting.jobs)
    groups = collections.defaultdict(list)
    for one in forecasts:
        groups[one.archive, f"{one.ratio:g}"].append(one)
        groups["all", "all"].append(one)
    cells: list[list[Cell]] = [[*name, *_cells(groups[name])] for name in sorted(groups)]
    note = (
        "Targets are 97 to 50 % of the error at the largest visible size and below all visible errors. The true size "
        f"is where the isotonic fit of the curve reaches the target. Coverage {100 * LEVEL:.0f} %: of the targets that "
        "are reached up to n_max. These are reached early, so even a perfect forecaster may deviate. Of all targets, "
        "5 % should be reached below the interval, and at most 5 % above it, or not up to n_max although the upper end "
        "is below n_max. Base-rate Brier: the Brier score of the share of reached targets in the same row. "
        f"p_reachable refers to {FAR:g} times the largest visible size, so it should exceed the share reached up to "
        f"n_max. Not reachable: the number of targets with p_reachable of at most {UNREACHABLE:g}; but reached: the "
        "share of these that are reached up to n_max."
    )
    return Part("required-size", [Table("Required size for a target error", _COLUMNS, cells, note)])


def _cells(forecasts: Sequence[SizeForecast]) -> list[Cell]:
    is_reached = np.array([math.isfinite(one.reached_at) for one in forecasts])
    reached = [one for one in forecasts if math.isfinite(one.reached_at)]
    true, low, median, high = (
        np.array([[one.reached_at, one.low, one.median, one.high] for one in reached]).reshape(-1, 4).T
    )
    finite = np.isfinite(median)
    by_end, ever = np.array([[one.by_end, one.ever] for one in forecasts]).T
    undefined = float("nan")
    return [
        len(forecasts),
        len(reached),
        float(((low <= true) & (true <= high)).mean()) if len(reached) else undefined,
        float((true < low).sum() / len(forecasts)),
        float((true > high).sum() + sum(not math.isfinite(one.reached_at) and one.high <= one.end for one in forecasts))
        / len(forecasts),
        float(np.isinf(high).mean()) if len(reached) else undefined,
        float(np.exp(np.median(np.log(median[finite] / true[finite])))) if finite.any() else undefined,
        float(by_end.mean()),
        brier(by_end, is_reached),
        base_rate_brier(is_reached),
        brier(ever, is_reached),
        int((ever <= UNREACHABLE).sum()),
        float(is_reached[ever <= UNREACHABLE].mean()) if (ever <= UNREACHABLE).any() else undefined,
    ]

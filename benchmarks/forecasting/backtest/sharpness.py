"""Part "sharpness": width of the intervals, compared with baselines calibrated on the other half."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.forecasting.archives import number
from benchmarks.forecasting.backtest.calibration import DENSE, THINNED
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.calibrated_baselines import BaselineForecast, factors, power_law, spread_last_value
from benchmarks.forecasting.protocols import RATIOS, Task, cuts
from benchmarks.forecasting.scored_tasks import Row, map_chunks
from benchmarks.forecasting.scores import ROUNDING, interval_score

BASELINES: dict[str, Callable[[Task], BaselineForecast]] = {
    "widened power law": power_law,
    "last value ± calibrated spread": spread_last_value,
}
_LOWEST = "lowest coverage of a learner"
_COLUMNS = ("set", "K", "method", "tasks", "coverage 95 %", "half-width", "interval score", _LOWEST, "width factor")


def tasks(setting: Setting, half: str) -> list[Task]:
    """Cuts of the means of every archive without a published split, at most two sizes per octave."""
    built: list[Task] = []
    for archive in setting.cut_archives:
        built += cuts(setting.archive(archive, half), RATIOS, (THINNED if archive == DENSE else 0,))
    return sorted(built, key=lambda task: number(task.key))


def run(setting: Setting) -> Part:
    """Scores the forecaster and the baselines on the same tasks, by archive and K."""
    reported = tasks(setting, setting.half)
    rows = setting.score(reported)
    # Baselines are calibrated on the other half, or on all tasks if both halves are reported.
    other = {"report": "choose", "choose": "report"}.get(setting.half, "both")
    calibration = tasks(setting, other) or reported
    forecasts = {name: map_chunks(_BASELINE_CHUNKS[name], calibration + reported, setting.jobs) for name in BASELINES}
    cells: list[list[Cell]] = []
    for archive in dict.fromkeys(task.archive for task in reported):
        for ratio in RATIOS:
            indices = [k for k, task in enumerate(reported) if (task.archive, task.ratio) == (archive, ratio)]
            if not indices:
                continue
            cells.append([archive, ratio, "forecast", *_forecast_cells([rows[k] for k in indices])])
            for name, all_forecasts in forecasts.items():
                fitted, evaluated = all_forecasts[: len(calibration)], all_forecasts[len(calibration) :]
                same_archive = [one for one in fitted if one.task.archive == archive]
                factor = factors(same_archive or fitted).get(ratio, 1.0)
                cells.append([archive, ratio, name, *_baseline_cells([evaluated[k] for k in indices], factor)])
    note = (
        "The widths of the baselines are calibrated to 95 % coverage on the other half of the data sets, for each "
        "archive and K."
    )
    return Part(
        "sharpness",
        [Table("Sharpness of the 95 % interval, means, at most two sizes per octave", _COLUMNS, cells, note)],
    )


def _power_laws(chunk: Sequence[Task]) -> list[BaselineForecast]:
    return [power_law(task) for task in chunk]


def _last_values(chunk: Sequence[Task]) -> list[BaselineForecast]:
    return [spread_last_value(task) for task in chunk]


_BASELINE_CHUNKS = dict(zip(BASELINES, (_power_laws, _last_values)))


def _forecast_cells(rows: Sequence[Row]) -> list[Cell]:
    accepted = [row for row in rows if not row.refused]
    if not accepted:
        return [0, *[float("nan")] * 5]
    inside = [abs(2 * row.pit - 1) <= 0.95 for row in accepted]
    return [
        len(accepted),
        float(np.mean(inside)),
        float(np.median([row.half_width for row in accepted])),
        float(np.mean([row.score for row in accepted])),
        _lowest_coverage([row.learner for row in accepted], inside),
        1.0,
    ]


def _baseline_cells(forecasts: Sequence[BaselineForecast], factor: float) -> list[Cell]:
    ends = np.array([one.interval(factor) for one in forecasts])
    target = np.array([one.task.targets[-1] for one in forecasts])
    inside = (ends[:, 0] <= target + ROUNDING / 2) & (target - ROUNDING / 2 <= ends[:, 1])
    return [
        len(forecasts),
        float(inside.mean()),
        float(np.median(ends[:, 1] - ends[:, 0]) / 2),
        float(interval_score(ends[:, 0], ends[:, 1], target, 0.95).mean()),
        _lowest_coverage([one.task.learner for one in forecasts], list(map(bool, inside))),
        factor,
    ]


def _lowest_coverage(learners: Sequence[str], inside: Sequence[bool]) -> float:
    """The lowest coverage of a learner."""
    groups = collections.defaultdict(list)
    for learner, covered in zip(learners, inside):
        groups[learner].append(covered)
    return float(min(np.mean(covered) for covered in groups.values()))

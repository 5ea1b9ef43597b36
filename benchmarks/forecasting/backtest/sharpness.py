"""Part "sharpness": width of the intervals, compared with baselines calibrated on the other half."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.forecasting.archives import number
from benchmarks.forecasting.backtest.calibration import DENSE, THINNED
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.calibrated_baselines import Told, factors, power_law, spread_last_value
from benchmarks.forecasting.protocols import RATIOS, Task, cuts
from benchmarks.forecasting.scored_tasks import Row, spread_out
from benchmarks.forecasting.scores import ROUNDING, interval_score

RIVALS: dict[str, Callable[[Task], Told]] = {
    "widened power law": power_law,
    "last value ± calibrated spread": spread_last_value,
}
_COLUMNS = ("set", "K", "who", "tasks", "in 95 %", "half-width", "interval score", "worst learner", "factor")


def tasks(setting: Setting, half: str) -> list[Task]:
    """Means of every archive that is cut here, the dense one thinned to two an octave."""
    found: list[Task] = []
    for archive in setting.cut_archives:
        found += cuts(setting.archive(archive, half), RATIOS, (THINNED if archive == DENSE else 0,))
    return sorted(found, key=lambda task: number(task.key))


def run(setting: Setting) -> Part:
    """Asks the forecaster and the rivals the same, by archive and K."""
    reported = tasks(setting, setting.half)
    rows = setting.score(reported)
    # Learnt on the other half; on both halves there is no other.
    other = {"report": "choose", "choose": "report"}.get(setting.half, "both")
    learning = tasks(setting, other) or reported
    told = {name: spread_out(_TELLERS[name], learning + reported, setting.jobs) for name in RIVALS}
    cells: list[list[Cell]] = []
    for archive in dict.fromkeys(task.archive for task in reported):
        for ratio in RATIOS:
            chosen = [place for place, task in enumerate(reported) if (task.archive, task.ratio) == (archive, ratio)]
            if not chosen:
                continue
            cells.append([archive, ratio, "forecast", *_forecast_cells([rows[place] for place in chosen])])
            for name, answers in told.items():
                known = [one for one in answers[: len(learning)] if one.task.archive == archive]
                factor = factors(known or answers[: len(learning)]).get(ratio, 1.0)
                asked = [answers[len(learning) + place] for place in chosen]
                cells.append([archive, ratio, name, *_rival_cells(asked, factor)])
    note = "Rivals are as wide as 95 % coverage on the other half of the data sets takes, archive by archive, K by K."
    return Part(
        "sharpness",
        [Table("Sharpness of the 95 % interval, means, at most two sizes an octave", _COLUMNS, cells, note)],
    )


def _power_laws(asked: Sequence[Task]) -> list[Told]:
    return [power_law(task) for task in asked]


def _last_values(asked: Sequence[Task]) -> list[Told]:
    return [spread_last_value(task) for task in asked]


_TELLERS = dict(zip(RIVALS, (_power_laws, _last_values)))


def _forecast_cells(rows: Sequence[Row]) -> list[Cell]:
    told = [row for row in rows if not row.refused]
    if not told:
        return [0, *[float("nan")] * 5]
    inside = [abs(2 * row.pit - 1) <= 0.95 for row in told]
    return [
        len(told),
        float(np.mean(inside)),
        float(np.median([row.half_width for row in told])),
        float(np.mean([row.score for row in told])),
        _worst([row.learner for row in told], inside),
        1.0,
    ]


def _rival_cells(told: Sequence[Told], factor: float) -> list[Cell]:
    ends = np.array([one.interval(factor) for one in told])
    target = np.array([one.task.targets[-1] for one in told])
    inside = (ends[:, 0] <= target + ROUNDING / 2) & (target - ROUNDING / 2 <= ends[:, 1])
    return [
        len(told),
        float(inside.mean()),
        float(np.median(ends[:, 1] - ends[:, 0]) / 2),
        float(interval_score(ends[:, 0], ends[:, 1], target, 0.95).mean()),
        _worst([one.task.learner for one in told], list(map(bool, inside))),
        factor,
    ]


def _worst(learners: Sequence[str], inside: Sequence[bool]) -> float:
    """The least coverage of any learner."""
    groups = collections.defaultdict(list)
    for learner, held in zip(learners, inside):
        groups[learner].append(held)
    return float(min(np.mean(held) for held in groups.values()))

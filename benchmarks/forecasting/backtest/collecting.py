"""Part "collecting": regret of deciding by a forecast whether to collect K times the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import number
from benchmarks.forecasting.backtest.calibration import DENSE, THINNED
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import Task, cuts, with_few_seeds
from benchmarks.forecasting.scored_tasks import forecast_tasks, map_chunks
from benchmarks.forecasting.single_laws import POW2, POW3, single_laws

Array = NDArray[np.float64]

RATIOS = (2, 4, 8)
SEEDS = (0, 3)  # 0: the archive's means
PRICES = tuple(np.round(np.arange(0.05, 0.51, 0.05), 2))  # least relative fall of the error for which data pays off


@dataclasses.dataclass(frozen=True, eq=False)
class PurchaseTask:
    """A task with the largest visible size n as the first of `at`, and the true fall 1 − error(K·n)/error(n)."""

    task: Task
    fall: float


def purchase_task(task: Task, seeds: int) -> PurchaseTask | None:
    """The task with `seeds` repeats at each size; None if the error at the largest visible size is zero."""
    now = float(task.means[-1])
    if now <= 0 or (seeds and (task.stderr is None or task.repeats is None)):
        return None
    fall = 1 - float(task.targets[-1]) / now
    seen = with_few_seeds(task, seeds) if seeds else task
    at = np.array([task.train_sizes[-1], task.at[-1]])
    return PurchaseTask(dataclasses.replace(seen, at=at), fall)


def predicted_falls(items: Sequence[PurchaseTask]) -> list[dict[str, float]]:
    """The fall that each method predicts; nothing for a refused task."""
    results = []
    for item, forecast in zip(items, forecast_tasks([item.task for item in items])):
        if isinstance(forecast, str):
            results.append({})
            continue
        now, later = forecast.samples.mean(axis=0)
        falls = {"forecast": 1 - later / now, "never": -np.inf, "always": np.inf} | _simple_falls(item.task)
        results.append({name: float(fall) for name, fall in falls.items()})
    return results


def _simple_falls(task: Task) -> dict[str, float]:
    """Falls by the slope between the last size and the one at half of it, and by two power laws."""
    errors, sizes = np.maximum(task.means, 1e-9), task.train_sizes
    before = int(np.abs(np.log(sizes[:-1] * 2 / sizes[-1])).argmin())
    slope = np.log(errors[-1] / errors[before]) / np.log(sizes[-1] / sizes[before])
    later = task.at[-1] / sizes[-1]
    laws = {name: 1 - value[-1] / value[0] for name, value in single_laws(task, (POW2, POW3)).items()}
    return {"local slope": 1 - later ** min(slope, 0.0), "pow2": laws["pow2"], "pow3": laws["pow3"]}


def regret(predicted: float, true: float) -> float:
    """Mean over PRICES of what the decision by the predicted fall loses, as a share of the current error."""
    prices = np.array(PRICES)
    return float(np.mean(np.where((predicted > prices) != (true > prices), np.abs(true - prices), 0.0)))


def run(setting: Setting) -> Part:
    """Mean regret by number of repeats, K and method, on the archive with eight sizes per octave thinned to two."""
    cells: list[list[Cell]] = []
    tasks = cuts(setting.archive(DENSE), RATIOS, (THINNED,)) if DENSE in setting.cut_archives else []
    for seeds in SEEDS:
        items = [item for task in tasks if (item := purchase_task(task, seeds)) is not None]
        items.sort(key=lambda item: number(item.task.key))
        predictions = map_chunks(predicted_falls, items, setting.jobs)
        for ratio in RATIOS:
            of_ratio = [(item, falls) for item, falls in zip(items, predictions) if item.task.ratio == ratio and falls]
            names = list(of_ratio[0][1]) if of_ratio else []
            regrets = {name: [regret(falls[name], item.fall) for item, falls in of_ratio] for name in names}
            for name, values in regrets.items():
                error = float(np.std(values) / np.sqrt(len(values)))
                cells.append([seeds or "means", ratio, name, len(values), float(np.mean(values)), error])
    note = (
        f"Data is bought if the predicted relative fall of the error exceeds its price, {PRICES[0]:g} to "
        f"{PRICES[-1]:g} of the current error. Regret: what a wrong decision loses, as a share of the current error; "
        "the mean over prices and tasks, and its standard error."
    )
    columns = ("repeats", "K", "method", "tasks", "regret", "standard error")
    return Part("collecting", [Table(f"Collecting K times the data, {DENSE}", columns, cells, note)])

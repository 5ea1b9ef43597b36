"""Part "accuracy": the median forecast compared with single laws and the last value."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import Task, cut
from benchmarks.forecasting.scored_tasks import map_chunks
from benchmarks.forecasting.scores import SMALLEST_ERROR, abs_log_error, smallest_error
from benchmarks.forecasting.single_laws import single_laws

RATIOS = (4, 16)
ARCHIVE = "lcdb10"
# The published numbers are for 300 curves that are not listed. On 321 open curves this rule gives last value .051/.128
# at K = 4/16 (published .062/.129), pow4 .038/.104, mmf4 .041/.100 and median of four .041/.095 (published .034/.084,
# .041/.079, .039/.085): the closest of the simple rules tried.
MIN_VISIBLE = 8
MIN_ERROR = 0.005
_PUBLISHED: dict[tuple[float, str], float] = {
    **{(4, name): error for name, error in (("last value", 0.062), ("pow2", 0.181), ("pow3", 0.067), ("pow4", 0.034))},
    **{(4, name): error for name, error in (("mmf4", 0.041), ("wbl4", 0.048), ("median of four", 0.039))},
    **{(16, name): error for name, error in (("last value", 0.129), ("pow2", 0.283), ("pow3", 0.126), ("pow4", 0.084))},
    **{(16, name): error for name, error in (("mmf4", 0.079), ("wbl4", 0.097), ("median of four", 0.085))},
}


def sample(setting: Setting, archive: str) -> list[Task]:
    """Cuts at n_max/4 and n_max/16 of curves with at least 8 sizes up to n_max/16 and all errors at least .005."""
    curves = [
        curve
        for curve in setting.archive(archive, limit=len(setting.curves))
        if (task := cut(curve, RATIOS[-1])) is not None
        and len(task.train_sizes) >= MIN_VISIBLE
        and curve.errors.min() >= MIN_ERROR
    ][: setting.limit]
    return [task for ratio in RATIOS for curve in curves if (task := cut(curve, ratio)) is not None]


def run(setting: Setting) -> Part:
    """Median and root mean square of |log error ratio|, for the archive with published numbers, otherwise for all."""
    archives = [ARCHIVE] if ARCHIVE in setting.cut_archives else setting.cut_archives
    tables = []
    for archive in archives:
        tasks = sample(setting, archive)
        if tasks:
            tables.append(_table(archive, tasks, setting))
    return Part("accuracy", tables)


def _table(archive: str, tasks: Sequence[Task], setting: Setting) -> Table:
    rows = setting.score(tasks)
    laws = map_chunks(_laws, tasks, setting.jobs)
    errors: dict[tuple[float, str], list[float]] = collections.defaultdict(list)
    for task, row, predictions in zip(tasks, rows, laws):
        if row.refused:
            continue
        errors[task.ratio, "forecast"].append(row.abs_log_error)
        for name, predicted in predictions.items():
            error = abs_log_error(task.targets[-1], predicted, smallest_error(task.bound))
            errors[task.ratio, name].append(float(error))
    names = list(dict.fromkeys(name for _, name in errors))
    cells: list[list[Cell]] = []
    for name in names:
        row_cells: list[Cell] = [name]
        for ratio in RATIOS:
            values = np.array(errors.get((ratio, name), [np.nan]))
            row_cells += [float(np.median(values)), float(np.sqrt(np.mean(values**2)))]
            row_cells.append(_PUBLISHED.get((ratio, name), float("nan")) if archive == ARCHIVE else float("nan"))
        cells.append(row_cells)
    count = sum(task.ratio == RATIOS[0] for task in tasks)
    columns = ["method", *(f"{kind}, K = {ratio}" for ratio in RATIOS for kind in ("median", "RMSLE", "published"))]
    note = f"Published numbers are from another sample of curves. Errors are clipped to at least {SMALLEST_ERROR:g}."
    title = f"Accuracy on {count} curves of {archive}: |log error ratio| at n_max, fitted to n ≤ n_max/K"
    return Table(title, columns, cells, note)


def _laws(tasks: Sequence[Task]) -> list[dict[str, float]]:
    return [{name: float(predicted[-1]) for name, predicted in single_laws(task).items()} for task in tasks]

"""Part "published-laws": curves with a published split, compared with published laws and numbers."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from benchmarks.forecasting import published_laws
from benchmarks.forecasting.archives import by_hash
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import Task, published
from benchmarks.forecasting.scored_tasks import Row, map_chunks
from benchmarks.forecasting.scores import coverage, rmsle

LAWS = (*published_laws.LAWS, "last value")
# Mean RMSLE in papers and in our own runs; most rows include curves that are not public.
NUMBERS = """Published: IC, all 72 curves: M1 .1046, M2 .0823, M3 .0615, M4 .0415, BNSL .0406, LC-PFN .0428, \
NSL-PFN .0280; IC, the 36 open: M1 .1116, M2 .0703, M3 .0465, M4 .0349, BNSL .0327; NLP (20) + nanoGPT (24): \
BNSL .0223, LC-PFN .0398, NSL-PFN .0194; double descent (16): BNSL .0468, LC-PFN .0706, NSL-PFN .0335."""


def set_name(task: Task) -> str:
    """The archive, or the part of it that papers report separately."""
    return task.dataset.split("|")[0] if task.archive == "alabdulmohsin2022" else task.archive


def run(setting: Setting) -> Part:
    """RMSLE of the forecast and of every law, by set; coverage of all targets."""
    curves = {curve.key: curve for curve in setting.published()}
    tasks = [task for key in by_hash(curves, setting.limit) if (task := published(curves[key])) is not None]
    rows = setting.score(tasks)
    laws = map_chunks(_laws, tasks, setting.jobs)
    groups: dict[str, list[int]] = collections.defaultdict(list)
    for index, task in enumerate(tasks):
        if not rows[index].refused:
            groups[set_name(task)].append(index)
    cells = [_cells(name, [rows[k] for k in indices], [laws[k] for k in indices]) for name, indices in groups.items()]
    refused = [row for row in rows if row.refused]
    note = NUMBERS + (f" Refused: {len(refused)} curves, such as {refused[0].refused!r}." if refused else "")
    columns = ("set", "curves", "forecast", *LAWS, "coverage 95 %", "coverage 80 %", "coverage 50 %")
    return Part(
        "published-laws",
        [Table("Mean RMSLE over curves, split as published", columns, cells, note)],
    )


def _laws(tasks: Sequence[Task]) -> list[dict[str, float]]:
    return [
        {
            **{name: rmsle(task.targets, predicted) for name, predicted in published_laws.predict(task).items()},
            "last value": rmsle(task.targets, np.full(len(task.at), task.means[-1])),
        }
        for task in tasks
    ]


def _cells(name: str, rows: Sequence[Row], laws: Sequence[dict[str, float]]) -> list[Cell]:
    means = [float(np.mean([errors[law] for errors in laws])) for law in LAWS]
    # Each curve has the same weight.
    coverages = [float(np.mean([coverage(row.pits, level) for row in rows])) for level in (0.95, 0.8, 0.5)]
    return [name, len(rows), float(np.mean([row.rmsle for row in rows])), *means, *coverages]

"""Part "calibration": coverage of the intervals at every horizon, with few and many repeats."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.forecasting.archives import number
from benchmarks.forecasting.backtest.settings import SPLIT_ARCHIVE, Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import FEW_SEEDS, RATIOS, Task, cuts, split_task, with_few_seeds
from benchmarks.forecasting.scored_tasks import Row
from benchmarks.forecasting.scores import LEVELS, central_calibration_error, coverage, quantile_calibration_error

DENSE = "lcdb11"  # eight sizes per octave; also thinned to two, as in a typical study
THINNED = 2
WORST = 6
_NOTE = (
    "The target is the measured mean at n_max. Its standard error and the rounding of the archive are added to the "
    "draws, which are clipped to the bound. Dummy learners and errors of zero are included. MSCE: mean over q = .05 "
    "... .95 of (share below the q-quantile - q)². Central MSCE: the same for the coverage of central intervals. "
    "Half-width: median, of the 95 % interval of the expected error. Repeats are sampled at each size: real splits in "
    "lcdb10, normal around the mean in lcdb11."
)
_COVERAGES = ("coverage 95 %", "coverage 80 %", "coverage 50 %")
_SCORES = (
    "tasks",
    *_COVERAGES,
    "below interval",
    "above interval",
    "MSCE",
    "central MSCE",
    "half-width",
    "refused",
)


def tasks(setting: Setting) -> list[Task]:
    """All tasks of this part: archives as measured, and with 3 and 5 repeats."""
    built: list[Task] = []
    for archive in setting.cut_archives:
        octaves = (0, THINNED) if archive == DENSE else (0,)
        means = cuts(setting.archive(archive), RATIOS, octaves)
        built += means
        if archive == DENSE:
            built += [with_few_seeds(task, seeds) for seeds in FEW_SEEDS for task in means]
    for curve in setting.split_curves():
        repeats = [split_task(curve, ratio, seeds, SPLIT_ARCHIVE) for ratio in RATIOS for seeds in FEW_SEEDS]
        built += [task for task in repeats if task is not None]
    return built


def run(setting: Setting) -> Part:
    """Tabulates coverage by archive, horizon and repeats, by number of sizes, and by learner."""
    # Shuffled by hash, so that slow tasks are spread over the processes.
    shuffled = sorted(tasks(setting), key=lambda task: number(task.key))
    rows = setting.score(shuffled)
    accepted = [row for row in rows if not row.refused]
    tables = [
        Table(
            "Calibration by archive, sizes per octave, repeats and K = n_max/n", ("set", "K", *_SCORES), _by_set(rows)
        ),
        Table("Calibration by K, all tasks", ("K", *_SCORES), _grouped(rows, lambda row: (f"{row.ratio:g}",)), _NOTE),
        Table(
            "Calibration by number of visible sizes",
            ("sizes", *_SCORES),
            _grouped(rows, lambda row: (_size_group(row.num_sizes),)),
        ),
        _learners(accepted),
    ]
    return Part("calibration", tables, {"reliability": reliability(accepted)})


def scores(rows: Sequence[Row]) -> list[Cell]:
    """Values of the columns _SCORES."""
    pits = np.array([row.pit for row in rows if not row.refused])
    widths = [row.half_width for row in rows if not row.refused]
    return [
        len(rows),
        *(coverage(pits, level) for level in (0.95, 0.8, 0.5)),
        float((pits < 0.025).mean()) if len(pits) else float("nan"),
        float((pits > 0.975).mean()) if len(pits) else float("nan"),
        quantile_calibration_error(pits),
        central_calibration_error(pits),
        float(np.median(widths)) if widths else float("nan"),
        sum(bool(row.refused) for row in rows),
    ]


def set_name(row: Row) -> str:
    """Archive, thinning and repeats in words."""
    thinned = f", {row.per_octave} per octave" if row.per_octave else ""
    seeds = {0: "means", 1: "single runs"}.get(row.seeds, f"{row.seeds} repeats")
    return f"{row.archive}{thinned}, {seeds}"


def reliability(rows: Iterable[Row]) -> dict[str, dict[str, list[float]]]:
    """By set and K: the share of measured values below each forecast quantile, at LEVELS."""
    groups: dict[str, dict[str, list[float]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        groups[set_name(row)][f"{row.ratio:g}"].append(row.pit)
    return {
        name: {ratio: [float((np.array(pits) <= level).mean()) for level in LEVELS] for ratio, pits in table.items()}
        for name, table in groups.items()
    }


def _by_set(rows: Sequence[Row]) -> list[list[Cell]]:
    return _grouped(rows, lambda row: (set_name(row), f"{row.ratio:g}"))


def _grouped(rows: Sequence[Row], key: Callable[[Row], tuple[str, ...]]) -> list[list[Cell]]:
    groups = collections.defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    order = sorted(groups, key=lambda name: (*name[:-1], float(name[-1].split("–")[0])))
    return [[*name, *scores(groups[name])] for name in order]


def _size_group(count: int) -> str:
    """3, 4, 5, 6–8, 9–14, 15–"""
    for low, high in ((6, 8), (9, 14)):
        if low <= count <= high:
            return f"{low}–{high}"
    return str(count) if count < 6 else "15–"


def _learners(rows: Sequence[Row]) -> Table:
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row.archive, row.learner].append(row)
    cells = [
        [archive, learner, len({row.dataset for row in group}), *scores(group)[:4]]
        for (archive, learner), group in groups.items()
    ]
    cells.sort(key=lambda row: float(row[4]))
    short = sum(float(row[4]) < 0.85 for row in cells)
    return Table(
        f"Lowest coverage of {len(cells)} learners, over all K and numbers of repeats",
        ("archive", "learner", "data sets", *_SCORES[:4]),
        cells[:WORST],
        f"{short} of {len(cells)} learners have a coverage below 85 % at nominal 95 %.",
    )

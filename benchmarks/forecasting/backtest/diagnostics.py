"""Part "warnings": how often each warning is raised where it is justified, and where it is not."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve, number
from benchmarks.forecasting.backtest.calibration import DENSE, THINNED
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import Task, cut, cuts, with_few_seeds
from benchmarks.forecasting.scored_tasks import spread_out, tell
from benchmarks.forecasting.scores import coverage
from dlm.curves.diagnostics import FAR, FEW, FEW_SIZES, NOISE, PLATEAU, PLATEAU_FALL, PLATEAU_REACH, RISE
from dlm.curves.measurement_noise import noise_warning
from dlm.curves.types import Curve

Array = NDArray[np.float64]
Law = Callable[[Array], Array]

SEEDS = 3
NUM_PLANTED = 100  # curves of a kind at most
FAR_RATIOS = (8, 16, 32, 64)
TEST_NOISE = "test set's noise"
_VISIBLE = 0.05  # a planted rise by less is neither one that must be seen nor none
_SIZES: Array = 64.0 * 2.0 ** np.arange(8, dtype=np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class Flagged:
    """A task, and for some alarms whether it should be raised (an alarm that is not named: nobody can say)."""

    task: Task
    truth: dict[str, bool]


def run(setting: Setting) -> Part:
    """Recall and false alarms on planted and on measured curves; coverage where an alarm speaks of the forecast."""
    num = min(setting.limit or NUM_PLANTED, NUM_PLANTED)
    cells: list[list[Cell]] = []
    for name, cases in (("planted", planted(num)), (DENSE, measured(setting))):
        found = spread_out(raised, [case.task for case in cases], setting.jobs)
        cells += _rates(name, cases, found)
    cells += _rates("planted", *_test_sets(num))
    note = (
        f"{SEEDS} repeats at each size. Planted: {num} curves each of a law, a law with a bump, with a limit "
        "close by, with much noise; the truth is the formula's. Measured: eight times the largest size shown is "
        f"known; the truth is that of 25 splits. Plateau: {PLATEAU_REACH:g}x the data lower the error by under "
        f"{PLATEAU_FALL:.0%}. Noise floor: one standard error is over half of all change. Not monotone: planted, a "
        f"rise of {_VISIBLE:.0%} or none; measured, one of three standard errors and {_VISIBLE:.0%}, or none of one."
    )
    columns = ("curves", "alarm", "should", "raised of these (recall)", "should not", "raised of these (false)")
    tables = [Table("Alarms", columns, cells, note), _coverage(setting)]
    return Part("warnings", tables)


def planted(num: int = NUM_PLANTED) -> list[Flagged]:
    """Noisy repeats of laws whose shape is known."""
    rng = np.random.default_rng(0)
    return [_planted(kind, index, rng) for kind in ("law", "bump", "plateau", "noise") for index in range(NUM_PLANTED)]


def _planted(kind: str, index: int, rng: np.random.Generator) -> Flagged:
    power, start, limit = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.7), rng.uniform(0.0, 0.05)
    height = rng.uniform(0.4, 1.0) if kind == "bump" else 0.0
    centre = rng.uniform(2.0, 5.0)
    if kind == "plateau":
        limit, start = rng.uniform(0.2, 0.4), start / 8
        power = rng.uniform(0.8, 1.5)

    def law(size: Array) -> Array:
        octave = np.log2(size / _SIZES[0])
        return (limit + start * 2 ** (-power * octave)) * np.exp(height * np.exp(-0.5 * ((octave - centre) / 0.7) ** 2))

    if kind == "noise":
        power, limit = rng.uniform(0.02, 0.08), 0.0
    spread = rng.uniform(0.2, 0.6) if kind == "noise" else 0.03
    told = law(_SIZES)
    errors = np.clip(told[:, None] * np.exp(spread * rng.standard_normal((len(told), SEEDS)) - spread**2 / 2), 0.0, 1.0)
    ahead = PLATEAU_REACH * _SIZES[-1:]
    task = _task(f"{kind}{index}", errors, ahead, law(ahead))
    rise = float(np.diff(np.log(told)).max())
    change = float(np.abs(np.log(told / told[-1])).max())
    truth = {PLATEAU: bool(law(ahead)[0] > (1 - PLATEAU_FALL) * told[-1]), NOISE: spread / np.sqrt(SEEDS) > change / 2}
    if rise > _VISIBLE or rise <= 0:
        truth[RISE] = rise > 0
    return Flagged(task, truth)


def _task(name: str, errors: Array, at: Array, targets: Array) -> Task:
    return Task(
        archive="planted",
        curve=name,
        dataset=name,
        learner="planted",
        train_sizes=_SIZES,
        errors=errors,
        stderr=None,
        repeats=None,
        bound=(0.0, 1.0),
        at=at,
        targets=targets,
        target_se=np.zeros(len(at)),
        ratio=float(at[-1] / _SIZES[-1]),
        seeds=SEEDS,
    )


def measured(setting: Setting) -> list[Flagged]:
    """Curves with many splits at each size, of which a few are shown."""
    cases = [
        _measured(curve, task)
        for curve in setting.archive(DENSE)
        if (task := cut(curve, PLATEAU_REACH, THINNED)) is not None and task.stderr is not None
    ]
    return sorted((case for case in cases if case is not None), key=lambda case: number(case.task.key))


def _measured(curve: ArchiveCurve, task: Task) -> Flagged | None:
    errors, stderr, repeats = task.errors, task.stderr, task.repeats
    if stderr is None or repeats is None or not (errors > 0).all():
        return None
    rises, spread = np.diff(errors), np.hypot(stderr[1:], stderr[:-1])
    change = float(np.abs(np.log(errors / errors[-1])).max())
    few = float(np.median(stderr / errors * np.sqrt(repeats / SEEDS)))
    truth = {
        PLATEAU: bool(curve.errors[-1] > (1 - PLATEAU_FALL) * errors[-1]),
        NOISE: few > change / 2,
    }
    if (rises > np.maximum(3 * spread, _VISIBLE * errors[:-1])).any():
        truth[RISE] = True
    elif (rises <= spread).all():
        truth[RISE] = False
    return Flagged(with_few_seeds(task, SEEDS), truth)


def raised(tasks: Sequence[Task]) -> list[frozenset[str]]:
    """The alarms of each task's forecast."""
    return [frozenset() if isinstance(told, str) else frozenset(told.diagnostics["warnings"]) for told in tell(tasks)]


def _rates(name: str, cases: Sequence[Flagged], raised: Sequence[frozenset[str]]) -> list[list[Cell]]:
    table: dict[str, dict[bool, list[bool]]] = collections.defaultdict(lambda: {True: [], False: []})
    for case, names in zip(cases, raised):
        for alarm, should in case.truth.items():
            table[alarm][should].append(alarm in names)
    return [
        [name, alarm, len(found[True]), _mean(found[True]), len(found[False]), _mean(found[False])]
        for alarm, found in table.items()
    ]


def _test_sets(num: int) -> tuple[list[Flagged], list[frozenset[str]]]:
    """Planted error rates on test sets of many sizes: whether the remark on the test set's noise is made."""
    rng = np.random.default_rng(1)
    cases, raised = [], []
    for index in range(num):
        num_test = int(10 ** rng.uniform(2, 5))
        told = 0.05 + 0.5 * (_SIZES / _SIZES[0]) ** -0.5
        training = rng.uniform(0.002, 0.03)  # relative, of one seed
        errors = rng.binomial(num_test, told)[:, None] / num_test * np.exp(training * rng.standard_normal((8, 5)))
        of_test, of_mean = np.sqrt(told[-1] * (1 - told[-1]) / num_test), training * told[-1] / np.sqrt(5)
        curve = Curve("net", tuple(map(int, _SIZES)), tuple(map(tuple, errors)), "error rate", (0.0, 1.0), num_test, 0)
        should = bool(of_test > max(of_mean, 0.05 * told[-1]))
        task = _task(f"test{index}", errors, _SIZES[-1:], told[-1:])
        cases.append(Flagged(task, {TEST_NOISE: should}))
        raised.append(frozenset({TEST_NOISE} if noise_warning(curve) else ()))
    return cases, raised


def _coverage(setting: Setting) -> Table:
    """Coverage by the two alarms that speak of the question, not of the curve."""
    tasks = [
        with_few_seeds(task, SEEDS)
        for task in cuts(setting.archive(DENSE), FAR_RATIOS, (THINNED,))
        if task.stderr is not None and task.repeats is not None
    ]
    rows = [row for row in setting.score(sorted(tasks, key=lambda task: number(task.key))) if not row.refused]
    cells: list[list[Cell]] = []
    for alarm, on in ((FAR, lambda row: row.ratio > FAR_RATIOS[1]), (FEW, lambda row: row.num_sizes < FEW_SIZES)):
        for state in (False, True):
            pits = [row.pit for row in rows if on(row) == state]
            widths = [row.half_width for row in rows if on(row) == state]
            cells.append([alarm, "raised" if state else "silent", len(pits), *(coverage(pits, q) for q in (0.95, 0.8))])
            cells[-1].append(float(np.median(widths)) if widths else float("nan"))
    columns = ("alarm", "", "tasks", "in 95 %", "in 80 %", "half-width")
    return Table(f"Coverage on {DENSE}, {SEEDS} repeats, K = 8 to 64, by alarms on the question itself", columns, cells)


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")

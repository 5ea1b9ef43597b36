"""Part "warnings": recall and false-positive rate of each warning."""

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
from benchmarks.forecasting.scored_tasks import forecast_tasks, map_chunks
from benchmarks.forecasting.scores import coverage
from dlm.curves.diagnostics import FAR, FEW, FEW_SIZES, NOISE, PLATEAU, PLATEAU_FALL, PLATEAU_REACH, RISE
from dlm.curves.measurement_noise import noise_warning
from dlm.curves.types import Curve

Array = NDArray[np.float64]
Law = Callable[[Array], Array]

SEEDS = 3
MAX_SIMULATED = 100  # curves per kind
FAR_RATIOS = (8, 16, 32, 64)
SIMULATED = "simulated"
TEST_NOISE = "test-set noise"
_MIN_RISE = 0.05  # smaller simulated rises are excluded
_SIZES: Array = 64.0 * 2.0 ** np.arange(8, dtype=np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTask:
    """A task, and whether each warning is expected; warnings without a clear answer are omitted."""

    task: Task
    expected: dict[str, bool]


def run(setting: Setting) -> Part:
    """Recall and false positives on simulated and measured curves; coverage where size warnings are raised."""
    num = min(setting.limit or MAX_SIMULATED, MAX_SIMULATED)
    cells: list[list[Cell]] = []
    for name, cases in ((SIMULATED, simulated_tasks(num)), (DENSE, measured_tasks(setting))):
        raised = map_chunks(raised_warnings, [case.task for case in cases], setting.jobs)
        cells += _rates(name, cases, raised)
    cells += _rates(SIMULATED, *_test_sets(num))
    note = (
        f"{SEEDS} repeats at each size. Simulated: {num} curves of each kind: a law, a law with a bump, a nearby "
        "floor, strong noise; the expected warnings follow from the formula. Measured: the error at eight times the "
        "largest visible size is known, and the expected warnings follow from the means of 25 splits. Plateau: "
        f"{PLATEAU_REACH:g}x the data reduce the error by less than {PLATEAU_FALL:.0%}. Noise floor: one standard "
        f"error exceeds half of the total change. Not monotone: simulated, a rise of at least {_MIN_RISE:.0%} or "
        f"none; measured, a rise of at least three standard errors and {_MIN_RISE:.0%}, or none of more than one "
        "standard error."
    )
    columns = ("curves", "warning", "expected", "raised (recall)", "not expected", "raised (false positives)")
    tables = [Table("Warnings", columns, cells, note), _coverage(setting)]
    return Part("warnings", tables)


def simulated_tasks(num: int = MAX_SIMULATED) -> list[LabelledTask]:
    """Noisy repeats of laws of known shape."""
    rng = np.random.default_rng(0)
    return [
        _simulate(kind, index, rng) for kind in ("law", "bump", "plateau", "noise") for index in range(MAX_SIMULATED)
    ]


def _simulate(kind: str, index: int, rng: np.random.Generator) -> LabelledTask:
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
    expected = law(_SIZES)
    noise = np.exp(spread * rng.standard_normal((len(expected), SEEDS)) - spread**2 / 2)
    errors = np.clip(expected[:, None] * noise, 0.0, 1.0)
    ahead = PLATEAU_REACH * _SIZES[-1:]
    task = _task(f"{kind}{index}", errors, ahead, law(ahead))
    rise = float(np.diff(np.log(expected)).max())
    change = float(np.abs(np.log(expected / expected[-1])).max())
    labels = {
        PLATEAU: bool(law(ahead)[0] > (1 - PLATEAU_FALL) * expected[-1]),
        NOISE: spread / np.sqrt(SEEDS) > change / 2,
    }
    if rise > _MIN_RISE or rise <= 0:
        labels[RISE] = rise > 0
    return LabelledTask(task, labels)


def _task(name: str, errors: Array, at: Array, targets: Array) -> Task:
    return Task(
        archive=SIMULATED,
        curve=name,
        dataset=name,
        learner=SIMULATED,
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


def measured_tasks(setting: Setting) -> list[LabelledTask]:
    """Curves with many splits at each size, reduced to a few repeats."""
    cases = [
        _measured(curve, task)
        for curve in setting.archive(DENSE)
        if (task := cut(curve, PLATEAU_REACH, THINNED)) is not None and task.stderr is not None
    ]
    return sorted((case for case in cases if case is not None), key=lambda case: number(case.task.key))


def _measured(curve: ArchiveCurve, task: Task) -> LabelledTask | None:
    errors, stderr, repeats = task.errors, task.stderr, task.repeats
    if stderr is None or repeats is None or not (errors > 0).all():
        return None
    rises, spread = np.diff(errors), np.hypot(stderr[1:], stderr[:-1])
    change = float(np.abs(np.log(errors / errors[-1])).max())
    stderr_few = float(np.median(stderr / errors * np.sqrt(repeats / SEEDS)))
    labels = {
        PLATEAU: bool(curve.errors[-1] > (1 - PLATEAU_FALL) * errors[-1]),
        NOISE: stderr_few > change / 2,
    }
    if (rises > np.maximum(3 * spread, _MIN_RISE * errors[:-1])).any():
        labels[RISE] = True
    elif (rises <= spread).all():
        labels[RISE] = False
    return LabelledTask(with_few_seeds(task, SEEDS), labels)


def raised_warnings(tasks: Sequence[Task]) -> list[frozenset[str]]:
    """The warnings of each task's forecast."""
    return [
        frozenset() if isinstance(forecast, str) else frozenset(forecast.diagnostics["warnings"])
        for forecast in forecast_tasks(tasks)
    ]


def _rates(name: str, cases: Sequence[LabelledTask], raised: Sequence[frozenset[str]]) -> list[list[Cell]]:
    table: dict[str, dict[bool, list[bool]]] = collections.defaultdict(lambda: {True: [], False: []})
    for case, names in zip(cases, raised):
        for warning, expected in case.expected.items():
            table[warning][expected].append(warning in names)
    return [
        [name, warning, len(by_label[True]), _mean(by_label[True]), len(by_label[False]), _mean(by_label[False])]
        for warning, by_label in table.items()
    ]


def _test_sets(num: int) -> tuple[list[LabelledTask], list[frozenset[str]]]:
    """Simulated error rates on test sets of many sizes, and whether the warning about test-set noise is raised."""
    rng = np.random.default_rng(1)
    cases, raised = [], []
    for index in range(num):
        num_test = int(10 ** rng.uniform(2, 5))
        expected = 0.05 + 0.5 * (_SIZES / _SIZES[0]) ** -0.5
        training = rng.uniform(0.002, 0.03)  # relative standard deviation of one seed
        errors = rng.binomial(num_test, expected)[:, None] / num_test * np.exp(training * rng.standard_normal((8, 5)))
        of_test, of_mean = np.sqrt(expected[-1] * (1 - expected[-1]) / num_test), training * expected[-1] / np.sqrt(5)
        curve = Curve("net", tuple(map(int, _SIZES)), tuple(map(tuple, errors)), "error rate", (0.0, 1.0), num_test, 0)
        is_expected = bool(of_test > max(of_mean, 0.05 * expected[-1]))
        task = _task(f"test{index}", errors, _SIZES[-1:], expected[-1:])
        cases.append(LabelledTask(task, {TEST_NOISE: is_expected}))
        raised.append(frozenset({TEST_NOISE} if noise_warning(curve) else ()))
    return cases, raised


def _coverage(setting: Setting) -> Table:
    """Coverage with and without the two warnings that depend on the requested sizes."""
    tasks = [
        with_few_seeds(task, SEEDS)
        for task in cuts(setting.archive(DENSE), FAR_RATIOS, (THINNED,))
        if task.stderr is not None and task.repeats is not None
    ]
    rows = [row for row in setting.score(sorted(tasks, key=lambda task: number(task.key))) if not row.refused]
    cells: list[list[Cell]] = []
    for warning, is_raised in (
        (FAR, lambda row: row.ratio > FAR_RATIOS[1]),
        (FEW, lambda row: row.num_sizes < FEW_SIZES),
    ):
        for state in (False, True):
            pits = [row.pit for row in rows if is_raised(row) == state]
            widths = [row.half_width for row in rows if is_raised(row) == state]
            label = "raised" if state else "not raised"
            cells.append([warning, label, len(pits), *(coverage(pits, q) for q in (0.95, 0.8))])
            cells[-1].append(float(np.median(widths)) if widths else float("nan"))
    columns = ("warning", "state", "tasks", "coverage 95 %", "coverage 80 %", "half-width")
    return Table(
        f"Coverage on {DENSE}, {SEEDS} repeats, K = 8 to 64, by warnings on the requested sizes", columns, cells
    )


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")

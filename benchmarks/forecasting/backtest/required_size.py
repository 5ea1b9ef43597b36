"""Part "required-size": whether the interval for a required size contains the size that reached the target."""

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
from benchmarks.forecasting.protocols import Task, cut, shown
from benchmarks.forecasting.scored_tasks import spread_out, tell
from benchmarks.forecasting.scores import base_rate_brier, brier

Array = NDArray[np.float64]

RATIOS = (4, 8, 16)
SHARES = (0.97, 0.93, 0.85, 0.7, 0.5)  # targets, as shares of the error at the largest size shown
LEVEL = 0.9
UNREACHABLE = 0.05  # p_reachable up to which a target is called not reachable, as in a study's answer
FAR = 1e3  # the search of `required_train_size` goes this many times beyond the largest size


@dataclasses.dataclass(frozen=True, eq=False)
class Question:
    """A task whose `at` are all later sizes, a target error, and the size at which the curve met it (inf: not)."""

    task: Task
    target: float
    met: float


class StudySummary(NamedTuple):
    """What was told, and what came: low and high are sizes at LEVEL, `by_end` is P(met by n_max = `end`)."""

    archive: str
    ratio: float
    met: float
    low: float
    median: float
    high: float
    by_end: float
    ever: float
    end: float


def smoothed(curve: ArchiveCurve) -> Array:
    """Errors [K] of the curve made to fall throughout: a single lucky size is not a target met."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(curve.errors, increasing=False).x)


def first_met(train_sizes: Array, errors: Array, target: float) -> float:
    """The size at which falling errors reach the target, interpolated in log-log; inf where they do not."""
    met = np.flatnonzero(errors <= target)
    if not len(met):
        return math.inf
    after = met[0]
    if after == 0:
        return float(train_sizes[0])
    top, bottom = (math.log(max(float(errors[place]), 1e-12)) for place in (after - 1, after))
    share = (top - math.log(target)) / (top - bottom)
    return float(train_sizes[after - 1] * (train_sizes[after] / train_sizes[after - 1]) ** share)


def question(curve: ArchiveCurve, ratio: float, per_octave: int) -> Question | None:
    """A cut with a target below everything shown, of a size chosen by hash; None where there is no such cut."""
    task = cut(curve, ratio, per_octave)
    if task is None:
        return None
    falling = smoothed(curve)
    last = shown(curve.train_sizes, ratio)[-1]
    share = SHARES[number(task.key) % len(SHARES)]
    target = share * float(falling[last])
    if not 0 < target < task.means.min():
        return None
    at = curve.train_sizes[last + 1 :]
    asked = dataclasses.replace(task, at=at, targets=curve.errors[last + 1 :], target_se=np.zeros(len(at)))
    return Question(asked, target, first_met(curve.train_sizes, falling, target))


def answered(questions: Sequence[Question]) -> list[StudySummary]:
    """Asks for the sizes, and for the chance that the target is met by the curve's end."""
    answers = []
    for one, told in zip(questions, tell([question.task for question in questions])):
        if isinstance(told, str):
            continue
        size = told.required_train_size(one.target, LEVEL)
        by_end = float((told.samples.min(axis=1) <= one.target).mean())
        told_sizes = (size.low, size.median, size.high, by_end, size.p_reachable)
        answers.append(StudySummary(one.task.archive, one.task.ratio, one.met, *told_sizes, float(one.task.at[-1])))
    return answers


def questions_of(setting: Setting) -> list[Question]:
    """Every question, in an order by hash."""
    found = [
        one
        for archive in setting.cut_archives
        for curve in setting.archive(archive)
        for ratio in RATIOS
        if (one := question(curve, ratio, THINNED if archive == DENSE else 0)) is not None
    ]
    return sorted(found, key=lambda one: number(one.task.key))


def run(setting: Setting) -> Part:
    """Coverage of sizes for targets met beyond what was shown, and Brier scores of the chance to meet them."""
    answers = spread_out(answered, questions_of(setting), setting.jobs)
    groups = collections.defaultdict(list)
    for answer in answers:
        groups[answer.archive, f"{answer.ratio:g}"].append(answer)
        groups["all", "all"].append(answer)
    cells: list[list[Cell]] = [[*name, *_cells(groups[name])] for name in sorted(groups)]
    columns = ("set", "K", "targets", "met", f"in {LEVEL:.0%}", "early, of all", "late, of all", "inf", "median/true")
    more = ("P(by n_max)", "Brier", "base rate's", "Brier of p_reachable", "not reachable", "yet met")
    note = (
        "Targets are 97 to 50 % of the error at the largest size shown, below all errors shown. True sizes are "
        "where the curve, made to fall throughout, meets them. "
        f"In {LEVEL:.0%}: of those met by n_max, which are the early ones, so that even a perfect forecaster may be "
        "off; of all targets, 5 % should be met before low, and no more than 5 % after high, or not by n_max "
        "though high is below it. The base rate is the share met in this very row. "
        f"p_reachable looks {FAR:g} times beyond what was shown, so that it should be above the share met by n_max. "
        f"Not reachable: how often p_reachable is at most {UNREACHABLE:g}; yet met: the share of these met by n_max."
    )
    return Part("required-size", [Table("Required size for a target", (*columns, *more), cells, note)])


def _cells(answers: Sequence[StudySummary]) -> list[Cell]:
    met = np.array([math.isfinite(one.met) for one in answers])
    reached = [one for one in answers if math.isfinite(one.met)]
    true, low, median, high = np.array([[one.met, one.low, one.median, one.high] for one in reached]).reshape(-1, 4).T
    finite = np.isfinite(median)
    by_end, ever = np.array([[one.by_end, one.ever] for one in answers]).T
    nothing = float("nan")
    return [
        len(answers),
        len(reached),
        float(((low <= true) & (true <= high)).mean()) if len(reached) else nothing,
        float((true < low).sum() / len(answers)),
        float((true > high).sum() + sum(not math.isfinite(one.met) and one.high <= one.end for one in answers))
        / len(answers),
        float(np.isinf(high).mean()) if len(reached) else nothing,
        float(np.exp(np.median(np.log(median[finite] / true[finite])))) if finite.any() else nothing,
        float(by_end.mean()),
        brier(by_end, met),
        base_rate_brier(met),
        brier(ever, met),
        int((ever <= UNREACHABLE).sum()),
        float(met[ever <= UNREACHABLE].mean()) if (ever <= UNREACHABLE).any() else nothing,
    ]

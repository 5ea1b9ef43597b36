"""Part "crossover": which of two learners is better at n_max, and where they cross, from n_max/4."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.archives import ArchiveCurve, by_hash, number
from benchmarks.forecasting.backtest.settings import Cell, Part, Setting, Table
from benchmarks.forecasting.protocols import LEAST_SIZES, visible_indices
from benchmarks.forecasting.scored_tasks import map_chunks
from dlm.curves.crossover import (
    ComparedCurve,
    ErrorGap,
    classify_crossing,
    compared_curve,
    crossing_interval,
    error_gap,
)
from dlm.curves.forecaster import curve_forecast
from dlm.curves.types import Curve

Array = NDArray[np.float64]
Group = Sequence[ArchiveCurve]  # of one data set, with the same largest size

RATIO = 4.0
DEEP = ("MLP", "MLPClassifier")
COMMON = (
    "ens.RandomForest", "RandomForestClassifier", "ens.GradientBoosting", "GradientBoostingClassifier",
    "LogisticRegression", "SVM_RBF", "SVC_rbf",
)  # fmt: skip
DUMMY = "DummyClassifier"
CLEAR = 2.0  # standard errors from which a measured difference is clear
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEVELS = (0.95, 0.9)
_ALL, _MLP, _MLP_COMMON = "all pairs", "MLP and any", "MLP and RF, GB, LR, SVM"
_BRIEF = (_ALL, _MLP, _MLP_COMMON)
_BOOTSTRAPS = 2000
_SMALLEST = 1e-5  # errors have four digits
_SEED = 0


@dataclasses.dataclass(frozen=True)
class PairRow:
    """One pair of learners: `better` has the lower mean at the cut, `worse` may overtake it by n_max.

    `p`: probability that `worse` is better at n_max; `overtook`: whether the measured means say so. `z_cut` and
    `z_end`: measured difference at the cut and at n_max in standard errors, positive if `better` is better; `margin`:
    the difference at the cut in log error. `crossing`: size of the last crossing of the measured means by n_max, inf
    without one. `ends`: interval of the crossing at each of LEVELS. `kind`: reported kind of crossover.
    """

    archive: str
    dataset: str
    better: str
    worse: str
    p: float
    overtook: bool
    z_cut: float
    z_end: float
    margin: float
    crossing: float
    ends: tuple[tuple[float, float], ...]
    kind: str


def groups(setting: Setting) -> list[Group]:
    """Groups of curves of one data set with the same largest size; `limit` drops whole data sets."""
    grouped: dict[tuple[str, str, float], list[ArchiveCurve]] = collections.defaultdict(list)
    for archive in setting.cut_archives:
        curves = setting.archive(archive, limit=len(setting.curves))
        train_sizes = collections.Counter(curve.dataset for curve in curves)
        names = list(by_hash(train_sizes, None))
        before = itertools.accumulate((train_sizes[name] for name in names), initial=0)
        selected = {name for name, count in zip(names, before) if setting.limit is None or count < setting.limit}
        for curve in curves:
            if (
                curve.dataset in selected
                and curve.learner != DUMMY
                and len(visible_indices(curve.train_sizes, RATIO)) >= LEAST_SIZES
            ):
                grouped[curve.archive, curve.dataset, float(curve.train_sizes[-1])].append(curve)
    return sorted((group for group in grouped.values() if len(group) > 1), key=lambda group: number(group[0].key))


def run(setting: Setting) -> Part:
    """Scores every pair of learners of a data set: probabilities, abstention and crossing sizes."""
    rows = [row for pairs in map_chunks(_pair_rows, groups(setting), setting.jobs) for row in pairs]
    if not rows:
        return Part("crossover", [])
    sets = dict(_sets(rows))
    columns = ("set", "pairs", "data sets", "overtaken", "Brier", "no-change Brier", "base-rate Brier", "gain", _GAIN)
    tables = [
        Table(
            f"P(better at n_max), forecast from n_max/{RATIO:g}",
            columns,
            [_brier(n, r) for n, r in sets.items()],
            _NOTE,
        ),
        Table("Reliability of the more probable learner", _RELIABILITY, _reliability(rows)),
        Table(
            "Abstention below a probability",
            ("set", "probability", "called", "error rate", "error rate of the others"),
            _risks({name: rows for name, rows in sets.items() if name in _BRIEF}),
            _RISK,
        ),
        Table(
            "Area under the risk-coverage curve",
            ("set", "by probability", "by margin", "no order"),
            _areas(sets),
            _AREA,
        ),
        Table("Reported kinds, and the overtaken share at n_max", _KINDS, _kinds(sets)),
        Table("Crossings between the cut and n_max", _CROSSINGS, _crossings(sets), _CROSSINGS_NOTE),
    ]
    return Part("crossover", tables)


_NOTE = (
    "One learner of each pair is better at the cut, and the other has overtaken it at n_max or not, according to the "
    "measured means; pairs that tie at either size are excluded. No-change Brier: Brier score of the prediction that "
    "the order does not change. Base-rate Brier: that of the overtaken share in the same row. Gain: base-rate Brier "
    "minus Brier, with intervals of a bootstrap over data sets."
)
_GAIN = "95 % interval"
_RELIABILITY = ("reported probability", "pairs", "mean probability", "was better")
_RISK = (
    "Called: pairs whose more probable learner has at least this probability. Error rate: share of pairs in which the "
    "other learner was better."
)
_AREA = (
    "Mean error rate over all coverages. By probability: most probable pairs first. By margin: the better learner at "
    "the cut is predicted, largest difference of log errors first. No order: error rate of this prediction."
)
_KINDS = ("set", "kind", "pairs", "share", "overtaken")
_CROSSINGS = (
    "set",
    "crossings",
    *(f"coverage {100 * level:g} %" for level in LEVELS),
    "below interval",
    "above interval",
    "closed",
    "reported",
)
_CROSSINGS_NOTE = (
    "The last crossing of the measured means, interpolated, of pairs in which the other learner is better at n_max. "
    "All: some may be due to noise. Clear at n_max: by two standard errors of the difference. Clear: also clear at the "
    "cut. Below, above: the true size is below or above the 95 % interval. Closed: the interval has an upper end. "
    "Reported: a crossover was reported."
)


def _pair_rows(chunk: Sequence[Group]) -> list[list[PairRow]]:
    return [list(_pairs(group)) for group in chunk]


def _pairs(group: Group) -> Iterator[PairRow]:
    sides = [(curve, side) for curve in group if (side := _visible_part(curve)) is not None]
    for (a, side_a), (b, side_b) in itertools.combinations(sides, 2):
        train_sizes, margin, error = _margin(a, b)
        cut = visible_indices(train_sizes, RATIO)[-1]
        if margin[cut] == 0 or margin[-1] == 0:
            continue
        if margin[cut] < 0:
            a, b, side_a, side_b, margin = b, a, side_b, side_a, -margin
        gap = error_gap(side_a, side_b, _SEED)
        crossing = gap.crossings()
        yield PairRow(
            archive=a.archive,
            dataset=a.dataset,
            better=a.learner,
            worse=b.learner,
            p=_probability_at(gap, float(train_sizes[-1])),
            overtook=bool(margin[-1] < 0),
            z_cut=float(margin[cut] / error[cut]),
            z_end=float(margin[-1] / error[-1]),
            margin=float(margin[cut]),
            crossing=_last_crossing(train_sizes, margin),
            ends=tuple(_interval(crossing, level) for level in LEVELS),
            kind=classify_crossing(gap, LEVELS[0])[0],
        )


def _visible_part(curve: ArchiveCurve) -> ComparedCurve | None:
    """The curve up to the cut with its forecast; None if the forecast is refused."""
    visible = visible_indices(curve.train_sizes, RATIO)
    stderr = curve.stderr[visible]
    known = Curve(
        curve.name,
        tuple(int(size) for size in curve.train_sizes[visible]),
        tuple((float(error),) for error in curve.errors[visible]),
        bound=curve.bound,
        stderr=tuple(map(float, stderr)) if np.isfinite(stderr).all() else (),
    )
    try:
        return compared_curve(known, curve_forecast(known, curve.train_sizes[-1:], LEVELS[0], _SEED))
    except ValueError:
        return None


def _margin(a: ArchiveCurve, b: ArchiveCurve) -> tuple[Array, Array, Array]:
    """Common sizes, log error of b minus that of a, and its standard error (small if unknown)."""
    train_sizes = np.intersect1d(a.train_sizes, b.train_sizes)
    rows = [np.searchsorted(curve.train_sizes, train_sizes) for curve in (a, b)]
    errors = [np.maximum(curve.errors[row], _SMALLEST) for curve, row in zip((a, b), rows)]
    noise = [np.nan_to_num(curve.stderr[row]) / error for curve, row, error in zip((a, b), rows, errors)]
    return train_sizes, np.log(errors[1] / errors[0]), np.maximum(np.hypot(*noise), 1e-9)


def _probability_at(gap: ErrorGap, size: float) -> float:
    """P(better) at a size, interpolated in log size."""
    return float(np.interp(math.log(size), np.log(gap.train_sizes), gap.probabilities()))


def _last_crossing(train_sizes: Array, margin: Array) -> float:
    if margin[-1] >= 0:
        return math.inf
    last = int(np.flatnonzero(margin >= 0)[-1])
    share = margin[last] / (margin[last] - margin[last + 1])
    return float(train_sizes[last] * (train_sizes[last + 1] / train_sizes[last]) ** share)


def _interval(crossing: Array, level: float) -> tuple[float, float]:
    low, _, high = crossing_interval(crossing, level)
    return low, high


def _sets(rows: Sequence[PairRow]) -> Iterator[tuple[str, list[PairRow]]]:
    """All pairs, pairs of each archive, pairs with an MLP, and pairs of an MLP with common classical learners."""
    yield _ALL, list(rows)
    for archive in dict.fromkeys(row.archive for row in rows):
        yield archive, [row for row in rows if row.archive == archive]

    def deep(row: PairRow, others: Callable[[str], bool]) -> bool:
        one, two = row.better, row.worse
        return (one in DEEP and others(two)) or (two in DEEP and others(one))

    for name, others in (
        (_MLP, lambda other: True),
        (_MLP_COMMON, lambda other: other in COMMON),
    ):
        if matches := [row for row in rows if deep(row, others)]:
            yield name, matches


def _columns(rows: Sequence[PairRow]) -> tuple[Array, Array]:
    """Probability and outcome of each pair."""
    return np.array([row.p for row in rows]), np.array([row.overtook for row in rows], dtype=float)


def _brier(name: str, rows: Sequence[PairRow]) -> list[Cell]:
    p, overtook = _columns(rows)
    rate = float(overtook.mean())
    score = (p - overtook) ** 2
    names, index = np.unique([row.dataset for row in rows], return_inverse=True)
    # Sums by data set: score, outcomes, pairs. The base rate is that of each resample.
    sums = np.stack([np.bincount(index, column) for column in (score, overtook, np.ones(len(rows)))], axis=1)
    resample = np.random.default_rng(_SEED).integers(len(names), size=(_BOOTSTRAPS, len(names)))
    scores, outcomes, count = sums[resample].sum(axis=1).T
    rates = outcomes / count
    low, high = np.quantile(rates * (1 - rates) - scores / count, [0.025, 0.975])
    gain = rate * (1 - rate) - float(score.mean())
    return [
        name,
        len(rows),
        len(names),
        rate,
        float(score.mean()),
        rate,
        rate * (1 - rate),
        gain,
        f"{low:.3f} to {high:.3f}",
    ]


def _reliability(rows: Sequence[PairRow]) -> list[list[Cell]]:
    confidence, correct = _confidence(rows)
    edges = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-9)
    cells: list[list[Cell]] = []
    for low, high in itertools.pairwise(edges):
        here = (confidence >= low) & (confidence < high)
        if here.any():
            cells.append(
                [
                    f"{low:g} to {min(high, 1):g}",
                    int(here.sum()),
                    float(confidence[here].mean()),
                    float(correct[here].mean()),
                ]
            )
    return cells


def _confidence(rows: Sequence[PairRow]) -> tuple[Array, Array]:
    """Probability of the more probable learner, and whether it was better."""
    p, overtook = _columns(rows)
    return np.maximum(p, 1 - p), np.where(p >= 0.5, overtook, 1 - overtook)


def _risks(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        confidence, correct = _confidence(rows)
        for threshold in THRESHOLDS:
            called = confidence >= threshold
            wrong = [float(1 - correct[some].mean()) if some.any() else float("nan") for some in (called, ~called)]
            cells.append([name, f"{threshold:g}", float(called.mean()), *wrong])
    return cells


def _areas(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        confidence, correct = _confidence(rows)
        margin, unchanged = (
            np.array([row.margin for row in rows]),
            np.array([not row.overtook for row in rows], dtype=float),
        )
        cells.append([name, _area(confidence, correct), _area(margin, unchanged), float(1 - unchanged.mean())])
    return cells


def _area(confidence: Array, correct: Array) -> float:
    wrong = 1 - correct[np.argsort(-confidence, kind="stable")]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def _kinds(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        for kind in dict.fromkeys(sorted(row.kind for row in rows)):
            here = [row for row in rows if row.kind == kind]
            cells.append([name, kind, len(here), len(here) / len(rows), float(np.mean([row.overtook for row in here]))])
    return cells


def _crossings(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        subsets = {
            "all": [row for row in rows if row.overtook],
            "clear at n_max": [row for row in rows if row.z_end < -CLEAR],
            "clear": [row for row in rows if row.z_end < -CLEAR and row.z_cut > CLEAR],
        }
        cells += [[f"{name}, {what}", *_coverage(some)] for what, some in subsets.items() if some]
    return cells


def _coverage(rows: Sequence[PairRow]) -> list[Cell]:
    true = np.array([row.crossing for row in rows])
    ends = np.array([row.ends for row in rows])
    inside = ((ends[..., 0] <= true[:, None]) & (true[:, None] <= ends[..., 1])).mean(axis=0)
    low, high = ends[:, 0].T
    reported = np.mean([row.kind in ("already", "measured", "forecast") for row in rows])
    return [
        len(rows),
        *map(float, inside),
        *(float(np.mean(one)) for one in (true < low, true > high, np.isfinite(high), reported)),
    ]

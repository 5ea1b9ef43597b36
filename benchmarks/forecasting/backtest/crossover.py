"""Part "crossover": which of two learners is better at n_max, forecast from n_max/4, and where they cross."""

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
from benchmarks.forecasting.protocols import LEAST_SIZES, shown
from benchmarks.forecasting.scored_tasks import spread_out
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
USUAL = (
    "ens.RandomForest", "RandomForestClassifier", "ens.GradientBoosting", "GradientBoostingClassifier",
    "LogisticRegression", "SVM_RBF", "SVC_rbf",
)  # fmt: skip
NO_LEARNER = "DummyClassifier"
CLEAR = 2.0  # standard errors that make a measured lead clear
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEVELS = (0.95, 0.9)
_ALL, _MLP, _MLP_USUAL = "all pairs", "MLP and any", "MLP and RF, GB, LR, SVM"
_BRIEF = (_ALL, _MLP, _MLP_USUAL)
_BOOTSTRAPS = 2000
_SMALLEST = 1e-5  # errors have four digits
_SEED = 0


@dataclasses.dataclass(frozen=True)
class PairRow:
    """One pair: `ahead` is better at the cut, `behind` may overtake it by n_max.

    `p`: the chance that it is better at n_max; `overtook` whether it was measured so. `lead_cut` and `lead_end`, in
    standard errors, are measured, above 0 where `ahead` is better; `margin` is that at the cut in log error. `crossed`:
    the last crossing of the measured means by n_max, inf where there is none. `ends`: of its interval at each of
    LEVELS. `kind`: what is said of the pair.
    """

    archive: str
    dataset: str
    ahead: str
    behind: str
    p: float
    overtook: bool
    lead_cut: float
    lead_end: float
    margin: float
    crossed: float
    ends: tuple[tuple[float, float], ...]
    kind: str


def groups(setting: Setting) -> list[Group]:
    """Curves of one data set that end at the same size. `limit` cuts off whole data sets, with all of their curves."""
    found: dict[tuple[str, str, float], list[ArchiveCurve]] = collections.defaultdict(list)
    for archive in setting.cut_archives:
        curves = setting.archive(archive, limit=len(setting.curves))
        train_sizes = collections.Counter(curve.dataset for curve in curves)
        names = list(by_hash(train_sizes, None))
        before = itertools.accumulate((train_sizes[name] for name in names), initial=0)
        chosen = {name for name, count in zip(names, before) if setting.limit is None or count < setting.limit}
        for curve in curves:
            if (
                curve.dataset in chosen
                and curve.learner != NO_LEARNER
                and len(shown(curve.train_sizes, RATIO)) >= LEAST_SIZES
            ):
                found[curve.archive, curve.dataset, float(curve.train_sizes[-1])].append(curve)
    return sorted((one for one in found.values() if len(one) > 1), key=lambda one: number(one[0].key))


def run(setting: Setting) -> Part:
    """Asks every pair of learners of a data set, and tabulates chances, crossings and what abstaining does."""
    asked = groups(setting)
    rows = [row for found in spread_out(_asked, asked, setting.jobs) for row in found]
    if not rows:
        return Part("crossover", [])
    sets = dict(_sets(rows))
    columns = ("set", "pairs", "data sets", "overtaken", "Brier", "stays 0/1", "base rate", "less than it", "interval")
    tables = [
        Table(f"P(better at n_max) told from n_max/{RATIO:g}", columns, [_brier(n, r) for n, r in sets.items()], _NOTE),
        Table("Reliability: the likelier one is better", ("told", "pairs", "mean P", "was better"), _reliability(rows)),
        Table(
            "Abstaining below a chance",
            ("set", "chance", "called", "wrong", "wrong of the rest"),
            _risks({name: rows for name, rows in sets.items() if name in _BRIEF}),
            _RISK,
        ),
        Table("Area under the risk-coverage curve", ("set", "by chance", "by margin", "no order"), _areas(sets), _AREA),
        Table("What is said, and how often it was overtaken by n_max", _SAID, _kinds(sets)),
        Table("Crossings between the cut and n_max", _CROSSED, _crossings(sets), _CROSSING),
    ]
    return Part("crossover", tables)


_NOTE = (
    "Of two learners one is ahead at the cut, and overtaken or not at n_max, by measured means; ties there are left "
    "out. Stays 0/1: the Brier score of saying that the one ahead stays so; base rate: of how often it does in this "
    "very row. Less than it: by how much the score is below the base rate's, with 95 % intervals of a bootstrap over "
    "data sets."
)
_RISK = "Called: pairs whose likelier learner has at least this chance. Wrong: of these, the other was better."
_AREA = (
    "Mean share of wrong calls over all coverages. By chance: the surest first; by margin: the one ahead at the cut "
    "stays so, greatest difference of log errors first; no order: its share of wrong calls."
)
_SAID = ("set", "said", "pairs", "share", "overtaken")
_CROSSED = ("set", "crossings", *(f"in {100 * one:g} %" for one in LEVELS), "before", "after", "closed", "said")
_CROSSING = (
    "The last crossing of the measured means, interpolated, where the overtaker is ahead at n_max. All: noise alone "
    "may have made some. Clear at n_max: by two standard errors of the difference. Clear: the other at the cut too. "
    "Before, after: the true size lies there, of the 95 % interval. Closed: its high end is a size. Said: an overtake "
    "was."
)


def _asked(chunk: Sequence[Group]) -> list[list[PairRow]]:
    return [list(_pairs(group)) for group in chunk]


def _pairs(group: Group) -> Iterator[PairRow]:
    sides = [(curve, told) for curve in group if (told := _side(curve)) is not None]
    for (a, side_a), (b, side_b) in itertools.combinations(sides, 2):
        train_sizes, margin, error = _margin(a, b)
        cut = shown(train_sizes, RATIO)[-1]
        if margin[cut] == 0 or margin[-1] == 0:
            continue
        if margin[cut] < 0:
            a, b, side_a, side_b, margin = b, a, side_b, side_a, -margin
        drawn = error_gap(side_a, side_b, _SEED)
        crossing = drawn.crossings()
        yield PairRow(
            archive=a.archive,
            dataset=a.dataset,
            ahead=a.learner,
            behind=b.learner,
            p=_chance(drawn, float(train_sizes[-1])),
            overtook=bool(margin[-1] < 0),
            lead_cut=float(margin[cut] / error[cut]),
            lead_end=float(margin[-1] / error[-1]),
            margin=float(margin[cut]),
            crossed=_crossed(train_sizes, margin),
            ends=tuple(_ends(crossing, level) for level in LEVELS),
            kind=classify_crossing(drawn, LEVELS[0])[0],
        )


def _side(curve: ArchiveCurve) -> ComparedCurve | None:
    """What is seen of a curve up to the cut."""
    seen = shown(curve.train_sizes, RATIO)
    stderr = curve.stderr[seen]
    known = Curve(
        curve.name,
        tuple(int(size) for size in curve.train_sizes[seen]),
        tuple((float(error),) for error in curve.errors[seen]),
        bound=curve.bound,
        stderr=tuple(map(float, stderr)) if np.isfinite(stderr).all() else (),
    )
    try:
        return compared_curve(known, curve_forecast(known, curve.train_sizes[-1:], LEVELS[0], _SEED))
    except ValueError:
        return None


def _margin(a: ArchiveCurve, b: ArchiveCurve) -> tuple[Array, Array, Array]:
    """Common sizes, log error of b less that of a, and its standard error (small where not known)."""
    train_sizes = np.intersect1d(a.train_sizes, b.train_sizes)
    places = [np.searchsorted(one.train_sizes, train_sizes) for one in (a, b)]
    errors = [np.maximum(one.errors[place], _SMALLEST) for one, place in zip((a, b), places)]
    noise = [np.nan_to_num(one.stderr[place]) / error for one, place, error in zip((a, b), places, errors)]
    return train_sizes, np.log(errors[1] / errors[0]), np.maximum(np.hypot(*noise), 1e-9)


def _chance(drawn: ErrorGap, size: float) -> float:
    """P(better) at a size, between the nearest of the drawn ones."""
    return float(np.interp(math.log(size), np.log(drawn.train_sizes), drawn.probabilities()))


def _crossed(train_sizes: Array, margin: Array) -> float:
    if margin[-1] >= 0:
        return math.inf
    last = int(np.flatnonzero(margin >= 0)[-1])
    share = margin[last] / (margin[last] - margin[last + 1])
    return float(train_sizes[last] * (train_sizes[last + 1] / train_sizes[last]) ** share)


def _ends(crossing: Array, level: float) -> tuple[float, float]:
    low, _, high = crossing_interval(crossing, level)
    return low, high


def _sets(rows: Sequence[PairRow]) -> Iterator[tuple[str, list[PairRow]]]:
    """All pairs, those of each archive, and those of a deep learner with the usual classical ones, and with any."""
    yield _ALL, list(rows)
    for archive in dict.fromkeys(row.archive for row in rows):
        yield archive, [row for row in rows if row.archive == archive]

    def deep(row: PairRow, others: Callable[[str], bool]) -> bool:
        one, two = row.ahead, row.behind
        return (one in DEEP and others(two)) or (two in DEEP and others(one))

    for name, others in (
        (_MLP, lambda other: True),
        (_MLP_USUAL, lambda other: other in USUAL),
    ):
        if found := [row for row in rows if deep(row, others)]:
            yield name, found


def _columns(rows: Sequence[PairRow]) -> tuple[Array, Array]:
    """P of each pair and whether it came so."""
    return np.array([row.p for row in rows]), np.array([row.overtook for row in rows], dtype=float)


def _brier(name: str, rows: Sequence[PairRow]) -> list[Cell]:
    p, came = _columns(rows)
    rate = float(came.mean())
    score = (p - came) ** 2
    names, index = np.unique([row.dataset for row in rows], return_inverse=True)
    # Sums by data set: score, base rate's outcomes, pairs. The rate is that of each resample.
    sums = np.stack([np.bincount(index, column) for column in (score, came, np.ones(len(came)))], axis=1)
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(_BOOTSTRAPS, len(names)))
    told, happened, count = sums[drawn].sum(axis=1).T
    rates = happened / count
    low, high = np.quantile(rates * (1 - rates) - told / count, [0.025, 0.975])
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
    sure, right = _sureness(rows)
    edges = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-9)
    cells: list[list[Cell]] = []
    for low, high in itertools.pairwise(edges):
        here = (sure >= low) & (sure < high)
        if here.any():
            cells.append(
                [f"{low:g} to {min(high, 1):g}", int(here.sum()), float(sure[here].mean()), float(right[here].mean())]
            )
    return cells


def _sureness(rows: Sequence[PairRow]) -> tuple[Array, Array]:
    """Chance of the likelier one, and whether it was better."""
    p, came = _columns(rows)
    return np.maximum(p, 1 - p), np.where(p >= 0.5, came, 1 - came)


def _risks(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        sure, right = _sureness(rows)
        for least in THRESHOLDS:
            called = sure >= least
            wrong = [float(1 - right[some].mean()) if some.any() else float("nan") for some in (called, ~called)]
            cells.append([name, f"{least:g}", float(called.mean()), *wrong])
    return cells


def _areas(sets: dict[str, list[PairRow]]) -> list[list[Cell]]:
    cells: list[list[Cell]] = []
    for name, rows in sets.items():
        sure, right = _sureness(rows)
        margin, stays = (
            np.array([row.margin for row in rows]),
            np.array([not row.overtook for row in rows], dtype=float),
        )
        cells.append([name, _area(sure, right), _area(margin, stays), float(1 - stays.mean())])
    return cells


def _area(confidence: Array, right: Array) -> float:
    wrong = 1 - right[np.argsort(-confidence, kind="stable")]
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
        chosen = {
            "all": [row for row in rows if row.overtook],
            "clear at n_max": [row for row in rows if row.lead_end < -CLEAR],
            "clear": [row for row in rows if row.lead_end < -CLEAR and row.lead_cut > CLEAR],
        }
        cells += [[f"{name}, {what}", *_covered(some)] for what, some in chosen.items() if some]
    return cells


def _covered(rows: Sequence[PairRow]) -> list[Cell]:
    true = np.array([row.crossed for row in rows])
    ends = np.array([row.ends for row in rows])
    inside = ((ends[..., 0] <= true[:, None]) & (true[:, None] <= ends[..., 1])).mean(axis=0)
    low, high = ends[:, 0].T
    said = np.mean([row.kind in ("already", "measured", "forecast") for row in rows])
    return [
        len(rows),
        *map(float, inside),
        *(float(np.mean(one)) for one in (true < low, true > high, np.isfinite(high), said)),
    ]

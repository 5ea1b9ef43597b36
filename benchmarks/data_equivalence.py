"""Measures the coverage of data-equivalence ratios on simulated curves and on measured ones.

    python -m benchmarks.data_equivalence [--curves=FOLDER] [--pairs=2000]
    python -m benchmarks.data_equivalence --seed_test [--pairs=1000]

Simulated: errors a·n^-b + c with lognormal noise of mean one; a part of the noise is common to a pair of seeds, and
neighbouring sizes are correlated, as a setting specifies. Measured: single splits of LCDB 1.0 (`lcdb10_splits.csv.gz`
in the folder) on the half of the datasets on which nothing was selected. The reference is a curve at every other size;
the other is the same curve with shifted sizes, so that its data-equivalence ratio is known.
`--seed_test` measures the seed test of --mode=compare next to the posterior of the curves on the same studies.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import zlib
from pathlib import Path

import numpy as np

from benchmarks.forecasting.archives import SPLITS, in_half, read_splits
from dlm.curves.data_efficiency.equivalence import (
    LogErrors,
    SeedTest,
    data_equivalence_ratio,
    overall_equivalence_ratio,
    overall_ratio,
)
from dlm.curves.data_efficiency.study_comparison import error_difference
from dlm.curves.types import Curve

REACH = 4.0  # log size over which correlation along a curve falls by e
HEAD = (
    "coverage | lowest coverage of a size | too low | too high | two ends | high/low | overall: coverage | high/low | "
    "changes with size"
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A pair of curves to simulate. `name` also seeds the simulation. `paired`: share of the noise variance common to a
    pair; `along` and `common_along`: correlation of neighbouring sizes of the separate and of the common noise."""

    name: str
    seeds: int
    num_sizes: int = 7
    step: float = 2.0
    first: float = 50.0
    power: float = 0.4
    floor: float = 0.0
    raised: float = 0.0  # added to the floor of the other curve
    ratio: float = 0.3
    drift: float = 0.0  # the ratio decreases as size to minus this power
    noise: float = 0.1  # s.d. of one seed's log error
    noise_power: float = 0.0
    noise_ratio: float = 1.0  # noise of the other curve over that of the reference
    paired: float = 0.0
    along: float = 0.0
    common_along: float = 0.0

    def train_sizes(self) -> np.ndarray:
        """[K]"""
        return np.rint(self.first * self.step ** np.arange(self.num_sizes))

    def ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """Expected errors [K] of the other curve, and the true ratios [K]."""
        train_sizes = self.train_sizes()
        above = (self.ratio * (train_sizes / train_sizes[0]) ** -self.drift * train_sizes) ** -self.power + self.raised
        return above + self.floor, above ** (-1 / self.power) / train_sizes

    def draw(self, rng: np.random.Generator) -> tuple[Curve, Curve]:
        """The reference curve and the other curve."""
        train_sizes = self.train_sizes()
        apart = np.abs(np.log(train_sizes)[:, None] - np.log(train_sizes))

        def noise(near: float) -> np.ndarray:
            along = np.where(apart == 0, 1 + 1e-9, near * np.exp(-apart / (REACH if near < 1 else np.inf)))
            return np.linalg.cholesky(along) @ rng.standard_normal((len(train_sizes), self.seeds))

        common = math.sqrt(self.paired) * noise(self.common_along)
        curves = []
        for errors, scale in ((train_sizes**-self.power + self.floor, 1.0), (self.ratios()[0], self.noise_ratio)):
            spread = scale * self.noise * (train_sizes / np.sqrt(train_sizes[0] * train_sizes[-1])) ** self.noise_power
            logs = (
                spread[:, None] * (common + math.sqrt(1 - self.paired) * noise(self.along)) - spread[:, None] ** 2 / 2
            )
            curves.append(_curve(train_sizes, errors[:, None] * np.exp(logs)))
        return curves[0], curves[1]


SETTINGS = (
    Setting("A/A", 4, 6, ratio=1.0),
    Setting("A/A, half of the noise shared", 4, 6, ratio=1.0, paired=0.5),
    Setting("A/A, nine tenths shared", 4, 6, ratio=1.0, paired=0.9),
    Setting("A/A, correlated along", 3, 8, ratio=1.0, along=0.6),
    Setting("0.3", 5, 8),
    Setting("0.3, half shared", 5, 8, paired=0.5),
    Setting("0.3, nine tenths shared", 5, 8, paired=0.9),
    Setting("0.3, half shared, correlated along", 5, 8, paired=0.5, along=0.5, common_along=0.5),
    Setting("0.3, nine tenths shared, one draw for all sizes", 5, 8, paired=0.9, common_along=1.0),
    Setting("0.05", 3, 8, 2.5, power=0.3),
    Setting("1.6, half shared", 3, ratio=1.6, paired=0.5),
    Setting("0.7, two seeds", 2, 5, 3.0, ratio=0.7),
    Setting("0.3, two seeds, half shared, correlated along", 2, 8, paired=0.5, along=0.5, common_along=0.5),
    Setting("0.5, four sizes", 8, 4, 3.0, ratio=0.5, noise=0.15),
    Setting("0.5, with a floor", 5, power=0.6, floor=0.01, ratio=0.5, noise=0.05),
    Setting(
        "0.9 that falls to 0.4, floor raised", 5, power=0.6, floor=0.01, raised=0.008, ratio=0.9, noise=0.05, paired=0.5
    ),
    Setting("the same, quiet", 8, power=0.6, floor=0.01, raised=0.008, ratio=0.9, noise=0.015, paired=0.9),
    Setting("0.9 that falls with size", 4, 8, ratio=0.9, drift=0.15),
    Setting("0.5, noise falls with size, less in the other", 4, ratio=0.5, noise_power=-0.2, noise_ratio=0.5),
    Setting("0.4, much noise", 3, ratio=0.4, noise=0.3),
    Setting("0.3, noise nearly alike along a curve", 5, 8, along=0.9),
    Setting("the same, two seeds", 2, 8, along=0.9),
    Setting("0.3, one seed", 1, 8),
    Setting("0.4, one seed, five sizes", 1, 5, 3.0, ratio=0.4),
    Setting("0.3, one seed, correlated along", 1, 8, along=0.5),
)


class Tally:
    """Counts over pairs: at each size with a partner within the reference's sizes, and of the overall ratio."""

    def __init__(self) -> None:
        self.low: dict[int, list[bool]] = {}
        self.high: dict[int, list[bool]] = {}
        self.widths: list[float] = []
        self.overall: list[bool] = []
        self.overall_widths: list[float] = []
        self.changes: list[bool] = []

    def add(self, reference: Curve, other: Curve, ratios: np.ndarray) -> None:
        """Adds a pair with known true ratios [K]."""
        slack = 1 + 1e-9
        for ratio, true in zip(data_equivalence_ratio(reference, other), ratios):
            size = ratio.train_sizes[0]
            if reference.train_sizes[0] <= true * size * slack and true * size <= reference.train_sizes[-1] * slack:
                self.low.setdefault(size, []).append(ratio.high is not None and true > ratio.high * slack)
                self.high.setdefault(size, []).append(ratio.low is not None and true * slack < ratio.low)
                if ratio.kind == "interval":
                    self.widths.append(ratio.high / ratio.low)
        overall = overall_equivalence_ratio(reference, other)
        self.changes.append(overall.changes_with_size)
        if np.ptp(np.log(ratios)) < 0.05:
            true = float(np.median(ratios))
            self.overall.append((overall.low or 0) <= true * slack and true <= (overall.high or np.inf) * slack)
            if overall.kind == "interval":
                self.overall_widths.append(overall.high / overall.low)

    def row(self) -> str:
        """The cells of the columns HEAD."""
        low, high = (np.concatenate([*sides.values()]) for sides in (self.low, self.high))
        enough = max(map(len, self.low.values())) / 2
        worst = min(1 - np.mean(self.low[n]) - np.mean(self.high[n]) for n in self.low if len(self.low[n]) >= enough)
        cells = [1 - low.mean() - high.mean(), worst, low.mean(), high.mean(), len(self.widths) / len(low)]
        text = [f"{cell:.3f}" for cell in cells] + [_median(self.widths)]
        overall = f"{np.mean(self.overall):.3f}" if self.overall else ""
        return " | ".join([*text, overall, _median(self.overall_widths), f"{np.mean(self.changes):.3f}"])


def measured(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """Errors [sizes, 25] of each data set and learner, at sizes half an octave apart."""
    tables = {}
    for curve in read_splits(folder / f"{SPLITS}.csv.gz"):
        places = np.rint(2 * np.log2(curve.train_sizes / 16)).astype(int)
        full = {place: errors for place, errors in zip(places, curve.errors) if len(errors) == 25}
        count = next(place for place in range(len(places) + 1) if place not in full)
        if count >= 11 and in_half(curve.dataset, "report"):
            tables[curve.dataset, curve.learner] = np.stack([full[place] for place in range(count)])
    return tables


def draw_measured(
    table: np.ndarray, seeds: int, back: int, paired: bool, rng: np.random.Generator
) -> tuple[Curve, Curve, np.ndarray]:
    """Reference at six sizes an octave apart; the same learner at sizes smaller by `back` half octaves; true ratios."""
    start = int(rng.integers(0, len(table) - 10))
    places = start + 2 * np.arange(6)
    splits = rng.permutation(25)[: 2 * seeds].reshape(2, seeds)
    train_sizes, there = np.rint(16 * 2 ** (places / 2)), places >= back
    other = table[places[there] - back][:, splits[0 if paired else 1]]
    ratios = np.rint(16 * 2 ** ((places[there] - back) / 2)) / train_sizes[there]
    return _curve(train_sizes, table[places][:, splits[0]]), _curve(train_sizes[there], other), ratios


SIZES = np.array([100.0, 200, 400, 800, 1600, 3200, 6400])
NOISE = 0.1


@dataclasses.dataclass(frozen=True)
class PairedStudies:
    """`shared`: share of the noise variance common to a pair; `along`: correlation of neighbouring sizes."""

    inverse_ratio: float
    seeds: int
    shared: float
    along: float


def paired_settings() -> list[PairedStudies]:
    """All combinations of two to eight seeds, no to nearly all noise in common, and ratios on both sides of 1."""
    noises = ((0.0, 0.0), (0.5, 0.5), (0.9, 0.8), (0.0, 0.9))
    inverses = (1.0, 0.6, 0.3, 2.0)
    product = itertools.product((2, 3, 5, 8), noises, inverses)
    return [PairedStudies(inverse, seeds, *noise) for seeds, noise, inverse in product]


def simulate_studies(setting: PairedStudies, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors [K, S] of a and of b."""
    count = len(SIZES)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    root = np.linalg.cholesky(setting.along**apart + 1e-9 * np.eye(count))
    common, *own = (root @ rng.normal(size=(count, setting.seeds)) for _ in range(3))
    parts = (math.sqrt(setting.shared), math.sqrt(1 - setting.shared))
    a, b = (
        (2 * (SIZES / inverse) ** -0.4 + 0.01)[:, None] * np.exp(NOISE * (parts[0] * common + parts[1] * each))
        for inverse, each in zip((setting.inverse_ratio, 1.0), own, strict=True)
    )
    return a, b


def seed_test_row(setting: PairedStudies, studies: int, rng: np.random.Generator) -> dict[str, float]:
    """Shares of the studies and median widths (high / low), of the seed test and of the posterior."""
    covered, two_ends, widths = np.zeros(2), np.zeros(2), ([], [])
    significant = changes = 0
    for _ in range(studies):
        a, b = simulate_studies(setting, rng)
        logs_a, logs_b = (LogErrors(np.log(SIZES), np.log(errors)) for errors in (a, b))
        seed_test = overall_ratio(SeedTest(logs_b, logs_a), 0.95)
        posterior = overall_equivalence_ratio(_curve(SIZES, b), _curve(SIZES, a))
        for k, ratio in enumerate((seed_test, posterior)):
            covered[k] += (ratio.low or 0.0) <= 1 / setting.inverse_ratio <= (ratio.high or math.inf)
            if ratio.kind == "interval":
                two_ends[k] += 1
                widths[k].append(ratio.high / ratio.low)
        changes += seed_test.changes_with_size
        significant += (error_difference(list((2 * (a - b) / (a + b)).mean(axis=0)), 0.95, None).p or 0.0) < 0.05
    row = {"difference significant": significant / studies, "changes with size": changes / studies}
    for k, name in enumerate(("seed test", "posterior")):
        width = float(np.median(widths[k])) if widths[k] else math.nan
        row |= {f"{name}: coverage": covered[k] / studies, f"{name}: two ends": two_ends[k] / studies}
        row |= {f"{name}: high/low": width}
    return row


def report_seed_test(studies: int) -> None:
    """Prints a row per setting: the seed test, and the posterior of the curves on the same studies."""
    rng = np.random.default_rng(0)
    for index, setting in enumerate(paired_settings()):
        row = seed_test_row(setting, studies, rng)
        if not index:
            columns = ["inverse ratio", "seeds", "shared", "along", *row]
            print("|", " | ".join(columns), f"|\n{'|---' * len(columns)}|")
        cells = [*dataclasses.astuple(setting), *(f"{cell:.3f}" for cell in row.values())]
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--seed_test", action="store_true")
    args = parser.parse_args()
    if args.seed_test:
        report_seed_test(args.pairs)
        return
    print(f"| true ratio | seeds | sizes | {HEAD} |\n{'|---' * 12}|")
    for setting in SETTINGS:
        rng, tally = np.random.default_rng(zlib.crc32(setting.name.encode())), Tally()
        for _ in range(args.pairs):
            tally.add(*setting.draw(rng), setting.ratios()[1])
        print(f"| {setting.name} | {setting.seeds} | {setting.num_sizes} | {tally.row()} |", flush=True)
    if args.curves:
        report_measured(measured(args.curves), args.pairs)


def report_measured(tables: dict[tuple[str, str], np.ndarray], pairs: int) -> None:
    """Prints the same table for measured curves."""
    print(f"\n| measured, true ratio | seeds | splits | {HEAD} |\n{'|---' * 12}|")
    names = sorted(tables)
    for seeds in (1, 2, 4, 8):
        for back, paired in ((0, False), (3, False), (3, True)):
            rng, tally = np.random.default_rng([seeds, back, paired]), Tally()
            for _ in range(pairs):
                table = tables[names[rng.integers(len(names))]]
                tally.add(*draw_measured(table, seeds, back, paired, rng))
            splits = "same" if paired else "other"
            print(f"| {2 ** (-back / 2):.2f} | {seeds} | {splits} | {tally.row()} |", flush=True)


def _curve(train_sizes: np.ndarray, errors: np.ndarray) -> Curve:
    rows = tuple(tuple(map(float, row)) for row in errors)
    return Curve("learner", tuple(map(round, train_sizes.tolist())), rows, unit="error", bound=(0.0, None))


def _median(ratios: list[float]) -> str:
    return f"{np.median(ratios):.2f}" if ratios else ""


if __name__ == "__main__":
    main()

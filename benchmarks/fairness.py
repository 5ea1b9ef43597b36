"""Simulates the coverage of statements about groups: gaps, exponents, forecasts and required sizes.

    python -m benchmarks.fairness [--studies=1000] [--only TABLE ...] [--out=FILE]

In a simulated test set, example i is wrong for seed s if a latent number, part of which is common to all seeds, lies
below a threshold that gives the group its error rate. Each training shifts the threshold, for all groups together and
for each group independently. Along a curve the common part is constant, because there is one test set.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy import stats

from dlm.analysis.fairness import gaps as fairness_gaps
from dlm.analysis.fairness.forecasts import exponent, need, summarize_group
from dlm.analysis.fairness.gaps import Gap, gaps, seed_noise
from dlm.analysis.fairness.groups import GroupColumn, LearnerErrors, Measure
from dlm.curves.types import RequiredSize

RATE = Measure(is_rate=True)
SEEDS = (1, 3, 8)
SIZES = (64, 128, 256, 512, 1024, 2048)
RESAMPLES = 199


@dataclasses.dataclass(frozen=True)
class Setting:
    """A study at one size: test examples and error rate of each group. `shared`: part of an example's latent variance
    that all seeds share. `common`, `own`: s.d. by which a training moves all thresholds, and each group's alone (with
    one seed the gap is that of this training)."""

    counts: tuple[int, ...]
    rates: tuple[float, ...]
    shared: float = 0.5
    common: float = 0.15
    own: float = 0.05

    @property
    def name(self) -> str:
        """Of its groups."""
        counts = ", ".join(f"{self.counts.count(count)}×{count}" for count in dict.fromkeys(self.counts))
        return f"{counts}; {', '.join(f'{100 * rate:g}' for rate in dict.fromkeys(self.rates))} %"

    def codes(self) -> np.ndarray:
        """Group of each test example [N]."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def draw(self, seeds: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Errors [S, N] and the true gaps [G]."""
        codes, own = self.codes(), self.own if seeds > 1 else 0.0
        moved = self.common * rng.standard_normal((seeds, 1)) + own * rng.standard_normal((seeds, len(self.counts)))
        threshold = stats.norm.ppf(self.rates) * np.sqrt(1 + self.common**2 + own**2) + moved
        errors = _latent(seeds, len(codes), self.shared, rng) < threshold[:, codes]
        true = stats.norm.cdf(threshold[0]) if seeds == 1 else np.array(self.rates)
        counts = np.array(self.counts)
        return errors.astype(float), true - (true @ counts - true * counts) / (counts.sum() - counts)


def _latent(seeds: int, examples: int, shared: float, rng: np.random.Generator) -> np.ndarray:
    alike = rng.standard_normal(examples)
    return np.sqrt(shared) * alike + np.sqrt(1 - shared) * rng.standard_normal((seeds, examples))


NO_GAP = (
    Setting((150, 150), (0.05,) * 2),
    Setting((20, 280), (0.03,) * 2),
    Setting((25, 900), (0.005,) * 2, shared=0.7),
    Setting((400, 600), (0.4,) * 2),
    Setting((20, 40, 80, 160), (0.15,) * 4, shared=0.3),
    Setting((20, 60, 300, 600), (0.005,) * 4),
    Setting((250,) * 4, (0.02,) * 4, shared=0.8),
    Setting((20,) * 3 + (200,) * 5, (0.01,) * 8),
    Setting((30, 45, 60, 75, 90, 120, 200, 400), (0.1,) * 8),
    Setting((300,) * 8, (0.4,) * 8, own=0.1),
)
COMPARED = (1, 5, 7, 9)  # of these, with other ways
GAP = (
    Setting((150, 150), (0.1, 0.25)),
    Setting((60, 1500), (0.12, 0.04)),
    Setting((400, 600), (0.3, 0.4), shared=0.3),
    Setting((20, 40, 80, 160), (0.4, 0.15, 0.15, 0.15)),
    Setting((250,) * 4, (0.02, 0.02, 0.02, 0.1), shared=0.8),
    Setting((1000,) * 3, (0.2, 0.25, 0.2), own=0.1),
    Setting((30, 45, 60, 75, 90, 120, 200, 400), (0.05,) * 6 + (0.2, 0.05)),
)


def found(errors: np.ndarray, codes: np.ndarray) -> list[Gap]:
    """The gaps of one study."""
    column = GroupColumn("group", tuple(map(str, range(codes.max() + 1))), codes)
    noise = seed_noise({1: errors}, [column], measure=RATE)[1]
    return gaps(1, {"learner": errors}, [column], {"learner": noise}, measure=RATE)


def with_limits(limits: Callable[[float, float, float], tuple[float, float]]) -> Callable[..., list[Gap]]:
    """The same with other limits of a rate."""

    def changed(errors: np.ndarray, codes: np.ndarray) -> list[Gap]:
        with mock.patch.object(fairness_gaps, "rate_limits", limits):
            return found(errors, codes)

    return changed


def wilson(rate: float, examples: float, tail: float) -> tuple[float, float]:
    """Wilson's score limits: then a gap's are Newcombe's."""
    z = stats.norm.isf(tail)
    middle, half = rate + z**2 / 2 / examples, z * np.sqrt(rate * (1 - rate) / examples + (z / 2 / examples) ** 2)
    return max((middle - half) / (1 + z**2 / examples), 0.0), min((middle + half) / (1 + z**2 / examples), 1.0)


def jeffreys(rate: float, examples: float, tail: float) -> tuple[float, float]:
    """Jeffreys's limits, open at 0 and 1."""
    wrong, right = rate * examples + 0.5, (1 - rate) * examples + 0.5
    return stats.beta.ppf(tail, wrong, right) if rate else 0.0, stats.beta.isf(tail, wrong, right) if rate < 1 else 1.0


def bootstrap_alarm(errors: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether a bootstrap over seeds and examples, with max-|t| over groups, says that there is a gap."""
    counts, (seeds, _) = np.bincount(codes), errors.shape
    weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    means = [
        np.einsum("bs,sn,bn->b", weight, own, rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count)
        for count, own in ((counts[group], errors[:, codes == group]) for group in range(len(counts)))
    ]
    drawn = _differences(np.stack(means, axis=1), counts)
    seen = _differences(np.array([errors[:, codes == group].mean() for group in range(len(counts))]), counts)
    spread = np.maximum(drawn.std(axis=0), 1e-12)
    return bool((np.abs(seen) / spread).max() > np.quantile((np.abs(drawn - seen) / spread).max(axis=1), 0.95))


def permutation_alarm(errors: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether the largest |t| is among the largest 5 % when examples change their groups."""
    mean, counts = errors.mean(axis=0), np.bincount(codes)
    spread = np.sqrt(1 / counts + 1 / (len(codes) - counts))

    def largest(of: np.ndarray) -> float:
        return float((np.abs(_differences(np.bincount(codes, of) / counts, counts)) / spread).max())

    drawn = [largest(rng.permutation(mean)) for _ in range(RESAMPLES)]
    return (1 + sum(one >= largest(mean) - 1e-12 for one in drawn)) / (1 + RESAMPLES) <= 0.05


def _differences(means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return means - (means @ counts)[..., None] / (counts.sum() - counts) + means * counts / (counts.sum() - counts)


def gap_row(setting: Setting, seeds: int, studies: int) -> dict[str, Any]:
    """Shares of simulated studies: all intervals hold; some gap is shown; each planted gap is."""
    rng, codes = _rng(setting.name, seeds), setting.codes()
    held, alarms, widths = 0, np.zeros(len(setting.counts)), []
    some = 0
    for _ in range(studies):
        errors, true = setting.draw(seeds, rng)
        told = found(errors, codes)
        held += all(gap.low <= gap_true + 1e-12 and gap_true <= gap.high + 1e-12 for gap, gap_true in zip(told, true))
        shown = np.array([gap.is_significant for gap in told])
        some, alarms = some + bool(shown.any()), alarms + shown
        widths.append(np.median([gap.high - gap.low for gap in told]))
    largest = int(np.argmax(np.abs(true)))
    return {
        "setting": setting.name,
        "seeds": seeds,
        "held": held / studies,
        "some gap shown": some / studies,
        "largest gap shown": alarms[largest] / studies,
        "width": float(np.median(widths)),
    }


def rival_row(setting: Setting, seeds: int, studies: int) -> dict[str, Any]:
    """False alarms of other ways, where there is no gap."""
    ways = {"Newcombe": with_limits(wilson), "Jeffreys": with_limits(jeffreys)}
    rng, codes = _rng(setting.name, seeds, "rivals"), setting.codes()
    counts = dict.fromkeys([*ways, "bootstrap", "permutation"], 0)
    for _ in range(studies):
        errors, _ = setting.draw(seeds, rng)
        for name, way in ways.items():
            counts[name] += any(gap.is_significant for gap in way(errors, codes))
        counts["bootstrap"] += bootstrap_alarm(errors, codes, rng)
        counts["permutation"] += permutation_alarm(errors, codes, rng)
    return {"setting": setting.name, "seeds": seeds} | {name: count / studies for name, count in counts.items()}


@dataclasses.dataclass(frozen=True)
class Planted:
    """Two groups whose error rates fall as powers of n from those at the smallest size; `along`: part of a training's
    noise that moves all sizes alike."""

    counts: tuple[int, int]
    first: tuple[float, float]
    powers: tuple[float, float]
    shared: float = 0.5
    common: float = 0.12
    along: float = 0.5

    def rates(self, size: float) -> np.ndarray:
        """True error rates [2] at a size."""
        return np.array(self.first) * (size / SIZES[0]) ** -np.array(self.powers)

    def draw(self, seeds: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
        """Errors [S, N] by size."""
        codes = np.repeat([0, 1], self.counts)
        alike = rng.standard_normal(len(codes))
        of_all = rng.standard_normal(seeds)
        tables = {}
        for size in SIZES:
            moved = np.sqrt(self.along) * of_all + np.sqrt(1 - self.along) * rng.standard_normal(seeds)
            threshold = stats.norm.ppf(self.rates(size)) * np.sqrt(1 + self.common**2)
            single = np.sqrt(1 - self.shared) * rng.standard_normal((seeds, len(codes)))
            latent = np.sqrt(self.shared) * alike + single
            tables[size] = (latent < threshold[codes] + self.common * moved[:, None]).astype(float)
        return tables


PLANTED = (
    Planted((100, 400), (0.5, 0.4), (0.2, 0.4)),
    Planted((300, 300), (0.4, 0.4), (0.35, 0.35)),
    Planted((1500, 1500), (0.45, 0.3), (0.3, 0.5), shared=0.7),
    Planted((60, 1000), (0.35, 0.3), (0.25, 0.3), common=0.05),
)


def exponent_row(planted: Planted, seeds: int, studies: int) -> dict[str, Any]:
    """How often both groups' exponents lie in their intervals."""
    rng, held, widths = _rng(str(planted), seeds), 0, []
    for _ in range(studies):
        tables = planted.draw(seeds, rng)
        for indices, power in zip(_places(planted), planted.powers):
            told = exponent(tables, indices, measure=RATE)
            held += told is not None and told.low <= power <= told.high
            widths.append(told.high - told.low)
    return {"planted": _named(planted), "seeds": seeds, "held": held / studies / 2, "width": float(np.median(widths))}


def forecast_row(planted: Planted, seeds: int, studies: int) -> dict[str, Any]:
    """How often forecasts at 4x the data hold both groups' true errors, and the first group's need the true size."""
    rng, largest = _rng(str(planted), seeds, "forecast"), SIZES[-1]
    forecasts: list[bool] = []
    needs: list[bool] = []
    size = SIZES[0] * (planted.first[0] / planted.rates(largest)[1]) ** (1 / planted.powers[0])
    for _ in range(studies):
        tables = planted.draw(seeds, rng)
        one, indices = LearnerErrors("learner", tables), _places(planted)
        own = [tables[largest][:, place] for place in indices]
        for group, true in enumerate(planted.rates(4 * largest)):
            curve = one.curve("group", str(group), indices[group])
            told = summarize_group(curve, own[group], measure=RATE, targets=(), multiples=(4.0,), level=0.95)
            forecasts += [ahead.low <= true <= ahead.high for ahead in told.predictions]
        told_need = need(one.curve("group", "0", indices[0]), *own, measure=RATE, level=0.95)
        needs += [_holds(told_need, size)] if told_need.kind in ("interval", "unsupported") else []
    return {
        "planted": _named(planted),
        "seeds": seeds,
        "forecasts told": len(forecasts) / studies / 2,
        "held": float(np.mean(forecasts)) if forecasts else None,
        "true need": round(size),
        "needs told": len(needs) / studies,
        "need held": float(np.mean(needs)) if needs else None,
    }


def _holds(told: RequiredSize, size: float) -> bool:
    """Whether a need holds the true size; an open end holds everything beyond."""
    return (told.low or 0.0) <= size <= (told.high or np.inf)


def _places(planted: Planted) -> list[np.ndarray]:
    first, second = planted.counts
    return [np.arange(first), first + np.arange(second)]


def _named(planted: Planted) -> str:
    return "; ".join(
        f"{count} tests, {first:g}·n^-{power:g}"
        for count, first, power in zip(planted.counts, planted.first, planted.powers)
    )


def _rng(*of: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(of).encode()))


TABLES: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "gaps_none": lambda studies: [gap_row(setting, seeds, studies) for setting in NO_GAP for seeds in SEEDS],
    "gaps_planted": lambda studies: [gap_row(setting, seeds, studies // 2) for setting in GAP for seeds in SEEDS],
    "exponents": lambda studies: [exponent_row(one, seeds, studies // 4) for one in PLANTED for seeds in SEEDS],
    "rivals": lambda studies: [rival_row(NO_GAP[k], seeds, studies // 5) for k in COMPARED for seeds in SEEDS],
    "forecasts": lambda studies: [forecast_row(one, seeds, studies // 40) for one in PLANTED for seeds in SEEDS[1:]],
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How often what is said of groups is right.")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", choices=TABLES, nargs="*", default=list(TABLES))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    everything = {}
    for name in args.only:
        everything[name] = rows = TABLES[name](args.studies)
        print(f"\n| {' | '.join(rows[0])} |\n{'|---' * len(rows[0])}|")
        for row in rows:
            print(
                "| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()) + " |",
                flush=True,
            )
    if args.out:
        args.out.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()

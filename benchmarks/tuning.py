"""Simulates the effect of hyperparameter tuning on learning curves: exponents, drift tests and selection rules.

    python -m benchmarks.tuning [--studies=400] [--only TABLE ...]

Log errors of setting z at size n are those of a·n^-b plus log(1 + c (z − z*(n))²), where z is a log learning rate and
z* drifts as n^-d, plus noise of each training and of the validation and test examples; part of the latter is common to
all trainings of a setting, because they share one validation and one test set. The analysis under test is the one of
the report. The table `digits` trains an MLP with a grid of learning rates at each size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from dlm.analysis.tuning import tuned_learners
from dlm.curves.exponent import hyperparameter_trend, slope_weights
from dlm.storage.record_log import Record

FIRST, POWER = 0.5, 0.45  # error at the smallest size, and the exponent
RECORD = Record(
    study="tuning",
    trial_id="",
    learner="net",
    train_size=1,
    subset_seed=0,
    init_seed=0,
    hyper="{}",
    step=1,
    split="test",
    metric="error",
    value=None,
    unit="error rate",
    num_examples=0,
    status="done",
    subset_hash="",
    data="",
    packing="exact",
    precision="float32",
    seconds=0.0,
    device="",
    versions="",
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A study to simulate. `curved` is c; `trainings` is the s.d. of one training's log error and decreases as n to
    −`settling`; `values` hyperparameter values are a factor `step` apart."""

    drift: float
    curved: float
    trainings: float = 0.1
    settling: float = 0.0
    examples: int = 500
    seeds: int = 5
    num_sizes: int = 6
    values: int = 9
    step: float = 3.0

    @property
    def train_sizes(self) -> np.ndarray:
        """[K]"""
        return 32 * 2 ** np.arange(self.num_sizes)

    @property
    def rates(self) -> np.ndarray:
        """Values of the hyperparameter [G]."""
        return 1e-2 * self.step ** (np.arange(self.values) - self.values // 2.0)

    @property
    def name(self) -> str:
        """Description; it also seeds the simulation, so it must not change."""
        text = f"drift n^-{self.drift:g}, c={self.curved:g}, trainings ±{100 * self.trainings:g} %"
        text += f"·n^-{self.settling:g}" if self.settling else ""
        return f"{text}, {self.examples} examples, {self.seeds} seeds, {self.num_sizes} sizes, {self.values} values"

    def frontier(self) -> np.ndarray:
        """Log error [K] at the best value of each size."""
        return np.log(FIRST) - POWER * np.log(self.train_sizes / self.train_sizes[0])

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log errors [K, G, S] of trainings: expected, on the validation set, and on the test set."""
        x, z = np.log(self.train_sizes / self.train_sizes[0]), np.log(self.rates)
        best = z.mean() + rng.uniform(-0.5, 0.5) * np.log(self.step) - self.drift * (x - x.mean())
        expected = self.frontier()[:, None] + np.log1p(self.curved * (z - best[:, None]) ** 2)
        spread = self.trainings * (self.train_sizes / self.train_sizes[0]) ** -self.settling
        shape = (*expected.shape, self.seeds)
        true = expected[..., None] + spread[:, None, None] * rng.standard_normal(shape)
        rate = np.minimum(np.exp(expected), 0.9)[..., None]
        binomial = np.sqrt((1 - rate) / rate / self.examples)

        def measured() -> np.ndarray:
            common = rng.standard_normal(shape[:2])[..., None]
            return true + binomial * (np.sqrt(0.4) * common + np.sqrt(0.4) * rng.standard_normal(shape))

        return true, measured(), measured()

    def records(self, validation: np.ndarray, test: np.ndarray) -> list[Record]:
        """Records as a study writes them."""
        rows = []
        for (k, g, s), log_error in np.ndenumerate(test):
            fields = {
                "trial_id": f"{k}-{g}-{s}",
                "train_size": int(self.train_sizes[k]),
                "subset_seed": s,
                "init_seed": s,
                "hyper": json.dumps({"hyper": {"lr": self.rates[g]}}),
                "num_examples": self.examples,
            }
            for split, value in (("validation", validation[k, g, s]), ("test", log_error)):
                error = min(float(np.exp(value)), 1.0)
                rows.append(dataclasses.replace(RECORD, split=split, value=error, **fields))
        return rows


DRIFTING = (
    Setting(0.3, 0.1),
    Setting(0.5, 0.1),
    Setting(0.5, 0.1, seeds=3),
    Setting(0.5, 0.1, seeds=1),
    Setting(0.5, 0.1, trainings=0.2, examples=200),
    Setting(0.5, 0.3, examples=2000),
    Setting(0.8, 0.1, seeds=8, num_sizes=8, values=13),
    Setting(0.5, 0.1, trainings=0.3, settling=0.3),
)
STILL = (
    Setting(0.0, 0.1, examples=200),
    Setting(0.0, 0.1, seeds=1),
    Setting(0.0, 0.02, trainings=0.2, examples=200),
    Setting(0.0, 0.0, trainings=0.2, examples=200),
    Setting(0.0, 0.3, trainings=0.05, examples=1000),
    Setting(0.0, 0.02, trainings=0.3, settling=0.3, examples=200),
    Setting(0.0, 0.05, seeds=3, num_sizes=4, values=5),
    Setting(0.0, 0.05, seeds=8, num_sizes=8),
)


def exponent_row(setting: Setting, studies: int) -> dict[str, Any]:
    """Coverage of the exponent, tuned and with one value for all sizes."""
    rng, errors = _rng(setting.name), []
    for _ in range(studies):
        _, validation, test = setting.draw(rng)
        ((one,),) = [each.drifts for each in tuned_learners(setting.records(validation, test))]
        errors.append([(e.power - POWER, e.high - e.low, e.low <= POWER <= e.high) for e in (one.tuned, one.untuned)])
    (bias, width, covered), (bias_untuned, width_untuned, covered_untuned) = np.mean(errors, axis=0)
    return {
        "simulated": setting.name,
        "tuned: coverage": covered,
        "bias": bias,
        "width": width,
        "untuned: coverage": covered_untuned,
        "untuned: bias": bias_untuned,
        "untuned: width": width_untuned,
    }


def drift_row(setting: Setting, studies: int) -> dict[str, Any]:
    """How often a drift is significant, here and by other tests, and the coverage of its interval."""
    rng, significant, covered, others = _rng(setting.name, "drift"), 0, 0, np.zeros(2)
    for _ in range(studies):
        validation = setting.draw(rng)[1]
        best = setting.rates[validation.argmin(axis=1)]
        trend = hyperparameter_trend(
            {int(size): row for size, row in zip(setting.train_sizes, best)}, list(setting.rates)
        )
        significant += trend.is_significant
        covered += trend.low <= -setting.drift <= trend.high
        others += [_seed_t_test(setting, np.log(best)), _permutation_test(setting, np.log(best), rng)]
    by_seeds, by_permutation = others / studies
    row = {"simulated": setting.name, "significant": significant / studies, "coverage": covered / studies}
    return row | {"significant by a t-test over seeds": by_seeds, "significant by permutation": by_permutation}


def _seed_t_test(setting: Setting, logs: np.ndarray) -> bool:
    """Whether a t-test over the slopes of single seeds is significant."""
    slopes = slope_weights(list(setting.train_sizes)) @ logs
    if len(slopes) < 2 or not np.ptp(slopes):
        return bool(len(slopes) > 1 and slopes[0])
    return bool(stats.ttest_1samp(slopes, 0).pvalue < 0.05)


def _permutation_test(setting: Setting, logs: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether a permutation test over the sizes is significant."""
    weight, mean = slope_weights(list(setting.train_sizes)), logs.mean(axis=1)
    slopes = rng.permuted(np.tile(mean, (199, 1)), axis=1) @ weight
    return bool((1 + (np.abs(slopes) >= abs(weight @ mean) - 1e-9).sum()) / 200 <= 0.05)


def selection_row(setting: Setting, rule: str, studies: int) -> dict[str, Any]:
    """Excess error, coverage and bias of the exponent of a selection rule."""
    rng, selected = _rng(setting.name, "choice"), []
    for _ in range(studies):
        true, validation, _ = setting.draw(rng)
        selected.append(np.take_along_axis(true, _selected(validation, rule)[:, None, :], axis=1)[:, 0])
    logs = np.array(selected)  # [R, K, S]
    means, expected = logs.mean(axis=2), logs.mean(axis=(0, 2))
    half = stats.t.ppf(0.975, setting.seeds - 1) * logs.std(axis=2, ddof=1) / np.sqrt(setting.seeds)
    return {
        "simulated": setting.name,
        "selection": rule,
        "excess error over the best value, %": 100 * float(np.mean(np.exp(expected - setting.frontier()) - 1)),
        "coverage of its own mean": float((np.abs(means - expected) <= half).mean()),
        "coverage of the best value": float((np.abs(means - setting.frontier()) <= half).mean()),
        "bias of the exponent": float(-slope_weights(list(setting.train_sizes)) @ expected - POWER),
    }


def _selected(validation: np.ndarray, rule: str) -> np.ndarray:
    """Index [K, S] of the selected value of each seed."""
    errors = np.exp(validation)
    if rule == "per seed":
        return errors.argmin(axis=1)
    if rule == "per seed, by the others":
        return (errors.sum(axis=2, keepdims=True) - errors).argmin(axis=1)
    return np.repeat(errors.mean(axis=2).argmin(axis=1)[:, None], errors.shape[2], axis=1)


def digits_rows(_: int) -> list[dict[str, Any]]:
    """Trains an MLP on the digits by AdamW and by SGD for three epochs; larger sizes have more updates."""
    from dlm import Budget, Learner, Optimizer, Study, grid, run
    from dlm.analysis.tuning import sweeps
    from dlm.data import Digits
    from dlm.models import MLP
    from dlm.storage import record_log
    from dlm.tasks import Classification

    rates = grid(lr=tuple(2.0**k / 1000 for k in range(1, 11)))
    study = Study(
        data=Digits(),
        task=Classification(),
        learners={"adamw": Learner(MLP((64,))), "sgd": Learner(MLP((64,)), optimizer=Optimizer(name="sgd"))},
        train_sizes=(32, 64, 128, 256, 512, 1024),
        seeds=4,
        budget=Budget(epochs=3, batch_size=16),
        tuning={"adamw": rates, "sgd": rates},
        name="tuning",
    )
    with tempfile.TemporaryDirectory() as folder:
        run(study, folder)
        rows = record_log.rows(Path(folder))
    top = (1, 2, 5, 10)
    best = {one.learner: [one.values[one.best(size)] for size in study.train_sizes] for one in sweeps(rows)}
    return [
        {
            "optimizer": one.learner,
            "best rate by size": ", ".join(f"{rate:g}" for rate in best[one.learner]),
            "drift": f"n^{drift.trend.power:.2f} [{drift.trend.low:.2f}, {drift.trend.high:.2f}]",
            "tuned exponent": _format(drift.tuned),
            "exponent with the first rate": _format(drift.untuned),
            "expected best of 1, 2, 5, 10, %": ", ".join(f"{100 * one.best_of[1024].test[k - 1]:.1f}" for k in top),
        }
        for one in tuned_learners(rows, order=tuple(study.learners))
        for drift in one.drifts
    ]


def _format(one: Any) -> str:
    return f"{one.power:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _rng(*of: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(of).encode()))


RULES = ("per size", "per seed", "per seed, by the others")
SELECTION = (DRIFTING[0], DRIFTING[1], DRIFTING[4], STILL[2], STILL[3], STILL[5])
TABLES: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "exponents": lambda studies: [exponent_row(one, studies) for one in DRIFTING],
    "drifts": lambda studies: [drift_row(one, 2 * studies) for one in STILL + DRIFTING],
    "selection": lambda studies: [selection_row(one, rule, studies) for one in SELECTION for rule in RULES],
    "digits": digits_rows,
}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--only", choices=TABLES, nargs="*", default=list(TABLES))
    args = parser.parse_args()
    for name in args.only:
        rows = TABLES[name](args.studies)
        heads = ""
        for row in rows:
            if heads != (heads := f"\n| {' | '.join(row)} |\n{'|---' * len(row)}|"):
                print(heads)
            print(
                "| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()) + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()

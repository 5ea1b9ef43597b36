"""Simulates the effect of hyperparameter tuning on learning curves: exponents, drift tests, selection rules.

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
    """A study to simulate. `curved` is c; `trainings` the s.d. of one training's log error, that falls as n to
    −`settling`; `values` are a factor `step` apart."""

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
        """In words."""
        told = f"drift n^-{self.drift:g}, c={self.curved:g}, trainings ±{100 * self.trainings:g} %"
        told += f"·n^-{self.settling:g}" if self.settling else ""
        return f"{told}, {self.examples} examples, {self.seeds} seeds, {self.num_sizes} sizes, {self.values} values"

    def frontier(self) -> np.ndarray:
        """Log error [K] at the best value of each size."""
        return np.log(FIRST) - POWER * np.log(self.train_sizes / self.train_sizes[0])

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log errors [K, G, S] of trainings as they are, on validation, and on the test set."""
        x, z = np.log(self.train_sizes / self.train_sizes[0]), np.log(self.rates)
        best = z.mean() + rng.uniform(-0.5, 0.5) * np.log(self.step) - self.drift * (x - x.mean())
        expected = self.frontier()[:, None] + np.log1p(self.curved * (z - best[:, None]) ** 2)
        spread = self.trainings * (self.train_sizes / self.train_sizes[0]) ** -self.settling
        shape = (*expected.shape, self.seeds)
        true = expected[..., None] + spread[:, None, None] * rng.standard_normal(shape)
        rate = np.minimum(np.exp(expected), 0.9)[..., None]
        binomial = np.sqrt((1 - rate) / rate / self.examples)

        def seen() -> np.ndarray:
            common = rng.standard_normal(shape[:2])[..., None]
            return true + binomial * (np.sqrt(0.4) * common + np.sqrt(0.4) * rng.standard_normal(shape))

        return true, seen(), seen()

    def records(self, validation: np.ndarray, test: np.ndarray) -> list[Record]:
        """As a study would have left them."""
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
    """How often the interval of the exponent holds the planted one, tuned and with one value for all sizes."""
    rng, told = _rng(setting.name), []
    for _ in range(studies):
        _, validation, test = setting.draw(rng)
        ((one,),) = [each.drifts for each in tuned_learners(setting.records(validation, test))]
        told.append([(e.power - POWER, e.high - e.low, e.low <= POWER <= e.high) for e in (one.tuned, one.untuned)])
    (bias, width, held), (bias_untuned, width_untuned, held_untuned) = np.mean(told, axis=0)
    return {
        "planted": setting.name,
        "tuned: in 95 %": held,
        "bias": bias,
        "width": width,
        "untuned: in 95 %": held_untuned,
        "its bias": bias_untuned,
        "its width": width_untuned,
    }


def drift_row(setting: Setting, studies: int) -> dict[str, Any]:
    """How often a drift is shown, here and by other tests; and how often its interval holds the planted one."""
    rng, shown, held, others = _rng(setting.name, "drift"), 0, 0, np.zeros(2)
    for _ in range(studies):
        validation = setting.draw(rng)[1]
        best = setting.rates[validation.argmin(axis=1)]
        found = hyperparameter_trend(
            {int(size): row for size, row in zip(setting.train_sizes, best)}, list(setting.rates)
        )
        shown, held = shown + found.is_significant, held + (found.low <= -setting.drift <= found.high)
        others += [_seeds_say(setting, np.log(best)), _permutation_says(setting, np.log(best), rng)]
    rival = others / studies
    told = {"planted": setting.name, "shown": shown / studies, "in 95 %": held / studies}
    return told | {"shown by seeds": rival[0], "by permutation": rival[1]}


def _seeds_say(setting: Setting, logs: np.ndarray) -> bool:
    """A t-test of the slopes of single seeds."""
    slopes = slope_weights(list(setting.train_sizes)) @ logs
    if len(slopes) < 2 or not np.ptp(slopes):
        return bool(len(slopes) > 1 and slopes[0])
    return bool(stats.ttest_1samp(slopes, 0).pvalue < 0.05)


def _permutation_says(setting: Setting, logs: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether sizes in other orders seldom have as large a slope."""
    weight, mean = slope_weights(list(setting.train_sizes)), logs.mean(axis=1)
    drawn = rng.permuted(np.tile(mean, (199, 1)), axis=1) @ weight
    return bool((1 + (np.abs(drawn) >= abs(weight @ mean) - 1e-9).sum()) / 200 <= 0.05)


def choice_row(setting: Setting, way: str, studies: int) -> dict[str, Any]:
    """What a way to choose takes: how far its true error lies from the best value's, and its exponent."""
    rng, taken = _rng(setting.name, "choice"), []
    for _ in range(studies):
        true, validation, _ = setting.draw(rng)
        taken.append(np.take_along_axis(true, _chosen(validation, way)[:, None, :], axis=1)[:, 0])
    logs = np.array(taken)  # [R, K, S]
    means, expected = logs.mean(axis=2), logs.mean(axis=(0, 2))
    half = stats.t.ppf(0.975, setting.seeds - 1) * logs.std(axis=2, ddof=1) / np.sqrt(setting.seeds)
    return {
        "planted": setting.name,
        "one choice for": way,
        "error above the best value's, %": 100 * float(np.mean(np.exp(expected - setting.frontier()) - 1)),
        "seeds' interval holds the way's own mean": float((np.abs(means - expected) <= half).mean()),
        "holds the best value's": float((np.abs(means - setting.frontier()) <= half).mean()),
        "exponent's bias": float(-slope_weights(list(setting.train_sizes)) @ expected - POWER),
    }


def _chosen(validation: np.ndarray, way: str) -> np.ndarray:
    """Place [K, S] of the value that each seed takes."""
    errors = np.exp(validation)
    if way == "each seed":
        return errors.argmin(axis=1)
    if way == "each seed, by the others":
        return (errors.sum(axis=2, keepdims=True) - errors).argmin(axis=1)
    return np.repeat(errors.mean(axis=2).argmin(axis=1)[:, None], errors.shape[2], axis=1)


def digits_rows(_: int) -> list[dict[str, Any]]:
    """Trains an MLP on the digits by AdamW and by SGD, three epochs, so that few examples mean few updates."""
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
    best = {one.learner: [one.values[one.best(size)] for size in study.train_sizes] for one in sweeps(rows)}
    return [
        {
            "trained by": one.learner,
            "best rate by size": ", ".join(f"{rate:g}" for rate in best[one.learner]),
            "drift": f"n^{found.trend.power:.2f} [{found.trend.low:.2f}, {found.trend.high:.2f}]",
            "tuned exponent": _said(found.tuned),
            "with the first rate kept": _said(found.untuned),
            "best of 1, 2, 5, 10, %": ", ".join(f"{100 * one.best_of[1024].test[k - 1]:.1f}" for k in (1, 2, 5, 10)),
        }
        for one in tuned_learners(rows, order=tuple(study.learners))
        for found in one.drifts
    ]


def _said(one: Any) -> str:
    return f"{one.power:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _rng(*of: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(of).encode()))


WAYS = ("a size", "each seed", "each seed, by the others")
CHOSEN = (DRIFTING[0], DRIFTING[1], DRIFTING[4], STILL[2], STILL[3], STILL[5])
TABLES: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "exponents": lambda studies: [exponent_row(one, studies) for one in DRIFTING],
    "drifts": lambda studies: [drift_row(one, 2 * studies) for one in STILL + DRIFTING],
    "choice": lambda studies: [choice_row(one, way, studies) for one in CHOSEN for way in WAYS],
    "digits": digits_rows,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What tuning does to a learning curve.")
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

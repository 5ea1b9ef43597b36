"""Expands a study to trials (training runs) and cohorts (trials that share one compiled program)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlm.study.config import check_frozen, digest, has, replaced
from dlm.study.learner import Budget, Learner, Precision, full_path
from dlm.study.noise import Noise
from dlm.study.sweep import Axes
from dlm.utils.errors import UsageError, nearest

if TYPE_CHECKING:
    from dlm.study.study import Study

MAX_EXAMPLES_SEEN = 2**32  # positions in a trial's stream of examples are 32-bit
NOISE_PATHS = [f"{head}.{field.name}" for head in ("noise", "test_noise") for field in dataclasses.fields(Noise)]
_UNTUNED = Axes()


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training run: everything that determines its numbers.

    `precision` is "float32" for a classical learner, whatever the study's. `hold_out` is the index of the trial's test
    set among `splits`.
    """

    name: str
    learner: Any
    task: Any
    data: Any
    train_size: int
    subset_seed: int
    init_seed: int
    budget: Budget
    precision: Precision = "float32"
    noise: Noise = Noise()
    test_noise: Noise = Noise()
    hold_out: int = dataclasses.field(default=0, metadata={"omit_default": True})
    splits: int = dataclasses.field(default=1, metadata={"omit_default": True})

    @property
    def num_steps(self) -> int:
        """Maximum number of updates; early stopping may end sooner."""
        return self.budget.num_steps(self.train_size)

    @cached_property
    def trial_id(self) -> str:
        """Hash of the canonical trial."""
        return digest(self)


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Trials that share all static fields; they differ only in values that can be arrays."""

    trials: tuple[Trial, ...]

    @property
    def first(self) -> Trial:
        """The first trial, to read the static fields from."""
        return self.trials[0]

    @property
    def num_updates(self) -> int:
        """Maximum number of updates of all trials."""
        return sum(trial.num_steps for trial in self.trials)

    @cached_property
    def cohort_id(self) -> str:
        """Hash of the static fields; it does not change when sizes or seeds are added."""
        return digest(static_fields(self.first))


def expand(study: Study) -> tuple[Trial, ...]:
    """All distinct trials of a study, by learner and ascending size."""
    seeds: tuple[int, ...] = study.seeds  # type: ignore[assignment]
    if study.splits > len(seeds):
        raise UsageError(
            f"splits={study.splits} exceeds the {len(seeds)} seeds, and each hold-out needs one; choose at most "
            f"{len(seeds)} splits, or at least {study.splits} seeds"
        )
    trials = tuple(
        dict.fromkeys(
            Trial(
                name=name,
                learner=learner,
                task=study.task,
                data=study.data,
                train_size=size,
                subset_seed=seed,
                init_seed=seed,
                budget=getattr(learner, "budget", None) or study.budget,
                precision=study.precision if isinstance(learner, Learner) else "float32",
                noise=noise,
                test_noise=test_noise,
                hold_out=number % study.splits,
                splits=study.splits,
            )
            for name, base in study.learners.items()
            for learner, noise, test_noise in variants(base, study, study.tuning.get(name, _UNTUNED))
            for size in study.train_sizes
            for number, seed in enumerate(seeds)
        )
    )
    for trial in trials:
        if isinstance(trial.learner, Learner) and trial.num_steps * trial.budget.batch_size >= MAX_EXAMPLES_SEEN:
            raise UsageError(
                f"{trial.name} trains on {trial.num_steps:,} batches of {trial.budget.batch_size:,} examples for "
                f"train_size={trial.train_size}, which is not below 2^32 examples; lower the budget"
            )
    return trials


def variants(base: Any, study: Study, tuning: Axes = _UNTUNED) -> tuple[tuple[Any, Noise, Noise], ...]:
    """The distinct (learner, noise, test noise) at all points of the axes crossed with `tuning`.

    An axis that is not a field of the learner is ignored.
    """
    for path in dict.fromkeys(path for point in study.axes.points for path in point):
        if _is_noise(path):
            if not has(study, path):
                raise UsageError(f"axis {path!r} is not a noise; {nearest(path, NOISE_PATHS)}")
        elif not any(has(learner, full_path(path, learner)) for learner in study.learners.values()):
            raise UsageError(
                f"axis {path!r} is not a field of any learner; use lr, dropout, …, model.widths, … or noise.label, …"
            )
    result = []
    for point in (study.axes * tuning).points:
        learner = replaced(
            base, {name: value for path, value in point.items() if has(base, name := full_path(path, base))}
        )
        check_frozen(learner, f"axes: {type(learner).__name__}")
        noisy = replaced(study, {path: value for path, value in point.items() if _is_noise(path)})
        result.append((learner, noisy.noise, noisy.test_noise))
    return tuple(dict.fromkeys(result))


def group_cohorts(trials: Sequence[Trial]) -> tuple[Cohort, ...]:
    """Groups gradient-trained trials by their static fields, in order of first appearance."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(digest(static_fields(trial)), []).append(trial)
    return tuple(Cohort(tuple(group)) for group in groups.values())


def static_fields(trial: Trial) -> dict[str, Any]:
    """The values that a compiled program depends on; sizes, seeds, `Hyper`, step limits and noise levels are arrays."""
    return {
        "name": trial.name,
        "model": trial.learner.model,
        "optimizer": trial.learner.optimizer,
        "augment": trial.learner.augment,
        "dropout": trial.learner.hyper.dropout > 0,
        "focal": trial.learner.hyper.focal > 0,
        "balance": trial.learner.hyper.balance > 0,
        "task": trial.task,
        "data": trial.data,
        "batch_size": trial.budget.batch_size,
        "eval_every": trial.budget.eval_every,
        "patience": trial.budget.patience,
        "precision": trial.precision,
        "noise": trial.noise.kinds,
        "test_noise": trial.test_noise,
        **({"hold_out": trial.hold_out, "splits": trial.splits} if trial.splits > 1 else {}),
    }


def _is_noise(path: str) -> bool:
    return path.partition(".")[0] in ("noise", "test_noise")

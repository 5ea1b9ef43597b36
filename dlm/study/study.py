"""What a study is: data, task, learners, sizes, seeds, axes and budget; the trials and cohorts it expands to.

Everything here is declared, frozen and hashable; nothing touches a device or reads data.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from dlm.study.augmentation import Augment
from dlm.study.config import FrozenDict, check_frozen, digest, has, replaced, unsaid
from dlm.study.learner import PRECISIONS, Budget, Learner, Precision, full_path
from dlm.study.noise import Noise
from dlm.study.sweep import Axes, check_tuning
from dlm.utils.errors import UsageError, choose, nearest

MAX_EXAMPLES_SEEN = 2**32  # positions in a member's stream of examples are 32-bit
MAX_SEEDS = 10_000  # above it, a number of seeds is more likely a seed
_UNTUNED = Axes()


@dataclasses.dataclass(frozen=True)
class Study:
    """A data-scaling study, as an experiment module declares it.

    `learners` maps a name to a `Learner` or the config of a classical one. `seeds` is a number of seeds or
    the seeds themselves; each draws its own subset and its own initial weights. `targets` are errors to be
    asked "how many examples for this?"; empty: half the best error reached. `level` is that of every
    interval. `precision` is that of gradient-trained models' forward and backward passes. `noise` is what is wrong with
    training examples, `test_noise` with test examples; validation stays clean. `groups`: columns of the data that tell
    whom an example is of, to compare errors by; they change no number. `tuning`: a learner's own points, crossed with
    `axes`; each tuned learner has as many unless `equal_tuning` is False.
    """

    data: Any
    task: Any
    learners: Mapping[str, Any]
    train_sizes: tuple[int, ...]
    seeds: int | tuple[int, ...] = 3
    budget: Budget = Budget(epochs=30, min_steps=300, max_steps=10_000)
    axes: Axes = Axes()
    targets: tuple[float, ...] = ()
    level: float = 0.95
    name: str = ""
    precision: Precision = "float32"
    noise: Noise = unsaid(Noise())
    test_noise: Noise = unsaid(Noise())
    groups: tuple[str, ...] = unsaid(())
    tuning: Mapping[str, Axes] = unsaid(FrozenDict())
    equal_tuning: bool = unsaid(True)

    def __post_init__(self) -> None:
        for name, value in (
            ("train_sizes", _sizes(self.train_sizes)),
            ("seeds", _seeds(self.seeds)),
            ("learners", _learners(self.learners)),
            ("targets", _targets(self.targets)),
            ("groups", _groups(self.groups)),
            ("tuning", FrozenDict(self.tuning) if isinstance(self.tuning, Mapping) else self.tuning),
        ):
            object.__setattr__(self, name, value)
        for name in ("data", "task"):
            if not dataclasses.is_dataclass(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)!r} is no config, such as Digits() or Classification()")
        choose("precision", self.precision, PRECISIONS)
        check_frozen(self, "")
        check_tuning(self.tuning, self.learners, self.axes, equal=self.equal_tuning)
        if not hasattr(self.data, "load"):
            raise UsageError(f"data={self.data!r} has no load(); use a source of dlm.data, such as Digits()")
        if not 0 < self.level < 1:
            raise UsageError(f"level={self.level} must lie between 0 and 1, such as 0.95")
        if not self.name.isprintable() or self.name.startswith(".") or set(self.name) & set("/\\"):
            raise UsageError(f"name={self.name!r} names a folder; choose one without slashes and leading dots")

    def _repr_html_(self) -> str:
        from dlm.report.notebook import study_html  # how it shows itself; what it is does not rest on it

        return study_html(self)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One cell: everything that decides its numbers, and nothing else.

    `precision` is float32 for a classical learner, which no study's precision touches.
    """

    name: str
    learner: Any
    task: Any
    data: Any
    train_size: int
    subset_seed: int
    init_seed: int
    budget: Budget
    precision: Precision = unsaid("float32")
    noise: Noise = unsaid(Noise())
    test_noise: Noise = unsaid(Noise())

    @property
    def num_steps(self) -> int:
        """Updates at most (early stopping may end sooner)."""
        return self.budget.num_steps(self.train_size)

    @cached_property
    def trial_id(self) -> str:
        """Hash of the canonical trial: a changed field is another trial."""
        return digest(self)


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Trials that share every static field; they differ only in numbers that can be arrays."""

    trials: tuple[Trial, ...]

    @property
    def first(self) -> Trial:
        """A trial to read the static fields from."""
        return self.trials[0]

    @property
    def num_updates(self) -> int:
        """Updates of all its trials, at most."""
        return sum(trial.num_steps for trial in self.trials)

    @cached_property
    def cohort_id(self) -> str:
        """Hash of the static fields alone, so that it stays when sizes or seeds are added."""
        return digest(static_fields(self.first))


def trials(study: Study) -> tuple[Trial, ...]:
    """Every cell of a study, learner by learner, small sizes first; each once."""
    cells = tuple(
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
            )
            for name, base in study.learners.items()
            for learner, noise, test_noise in variants(base, study, study.tuning.get(name, _UNTUNED))
            for size in study.train_sizes
            for seed in study.seeds  # type: ignore[union-attr]
        )
    )
    for cell in cells:
        if isinstance(cell.learner, Learner) and cell.num_steps * cell.budget.batch_size >= MAX_EXAMPLES_SEEN:
            raise UsageError(
                f"{cell.name} would see {cell.num_steps:,} batches of {cell.budget.batch_size:,} for "
                f"train_size={cell.train_size}, which is 2^32 examples or more; lower the budget"
            )
    return cells


def variants(base: Any, study: Study, tuning: Axes = _UNTUNED) -> tuple[tuple[Any, Noise, Noise], ...]:
    """A learner, its noise and the test's at every point of the axes, which it is tuned over at each.

    An axis that the learner does not have passes it by.
    """
    for path in dict.fromkeys(path for point in study.axes.points for path in point):
        if _is_noise(path):
            if not has(study, path):
                raise UsageError(f"axis {path!r} is no noise; {nearest(path, _noises())}")
        elif not any(has(learner, full_path(path, learner)) for learner in study.learners.values()):
            raise UsageError(
                f"axis {path!r} is a field of no learner; use lr, dropout, …, model.widths, … or noise.label, …"
            )
    out = []
    for point in (study.axes * tuning).points:
        learner = replaced(
            base, {name: value for path, value in point.items() if has(base, name := full_path(path, base))}
        )
        check_frozen(learner, f"axes: {type(learner).__name__}")
        noisy = replaced(study, {path: value for path, value in point.items() if _is_noise(path)})
        out.append((learner, noisy.noise, noisy.test_noise))
    return tuple(dict.fromkeys(out))


def cohorts(cells: Sequence[Trial]) -> tuple[Cohort, ...]:
    """Group gradient-trained trials by their static fields, in order of first appearance."""
    groups: dict[str, list[Trial]] = {}
    for trial in cells:
        groups.setdefault(digest(static_fields(trial)), []).append(trial)
    return tuple(Cohort(tuple(group)) for group in groups.values())


def static_fields(trial: Trial) -> dict[str, Any]:
    """What a compiled program depends on; sizes, seeds, `Hyper`, step limits and amounts of noise are arrays.

    What came later goes without saying at its default, so that ids from before stay.
    """
    fields = {
        "name": trial.name,
        "model": trial.learner.model,
        "optimizer": trial.learner.optimizer,
        "dropout": trial.learner.hyper.dropout > 0,
        "task": trial.task,
        "data": trial.data,
        "batch_size": trial.budget.batch_size,
        "eval_every": trial.budget.eval_every,
        "patience": trial.budget.patience,
    }
    later = {
        "precision": (trial.precision, "float32"),
        "noise": (trial.noise.kinds, ()),
        "test_noise": (trial.test_noise, Noise()),
        "augment": (trial.learner.augment, Augment()),
        "focal": (trial.learner.hyper.focal > 0, False),
        "balance": (trial.learner.hyper.balance > 0, False),
    }
    return fields | {name: value for name, (value, default) in later.items() if value != default}


def _noises() -> list[str]:
    return [f"{head}.{field.name}" for head in ("noise", "test_noise") for field in dataclasses.fields(Noise)]


def _is_noise(path: str) -> bool:
    return path.partition(".")[0] in ("noise", "test_noise")


def _whole(value: Any) -> int:
    """A whole number of any library as an int. TypeError for bools and whatever else is none."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _sizes(given: Any) -> tuple[int, ...]:
    try:
        train_sizes = tuple(sorted({_whole(size) for size in given}))
    except TypeError:
        train_sizes = ()
    if not train_sizes or train_sizes[0] < 1 or train_sizes[-1] >= 2**31:
        raise UsageError(f"sizes={given!r} must be a list of at least one whole number from 1 to 2^31 - 1")
    return train_sizes


def _seeds(given: Any) -> tuple[int, ...]:
    try:
        many = hasattr(given, "__iter__")
        seeds = tuple(dict.fromkeys(_whole(seed) for seed in given)) if many else (_whole(given) - 1,)
    except TypeError:
        seeds = ()
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**31:
        raise UsageError(f"seeds={given!r} must be a number of seeds, at least 1, or seeds from 0 to 2^31 - 1")
    if many:
        return seeds
    if seeds[0] >= MAX_SEEDS:
        raise UsageError(f"seeds={given!r} means more than {MAX_SEEDS:,} seeds; one seed is ({given!r},)")
    return tuple(range(seeds[0] + 1))


def _learners(given: Any) -> FrozenDict:
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"learners={given!r} must map at least one name to a learner")
    for name, learner in given.items():
        if not isinstance(name, str) or not name.strip() or set(name) & set(".,="):
            raise UsageError(f"learners has the name {name!r}; choose text without any of . , =")
        if not dataclasses.is_dataclass(learner):
            raise UsageError(f"learners.{name}={learner!r} is no learner; use dlm.Learner or a config of dlm.baselines")
    return FrozenDict(given)


def _targets(given: Any) -> tuple[float, ...]:
    try:
        targets = tuple(float(target) for target in given)
    except (TypeError, ValueError):
        targets = (math.nan,)
    if not all(0 < target < math.inf for target in targets):
        raise UsageError(f"targets={given!r} must be a list of errors, each a finite number above 0")
    return targets


def _groups(given: Any) -> tuple[str, ...]:
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) and name for name in given):
        raise UsageError(f"groups={given!r} must be a list of column names, such as ('sex',)")
    return tuple(given)

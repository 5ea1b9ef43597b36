"""What a study is: data, task, learners, sizes, seeds, axes and budget; the trials and cohorts it expands to.

Everything here is declared, frozen and hashable; nothing touches a device or reads data.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from dlm.study.config import FrozenDict, check_frozen
from dlm.study.learner import PRECISIONS, Budget, Learner, Precision
from dlm.study.noise import Noise
from dlm.study.sweep import Axes, check_tuning
from dlm.study.trial import Cohort, Trial, expand, group_cohorts
from dlm.utils.display import HtmlDisplay
from dlm.utils.errors import UsageError, choose

MAX_SEEDS = 10_000  # above it, a number of seeds is more likely a seed


@dataclasses.dataclass(frozen=True)
class Study(HtmlDisplay):
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
    noise: Noise = Noise()
    test_noise: Noise = Noise()
    groups: tuple[str, ...] = ()
    tuning: Mapping[str, Axes] = FrozenDict()
    equal_tuning: bool = True

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

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial, learner by learner, small sizes first; each once. Expanded once a study."""
        return expand(self)

    @cached_property
    def cohorts(self) -> tuple[Cohort, ...]:
        """The gradient-trained trials, grouped into cohorts."""
        return group_cohorts([trial for trial in self.trials if isinstance(trial.learner, Learner)])


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
        raise UsageError(f"train_sizes={given!r} must be a list of at least one whole number from 1 to 2^31 - 1")
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

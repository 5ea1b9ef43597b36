"""Declares a study (data, task, learners, sizes, seeds, axes, budget) and expands it to trials and cohorts.

A study is frozen and hashable. Declaring it reads no data and uses no device.
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

MAX_SEEDS = 10_000  # a larger number is more likely a seed


@dataclasses.dataclass(frozen=True)
class Costs:
    """Prices in one currency; the decision is in `--mode=decide` and on the report page.

    Attributes:
        per_example: of collecting and labelling one example.
        per_hour: of training for one hour.
        per_error: of an error of 1, for example of an error rate of 100 %: the price of one wrong prediction times the
            number of predictions that the model will make.
    """

    per_example: float = 0.0
    per_hour: float = 0.0
    per_error: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < math.inf:
                raise UsageError(f"costs.{field.name}={value!r} must be a number of at least 0")
        if not self.per_error and (self.per_example or self.per_hour):
            raise UsageError("costs.per_error=0 makes more data worthless; give the price of an error of 1")

    def __bool__(self) -> bool:
        return self.per_error > 0


@dataclasses.dataclass(frozen=True)
class Study(HtmlDisplay):
    """A data-scaling study, as an experiment module declares it.

    Attributes:
        data: a source, for example `Digits()`.
        task: for example `Classification()`.
        learners: by name, `Learner`s or configs of classical learners.
        train_sizes: sizes of the training subsets.
        seeds: the seeds, or their number; each seed determines a subset and initial weights.
        budget: training length of learners without their own budget.
        axes: hyperparameter points at which all learners are trained.
        targets: errors whose required training-set size is reported; empty: half the smallest median error.
        level: level of all intervals.
        name: name of the study and its default workdir; default: the experiment's file name.
        precision: of the forward and backward passes of gradient-trained models.
        noise: noise in training examples.
        test_noise: noise in test examples; validation examples have none.
        groups: columns of the data that name an example's group, to compare errors between groups.
        tuning: points per learner, crossed with `axes`.
        equal_tuning: whether all tuned learners must have the same number of points.
        costs: prices, by which the report decides whether to collect more data.
        splits: number of hold-outs that rotate with the seeds: seed number i is tested on hold-out i mod `splits`.
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
    costs: Costs = Costs()
    splits: int = dataclasses.field(default=1, metadata={"omit_default": True})

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
                raise UsageError(
                    f"{name}={getattr(self, name)!r} is not a config; use for example Digits() or Classification()"
                )
        if not isinstance(self.splits, int) or isinstance(self.splits, bool) or self.splits < 1:
            raise UsageError(f"splits={self.splits!r} must be a number of hold-outs, an integer of at least 1")
        choose("precision", self.precision, PRECISIONS)
        check_frozen(self, "")
        check_tuning(self.tuning, self.learners, self.axes, equal=self.equal_tuning)
        if not hasattr(self.data, "load"):
            raise UsageError(f"data={self.data!r} has no load(); use a source of dlm.data, for example Digits()")
        largest = getattr(self.task, "bound", (0.0, None))[1]
        if largest is not None and max(self.targets, default=0) >= largest:
            raise UsageError(
                f"targets={max(self.targets):g} is not below {largest:g}, the largest error; 5 % is written 0.05"
            )
        if not 0 < self.level < 1:
            raise UsageError(f"level={self.level} must be between 0 and 1, for example 0.95")
        if not self.name.isprintable() or self.name.startswith(".") or set(self.name) & set("/\\"):
            raise UsageError(f"name={self.name!r} is not a folder name; choose one without slashes and leading dots")

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All distinct trials, by learner and ascending size."""
        return expand(self)

    @cached_property
    def cohorts(self) -> tuple[Cohort, ...]:
        """The gradient-trained trials, grouped into cohorts."""
        return group_cohorts([trial for trial in self.trials if isinstance(trial.learner, Learner)])


def _integer(value: Any) -> int:
    """An integer of any library as an int. TypeError for bools and other types."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _sizes(given: Any) -> tuple[int, ...]:
    try:
        train_sizes = tuple(sorted({_integer(size) for size in given}))
    except TypeError:
        train_sizes = ()
    if not train_sizes or train_sizes[0] < 1 or train_sizes[-1] >= 2**31:
        raise UsageError(f"train_sizes={given!r} must be a non-empty list of integers from 1 to 2^31 - 1")
    return train_sizes


def _seeds(given: Any) -> tuple[int, ...]:
    try:
        is_list = hasattr(given, "__iter__")
        seeds = tuple(dict.fromkeys(_integer(seed) for seed in given)) if is_list else (_integer(given) - 1,)
    except TypeError:
        seeds = ()
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**31:
        raise UsageError(f"seeds={given!r} must be a number of seeds, at least 1, or seeds from 0 to 2^31 - 1")
    if is_list:
        return seeds
    if seeds[0] >= MAX_SEEDS:
        raise UsageError(f"seeds={given!r} exceeds {MAX_SEEDS:,} seeds; a single seed is written ({given!r},)")
    return tuple(range(seeds[0] + 1))


def _learners(given: Any) -> FrozenDict:
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"learners={given!r} must map at least one name to a learner")
    for name, learner in given.items():
        if not isinstance(name, str) or not name.strip() or set(name) & set(".,="):
            raise UsageError(f"learners has the name {name!r}; choose text without any of . , =")
        if not dataclasses.is_dataclass(learner):
            raise UsageError(f"learners.{name}={learner!r} is not a learner; use a dlm.Learner or a baseline")
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
        raise UsageError(f"groups={given!r} must be a tuple of column names, for example ('sex',)")
    return tuple(given)

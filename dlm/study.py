"""What a study is: data, task, learners, sizes, seeds, axes and budget; the trials and cohorts it expands to.

Everything here is declared, frozen and hashable; nothing touches a device or reads data.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from dlm.declared import check_fields, check_frozen
from dlm.errors import UsageError, choose

MAX_EXAMPLES_SEEN = 2**32  # positions in a member's stream of examples are 32-bit
MAX_SEEDS = 10_000  # above it, a number of seeds is more likely a seed


class FrozenDict(Mapping[str, Any]):
    """A hashable mapping that keeps its order, and is equal in any."""

    def __init__(self, items: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **more: Any):
        self._items = {**dict(items), **more}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenDict({self._items})"


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Hyperparameters that are numbers: members of one cohort may differ in them.

    `lr` is the peak learning rate; `weight_decay` is decoupled and spares vectors (biases, norms); `dropout`
    and `label_smoothing` are rates in [0, 1).
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "hyper")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise UsageError(f"hyper.{field.name}={value!r} must be a finite number of at least 0")
            object.__setattr__(self, field.name, float(value))
        for name in ("dropout", "label_smoothing"):
            if getattr(self, name) >= 1:
                raise UsageError(f"hyper.{name}={getattr(self, name)} must be below 1")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How gradients become updates: `adamw` or `sgd` with momentum `b1`.

    `warmup` is the share of the updates over which the learning rate rises; then it follows a half cosine to
    zero, or stays (`constant`). `clip` bounds the global norm of the gradient; 0 leaves it alone.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    warmup: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    b1: float = 0.9
    b2: float = 0.999
    clip: float = 0.0

    def __post_init__(self) -> None:
        choose("optimizer.name", self.name, ("adamw", "sgd"))
        choose("optimizer.schedule", self.schedule, ("cosine", "constant"))
        check_fields(self, "optimizer")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"optimizer.warmup={self.warmup} is a share of the updates; choose 0 to 1")
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"optimizer.{name}={getattr(self, name)} is a decay rate; choose 0 to below 1")
        if not 0 <= self.clip < math.inf:
            raise UsageError(f"optimizer.clip={self.clip} is a norm; choose a number above 0, or 0 for none")


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a trial trains: `steps` updates, or `epochs` held between `min_steps` and `max_steps`.

    Exactly one of `steps` and `epochs` is above 0; `max_steps=0` means no ceiling. With `eval_every` above 0
    the validation split is measured every so many updates; with `patience` above 0 a trial stops after so
    many measurements without a better validation error, and reports the state of its best one.
    """

    steps: int = 0
    epochs: float = 0.0
    min_steps: int = 0
    max_steps: int = 0
    batch_size: int = 64
    eval_every: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        check_fields(self, "budget")
        object.__setattr__(self, "epochs", float(self.epochs))
        for field in dataclasses.fields(self):
            if not 0 <= getattr(self, field.name) < 2**31:
                raise UsageError(f"budget.{field.name}={getattr(self, field.name)} must lie between 0 and 2^31 - 1")
        if (self.steps > 0) == (self.epochs > 0):
            raise UsageError(
                f"budget.steps={self.steps} and budget.epochs={self.epochs:g}: exactly one must be above 0"
            )
        if self.batch_size < 1:
            raise UsageError(f"budget.batch_size={self.batch_size} must be at least 1")
        if self.max_steps and self.max_steps < self.min_steps:
            raise UsageError(f"budget.max_steps={self.max_steps} is below budget.min_steps={self.min_steps}")
        if self.patience and not self.eval_every:
            raise UsageError(f"budget.patience={self.patience} needs budget.eval_every above 0")

    def num_steps(self, train_size: int) -> int:
        """Number of updates for `train_size` examples; at least 1."""
        if self.steps:
            return self.steps
        wanted = math.ceil(self.epochs * train_size / self.batch_size)
        ceiling = self.max_steps or wanted
        return max(1, self.min_steps, min(wanted, ceiling))


@dataclasses.dataclass(frozen=True)
class Learner:
    """A gradient-trained learner: a model's config, hyperparameters, optimizer, and a budget of its own."""

    model: Any
    hyper: Hyper = Hyper()
    optimizer: Optimizer = Optimizer()
    budget: Budget | None = None


@dataclasses.dataclass(frozen=True)
class Axes:
    """Points of a hyperparameter sweep; `*` crosses two sweeps, `+` joins them, `len` counts the points."""

    points: tuple[FrozenDict, ...] = (FrozenDict(),)

    def __mul__(self, other: Axes) -> Axes:
        both = {path for a in self.points for path in a} & {path for b in other.points for path in b}
        if both:
            raise UsageError(f"both sweeps of a product vary {', '.join(sorted(both))}; vary it in one")
        return Axes(tuple(FrozenDict({**a, **b}) for a, b in itertools.product(self.points, other.points)))

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.points + other.points)

    def __len__(self) -> int:
        return len(self.points)


def grid(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """Every combination. Keys are hyperparameters (`lr=`) or paths in a learner (`{"model.widths": …}`)."""
    axes = _columns(paths, values)
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in itertools.product(*axes.values())))


def zipped(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """The first values together, the second together, and so on; all the same length."""
    axes = _columns(paths, values)
    lengths = {name: len(column) for name, column in axes.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"zipped axes have lengths {lengths}; give all the same number of values")
    return Axes(tuple(FrozenDict(dict(zip(axes, point))) for point in zip(*axes.values())) or (FrozenDict(),))


def _columns(paths: Mapping[str, Sequence[Any]] | None, values: Mapping[str, Sequence[Any]]) -> dict[str, tuple]:
    """Values of each axis; UsageError for one without any, or with a single value in place of several."""
    columns = {}
    for path, column in {**(paths or {}), **values}.items():
        if isinstance(column, str) or not hasattr(column, "__iter__"):
            raise UsageError(f"axis {path}={column!r} is one value; give a list, {path}=({column!r},)")
        columns[path] = tuple(column)
        if not columns[path]:
            raise UsageError(f"axis {path} has no values; give at least one, or leave it out")
    return columns


@dataclasses.dataclass(frozen=True)
class Study:
    """A data-scaling study, as an experiment module declares it.

    `learners` maps a name to a `Learner` or the config of a classical one. `seeds` is a number of seeds or
    the seeds themselves; each draws its own subset and its own initial weights. `targets` are errors to be
    asked "how many examples for this?"; empty: half the best error reached. `level` is that of every
    interval.
    """

    data: Any
    task: Any
    learners: Mapping[str, Any]
    sizes: tuple[int, ...]
    seeds: int | tuple[int, ...] = 3
    budget: Budget = Budget(epochs=30, min_steps=300, max_steps=10_000)
    axes: Axes = Axes()
    targets: tuple[float, ...] = ()
    level: float = 0.95
    name: str = ""

    def __post_init__(self) -> None:
        for name, value in (
            ("sizes", _sizes(self.sizes)),
            ("seeds", _seeds(self.seeds)),
            ("learners", _learners(self.learners)),
            ("targets", _targets(self.targets)),
        ):
            object.__setattr__(self, name, value)
        for name in ("data", "task"):
            if not dataclasses.is_dataclass(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)!r} is no config, such as Digits() or Classification()")
        check_frozen(self, "")
        if not hasattr(self.data, "load"):
            raise UsageError(f"data={self.data!r} has no load(); use a source of dlm.data, such as Digits()")
        if not 0 < self.level < 1:
            raise UsageError(f"level={self.level} must lie between 0 and 1, such as 0.95")
        if not self.name.isprintable() or self.name.startswith(".") or set(self.name) & set("/\\"):
            raise UsageError(f"name={self.name!r} names a folder; choose one without slashes and leading dots")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One cell: everything that decides its numbers, and nothing else."""

    name: str
    learner: Any
    task: Any
    data: Any
    train_size: int
    subset_seed: int
    init_seed: int
    budget: Budget

    @property
    def num_steps(self) -> int:
        """Updates at most (early stopping may end sooner)."""
        return self.budget.num_steps(self.train_size)

    @property
    def trial_id(self) -> str:
        """Hash of the canonical trial: a changed field is another trial."""
        return digest(self)


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Trials that share every static field; they differ only in numbers that can be arrays."""

    trials: tuple[Trial, ...]

    @property
    def first(self) -> Trial:
        return self.trials[0]

    @property
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
            )
            for name, base in study.learners.items()
            for learner in variants(base, study)
            for size in study.sizes
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


def variants(base: Any, study: Study) -> tuple[Any, ...]:
    """A learner at every point of the axes; an axis that it does not have passes it by."""
    for path in dict.fromkeys(path for point in study.axes.points for path in point):
        if not any(_has(learner, _full(path)) for learner in study.learners.values()):
            raise UsageError(
                f"axis {path!r} is a field of no learner; use lr, dropout, … or a path such as model.widths"
            )
    out = []
    for point in study.axes.points:
        learner = replaced(base, {_full(path): value for path, value in point.items() if _has(base, _full(path))})
        check_frozen(learner, f"axes: {type(learner).__name__}")
        out.append(learner)
    return tuple(dict.fromkeys(out))


def cohorts(cells: Sequence[Trial]) -> tuple[Cohort, ...]:
    """Group gradient-trained trials by their static fields, in order of first appearance."""
    groups: dict[str, list[Trial]] = {}
    for trial in cells:
        groups.setdefault(digest(static_fields(trial)), []).append(trial)
    return tuple(Cohort(tuple(group)) for group in groups.values())


def static_fields(trial: Trial) -> dict[str, Any]:
    """What a compiled program depends on; sizes, seeds, `Hyper` and step limits are arrays, not among it."""
    return {
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


def replaced(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with fields at dotted paths replaced, at once: rules between fields see the outcome alone.

    UsageError if the config refuses, whatever it raises.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        groups.setdefault(head, {})[rest] = value
    if not groups:
        return config
    if isinstance(config, FrozenDict):
        return FrozenDict({**config, **{head: _inside(config[head], group) for head, group in groups.items()}})
    fields = {head: _inside(getattr(config, head), group) for head, group in groups.items()}
    try:
        return dataclasses.replace(config, **fields)
    except UsageError:
        raise
    except Exception as error:
        told = ", ".join(f"{path}={value!r}" for path, value in changes.items())
        raise UsageError(f"{type(config).__name__} refuses {told}: {type(error).__name__}: {error}") from error


def _inside(config: Any, changes: Mapping[str, Any]) -> Any:
    return changes[""] if "" in changes else replaced(config, changes)


def canonical(value: Any) -> Any:
    """JSON-ready form of a config in which equal configs, and only those, are equal: 1.0 is 1 there too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(f"{value!r} cannot be part of a study; use numbers, text, tuples and frozen dataclasses")


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the canonical form."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _whole(value: Any) -> int:
    """A whole number of any library as an int. TypeError for bools and whatever else is none."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _sizes(given: Any) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({_whole(size) for size in given}))
    except TypeError:
        sizes = ()
    if not sizes or sizes[0] < 1 or sizes[-1] >= 2**31:
        raise UsageError(f"sizes={given!r} must be a list of at least one whole number from 1 to 2^31 - 1")
    return sizes


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


def _full(path: str) -> str:
    return f"hyper.{path}" if path in {field.name for field in dataclasses.fields(Hyper)} else path


def _has(config: Any, path: str) -> bool:
    head, _, rest = path.partition(".")
    if not dataclasses.is_dataclass(config) or head not in {field.name for field in dataclasses.fields(config)}:
        return False
    return _has(getattr(config, head), rest) if rest else True

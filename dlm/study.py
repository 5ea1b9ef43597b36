"""What a study is: data, task, learners, sizes, seeds, axes and budget, and the trials and cohorts it expands to.

Everything here is declared, frozen and hashable; nothing touches a device or reads data.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from dlm.errors import UsageError, choose

MAX_EXAMPLES_SEEN = 2**32  # positions in a member's stream of examples are 32-bit


class FrozenDict(Mapping[str, Any]):
    """A hashable mapping that keeps its order."""

    def __init__(self, items: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **more: Any):
        self._items = {**dict(items), **more}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenDict({self._items})"


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Hyperparameters that are numbers: members of one cohort may differ in them.

    `lr` is the peak learning rate; `weight_decay` is decoupled and spares vectors (biases, norms); `dropout` and
    `label_smoothing` are rates in [0, 1).
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise UsageError(f"hyper.{field.name}={value!r} must be a finite number of at least 0")
            object.__setattr__(self, field.name, float(value))
        for name in ("dropout", "label_smoothing"):
            if getattr(self, name) >= 1:
                raise UsageError(f"hyper.{name}={getattr(self, name)} must be below 1")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How gradients become updates: `adamw` or `sgd` with momentum `b1`.

    `warmup` is the share of the updates over which the learning rate rises; then it follows a half cosine to zero, or
    stays (`constant`). `clip` bounds the global norm of the gradient; 0 leaves it alone.
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
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"optimizer.warmup={self.warmup} is a share of the updates; choose 0 to 1")


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a trial trains: `steps` updates, or `epochs` held between `min_steps` and `max_steps`.

    Exactly one of `steps` and `epochs` is above 0; `max_steps=0` means no ceiling. With `eval_every` above 0 the
    validation split is measured every so many updates; with `patience` above 0 a trial stops after so many
    measurements without a better validation error, and reports the state of its best one.
    """

    steps: int = 0
    epochs: float = 0.0
    min_steps: int = 0
    max_steps: int = 0
    batch_size: int = 64
    eval_every: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", float(self.epochs))
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 0:
                raise UsageError(f"budget.{field.name}={getattr(self, field.name)} must not be negative")
        if (self.steps > 0) == (self.epochs > 0):
            raise UsageError(
                f"budget.steps={self.steps} and budget.epochs={self.epochs:g}: set exactly one of them above 0"
            )
        if self.batch_size < 1:
            raise UsageError(f"budget.batch_size={self.batch_size} must be at least 1")
        if self.max_steps and self.max_steps < self.min_steps:
            raise UsageError(f"budget.max_steps={self.max_steps} is below budget.min_steps={self.min_steps}")
        if self.patience and not self.eval_every:
            raise UsageError(f"budget.patience={self.patience} needs budget.eval_every above 0, to have what to wait for")

    def num_steps(self, train_size: int) -> int:
        """Number of updates for `train_size` examples; at least 1."""
        if self.steps:
            return self.steps
        wanted = math.ceil(self.epochs * train_size / self.batch_size)
        ceiling = self.max_steps or wanted
        return max(1, self.min_steps, min(wanted, ceiling))


@dataclasses.dataclass(frozen=True)
class Learner:
    """A gradient-trained learner: a model's config, its hyperparameters and optimizer; its own budget if given."""

    model: Any
    hyper: Hyper = Hyper()
    optimizer: Optimizer = Optimizer()
    budget: Budget | None = None


@dataclasses.dataclass(frozen=True)
class Axes:
    """Points of a hyperparameter sweep; `*` crosses two sweeps, `+` joins them, `len` is known before it costs anything."""

    points: tuple[FrozenDict, ...] = (FrozenDict(),)

    def __mul__(self, other: Axes) -> Axes:
        return Axes(tuple(FrozenDict({**a, **b}) for a, b in itertools.product(self.points, other.points)))

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.points + other.points)

    def __len__(self) -> int:
        return len(self.points)


def grid(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """Every combination. Keys are hyperparameters (`lr=`) or paths inside a learner (`{"model.widths": …}`)."""
    axes = {**(paths or {}), **values}
    return Axes(tuple(FrozenDict(zip(axes, point)) for point in itertools.product(*axes.values())))


def zipped(paths: Mapping[str, Sequence[Any]] | None = None, /, **values: Sequence[Any]) -> Axes:
    """The first values together, the second together, and so on; all the same length."""
    axes = {**(paths or {}), **values}
    lengths = {name: len(column) for name, column in axes.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"zipped axes have lengths {lengths}; give all the same number of values")
    return Axes(tuple(FrozenDict(zip(axes, point)) for point in zip(*axes.values())))


@dataclasses.dataclass(frozen=True)
class Study:
    """A data-scaling study, as an experiment module declares it.

    `learners` maps a name to a `Learner` or the config of a classical one. `seeds` is a number of seeds or the seeds
    themselves; each draws its own subset and its own initial weights. `targets` are errors to be asked "how many
    examples for this?"; empty: half the best error reached. `level` is that of every interval.
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
        sizes = tuple(sorted(set(self.sizes)))
        if not sizes or any(not _is_count(size) for size in sizes):
            raise UsageError(f"sizes={self.sizes} must hold at least one whole number, each at least 1")
        if isinstance(self.seeds, int) and self.seeds < 1:
            raise UsageError(f"seeds={self.seeds} must be at least 1, or a list of seeds")
        seeds = tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(dict.fromkeys(self.seeds))
        if not seeds or any(not 0 <= seed < 2**31 for seed in seeds):
            raise UsageError(f"seeds={self.seeds} must hold at least one whole number from 0 to 2^31 - 1")
        if not self.learners:
            raise UsageError("learners={} is empty; name at least one")
        if not 0 < self.level < 1:
            raise UsageError(f"level={self.level} must lie between 0 and 1, such as 0.95")
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "learners", FrozenDict(self.learners))
        object.__setattr__(self, "targets", tuple(float(target) for target in self.targets))


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
    return tuple(
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


def variants(base: Any, study: Study) -> tuple[Any, ...]:
    """A learner at every point of the axes; an axis that it does not have passes it by."""
    for path in {path for point in study.axes.points for path in point}:
        if not any(_has(learner, _full(path)) for learner in study.learners.values()):
            raise UsageError(f"axis {path!r} is a field of no learner; use lr, weight_decay, … or a path such as model.widths")
    out = []
    for point in study.axes.points:
        learner = base
        for path, value in point.items():
            if _has(base, _full(path)):
                learner = replaced(learner, _full(path), value)
        out.append(learner)
    return tuple(dict.fromkeys(out))


def cohorts(cells: Sequence[Trial]) -> tuple[Cohort, ...]:
    """Group gradient-trained trials by their static fields, in order of first appearance."""
    groups: dict[str, list[Trial]] = {}
    for trial in cells:
        groups.setdefault(digest(static_fields(trial)), []).append(trial)
    return tuple(Cohort(tuple(group)) for group in groups.values())


def static_fields(trial: Trial) -> dict[str, Any]:
    """What a compiled program depends on; sizes, seeds, `Hyper` and step limits are arrays and not among it."""
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


def replaced(config: Any, path: str, value: Any) -> Any:
    """`config` with the field at a dotted `path` replaced, parents rebuilt."""
    head, _, rest = path.partition(".")
    if isinstance(config, FrozenDict):
        return FrozenDict({**config, head: replaced(config[head], rest, value) if rest else value})
    return dataclasses.replace(config, **{head: replaced(getattr(config, head), rest, value) if rest else value})


def canonical(value: Any) -> Any:
    """JSON-ready form of a config in which equal configs, and only those, are equal."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(f"{value!r} cannot be part of a study; use numbers, text, tuples and frozen dataclasses")


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the canonical form."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def _full(path: str) -> str:
    return f"hyper.{path}" if path in {field.name for field in dataclasses.fields(Hyper)} else path


def _has(config: Any, path: str) -> bool:
    head, _, rest = path.partition(".")
    if not dataclasses.is_dataclass(config) or head not in {field.name for field in dataclasses.fields(config)}:
        return False
    return _has(getattr(config, head), rest) if rest else True

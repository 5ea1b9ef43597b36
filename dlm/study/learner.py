"""Declares gradient-trained learners: model, hyperparameters, optimizer, training budget and augmentation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from dlm.study.config import FrozenDict, check_amounts, check_fields, has
from dlm.utils.errors import UsageError, choose

Precision = Literal["float32", "bfloat16"]  # of forward and backward passes; parameters and metrics are float32
PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Numeric hyperparameters; models of one cohort may differ in them.

    Attributes:
        lr: peak learning rate.
        weight_decay: decoupled weight decay, not applied to vectors (biases, norms).
        dropout: rate in [0, 1).
        label_smoothing: rate in [0, 1).
        focal: γ of the focal loss (Lin et al. 2017, "Focal loss for dense object detection"); 0: cross entropy.
        balance: exponent of class weights (class share in the pool)^−balance, normalized to mean 1; at 1 all classes
            have the same total weight.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    focal: float = 0.0
    balance: float = 0.0

    def __post_init__(self) -> None:
        check_amounts(self, "hyper")
        for name in ("dropout", "label_smoothing"):
            if getattr(self, name) >= 1:
                raise UsageError(f"hyper.{name}={getattr(self, name)} must be below 1")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The optimizer and its learning-rate schedule.

    Attributes:
        name: `adamw`, or `sgd` with momentum `b1`.
        warmup: share of the updates with a linearly increasing learning rate.
        schedule: after the warmup, `cosine` decay to zero, or `constant`.
        b1, b2: decay rates of the first and second moment.
        clip: maximum global norm of the gradient; 0: no clipping.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    warmup: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    b1: float = 0.9
    b2: float = 0.999
    clip: float = 0.0

    def __post_init__(self) -> None:
        choose("optimizer.name", self.name, ("adamw", "sgd"))
        check_fields(self, "optimizer")
        _check_schedule(self.warmup, self.schedule)
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"optimizer.{name}={getattr(self, name)} is a decay rate; choose 0 to below 1")
        if not 0 <= self.clip < math.inf:
            raise UsageError(f"optimizer.clip={self.clip} is a norm; choose a number above 0, or 0 for none")


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Optax:
    """An optimizer of optax or of user code: `Optax(optax.adafactor, momentum=0.9)`.

    factory: a function defined at the top level of a module that returns an `optax.GradientTransformation`. Every
    step calls `factory(learning_rate=…, **arguments)` with `hyper.lr` times the schedule, a traced number.
    `warmup` and `schedule` are those of `Optimizer`. `hyper.weight_decay` adds decoupled decay of matrices to its
    updates.
    """

    factory: Callable[..., Any] = dataclasses.field(metadata={"code": True})
    arguments: Mapping[str, Any] = dataclasses.field(metadata={"code": True})
    warmup: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"

    def __init__(
        self,
        factory: Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        warmup: float = 0.1,
        schedule: Literal["cosine", "constant"] = "cosine",
        **more: Any,
    ) -> None:
        if not callable(factory):
            raise UsageError(f"Optax({factory!r}): the first argument must be a function such as optax.adafactor")
        _check_schedule(warmup, schedule)
        values = {"factory": factory, "arguments": FrozenDict({**(arguments or {}), **more})}
        for name, value in (values | {"warmup": warmup, "schedule": schedule}).items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Optax({getattr(self.factory, '__qualname__', self.factory)}{arguments})"


def _check_schedule(warmup: float, schedule: str) -> None:
    choose("optimizer.schedule", schedule, ("cosine", "constant"))
    if not 0 <= warmup <= 1:
        raise UsageError(f"optimizer.warmup={warmup} is a share of the updates; choose a value from 0 to 1")


@dataclasses.dataclass(frozen=True)
class Budget:
    """Training length, batch size and early stopping.

    Attributes:
        steps: number of updates; exactly one of `steps` and `epochs` is above 0.
        epochs: passes over the training subset, limited to `min_steps` and `max_steps` updates.
        min_steps: minimum number of updates with `epochs`.
        max_steps: maximum number of updates with `epochs`; 0: no limit.
        batch_size: examples per update.
        eval_every: updates between measurements of the validation split; 0: none.
        patience: stop after this many measurements without a better validation error, and report the state with the
            best one; 0: no early stopping.
    """

    steps: int = 0
    epochs: float = 0.0
    min_steps: int = 0
    max_steps: int = 0
    batch_size: int = 64
    eval_every: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        check_amounts(self, "budget", most=2**31 - 1)
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
        """Number of updates for `train_size` examples, at least 1."""
        if self.steps:
            return self.steps
        wanted = math.ceil(self.epochs * train_size / self.batch_size)
        return max(1, self.min_steps, min(wanted, self.max_steps or wanted))

    def binding_field(self, train_size: int) -> str:
        """The field that determines `num_steps(train_size)`."""
        if self.steps:
            return "steps"
        wanted, steps = math.ceil(self.epochs * train_size / self.batch_size), self.num_steps(train_size)
        return "epochs" if steps == wanted else "min_steps" if steps > wanted else "max_steps"


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random augmentation of training inputs, new at every step. All fields are off at 0.

    Applied in the order of the fields, except `mixup`, which is last. Inputs are set to zero after normalization.

    Attributes:
        flip: images: mirror left-right with probability 1/2.
        crop: images: shift by up to this many pixels each way, padding with zeros (He et al. 2016, "Deep residual
            learning").
        cutout: images: set a square of this side to zero; its centre is uniform, so it may cross the edge (DeVries &
            Taylor 2017).
        mixup: alpha of the Beta(alpha, alpha) weight that averages two examples (Zhang et al. 2018).
        time_mask: spectrograms: set up to this many consecutive frames to zero (Park et al. 2019, "SpecAugment").
        frequency_mask: spectrograms: the same for frequency bands.
        token_drop: tokens: probability of replacing a token by 0.
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0
    time_mask: int = 0
    frequency_mask: int = 0
    token_drop: float = 0.0

    def __post_init__(self) -> None:
        check_amounts(self, "augment")
        if self.token_drop >= 1:
            raise UsageError(f"augment.token_drop={self.token_drop:g} is a probability; choose a value below 1")
        if self.mixup and not 1e-3 <= self.mixup <= 1e3:
            raise UsageError(f"augment.mixup={self.mixup:g} must lie between 0.001 and 1000, or be 0 for none")


@dataclasses.dataclass(frozen=True)
class Learner:
    """A gradient-trained learner: model, hyperparameters, optimizer, a budget of its own, augmentation.

    model: a config of `dlm.models`, any `flax.linen.Module`, or `NNX(MyModule, …)` for a `flax.nnx` class.
    optimizer: `Optimizer(…)`, `Optax(…)`, or a function that takes `learning_rate` (short for `Optax(function)`).
    """

    model: Any
    hyper: Hyper = Hyper()
    optimizer: Optimizer | Optax = Optimizer()
    budget: Budget | None = None
    augment: Augment = Augment()

    def __post_init__(self) -> None:
        if callable(self.optimizer):
            object.__setattr__(self, "optimizer", Optax(self.optimizer))


def check_augment(augment: Augment, input_shape: tuple[int, ...], tokens: bool) -> None:
    """UsageError for augmentation that does not fit the examples.

    Args:
        input_shape: shape of one example.
        tokens: whether inputs are token ids.
    """
    rank = len(input_shape)
    needs = {
        ("flip", "crop", "cutout"): ("images [H, W] or [H, W, C]", not tokens and rank in (2, 3)),
        ("time_mask", "frequency_mask"): ("spectrograms [T, F] or [T, F, …]", not tokens and rank >= 2),
        ("token_drop",): ("tokens [L]", tokens),
        ("mixup",): ("inputs that can be averaged", not tokens),
    }
    kind = "tokens" if tokens else "numbers"
    for names, (requirement, fits) in needs.items():
        used = [f"augment.{name}={getattr(augment, name)}" for name in names if getattr(augment, name)]
        if used and not fits:
            raise UsageError(f"{used[0]} needs {requirement}; examples are {kind} of shape {input_shape}; omit it")
    limits = {"crop": input_shape[:2], "cutout": input_shape[:2]}
    limits |= {"time_mask": input_shape[:1], "frequency_mask": input_shape[1:2]}
    for name, sides in limits.items():
        if (value := getattr(augment, name)) and value >= min(sides):
            raise UsageError(f"augment.{name}={value} must be below {min(sides)}; examples have shape {input_shape}")


def full_path(path: str, learner: Any = None) -> str:
    """The path in a learner of an axis: the name of a hyperparameter alone, `lr`, is `hyper.lr`.

    A field of that name in the learner itself, for example `balance` of a classical learner, has priority.
    """
    is_hyper = path in {field.name for field in dataclasses.fields(Hyper)}
    return f"hyper.{path}" if is_hyper and not has(learner, path) else path

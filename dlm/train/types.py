"""Array types of training: members, states, data, and the static configuration of a program."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from dlm.data.corruption import Amounts
from dlm.data.normalization import NormalizationStats
from dlm.models import Model
from dlm.study.learner import Augment, Optax, Optimizer, Precision
from dlm.study.noise import Noise

if TYPE_CHECKING:
    from dlm.study.trial import Trial

INIT, DROPOUT, AUGMENT = 0, 1, 2  # purposes of a random draw
TEST_SEED = 2**32 - 1  # for noise on test examples: not a subset's seed, and the same for every trial
EVAL_BATCH_SIZE = 256

Array = Any  # jax.Array, or a NumPy array before it is put on the devices


class MemberNoise(NamedTuple):
    """Noise of a member's examples: the amount of each kind, and the subset seed that it is drawn with."""

    seed: Array
    amounts: Amounts


class Member(NamedTuple):
    """The values in which members of a cohort differ: scalars, or arrays [M] for a population.

    `order` is a row of `Data.orders`; `num_steps` the largest number of updates. `stats` holds the statistics
    of the training subset, None for data that are not standardized; `noise`, `focal` and `class_weights` [C] are None
    in a cohort that does not use them.
    """

    seed: Array
    order: Array
    train_size: Array
    num_steps: Array
    lr: Array
    weight_decay: Array
    dropout: Array
    label_smoothing: Array
    stats: NormalizationStats | None = None
    noise: MemberNoise | None = None
    focal: Array | None = None
    class_weights: Array | None = None


class BestSnapshot(NamedTuple):
    """Variables with the lowest validation error so far.

    `num_worse` counts the evaluations since; `evaluated_at` is the step of the last evaluation.
    """

    params: Any
    error: jax.Array
    step: jax.Array
    num_worse: jax.Array
    evaluated_at: jax.Array


class State(NamedTuple):
    """Training state of a member.

    `params` are the model's variables: its parameters, or `dlm.models.Variables` for a model with state (BatchNorm).
    `loss` is the last finite training loss; `best` is None without early stopping.
    """

    params: Any
    opt_state: Any
    step: jax.Array
    loss: jax.Array
    diverged: jax.Array
    stopped: jax.Array
    best: BestSnapshot | None


class ResourceUsage(NamedTuple):
    """Resources that a member's training has used: its share of the cohort's seconds and joules (None: unknown)."""

    seconds: float = 0.0
    joules: float | None = None

    def plus(self, seconds: float, joules: float | None) -> ResourceUsage:
        """The usage after `seconds` and `joules` more; joules stay unknown once a reading is missing."""
        known = self.joules is not None and joules is not None
        return ResourceUsage(self.seconds + seconds, self.joules + joules if known else None)  # type: ignore[operator]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Metrics of one trial after `step` updates.

    `values[split, metric]`; `status` is "running", "done" or "diverged" (then the only value is the last finite
    training loss). `usage` holds the resources used so far.
    """

    trial: Trial
    step: int
    status: str
    values: dict[tuple[str, str], float]
    usage: ResourceUsage


class EvaluationBatches(NamedTuple):
    """A split in batches: x [K, B, ...], y [K, B, ...], weight [K, B] (0 for padding).

    `clean` [K, B] are weights that also exclude examples of the training pool; None if the splits do not overlap.
    """

    x: Array
    y: Array
    weight: Array
    clean: Array | None = None


class Data(NamedTuple):
    """Data on the devices, shared by all members. `orders` [S, N]: the order of the pool for each subset seed.

    For a streamed pool, `x`, `y` and `orders` are None and examples arrive as `StreamWindow`.
    """

    x: Array | None
    y: Array | None
    orders: Array | None
    validation: EvaluationBatches
    test: EvaluationBatches


class StreamWindow(NamedTuple):
    """Examples of the next W updates of a member, in training order: x [W·B, ...], y [W·B, ...].

    `first` is the number of updates applied before the window.
    """

    x: Array
    y: Array
    first: Array


@dataclasses.dataclass(frozen=True)
class ProgramConfig:
    """Functions and static numbers that a cohort's program is compiled from.

    `tokens`: inputs are integers and stay integers. `standardize`, `numeric_targets`: inputs, targets are normalized by
    the statistics of the training subset. `noise`: kinds of noise that members have. `extent`: smallest and largest
    input after scaling. `precision`: type of the forward and backward pass; all other arithmetic is float32.
    `microbatched`: a batch may be processed in microbatches that fit into the cache; the loss must be a mean over
    examples.
    """

    model: Model
    task: Any
    optimizer: Optimizer | Optax
    input_shape: tuple[int, ...]
    scale: float
    shift: float
    batch_size: int
    dropout: bool
    eval_every: int
    patience: int
    precision: Precision = "float32"
    microbatched: bool = False
    tokens: bool = False
    standardize: bool = False
    numeric_targets: bool = False
    augment: Augment = Augment()
    noise: tuple[str, ...] = ()
    test_noise: Noise = Noise()
    extent: tuple[float, float] = (0.0, 1.0)
    num_classes: int = 0

    def inputs(self, x: jax.Array, stats: NormalizationStats | None) -> jax.Array:
        """Model inputs from stored inputs: float32, or int32 tokens."""
        if self.tokens:
            return x.astype(jnp.int32)
        x = x.astype(jnp.float32)
        if self.standardize:
            assert stats is not None
            return stats.inputs(x, jnp)
        return x * self.scale + self.shift

    def outputs(self, params: Any, inputs: jax.Array) -> jax.Array:
        """Outputs of the model in evaluation mode, float32."""
        return self.model.apply(*self._cast((params, inputs))).astype(jnp.float32)

    def train_outputs(
        self, params: Any, model_state: Any, inputs: jax.Array, dropout: Any, key: jax.Array | None
    ) -> tuple[jax.Array, Any]:
        """(outputs of the model in training mode, float32; the updated model state)."""
        outputs, model_state = self.model.train(self._cast(params), model_state, self._cast(inputs), dropout, key)
        return outputs.astype(jnp.float32), model_state

    def _cast(self, tree: Any) -> Any:
        """Floating-point leaves in the model's precision. No operation is added where the type is right already."""
        return jax.tree.map(
            lambda leaf: leaf.astype(self.precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
        )


def key_of(member: Member, purpose: int) -> jax.Array:
    """The key of a member's random draws for a purpose."""
    return jax.random.fold_in(jax.random.key(member.seed), purpose)

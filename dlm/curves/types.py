"""What is measured and what is answered, as plain dataclasses: no computation here."""

from __future__ import annotations

import dataclasses
from typing import Literal

RequiredSizeKind = Literal["reached", "interval", "more than", "not reachable", "undetermined"]
CrossoverKind = Literal["already", "measured", "forecast", "never", "undetermined"]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Measured errors of one learner.

    `errors[k]` holds one number for each finished seed at `train_sizes[k]` (ascending sizes, at least one seed
    each). `unit` says what the numbers are ("error rate", "nats per byte"); `bound` is their possible
    range; `num_test` is the number of examples behind each number, 0 when unknown (gives the binomial noise
    floor). `failed` counts diverged or failed cells, which are absent from `errors`. `stderr` [K] is the standard
    error of each mean where it was given with it; empty where seeds or test set must tell. `noise`: what was wrong
    with the examples, such as `label=0.2`; then `learner` is the learner's name with that in brackets.
    """

    learner: str
    train_sizes: tuple[int, ...]
    errors: tuple[tuple[float, ...], ...]
    unit: str = "error rate"
    bound: tuple[float, float | None] = (0.0, 1.0)
    num_test: int = 0
    num_failed: int = 0
    stderr: tuple[float, ...] = ()
    noise: str = ""


@dataclasses.dataclass(frozen=True)
class MeasurementNoise:
    """How much an error would move, at one size: by another seed, and by another test set; None where not known.

    `training` is the standard deviation over `num_seeds` seeds of one test set, `test` the binomial standard error
    of that test set, which all seeds share.
    """

    train_size: int
    training: float | None
    test: float | None
    num_seeds: int


@dataclasses.dataclass(frozen=True)
class ForecastGrid:
    """Quantiles of the forecast error: `errors[k][q]` at `train_sizes[k]`, from the largest measured size to the
    farthest that the points carry, and `levels[q]`; both ascending."""

    levels: tuple[float, ...]
    train_sizes: tuple[int, ...]
    errors: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class MeasuredSizes:
    """The sizes at which a learner's error had been measured by then, whether the forecast used them or not."""

    learner: str
    train_sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Stamp:
    """When a forecast was made and of what.

    `made` is UTC in ISO 8601, `largest` the largest size among its inputs. `inputs` is the SHA-256 of what was
    measured (learners, sizes, errors, standard errors), `content` that of everything in the answer but itself.
    """

    created: str
    largest_train_size: int
    measured: tuple[MeasuredSizes, ...]
    inputs_hash: str
    content_hash: str


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Forecast error at one size: median and central interval."""

    train_size: int
    median: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class RequiredSize:
    """How many examples a target error takes.

    `kind`: "reached" (already at `median`, within the measured sizes), "interval" (low..high, `high` may be
    None = more than can be said), "more than" (only `low` can be said), "not reachable", or "undetermined".
    """

    target: float
    kind: RequiredSizeKind
    low: float | None
    median: float | None
    high: float | None
    p_reachable: float


@dataclasses.dataclass(frozen=True)
class LearnerSummary:
    """Everything said about one learner. `law` is readable; `note` says why an extrapolation is refused, or what to
    know before trusting it."""

    curve: Curve
    law: str
    fitted: tuple[Prediction, ...]  # a dense grid for the figure: measured sizes and, if carried, 10x beyond
    predictions: tuple[Prediction, ...]  # at each multiple of the largest size; empty when not carried
    required_sizes: tuple[RequiredSize, ...]
    note: str = ""
    noise: MeasurementNoise | None = None  # at the largest size
    grid: ForecastGrid | None = None  # None when nothing beyond the measured sizes is carried


@dataclasses.dataclass(frozen=True)
class ProbabilityBetter:
    """The probability `p` that the challenger's expected error is below the incumbent's at a size, which is `measured`
    or beyond what both were measured at."""

    train_size: int
    probability: float
    measured: bool


@dataclasses.dataclass(frozen=True)
class Crossover:
    """Where `challenger` becomes better than `incumbent`, by default the one better at the smallest common size.

    With several crossings inside the measured sizes, the last one counts.

    `kind`: "already" (the challenger is better from the smallest common size on), "measured" (inside the measured
    sizes), "forecast" (beyond them), "never" (the incumbent stays better within the supported reach of the forecast: at
    most 16 times the largest common size), or "undetermined". `low`, `median`, `high` are sizes; `low` is the smallest
    common size if the crossing may lie before it, `high` is None if it may lie beyond the reach, and all three are None
    for "already", "never" and "undetermined".
    `probabilities`: at each common size, and at 2, 4 and 10 times the largest as far as the points carry.
    """

    incumbent: str
    challenger: str
    kind: CrossoverKind
    low: float | None
    median: float | None
    high: float | None
    probabilities: tuple[ProbabilityBetter, ...] = ()


@dataclasses.dataclass(frozen=True)
class StudySummary:
    """The whole answer; `dataclasses.asdict` of it is ready for JSON: NaN and infinity never occur."""

    learners: tuple[LearnerSummary, ...]
    crossovers: tuple[Crossover, ...]
    multiples: tuple[float, ...]
    level: float
    stamp: Stamp | None = None

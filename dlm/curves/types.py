"""Plain dataclasses of measured curves and their summaries, without computation."""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlm.study.names import ChanceLevel

RequiredSizeKind = Literal["reached", "interval", "unsupported", "not reachable", "undetermined"]
CrossoverKind = Literal["already", "measured", "forecast", "never", "undetermined"]


@dataclasses.dataclass(frozen=True)
class Tails:
    """Shape of the numbers whose mean over the test examples, to `power`, is an error.

    `degrees_of_freedom`: of the estimated standard error of that mean, None for many. `skewness`: of the mean, not of
    the numbers.
    """

    power: float = 1.0
    degrees_of_freedom: float | None = None
    skewness: float = 0.0


@dataclasses.dataclass(frozen=True)
class Curve:
    """Measured errors of one learner.

    Attributes:
      learner: name; with `noise`, followed by the noise in parentheses.
      train_sizes: [K] ascending.
      errors: one row per size with one error per finished seed, at least one.
      unit: of the errors, for example "error rate" or "nats per byte".
      bound: their possible range.
      num_test: number of test examples behind each error, 0 if unknown; determines the binomial noise. With several
        hold-outs, the number of distinct examples in all of them, behind each mean error.
      num_failed: diverged or failed trials, which `errors` omits.
      stderr: [K] standard errors of the means, if given; otherwise they follow from the seeds or the test set.
      noise: corruption of the training examples, for example `label=0.2`.
      test_stderr: standard error of the last error that the choice of the test examples causes, from the saved
        predictions; None: that of a binomial for an error rate with a known `num_test`, otherwise unknown.
      test_tails: shape of the test examples' contributions to an error that is not a rate.
      pool_size: number of examples in the training pool, 0 if unknown; at that size all seeds share one subset, so
        their spread lacks that of the subset.
      hold_outs: number of test sets over which the seeds are distributed.
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
    test_stderr: float | None = None
    test_tails: Tails = Tails()
    pool_size: int = 0
    hold_outs: int = 1


@dataclasses.dataclass(frozen=True)
class MeasurementNoise:
    """Noise of the error at one size due to seeds and to the test set; None if unknown.

    `training`: standard deviation over `num_seeds` seeds on one test set; `test`: binomial standard error of that test
    set, which all seeds share.
    """

    train_size: int
    training: float | None
    test: float | None
    num_seeds: int


@dataclasses.dataclass(frozen=True)
class ForecastGrid:
    """Quantiles of the error on the test set: `errors[k][q]` at `train_sizes[k]` and `levels[q]`, both ascending.

    The sizes range from the largest measured one to the farthest supported one.
    """

    levels: tuple[float, ...]
    train_sizes: tuple[int, ...]
    errors: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class MeasuredSizes:
    """Sizes of a learner that were measured when the forecast was made, including those that it does not use."""

    learner: str
    train_sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Stamp:
    """Time and inputs of a forecast.

    `created`: UTC in ISO 8601. `largest_train_size`: among the inputs. `inputs_hash`: SHA-256 of the measurements
    (learners, sizes, errors, standard errors). `content_hash`: SHA-256 of the summary without this field.
    """

    created: str
    largest_train_size: int
    measured: tuple[MeasuredSizes, ...]
    inputs_hash: str
    content_hash: str


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Error on new examples at one size: median and central interval.

    `test_set_low`, `test_set_high`: the narrower interval of the expected error on the study's own test examples; None
    where the sampling error of the test set is unknown, so that low..high is that interval.
    """

    train_size: int
    median: float
    low: float
    high: float
    test_set_low: float | None = None
    test_set_high: float | None = None


@dataclasses.dataclass(frozen=True)
class RequiredSize:
    """Training-set size that a target error requires.

    `kind`: "reached" (at `median`, within the measured sizes), "interval" (beyond them), "unsupported" (more than
    `low`, probably outside the supported range), "not reachable", or "undetermined". low..high is the interval; `high`
    is None if it is outside the supported range.
    """

    target: float
    kind: RequiredSizeKind
    low: float | None
    median: float | None
    high: float | None
    p_reachable: float


@dataclasses.dataclass(frozen=True)
class LearnerSummary:
    """Summary of one learner. `law`: formula of the best law; `note`: why no forecast is given, or a caveat.

    `current`: the expected error at the largest measured size; None without a forecast. `warnings`: names of the
    warnings of `dlm.curves.diagnostics` that apply.
    """

    curve: Curve
    law: str
    fitted: tuple[Prediction, ...]  # a dense grid for the figure: measured sizes and, if supported, 10x beyond
    predictions: tuple[Prediction, ...]  # at each multiple of the largest size; empty if not supported
    required_sizes: tuple[RequiredSize, ...]
    note: str = ""
    current: Prediction | None = None
    noise: MeasurementNoise | None = None  # at the largest size
    grid: ForecastGrid | None = None  # None without a forecast beyond the measured sizes
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ProbabilityBetter:
    """Probability that the challenger's expected error is below the incumbent's at `train_size`.

    `measured`: whether both learners were measured up to that size.
    """

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
    `probabilities`: at each common size, and at supported multiples (2, 4, 10) of the largest.
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
    """Summary of a study; `dataclasses.asdict` of it is valid JSON, without NaN and infinity.

    `estimand`: the quantity that intervals and required sizes refer to, one of the texts in `new_examples`. `chance`:
    the error of the best constant prediction, if known.
    """

    learners: tuple[LearnerSummary, ...]
    crossovers: tuple[Crossover, ...]
    multiples: tuple[float, ...]
    level: float
    estimand: str = ""
    chance: ChanceLevel | None = None
    stamp: Stamp | None = None

"""All that is said of groups, as plain dataclasses: `dataclasses.asdict` of it is ready for JSON."""

from __future__ import annotations

import dataclasses

from dlm.curves.results import LearnerAnswer, Need
from dlm.fairness.exponents import Exponent
from dlm.fairness.gaps import Gap, Spread
from dlm.fairness.metrics import ColumnMetrics


@dataclasses.dataclass(frozen=True)
class GroupCurve:
    """A learner's curve on the test examples of one group, its forecast, and what takes it to everyone else's error.

    `answer.curve.num_test` of the test examples are the group's, and `in_pool` of the pool's, None where not known.
    `exponent` is None for fewer than three sizes. `need` is of training sets mixed as the pool is, for the error that
    everyone else has at the largest size; None where the group has too few test examples to be compared.
    """

    learner: str
    column: str
    group: str
    in_pool: int | None
    answer: LearnerAnswer
    exponent: Exponent | None
    need: Need | None


@dataclasses.dataclass(frozen=True)
class GroupReport:
    """`gaps` at every size; their intervals hold together, at `level`, over all learners, columns and groups of a size.

    `spreads` go with them. `metrics` are of each learner's largest size. `notes`: what to know before trusting this.
    """

    curves: tuple[GroupCurve, ...]
    gaps: tuple[Gap, ...]
    spreads: tuple[Spread, ...]
    metrics: tuple[ColumnMetrics, ...]
    level: float
    unit: str
    notes: tuple[str, ...] = ()

    def largest(self) -> tuple[Gap, ...]:
        """The gaps at each learner's largest size."""
        last = {gap.learner: gap.size for gap in sorted(self.gaps, key=lambda gap: gap.size)}
        return tuple(gap for gap in self.gaps if gap.size == last[gap.learner])

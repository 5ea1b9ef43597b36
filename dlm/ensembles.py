"""Members of one size and different seeds taken together as one ensemble: what it measures, kept beside the records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from dlm.files import write_atomically

FILE = "ensembles.json"
CALIBRATION = "calibration_error"


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """The mean of several members' predictions, measured on the test set.

    `examples`: distinct training examples that they have seen together, for each has a subset of its own. `values`:
    the task's measures of their mean; `single`: the mean of each member's own. `unit` is the error's.
    """

    learner: str
    train_size: int
    members: int
    examples: int
    unit: str
    values: dict[str, float]
    single: dict[str, float]


def write(workdir: Path, found: Sequence[Ensemble]) -> None:
    """Write them beside the records; in place of those of before."""
    write_atomically(workdir / FILE, json.dumps([dataclasses.asdict(one) for one in found], indent=1) + "\n")


def read(workdir: Path) -> list[Ensemble]:
    """The ensembles of a workdir; none where there are none, or they cannot be read."""
    try:
        return [Ensemble(**one) for one in json.loads((workdir / FILE).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []

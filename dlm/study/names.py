"""Terms that several packages share: trial statuses, splits, metrics, units, the chance level."""

from __future__ import annotations

import dataclasses
import enum
from typing import NewType


class Status(enum.StrEnum):
    """State of a trial at a recorded step. All but `RUNNING` are final."""

    RUNNING = "running"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"


TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")

ERROR = "error"  # the task's error, which decreases as learning improves
LOSS = "loss"  # the training objective
ERROR_RATE = "error_rate"  # of a classification task whose error is another number
CALIBRATION_ERROR = "calibration_error"
ERROR_WITHOUT_LEAKS = "error_without_leaks"  # of test examples without a copy in the training pool

NO_PRECISION = "none"  # recorded for learners that are not gradient-trained

Unit = NewType("Unit", str)  # of a recorded value; a task may define its own
UNIT_ERROR_RATE = Unit("error rate")
UNIT_MISSED_AUPRC = Unit("missed AUPRC")
UNIT_NATS = Unit("nats")
UNIT_NATS_PER_BYTE = Unit("nats per byte")


@dataclasses.dataclass(frozen=True)
class ChanceLevel:
    """Test `error` of the best constant `prediction`, for example that of "the majority class"."""

    error: float
    prediction: str

"""The status of a run as plain data, stored as progress.json, and the counts of its trials from records."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dlm.curves.from_records import curve_name, learning_curves
from dlm.curves.types import Curve
from dlm.storage.record_log import Record, ends
from dlm.study import names
from dlm.utils.files import write_atomically

FILE = "progress.json"

# Without control and bidirectional formatting characters, which could move the cursor of a terminal.
Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Number = Annotated[float, msgspec.Meta(ge=0)]
State = Literal["running", "done", "stopped", "failed", "killed", "silent", "ended"]


@dataclasses.dataclass(frozen=True)
class SizeProgress:
    """Counts and errors of the trials of one learner at one training-set size.

    `failed` includes diverged trials. The mean error is None before the first finished trial.
    """

    learner: Text
    train_size: Count
    num_trials: Count
    trained: Count = 0
    running: Count = 0
    failed: Count = 0
    mean: Number | None = None
    unit: Text = ""


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """A run at one moment. Times are in seconds, memory in bytes; None is unknown.

    state: "running", or how the run ended: "done", "stopped" by a signal, "failed"; `watch` adds "killed", "silent" and
    "ended". fraction: completed fraction of the work, measured in time. phase_seconds: time of each phase.
    host, pid: the process that wrote the status.
    """

    study: Text
    state: State
    phase: Text = ""
    detail: Text = ""
    rows: tuple[SizeProgress, ...] = ()
    fraction: Number | None = None
    elapsed: Number = 0.0
    eta: Number | None = None
    examples_per_second: Number | None = None
    phase_seconds: dict[Text, Number] = dataclasses.field(default_factory=dict)
    memory: Count | None = None
    device_memory: Count | None = None
    host: Text = ""
    pid: Count = 0


def write(workdir: Path, status: RunStatus) -> None:
    """Replace the status in a workdir. Raises OSError."""
    write_atomically(workdir / FILE, msgspec.json.encode(status).decode() + "\n")


def read(workdir: Path) -> RunStatus | None:
    """The status in a workdir; None if it is missing or invalid."""
    try:
        return msgspec.json.decode((workdir / FILE).read_bytes(), type=RunStatus)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


CurveSize = tuple[str, int]  # name of a curve and training-set size


class TrialCounts:
    """Counts trials and summarizes their errors by learner and size, from records in any order.

    `trials`: curve name and size of the trials to count, by id; None counts every trial that has records.
    """

    def __init__(self, trials: Mapping[str, CurveSize] | None) -> None:
        self._counts_all, self._trials = trials is None, dict(trials or {})
        self._records: dict[str, list[Record]] = defaultdict(list)  # final errors, by curve
        self._curves: dict[str, Curve] = {}
        self._ends: dict[str, Record] = {}
        self._stale: set[str] = set()  # curves with new records

    def add(self, records: Iterable[Record]) -> None:
        """Add new records; repeated ones and those of other trials have no effect."""
        for row in records:
            if self._counts_all:
                self._trials[row.trial_id] = curve_name(row.learner, row.noise), row.train_size
            if row.trial_id in self._trials and row.metric == names.ERROR and row.status != names.Status.RUNNING:
                name, _ = self._trials[row.trial_id]
                self._records[name].append(row)
                self._stale.add(name)

    def rows(self, running: Collection[str] = ()) -> tuple[SizeProgress, ...]:
        """One row per learner and size in the order of the trials; `running` are ids of running trials."""
        while self._stale:
            records = self._records[self._stale.pop()]
            self._ends |= ends(records)
            self._curves |= {curve.learner: curve for curve in learning_curves(records)}
        counts: dict[CurveSize, Counter[str]] = defaultdict(Counter)
        for trial_id, key in self._trials.items():
            counts[key]["num_trials"] += 1
            if end := self._ends.get(trial_id):
                counts[key]["trained" if end.status == names.Status.DONE else "failed"] += 1
            elif trial_id in running:
                counts[key]["running"] += 1
        return tuple(self._row(*key, count) for key, count in counts.items())

    def _row(self, learner: str, train_size: int, count: Mapping[str, int]) -> SizeProgress:
        fields: dict[str, Any] = dict(count)
        if curve := self._curves.get(learner):
            fields["unit"] = curve.unit
            if train_size in curve.train_sizes:
                fields["mean"] = statistics.fmean(curve.errors[curve.train_sizes.index(train_size)])
        return SizeProgress(learner, train_size, **fields)

"""The status of a run as plain data, stored as progress.json, and the counts of its trials from records."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dlm.curves.from_records import curve_name, learning_curves
from dlm.curves.seed_spread import seed_spread
from dlm.curves.types import Curve
from dlm.storage.record_log import Record
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

    `failed` includes diverged trials. The median error and its spread `low` … `high`, see `dlm.curves.seed_spread`,
    are None before the first finished trial.
    """

    learner: Text
    train_size: Count
    num_trials: Count
    trained: Count = 0
    running: Count = 0
    failed: Count = 0
    median: Number | None = None
    low: Number | None = None
    high: Number | None = None
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

    def total(self, field: str) -> int:
        """Sum of a field of the rows: `num_trials`, `trained`, `running` or `failed`."""
        return sum(getattr(row, field) for row in self.rows)


def write(workdir: Path, status: RunStatus) -> None:
    """Replace the status in a workdir. Raises OSError."""
    write_atomically(workdir / FILE, msgspec.json.encode(status).decode() + "\n")


def read(workdir: Path) -> RunStatus | None:
    """The status in a workdir; None if it is missing or invalid."""
    try:
        return msgspec.json.decode((workdir / FILE).read_bytes(), type=RunStatus)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@dataclasses.dataclass(frozen=True)
class TrialInfo:
    """A trial to count; `learner` is the name of its curve."""

    trial_id: str
    learner: str
    train_size: int


class TrialCounts:
    """Counts trials and summarizes their errors by learner and size, from records in any order.

    `trials` are the trials to count; None counts every trial that has records.
    """

    def __init__(self, trials: Iterable[TrialInfo] | None) -> None:
        self._counts_all = trials is None
        self._trials = {trial.trial_id: trial for trial in trials or ()}
        # Final error records, by learner and trial id.
        self._test: dict[str, dict[str, Record]] = defaultdict(dict)
        self._validation: dict[str, dict[str, Record]] = defaultdict(dict)
        self._curves: dict[str, Curve] = {}
        self._stale: set[str] = set()  # learners with new records

    def add(self, records: Iterable[Record]) -> None:
        """Add new records; repeated ones and those of other trials have no effect."""
        for row in records:
            if self._counts_all and row.trial_id not in self._trials:
                name = curve_name(row.learner, row.noise)
                self._trials[row.trial_id] = TrialInfo(row.trial_id, name, row.train_size)
            trial = self._trials.get(row.trial_id)
            if trial is None or row.metric != names.ERROR or row.status == names.Status.RUNNING:
                continue
            if row.split == names.VALIDATION:
                self._validation[trial.learner][row.trial_id] = row
            elif row.split == names.TEST:
                before = self._test[trial.learner].get(row.trial_id)
                # A failed trial that is trained again counts as its later result.
                if before is None or before.status == names.Status.FAILED or row.status != names.Status.FAILED:
                    self._test[trial.learner][row.trial_id] = row
            self._stale.add(trial.learner)

    def rows(self, running: Collection[str] = ()) -> tuple[SizeProgress, ...]:
        """One row per learner and size in the order of the trials; `running` are ids of running trials."""
        while self._stale:
            learner = self._stale.pop()
            records = [*self._test[learner].values(), *self._validation[learner].values()]
            for curve in learning_curves(records):
                self._curves[learner] = curve
        counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        for trial in self._trials.values():
            count = counts[trial.learner, trial.train_size]
            count["num_trials"] += 1
            if end := self._test.get(trial.learner, {}).get(trial.trial_id):
                count["trained" if end.status == names.Status.DONE else "failed"] += 1
            elif trial.trial_id in running:
                count["running"] += 1
        return tuple(self._row(*key, count) for key, count in counts.items())

    def _row(self, learner: str, train_size: int, count: Mapping[str, int]) -> SizeProgress:
        fields: dict[str, Any] = dict(count)
        if curve := self._curves.get(learner):
            fields["unit"] = curve.unit
            if train_size in curve.train_sizes:
                summary = seed_spread(curve.errors[curve.train_sizes.index(train_size)])
                fields |= {"median": summary.median, "low": summary.low, "high": summary.high}
        return SizeProgress(learner, train_size, **fields)

"""Trains a cohort: a generator that advances, evaluates and saves its members and yields their measurements."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.streaming import StreamBlock, streamed
from dlm.study.trial import Cohort, Trial
from dlm.train.checkpoint import Checkpoints
from dlm.train.device_data import DeviceData, group_windows, window_shapes
from dlm.train.devices import energy_meter
from dlm.train.packing import Group, assign, gather_states, group_widths, longest_first, steps_ahead
from dlm.train.population import Population
from dlm.train.program import member_shapes, members_of
from dlm.train.types import Measurement, Member, ResourceUsage, StreamWindow
from dlm.utils.errors import Interrupted

FIRST_STEPS = 4  # updates of the first chunk, which determines the length of the next
MAX_STEPS = 2**20  # in one chunk
CHUNK_SECONDS = 1.0  # between two checks for signals, progress and finished members
SAVE_SECONDS, MAX_COPY_SHARE = 60.0, 0.01  # between checkpoints; longer where copying states would exceed this share


@dataclasses.dataclass(frozen=True)
class ProgressEvent:
    """The phase that begins now, and the number of updates just applied."""

    phase: str
    updates: int = 0


class CohortRun:
    """The training of one cohort: its programs, and its members in rows of groups.

    With exact packing all members are one group. `computed` counts the updates that rows went through, `applied` those
    that members needed.
    """

    def __init__(self, cohort: Cohort, population: Population, device_data: DeviceData) -> None:
        self.cohort, self.population = cohort, population
        self.device_data, self.data = device_data, device_data.data
        self.meter = energy_meter()
        unused = ResourceUsage(0.0, None if self.meter.read() is None else 0.0)
        self.usage = {trial.trial_id: unused for trial in cohort.trials}
        self.seconds_per_step = 0.0  # of all rows, in the last chunk
        self.computed = self.applied = 0
        self.groups = [
            Group(rows, members, self.population.init(members)) for rows, members in self._assign(cohort.trials)
        ]

    @property
    def rows(self) -> list[Trial | None]:
        """The trial in each row, None for padding."""
        return [trial for group in self.groups for trial in group.rows]

    @property
    def states(self) -> Any:
        """States of all rows [M]."""
        if len(self.groups) == 1:
            return self.groups[0].states
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *(group.states for group in self.groups))

    def compile(self) -> None:
        """Compiles the programs of all groups, so that compilation does not count as training."""
        for group in self.groups:
            none = self.population.shard(np.zeros(len(group.rows), bool))
            steps = self.population.shard(np.zeros(len(group.rows), np.int32))
            window = window_shapes(self.device_data, self.population.config, len(group.rows))
            self.population.compile("advance", group.states, group.members, self.data, steps, window)
            self.population.compile("evaluate", group.states, group.members, none, none, self.data)

    def restore(self, checkpoints: Checkpoints, recorded: Mapping[str, Collection[int]] | None = None) -> None:
        """Restores the members of the newest checkpoint; the others keep their initial state.

        `recorded` maps trial ids to the steps whose measurements are on record. A member restarts from its initial
        state if one of the measurements before its saved step is missing. None skips this check.
        """
        saved, every = checkpoints.restore(member_shapes(self.groups[0].states)), self.population.config.eval_every
        if saved is None:
            return
        source = {}
        for row, trial_id in enumerate(saved.trial_ids):
            # The evaluation at the saved step is repeated.
            measured = set(range(every, int(saved.states.step[row]), every)) if every else set()
            if recorded is None or measured <= set(recorded.get(trial_id, ())):
                source[trial_id] = row
        for group in self.groups:
            trial_ids = [(row, trial.trial_id) for row, trial in enumerate(group.rows) if trial]
            pairs = [(row, source[trial_id]) for row, trial_id in trial_ids if trial_id in source]
            if pairs:
                rows, saved_rows = (np.array(column) for column in zip(*pairs))
                group.states = self.population.shard(_replace_rows(group.states, rows, saved.states, saved_rows))
                group.stream = None
                for row in saved_rows:
                    self.usage[saved.trial_ids[row]] = saved.usage[row]

    def save(self, checkpoints: Checkpoints, updates: int) -> None:
        """Saves a checkpoint of every member."""
        trials = [trial for trial in self.rows if trial]
        usage = {trial.trial_id: self.usage[trial.trial_id] for trial in trials}
        checkpoints.save(updates, gather_states(self.groups, trials), usage)

    def steps(self) -> np.ndarray:
        """Updates applied to each row. int [M]."""
        return np.concatenate([group.steps for group in self.groups])

    def finished(self) -> np.ndarray:
        """Rows that train no further, including padding. bool [M]."""
        return np.concatenate([group.finished for group in self.groups])

    def advance(self, steps: int) -> tuple[int, float]:
        """Applies about `steps` updates to each row; returns (updates applied to all members, seconds)."""
        results = [self._advance(group, steps) for group in self.groups]
        self.seconds_per_step = sum(seconds / max(1.0, row_steps) for _, row_steps, seconds in results)
        return sum(applied for applied, _, _ in results), sum(seconds for _, _, seconds in results)

    def _advance(self, group: Group, steps: int) -> tuple[int, float, float]:
        """(updates applied, steps of one row, seconds)."""
        population, before = self.population, group.steps
        start, joules = time.perf_counter(), self.meter.read()
        if self.device_data.streamed:
            part = self._next_window(group)
            window = StreamWindow(*population.shard(part))
            counts = np.full(len(group.rows), part.x.shape[1] // population.config.batch_size, np.int32)
        else:
            window, every = None, population.config.eval_every
            counts = steps_ahead(group, steps, population.packing, population.num_devices, every)
        group.states = population.advance(group.members, group.states, self.data, counts, window)
        applied, seconds, joules = group.steps - before, time.perf_counter() - start, self.meter.since(joules)
        for row, trial in enumerate(group.rows):
            if trial:
                share = float(applied[row] / max(1, applied.sum()))
                usage = self.usage[trial.trial_id]
                self.usage[trial.trial_id] = usage.plus(seconds * share, None if joules is None else joules * share)
        self.applied += int(applied.sum())
        self.computed += int(applied.sum() if population.packing == "exact" else applied.max() * len(applied))
        return int(applied.sum()), float((applied / counts).max() * counts.min()), seconds

    def _next_window(self, group: Group) -> StreamBlock:
        """The next window of a group's stream, which starts at the members' current steps; empty after its end."""
        if group.stream is None:
            windows = group_windows(group, self.device_data, self.population.config)
            group.stream = streamed(windows, self.device_data.workers)
        part = next(group.stream, None)
        return part if part is not None else group_windows(group, self.device_data, self.population.config)[0]

    def measure(self, reported: set[str]) -> list[Measurement]:
        """Measures the members that are at an evaluation step or finished, except those in `reported` (trial ids)."""
        return [measurement for group in self.groups for measurement in self._measure(group, reported)]

    def params_of(self, trial: Trial) -> Any:
        """The variables that a trial's test metrics are of: its last ones, or its best ones with early stopping."""
        group, row = next((group, group.rows.index(trial)) for group in self.groups if trial in group.rows)
        best = group.states.best
        return jax.tree.map(lambda leaf: np.asarray(leaf[row]), group.states.params if best is None else best.params)

    def _measure(self, group: Group, reported: set[str]) -> list[Measurement]:
        every, steps = self.population.config.eval_every, group.steps
        is_open = np.array([trial is not None and trial.trial_id not in reported for trial in group.rows])
        at_eval = (steps % every == 0) & (steps > 0) if every else np.zeros(len(steps), bool)
        healthy = is_open & ~np.asarray(group.states.diverged)
        tested = healthy & group.finished
        values = self._evaluate(group, tested | (healthy & at_eval), tested)
        stopped = healthy & group.finished & ~tested  # early, by the validation error just computed
        for row, more in self._evaluate(group, np.zeros_like(stopped), stopped).items():
            values[row] |= more
        ended = group.finished & is_open
        rows = sorted({*values, *np.flatnonzero(ended).tolist()})
        return [self._measurement(group, row, values.get(row, {}), bool(ended[row])) for row in rows]

    def _evaluate(
        self, group: Group, on_validation: np.ndarray, on_test: np.ndarray
    ) -> dict[int, dict[tuple[str, str], float]]:
        """Metrics by row, then by (split, metric), of the rows marked in the masks, bool [W]."""
        rows = np.flatnonzero(on_validation | on_test).tolist()
        if not rows:
            return {}
        group.states, metrics = self.population.evaluate(group.members, group.states, on_validation, on_test, self.data)
        return {row: _finite_values(metrics, row) for row in rows}

    def _measurement(self, group: Group, row: int, values: dict[tuple[str, str], float], ended: bool) -> Measurement:
        trial, states = group.rows[row], group.states
        assert trial is not None
        status = ("diverged" if states.diverged[row] else "done") if ended else "running"
        values = {("train", "loss"): float(states.loss[row]), **values}
        return Measurement(trial, int(states.step[row]), status, values, self.usage[trial.trial_id])

    def regroup(self, reported: set[str]) -> None:
        """With fast packing, drops finished members, which cost as much as the others."""
        remaining = [trial for trial in self.rows if trial and trial.trial_id not in reported]
        num_rows = sum(group_widths(len(remaining), self.population.num_devices))
        if self.population.packing == "exact" or not remaining or num_rows == len(self.rows):
            return
        groups, self.groups = self.groups, []
        for rows, members in self._assign(remaining):
            # Padding has any state and never advances.
            states = gather_states(groups, [trial or remaining[0] for trial in rows])
            self.groups.append(Group(rows, members, self.population.shard(states)))
        self.compile()

    def _assign(self, trials: Sequence[Trial]) -> list[tuple[list[Trial | None], Member]]:
        """(rows, members) of each group: balanced over devices with exact packing, longest first with fast packing."""
        rows_of: list[list[Trial | None]]
        if self.population.packing == "exact":
            assigned = assign([trial.num_steps for trial in trials], self.population.num_devices)
            rows_of = [[None if index is None else trials[index] for index in assigned]]
        else:
            waiting, rows_of = longest_first(trials), []
            for width in group_widths(len(trials), self.population.num_devices):
                rows_of.append([*waiting[:width], *[None] * (width - len(waiting))])
                waiting = waiting[width:]
        return [(rows, self.population.shard(members_of(rows, self.device_data.orders))) for rows in rows_of]


def _replace_rows(states: Any, rows: np.ndarray, others: Any, other_rows: np.ndarray) -> Any:
    """States [W] with `rows` replaced by `other_rows` of others. NumPy arrays."""

    def replace(leaf: Any, other: np.ndarray) -> np.ndarray:
        leaf = np.array(leaf)
        leaf[rows] = other[other_rows]
        return leaf

    return jax.tree.map(replace, states, others)


def _finite_values(metrics: dict[str, dict[str, np.ndarray]], row: int) -> dict[tuple[str, str], float]:
    return {
        (split, name): float(values[row])
        for split, named in metrics.items()
        for name, values in named.items()
        if np.isfinite(values[row])
    }


def train(
    run: CohortRun,
    checkpoints: Checkpoints | None,
    *,
    save_seconds: float | None = None,
    stop: Callable[[], int] = lambda: 0,
    recorded: Mapping[str, Collection[int]] | None = None,
) -> Iterator[ProgressEvent | Measurement]:
    """Trains a cohort to its end; yields progress and measurements.

    `stop()` returns a non-zero exit code when a signal asks to stop: the state is saved and Interrupted raised. A state
    is saved only after its measurements were yielded, so no measurement is lost in a crash: it is yielded again with
    the same values. `recorded`: see `CohortRun.restore`. `save_seconds` None: SAVE_SECONDS, or longer for large states.
    """
    if checkpoints:
        run.restore(checkpoints, recorded)
    yield ProgressEvent("compile", int(run.steps().sum()))
    run.compile()
    reported: set[str] = set()
    steps, updates, unsaved, saved_at = FIRST_STEPS, 0, 0, time.monotonic()
    interval = SAVE_SECONDS if save_seconds is None else save_seconds
    while True:
        yield ProgressEvent("evaluate", updates)
        for measurement in run.measure(reported):
            if measurement.status != "running":
                reported.add(measurement.trial.trial_id)
            yield measurement
        if len(reported) == len(run.cohort.trials):
            if checkpoints and unsaved:
                yield ProgressEvent("save")
                run.save(checkpoints, unsaved)
            return
        run.regroup(reported)
        code = stop()
        if checkpoints and unsaved and (code or time.monotonic() - saved_at > interval):
            yield ProgressEvent("save")
            begin = time.monotonic()
            run.save(checkpoints, unsaved)
            unsaved, saved_at = 0, time.monotonic()
            if save_seconds is None:
                interval = save_interval(saved_at - begin)
        if code:
            raise Interrupted("stopped by a signal; the state is saved, run the same command again to resume", code)
        yield ProgressEvent("train")
        updates, _ = run.advance(steps)
        unsaved += updates
        steps = int(np.clip(CHUNK_SECONDS / max(run.seconds_per_step, 1e-9), 1, min(8 * steps, MAX_STEPS)))


def save_interval(copy_seconds: float) -> float:
    """Seconds between checkpoints, each of which pauses training for `copy_seconds`."""
    return max(SAVE_SECONDS, copy_seconds / MAX_COPY_SHARE)

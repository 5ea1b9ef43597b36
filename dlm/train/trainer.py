"""The loop around a cohort: advance, measure, tell, save; what it tells is for others to write down."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.streaming import Part, streamed
from dlm.study.trial import Cohort, Trial
from dlm.train.checkpoint import Checkpoints
from dlm.train.device_data import DeviceData, window_shapes, windows_of
from dlm.train.devices import meter, used_since
from dlm.train.packing import Group, gathered, longest_first, reach, widths
from dlm.train.population import Population, deal
from dlm.train.program import members_of, one_of
from dlm.train.types import Member, ResourceUsage, Window
from dlm.utils.errors import Interrupted


@dataclasses.dataclass(frozen=True)
class Measured:
    """Numbers of one trial after `step` updates.

    `values[split, measure]`; `status` is "running", "done" or "diverged" (then there are no values but the last finite
    training loss). `spent` is what its training took so far.
    """

    trial: Trial
    step: int
    status: str
    values: dict[tuple[str, str], float]
    spent: ResourceUsage


class CohortRun:
    """One cohort on its way: which member sits in which row of which group, and the programs.

    Members run one after another are one group. `computed` counts the updates that rows went through, `applied` those
    that members still had to make.
    """

    def __init__(self, cohort: Cohort, population: Population, placed: DeviceData) -> None:
        self.cohort, self.population, self.placed, self.data = cohort, population, placed, placed.data
        self.meter = meter()
        nothing = ResourceUsage(0.0, None if self.meter.read() is None else 0.0)
        self.spent = {trial.trial_id: nothing for trial in cohort.trials}
        self.seconds_per_step = 0.0  # of all rows, in the last chunk
        self.computed = self.applied = 0
        self.groups = [
            Group(rows, members, self.population.init(members)) for rows, members in self._seats(cohort.trials)
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

    @property
    def members(self) -> Member:
        """What tells the rows apart [M]."""
        return members_of(self.rows, self.placed.orders)

    def compile(self) -> None:
        """Compile what the groups will need, so that it is not mistaken for training."""
        for group in self.groups:
            nobody = self.population.shard(np.zeros(len(group.rows), bool))
            steps = self.population.shard(np.zeros(len(group.rows), np.int32))
            window = window_shapes(self.placed, self.population.spec, len(group.rows))
            self.population.compile("advance", group.states, group.members, self.data, steps, window)
            self.population.compile("evaluate", group.states, group.members, nobody, nobody, self.data)

    def restore(self, checkpoints: Checkpoints, written: Mapping[str, Collection[int]] | None = None) -> None:
        """Continue the members that the newest checkpoint holds; the others keep their initial state.

        `written`: by trial id the steps whose measurements are on record. A member that lacks one of those it has
        passed begins again, since that is how to have them all. None: nobody asks.
        """
        saved = checkpoints.restore(one_of(self.groups[0].states))
        if saved is None:
            return
        source = {
            trial_id: row
            for row, trial_id in enumerate(saved.trial_ids)
            if written is None or self._passed(int(saved.states.step[row])) <= set(written.get(trial_id, ()))
        }
        for group in self.groups:
            wanted = [(row, trial.trial_id) for row, trial in enumerate(group.rows) if trial]
            pairs = [(row, source[trial_id]) for row, trial_id in wanted if trial_id in source]
            if pairs:
                into, out_of = (np.array(column) for column in zip(*pairs))
                group.states = self.population.shard(_replaced(group.states, into, saved.states, out_of))
                group.stream = None
                for row in out_of:
                    self.spent[saved.trial_ids[row]] = saved.spent[row]

    def _passed(self, step: int) -> set[int]:
        """Steps of the validations on the way to a step, but for one that it stands at: that is repeated."""
        every = self.population.spec.eval_every
        return set(range(every, step, every)) if every else set()

    def save(self, checkpoints: Checkpoints, updates: int) -> None:
        """Checkpoint every real row."""
        trials = [trial for trial in self.rows if trial]
        checkpoints.save(
            updates, gathered(self.groups, trials), {trial.trial_id: self.spent[trial.trial_id] for trial in trials}
        )

    def steps(self) -> np.ndarray:
        """Updates applied to each row. int [M]."""
        return np.concatenate([group.steps for group in self.groups])

    def finished(self) -> np.ndarray:
        """Rows that train no further; padding too. bool [M]."""
        return np.concatenate([group.finished for group in self.groups])

    def advance(self, steps: int) -> tuple[int, float]:
        """(updates applied by all members, seconds) of up to about `steps` updates each."""
        parts = [self._advance(group, steps) for group in self.groups]
        self.seconds_per_step = sum(seconds / max(1.0, made) for _, made, seconds in parts)
        return sum(applied for applied, _, _ in parts), sum(seconds for _, _, seconds in parts)

    def _advance(self, group: Group, steps: int) -> tuple[int, float, float]:
        """(updates applied, steps that one row made, seconds)."""
        population, before = self.population, group.steps
        start, joules = time.perf_counter(), self.meter.read()
        if self.placed.streamed:
            part = self._next(group)
            window = Window(*population.shard(part))
            asked = np.full(len(group.rows), part.x.shape[1] // population.spec.batch_size, np.int32)
        else:
            window = None
            asked = reach(group, steps, population.packing, population.num_devices, population.spec.eval_every)
        group.states = population.advance(group.members, group.states, self.data, asked, window)
        applied, seconds, joules = group.steps - before, time.perf_counter() - start, used_since(joules, self.meter)
        for row, trial in enumerate(group.rows):
            if trial:
                share = float(applied[row] / max(1, applied.sum()))
                spent = self.spent[trial.trial_id]
                self.spent[trial.trial_id] = spent.plus(seconds * share, None if joules is None else joules * share)
        self.applied += int(applied.sum())
        self.computed += int(applied.sum() if population.packing == "exact" else applied.max() * len(applied))
        return int(applied.sum()), float((applied / asked).max() * asked.min()), seconds

    def _next(self, group: Group) -> Part:
        """The next window of a group, of a stream that begins where its members stand; empty seats at the end."""
        if group.stream is None:
            group.stream = streamed(windows_of(group, self.placed, self.population.spec), self.placed.workers)
        part = next(group.stream, None)
        return part if part is not None else windows_of(group, self.placed, self.population.spec)[0]

    def evaluate_all(self) -> None:
        """Measure every row on both splits, for its time."""
        for group in self.groups:
            everyone = np.ones(len(group.rows), bool)
            self._evaluated(group, everyone, everyone)

    def measure(self, told: set[str]) -> list[Measured]:
        """Measure the members that stand at a validation or at their end, but those already `told` their last."""
        return [measured for group in self.groups for measured in self._measure(group, told)]

    def params_of(self, trial: Trial) -> Any:
        """What a trial's test numbers are of: its parameters, or with early stopping its best ones."""
        group, row = next((group, group.rows.index(trial)) for group in self.groups if trial in group.rows)
        best = group.states.best
        return jax.tree.map(lambda leaf: np.asarray(leaf[row]), group.states.params if best is None else best.params)

    def _measure(self, group: Group, told: set[str]) -> list[Measured]:
        spec, steps = self.population.spec, group.steps
        open_rows = np.array([trial is not None and trial.trial_id not in told for trial in group.rows])
        at_eval = (steps % spec.eval_every == 0) & (steps > 0) if spec.eval_every else np.zeros(len(steps), bool)
        healthy = open_rows & ~np.asarray(group.states.diverged)
        tested = healthy & group.finished
        values = self._evaluated(group, tested | (healthy & at_eval), tested)
        stopped = healthy & group.finished & ~tested  # early, by what validation just said
        for row, more in self._evaluated(group, np.zeros_like(stopped), stopped).items():
            values[row] |= more
        ended = group.finished & open_rows
        rows = sorted({*values, *_where(ended)})
        return [self._told(group, row, values.get(row, {}), bool(ended[row])) for row in rows]

    def _evaluated(
        self, group: Group, on_validation: np.ndarray, on_test: np.ndarray
    ) -> dict[int, dict[tuple[str, str], float]]:
        """Measures by row, then by (split, measure), of the rows marked; bool [W] each."""
        rows = _where(on_validation | on_test)
        if not rows:
            return {}
        group.states, measures = self.population.evaluate(
            group.members, group.states, on_validation, on_test, self.data
        )
        return {row: _flat(measures, row) for row in rows}

    def _told(self, group: Group, row: int, values: dict[tuple[str, str], float], ended: bool) -> Measured:
        trial, states = group.rows[row], group.states
        assert trial is not None
        status = "running"
        if ended:
            status = "diverged" if states.diverged[row] else "done"
        values = {("train", "loss"): float(states.loss[row]), **values}
        return Measured(trial, int(states.step[row]), status, values, self.spent[trial.trial_id])

    def regroup(self, told: set[str]) -> None:
        """Where members run side by side, let the done ones go: they cost as much as the others."""
        live = [trial for trial in self.rows if trial and trial.trial_id not in told]
        fewest = sum(widths(len(live), self.population.num_devices))
        if self.population.packing == "exact" or not live or fewest == len(self.rows):
            return
        states, at = gathered(self.groups, live), {trial: row for row, trial in enumerate(live)}
        self.groups = []
        for rows, members in self._seats(live):
            index = [at[trial] if trial else 0 for trial in rows]  # padding is anybody's, and never advances
            own = jax.tree.map(lambda leaf, index=index: leaf[index], states)
            self.groups.append(Group(rows, members, self.population.shard(own)))
        self.compile()

    def _seats(self, trials: Sequence[Trial]) -> list[tuple[list[Trial | None], Member]]:
        """Rows of each group of some trials, with what tells them apart: dealt out evenly, or longest together."""
        if self.population.packing == "exact":
            places = deal([trial.num_steps for trial in trials], self.population.num_devices)
            seats = [[None if place is None else trials[place] for place in places]]
        else:
            waiting, seats = longest_first(trials), []
            for width in widths(len(trials), self.population.num_devices):
                seats.append([*waiting[:width], *[None] * (width - len(waiting))])
                waiting = waiting[width:]
        return [(rows, self.population.shard(members_of(rows, self.placed.orders))) for rows in seats]


def _replaced(states: Any, into: np.ndarray, others: Any, out_of: np.ndarray) -> Any:
    """States [W] with rows `into` taken from rows `out_of` of others. NumPy arrays."""

    def merged(own: Any, other: np.ndarray) -> np.ndarray:
        leaf = np.array(own)
        leaf[into] = other[out_of]
        return leaf

    return jax.tree.map(merged, states, others)


def _where(marked: np.ndarray) -> list[int]:
    return [int(row) for row in np.flatnonzero(marked)]


def _flat(measures: dict[str, dict[str, np.ndarray]], row: int) -> dict[tuple[str, str], float]:
    return {
        (split, name): float(values[row])
        for split, named in measures.items()
        for name, values in named.items()
        if np.isfinite(values[row])
    }


FIRST_STEPS = 4  # updates of the first chunk, which only tells how long a chunk should be
MOST_STEPS = 2**20  # in one chunk
CHUNK_SECONDS = 1.0  # between two looks at signals, progress and finished members
SAVE_SECONDS, MOST_COPYING = 60.0, 0.01  # between checkpoints, or as long as keeps copying below this share


@dataclasses.dataclass(frozen=True)
class ProgressEvent:
    """Progress: what begins now, and how many updates were just applied."""

    phase: str
    updates: int = 0


def train(
    run: CohortRun,
    checkpoints: Checkpoints | None,
    *,
    save_seconds: float | None = None,
    stop: Callable[[], int] = lambda: 0,
    written: Mapping[str, Collection[int]] | None = None,
) -> Iterator[ProgressEvent | Measured]:
    """Train a cohort to its end, telling progress and numbers as they come.

    `stop()` returns an exit code once a signal asks to stop: the state is saved and Interrupted raised. What is saved
    was told before, so whoever writes it down loses nothing: after a crash it is told again, the same. `written` says
    which of these numbers are on record (see `CohortRun.restore`). `save_seconds` None: SAVE_SECONDS, or more.
    """
    if checkpoints:
        run.restore(checkpoints, written)
    yield ProgressEvent("compile", int(run.steps().sum()))
    run.compile()
    told: set[str] = set()
    steps, updates, since_save, saved_at = FIRST_STEPS, 0, 0, time.monotonic()
    interval = SAVE_SECONDS if save_seconds is None else save_seconds
    while True:
        yield ProgressEvent("evaluate", updates)
        for measured in run.measure(told):
            if measured.status != "running":
                told.add(measured.trial.trial_id)
            yield measured
        if len(told) == len(run.cohort.trials):
            if checkpoints and since_save:
                yield ProgressEvent("save")
                run.save(checkpoints, since_save)
            return
        run.regroup(told)
        code = stop()
        if checkpoints and since_save and (code or time.monotonic() - saved_at > interval):
            yield ProgressEvent("save")
            begin = time.monotonic()
            run.save(checkpoints, since_save)
            since_save, saved_at = 0, time.monotonic()
            if save_seconds is None:
                interval = save_interval(saved_at - begin)
        if code:
            raise Interrupted("stopped by a signal; the state is saved, run the same command again to go on", code)
        yield ProgressEvent("train")
        updates, _ = run.advance(steps)
        since_save += updates
        steps = int(np.clip(CHUNK_SECONDS / max(run.seconds_per_step, 1e-9), 1, min(8 * steps, MOST_STEPS)))


def save_interval(copying: float) -> float:
    """Seconds between checkpoints of which each makes training wait `copying` seconds."""
    return max(SAVE_SECONDS, copying / MOST_COPYING)

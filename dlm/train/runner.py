"""The loop around a cohort: advance, measure, tell, save; what it tells is for others to write down."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.arrays import Arrays
from dlm.errors import Interrupted, UsageError
from dlm.models import build
from dlm.study import Cohort, Trial
from dlm.train import member
from dlm.train.checkpoint import Checkpoints
from dlm.train.evaluate import batches
from dlm.train.member import Data, Member, Spec
from dlm.train.population import Packing, Population, deal, replicated, take

FIRST_STEPS = 4  # updates of the first chunk, which only tells how long a chunk should be
MOST_STEPS = 2**20  # in one chunk
CHUNK_SECONDS = 1.0  # between two looks at signals, progress and finished members


@dataclasses.dataclass(frozen=True)
class Tick:
    """Progress: what is going on, and how many updates were just applied."""

    phase: str
    updates: int = 0


@dataclasses.dataclass(frozen=True)
class Measured:
    """Numbers of one trial after `step` updates.

    `values[split, measure]`; `status` is "running", "done" or "diverged" (then there are no values but the last finite
    training loss). `seconds` are training seconds so far, the trial's share of its cohort's.
    """

    trial: Trial
    step: int
    status: str
    values: dict[tuple[str, str], float]
    seconds: float


def spec_of(trial: Trial, arrays: Arrays) -> Spec:
    """What a trial's cohort compiles."""
    return Spec(
        model=build(trial.learner.model, trial.task.num_outputs(arrays)),
        task=trial.task,
        optimizer=trial.learner.optimizer,
        input_shape=arrays.train.x.shape[1:],
        scale=arrays.scale,
        shift=arrays.shift,
        batch_size=trial.budget.batch_size,
        dropout=trial.learner.hyper.dropout > 0,
        eval_every=trial.budget.eval_every,
        patience=trial.budget.patience,
        precision=trial.precision,
    )


def check_model(trial: Trial, arrays: Arrays) -> None:
    """UsageError if a trial's model cannot be built for this data, found without a device."""
    spec = spec_of(trial, arrays)
    example = jax.ShapeDtypeStruct((1, *spec.input_shape), np.float32)
    try:
        jax.eval_shape(spec.model.init, jax.random.key(0), example)
    except UsageError:
        raise
    except Exception as error:  # whatever a model raises says that it does not fit
        raise UsageError(
            f"learners.{trial.name}: {trial.learner.model} does not take examples of shape {spec.input_shape}: "
            f"{type(error).__name__}: {error}"
        ) from error


def device_data(arrays: Arrays, orders: Sequence[np.ndarray], devices: Sequence[jax.Device] | None = None) -> Data:
    """The data on every device (all local ones by default), where the members will then be trained.

    orders: the pool's order for each subset seed, int [N] each.
    """
    data = Data(arrays.train.x, arrays.train.y, np.stack(orders), batches(arrays.validation), batches(arrays.test))
    return replicated(data, devices or jax.local_devices())


def update_flops(trial: Trial, arrays: Arrays, data: Data) -> float:
    """Floating-point operations of one update of one member, by XLA's count; nothing is compiled."""
    spec = spec_of(trial, arrays)
    one = _one_of(_members([trial], [trial.subset_seed]))
    state = jax.eval_shape(functools.partial(member.init, spec), one)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), data)
    lowered = jax.jit(functools.partial(member.update, spec)).lower(one, state, shapes)
    cost: dict[str, float] = lowered.cost_analysis() or {}
    return float(cost.get("flops", 0.0))


class CohortRun:
    """One cohort on its way: which member stands in which row, their states, and the programs."""

    def __init__(
        self, cohort: Cohort, arrays: Arrays, data: Data, subset_seeds: Sequence[int], packing: Packing
    ) -> None:
        self.cohort = cohort
        self.population = Population(spec_of(cohort.first, arrays), packing, data.x.devices())
        self.data = data
        self.subset_seeds = list(subset_seeds)
        self.seconds = {trial.trial_id: 0.0 for trial in cohort.trials}
        self.rows: list[Trial | None] = []
        self.seat(cohort.trials)
        self.states = self.population.init(self.members)

    def compile(self) -> None:
        """Compile what the run will need, so that it is not mistaken for training."""
        nobody = self.population.shard(np.zeros(len(self.rows), bool))
        self.population.compile("advance", self.states, self.members, self.data, self.population.steps(0))
        self.population.compile("evaluate", self.states, nobody, nobody, self.data)

    def seat(self, trials: Sequence[Trial]) -> None:
        """Give every trial a row, so that devices share the updates evenly."""
        places = deal([trial.num_steps for trial in trials], self.population.num_devices)
        self.rows = [None if place is None else trials[place] for place in places]
        self.members = self.population.shard(_members(self.rows, self.subset_seeds))

    def restore(self, checkpoints: Checkpoints) -> None:
        """Continue the members that the newest checkpoint holds; the others keep their initial state."""
        saved = checkpoints.restore(_one_of(self.states))
        if saved is None:
            return
        source = {trial_id: row for row, trial_id in enumerate(saved.trial_ids)}
        wanted = [(row, trial.trial_id) for row, trial in enumerate(self.rows) if trial]
        pairs = [(row, source[trial_id]) for row, trial_id in wanted if trial_id in source]
        if not pairs:
            return
        into, out_of = (np.array(column) for column in zip(*pairs))

        def merged(fresh: Any, old: np.ndarray) -> np.ndarray:
            leaf = np.array(fresh)
            leaf[into] = old[out_of]
            return leaf

        self.states = self.population.shard(jax.tree.map(merged, self.states, saved.states))
        for row in out_of:
            self.seconds[saved.trial_ids[row]] = saved.seconds[row]

    def save(self, checkpoints: Checkpoints, updates: int) -> None:
        """Checkpoint every real row."""
        rows = [row for row, trial in enumerate(self.rows) if trial]
        seconds = {trial.trial_id: self.seconds[trial.trial_id] for trial in self.rows if trial}
        checkpoints.save(updates, take(self.states, rows), seconds)

    def steps(self) -> np.ndarray:
        """Updates applied to each row. int [M]."""
        return np.asarray(self.states.step)

    def finished(self) -> np.ndarray:
        """Rows that train no further: at their limit, stopped early or diverged; padding too. bool [M]."""
        limits = np.array([trial.num_steps if trial else 0 for trial in self.rows])
        return (self.steps() >= limits) | np.asarray(self.states.stopped) | np.asarray(self.states.diverged)

    def advance(self, steps: int) -> tuple[int, float]:
        """(updates applied by all members, seconds) of up to `steps` updates each."""
        before, start = self.steps(), time.perf_counter()
        self.states = self.population.advance(self.members, self.states, self.data, steps)
        applied, seconds = self.steps() - before, time.perf_counter() - start
        for row, trial in enumerate(self.rows):
            if trial:
                self.seconds[trial.trial_id] += seconds * applied[row] / max(1, applied.sum())
        return int(applied.sum()), seconds

    def evaluate_all(self) -> None:
        """Measure every row on both splits, for its time."""
        everyone = np.ones(len(self.rows), bool)
        self.states, _ = self.population.evaluate(self.states, everyone, everyone, self.data)

    def measure(self, told: set[str]) -> list[Measured]:
        """Measure the members that stand at a validation or at their end, but those already `told` their last."""
        spec, steps = self.population.spec, self.steps()
        open_rows = np.array([trial is not None and trial.trial_id not in told for trial in self.rows])
        at_eval = (steps % spec.eval_every == 0) & (steps > 0) if spec.eval_every else np.zeros(len(steps), bool)
        healthy = open_rows & ~np.asarray(self.states.diverged)
        tested = healthy & self.finished()
        values = self._evaluated(tested | (healthy & at_eval), tested)
        stopped = healthy & self.finished() & ~tested  # early, by what validation just said
        for row, more in self._evaluated(np.zeros_like(stopped), stopped).items():
            values[row] |= more
        ended = self.finished() & open_rows
        return [self._told(row, values.get(row, {}), bool(ended[row])) for row in sorted({*values, *_where(ended)})]

    def _evaluated(self, on_validation: np.ndarray, on_test: np.ndarray) -> dict[int, dict[tuple[str, str], float]]:
        """Measures by row, then by (split, measure), of the rows marked; bool [M] each."""
        rows = _where(on_validation | on_test)
        if not rows:
            return {}
        self.states, measures = self.population.evaluate(self.states, on_validation, on_test, self.data)
        return {row: _flat(measures, row) for row in rows}

    def _told(self, row: int, values: dict[tuple[str, str], float], ended: bool) -> Measured:
        trial = self.rows[row]
        assert trial is not None
        status = "running"
        if ended:
            status = "diverged" if self.states.diverged[row] else "done"
        values = {("train", "loss"): float(self.states.loss[row]), **values}
        return Measured(trial, int(self.states.step[row]), status, values, self.seconds[trial.trial_id])

    def shrink(self, told: set[str]) -> None:
        """Where members run side by side, drop the done ones once they are half: they cost as much as the others."""
        live = [row for row, trial in enumerate(self.rows) if trial and trial.trial_id not in told]
        if self.population.packing == "exact" or 2 * len(live) > len(self.rows) or not live:
            return
        width = max(self.population.num_devices, 1 << (len(live) - 1).bit_length())
        if width >= len(self.rows):
            return
        kept = live + [next(r for r in range(len(self.rows)) if r not in live)] * (width - len(live))
        states = jax.tree.map(np.array, take(self.states, kept))
        self.rows = [self.rows[row] for row in live] + [None] * (width - len(live))
        self.members = self.population.shard(_members(self.rows, self.subset_seeds))
        self.states = self.population.shard(states)


def train(
    run: CohortRun,
    checkpoints: Checkpoints | None,
    *,
    save_seconds: float = 30.0,
    stop: Callable[[], int] = lambda: 0,
) -> Iterator[Tick | Measured]:
    """Train a cohort to its end, telling progress and numbers as they come.

    `stop()` returns an exit code once a signal asks to stop: the state is saved and Interrupted raised. What is saved
    was told before, so whoever writes it down loses nothing: after a crash it is told again, the same.
    """
    if checkpoints:
        run.restore(checkpoints)
    yield Tick("compile", int(run.steps().sum()))
    run.compile()
    told: set[str] = set()
    steps, since_save, saved_at = FIRST_STEPS, 0, time.monotonic()
    while True:
        for measured in run.measure(told):
            if measured.status != "running":
                told.add(measured.trial.trial_id)
            yield measured
        if len(told) == len(run.cohort.trials):
            if checkpoints:
                run.save(checkpoints, since_save)
            return
        run.shrink(told)
        code = stop()
        if checkpoints and (code or time.monotonic() - saved_at > save_seconds):
            yield Tick("save")
            run.save(checkpoints, since_save)
            since_save, saved_at = 0, time.monotonic()
        if code:
            raise Interrupted("stopped by a signal; the state is saved, run the same command again to go on", code)
        updates, seconds = run.advance(steps)
        since_save += updates
        steps = int(np.clip(steps * CHUNK_SECONDS / max(seconds, 1e-6), 1, min(8 * steps, MOST_STEPS)))
        yield Tick("train", updates)


def _one_of(tree: Any) -> Any:
    """Shapes of one member's part of arrays [M, ...]."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)


def _members(rows: Sequence[Trial | None], subset_seeds: Sequence[int]) -> Member:
    """The arrays [M] that tell members apart; padding is a member without updates."""

    def column(value: Callable[[Trial], Any], dtype: Any, padding: Any = 0) -> np.ndarray:
        return np.array([padding if trial is None else value(trial) for trial in rows], dtype)

    return Member(
        seed=column(lambda trial: trial.init_seed, np.uint32),
        order=column(lambda trial: subset_seeds.index(trial.subset_seed), np.int32),
        size=column(lambda trial: trial.train_size, np.uint32, padding=1),
        limit=column(lambda trial: trial.num_steps, np.int32),
        lr=column(lambda trial: trial.learner.hyper.lr, np.float32),
        weight_decay=column(lambda trial: trial.learner.hyper.weight_decay, np.float32),
        dropout=column(lambda trial: trial.learner.hyper.dropout, np.float32),
        label_smoothing=column(lambda trial: trial.learner.hyper.label_smoothing, np.float32),
    )


def _where(marked: np.ndarray) -> list[int]:
    return [int(row) for row in np.flatnonzero(marked)]


def _flat(measures: dict[str, dict[str, np.ndarray]], row: int) -> dict[tuple[str, str], float]:
    return {
        (split, name): float(values[row])
        for split, named in measures.items()
        for name, values in named.items()
        if np.isfinite(values[row])
    }

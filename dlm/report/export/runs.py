"""Trials and learning curves as the runs of TensorBoard and experiment trackers: numbers by step.

The step of a trial is the number of updates. These tools cannot plot a median over seeds against the number of examples
(tensorboard#376), so each learning curve is a run too, whose step is the training-set size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dlm.curves.from_records import curve_name
from dlm.curves.types import Curve
from dlm.storage.record_log import Record
from dlm.storage.workdir import Workdir
from dlm.study.names import Status

Plain = str | int | float | bool
TRIALS, CURVES = "trials", "curves"
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": statistics.median, "min": min, "max": max, "seeds": len,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Step:
    """Numbers by name at one step, after `seconds` of training (0 for curves)."""

    step: int
    seconds: float
    numbers: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """A trial or a learning curve.

    `run_id` is the same at every export, so that an export replaces the runs of an earlier first. `kind` is "trials" or
    "curves"; runs of one `group` differ only in their seed; `axis` is the meaning of steps, "step" or "train_size".
    """

    run_id: str
    kind: str
    name: str
    group: str
    axis: str
    status: Status
    config: Mapping[str, Plain]
    steps: tuple[Step, ...]


def runs(workdir: Workdir, curves: Sequence[Curve]) -> list[Run]:
    """The trials by learner, size and seed, then the curves."""
    by_id: dict[str, list[Record]] = defaultdict(list)
    for row in workdir.records:
        by_id[row.trial_id].append(row)
    finished = workdir.ends()
    trials = [_trial(own, finished.get(trial_id)) for trial_id, own in by_id.items()]
    trials.sort(key=lambda run: (*map(run.config.get, ("learner", "train_size", "subset_seed")), run.run_id))
    return [*trials, *(_curve(workdir.study_name, curve) for curve in curves)]


def _trial(rows: Sequence[Record], end: Record | None) -> Run:
    first = rows[0]
    group = f"{curve_name(first.learner, first.noise)}/n={first.train_size}"
    run_id = first.trial_id if first.trial_id.isalnum() and first.trial_id.isascii() else _hash(first.trial_id)
    return Run(
        run_id=run_id,
        kind=TRIALS,
        name=f"{group}/seed={first.subset_seed}/{run_id[:12]}",
        group=f"{group}/{_hash(first.hyper + first.precision)[:8]}",
        axis="step",
        status=end.status if end else Status.RUNNING,
        config=_config(first),
        steps=tuple(_steps(rows)),
    )


def _steps(rows: Sequence[Record]) -> Iterator[Step]:
    by_step: dict[int, dict[str, float]] = defaultdict(dict)
    seconds: dict[int, float] = {}
    for row in rows:
        if row.value is not None:
            by_step[row.step][f"{row.split}/{row.metric}"] = row.value
            seconds[row.step] = row.seconds
    for step, numbers in sorted(by_step.items()):
        yield Step(step, seconds[step], numbers)


def _config(first: Record) -> dict[str, Plain]:
    """A trial's fields, and its learner's config by paths such as `config.hyper.lr`."""
    names = ("study", "trial_id", "learner", "train_size", "subset_seed", "init_seed", "noise", "precision", "packing")
    config = {name: getattr(first, name) for name in (*names, "data", "subset_hash", "device", "versions")}
    with contextlib.suppress(ValueError):
        config |= {f"config.{path}": value for path, value in _flat(json.loads(first.hyper))}
    return config


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Plain]]:
    """The leaves of nested JSON with their paths, such as `model.width`; a list is one leaf, encoded as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, str | int | float):
        yield path, value
    elif value is not None:
        yield path, json.dumps(value)


def _curve(study: str, curve: Curve) -> Run:
    steps = tuple(
        Step(size, 0.0, {f"test error/{name}": of(errors) for name, of in STATISTICS.items()})
        for size, errors in zip(curve.train_sizes, curve.errors, strict=True)
    )
    config = {"study": study, "learner": curve.learner, "noise": curve.noise, "unit": curve.unit}
    return Run(
        _hash(study, curve.learner)[:16], CURVES, curve.learner, CURVES, "train_size", Status.DONE, config, steps
    )


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()

"""A workdir as runs, which is what TensorBoard and trackers of experiments hold: numbers against a step.

Each trial is a run whose step is the number of updates. None of these tools draws a median over seeds against the
number of examples (tensorboard#376), so each learner is a run too, whose step is the training-set size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm.curves.from_records import curve_name, learning_curves
from dlm.curves.types import Curve, StudySummary
from dlm.report.forecast_file import FORECAST, read_forecast
from dlm.report.study_report import report_options
from dlm.storage import record_log
from dlm.storage.record_log import Record, ends
from dlm.storage.workdir import Workdir
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Contents:
    """A workdir to export. `curves` have a size at least; `answer` is what its last report forecast, if any."""

    study: str
    rows: tuple[Record, ...]
    curves: tuple[Curve, ...]
    answer: StudySummary | None


@dataclasses.dataclass(frozen=True)
class Point:
    """A learner's test error at one size: over `num_seeds` seeds."""

    train_size: int
    median: float
    min: float
    max: float
    num_seeds: int


def gather(workdir: Path, *, forecast: bool) -> Contents:
    """What a workdir holds, with its forecast if asked for.

    UsageError for a forecast.json that cannot be read.
    """
    rows = record_log.rows(workdir)
    trial_ids, learners = None, []
    with contextlib.suppress(UsageError):  # a workdir that lost its study.json still has its numbers
        opened = Workdir.open(workdir)
        trial_ids, learners = report_options(opened)["trial_ids"], opened.description.learners
    measured = tuple(curve for curve in learning_curves(rows, trial_ids, learners) if curve.train_sizes)
    answer = read_forecast(workdir / FORECAST) if forecast and (workdir / FORECAST).exists() else None
    return Contents(rows[-1].study if rows else "", tuple(rows), measured, answer)


def points(curve: Curve) -> list[Point]:
    """A curve's points, by ascending size."""
    return [
        Point(size, statistics.median(errors), min(errors), max(errors), len(errors))
        for size, errors in zip(curve.train_sizes, curve.errors, strict=True)
    ]


Plain = str | int | float | bool
TRIALS, CURVES = "trials", "curves"


@dataclasses.dataclass(frozen=True)
class Step:
    """Numbers by name, at one step; `seconds` of training until then, 0 where that means nothing."""

    step: int
    seconds: float
    numbers: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """A trial, or a learner's curve.

    `run_id` is the same at every export, so that a run takes the place of itself. `kind` is `trials` or `curves`,
    `group` what runs share that differ only in their seed, `axis` what the steps are: `step` or `train_size`.
    """

    run_id: str
    kind: str
    name: str
    group: str
    axis: str
    status: str
    config: Mapping[str, Plain]
    steps: tuple[Step, ...]


def runs(contents: Contents) -> list[Run]:
    """The trials by learner, size and seed, then the curves."""
    by_id: dict[str, list[Record]] = defaultdict(list)
    for row in contents.rows:
        by_id[row.trial_id].append(row)
    finished = ends(contents.rows)
    trials = [_trial(own, finished.get(trial_id)) for trial_id, own in by_id.items()]
    trials.sort(
        key=lambda run: (run.config["learner"], run.config["train_size"], run.config["subset_seed"], run.run_id)
    )
    return [*trials, *(_curve(contents.study, curve) for curve in contents.curves)]


def _trial(rows: Sequence[Record], end: Record | None) -> Run:
    one = rows[0]
    group = f"{curve_name(one.learner, one.noise)}/n={one.train_size}"
    run_id = one.trial_id if one.trial_id.isalnum() and one.trial_id.isascii() else _hash(one.trial_id)
    return Run(
        run_id=run_id,
        kind=TRIALS,
        name=f"{group}/seed={one.subset_seed}/{run_id[:12]}",
        group=f"{group}/{_hash(one.hyper + one.precision)[:8]}",
        axis="step",
        status=end.status if end else "running",
        config=_config(one),
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


def _config(one: Record) -> dict[str, Plain]:
    """What a trial is, flat: the cell, and the learner's config by paths such as `config.hyper.lr`."""
    names = ("study", "trial_id", "learner", "train_size", "subset_seed", "init_seed", "noise", "precision", "packing")
    told = {name: getattr(one, name) for name in (*names, "data", "subset_hash", "device", "versions")}
    with contextlib.suppress(ValueError):
        told |= {f"config.{path}": value for path, value in _flat(json.loads(one.hyper))}
    return told


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Plain]]:
    """The leaves of nested JSON with their paths, such as `model.width`; a list is one leaf, as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, str | int | float):
        yield path, value
    elif value is not None:
        yield path, json.dumps(value)


def _curve(study: str, curve: Curve) -> Run:
    steps = tuple(
        Step(
            point.train_size,
            0.0,
            {
                "test error/median": point.median,
                "test error/min": point.min,
                "test error/max": point.max,
                "test error/seeds": point.num_seeds,
            },
        )
        for point in points(curve)
    )
    config = {"study": study, "learner": curve.learner, "noise": curve.noise, "unit": curve.unit}
    return Run(_hash(study, curve.learner)[:16], CURVES, curve.learner, CURVES, "train_size", "done", config, steps)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()

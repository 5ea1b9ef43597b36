"""Suggests hyperparameter points from a workdir's finished trials with Optuna, for another round of tuning.

A suggestion depends on the records, so it is not part of a study: call it once between two runs and declare the points
that it returns. See docs/tuning.md.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlm.curves.from_records import Setting, settings_by_size
from dlm.storage import record_log
from dlm.study.config import FrozenDict, digest
from dlm.study.learner import full_path
from dlm.study.sweep import Axes, Distribution, Uniform, check_space
from dlm.utils.errors import UsageError, nearest
from dlm.utils.files import local_folder
from dlm.utils.optional_imports import import_optional

_MOST_REPEATS = 50  # consecutive repeated points before giving up

Point = Mapping[str, Any]


def suggest(
    workdir: str | os.PathLike[str],
    learner: str,
    space: Mapping[str, Distribution] | None = None,
    /,
    *,
    points: int,
    seed: int = 0,
    train_size: int | None = None,
    **distributions: Distribution,
) -> Axes:
    """New points of a search space by Optuna's TPE, from the results of a learner's settings in a workdir.

    A setting's result is the mean validation error of its finished seeds at `train_size`, by default the learner's
    largest size; a setting that diverged for a seed ranks last. Distributions are those of `quasi_random`. The same
    records and `seed` give the same points with one version of Optuna; their `repr` is Python code for the experiment.
    Bergstra et al. 2011, "Algorithms for hyper-parameter optimization".

    Raises UsageError without Optuna; for a learner or size without finished trials or validation errors; for an unknown
    path, trials outside the space, and if there are too few new points.
    """
    optuna = import_optional("optuna", "dlm.suggest")
    given = check_space("suggest", space, distributions, points)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(f"seed={seed!r} must be a whole number from 0 to 2^32 - 1")
    train_sizes = _settings(workdir, learner)
    size = max(train_sizes) if train_size is None else train_size
    if size not in train_sizes:
        known = ", ".join(map(str, train_sizes))
        raise UsageError(f"{learner} has no finished trials with train_size={size!r}; choose one of {known}")
    positions = {each: [_position(one, given, learner) for one in settings] for each, settings in train_sizes.items()}
    results = [
        (position, error)
        for position, one in zip(positions[size], train_sizes[size])
        if (error := _error(one)) is not None
    ]
    if not any(map(math.isfinite, (error for _, error in results))):
        raise UsageError(
            f"{learner} has no validation error at {size} examples: no setting finished, or the data have no "
            "validation split; add one, or use quasi_random(…)"
        )
    seen = {_key(given, position) for found in positions.values() for position in found}
    return Axes(tuple(_suggest_points(optuna, given, results, seen, points, seed)))


def _settings(workdir: str | os.PathLike[str], learner: str) -> dict[int, list[Setting]]:
    """A learner's settings by size, in an order that does not depend on when they finished."""
    folder = local_folder(workdir, "workdir")
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such workdir; name the folder of a run, such as runs/digits")
    curves = settings_by_size(record_log.rows(folder))
    if learner not in curves:
        raise UsageError(f"{folder} has no finished cells of a learner {learner!r}; {nearest(learner, curves)}")
    return {
        size: sorted(settings, key=lambda one: (one.rows[0].hyper, one.rows[0].precision))
        for size, settings in curves[learner].items()
    }


def _error(one: Setting) -> float | None:
    """The result of a setting for Optuna: infinity if a seed diverged, None without a result."""
    if any(cell.status == "diverged" for cell in one.rows):
        return math.inf
    error = one.rank[1]
    return error if math.isfinite(error) else None


def _position(one: Setting, space: Mapping[str, Distribution], learner: str) -> Point:
    """Where a setting lies in a space: by path a number, or which of the values to choose from."""
    config = json.loads(one.rows[0].hyper)
    return {path: _position_of(_value(config, path, learner), each, path, learner) for path, each in space.items()}


def _position_of(value: Any, each: Distribution, path: str, learner: str) -> Any:
    if isinstance(each, Uniform):
        if isinstance(value, int | float) and not isinstance(value, bool) and each.low <= value <= each.high:
            return float(value)
    else:
        options = [digest(option) for option in each.values]
        if digest(value) in options:
            return options.index(digest(value))
    raise UsageError(f"{learner} has cells with {path}={value!r}, outside {path}={each!r}; widen the range")


def _value(config: Any, path: str, learner: str) -> Any:
    """The value at a path of a recorded config; UsageError if the learner has no such field."""
    found = config
    for name in (full_path(path) if "hyper" in config else path).split("."):
        if not isinstance(found, dict) or name not in found:
            raise UsageError(f"{path!r} is no field of {learner}; {nearest(path, _paths(config))}")
        found = found[name]
    return found


def _paths(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of a recorded config, hyperparameters by their name alone."""
    for name, inner in config.items():
        if isinstance(inner, dict):
            yield from _paths(inner, f"{prefix}{name}.")
        elif name != "type":
            yield f"{prefix}{name}".removeprefix("hyper.")


def _suggest_points(
    optuna: Any,
    space: Mapping[str, Distribution],
    results: Sequence[tuple[Point, float]],
    seen: set[FrozenDict],
    points: int,
    seed: int,
) -> list[FrozenDict]:
    """New points, each suggested as if the ones before it were still running, which spreads them out."""
    spread = {path: _distribution(optuna, each) for path, each in space.items()}
    found: dict[FrozenDict, FrozenDict] = {}
    with _quiet(optuna):
        # The first round was the start, so that no point is random.
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        # Of more than 25 trials Optuna lets the first count less: the worst, as no cell here is older than another.
        worst_first = sorted(results, key=lambda each: -each[1])
        study.add_trials([_trial(optuna, position, error, spread) for position, error in worst_first])
        repeats = 0
        while len(found) < points and repeats < _MOST_REPEATS:
            position = study.ask(spread).params
            key = _key(space, position)
            repeats = repeats + 1 if key in seen | found.keys() else 0
            if not repeats:
                found[key] = FrozenDict({path: _at(each, position[path]) for path, each in space.items()})
    if len(found) == points:
        return list(found.values())
    raise UsageError(
        f"of points={points}, {len(found)} are new; ask for fewer, widen the ranges, or use grid(…) for all of them"
    )


def _trial(optuna: Any, position: Point, error: float, spread: Mapping[str, Any]) -> Any:
    """A setting as Optuna's trial; one that diverged is pruned before its first number, which ranks last."""
    if math.isfinite(error):
        return optuna.create_trial(params=dict(position), distributions=dict(spread), value=error)
    state = optuna.trial.TrialState.PRUNED
    return optuna.create_trial(params=dict(position), distributions=dict(spread), state=state)


def _distribution(optuna: Any, each: Distribution) -> Any:
    if isinstance(each, Uniform):
        return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
    return optuna.distributions.CategoricalDistribution(tuple(range(len(each.values))))


def _at(each: Distribution, position: Any) -> Any:
    return each.rounded(position) if isinstance(each, Uniform) else each.values[position]


def _key(space: Mapping[str, Distribution], position: Point) -> FrozenDict:
    """What makes a point the same point: its numbers as rounded, and which values it chose."""
    return FrozenDict(
        {
            path: each.rounded(position[path]) if isinstance(each, Uniform) else position[path]
            for path, each in space.items()
        }
    )


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's log of each study, and its warnings that some options are new."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)

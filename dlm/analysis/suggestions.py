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
from collections.abc import Mapping, Sequence
from typing import Any

from dlm.analysis.tuning import flat_config, is_number
from dlm.curves.from_records import Setting, settings_by_size
from dlm.storage.workdir import Workdir
from dlm.study.config import FrozenDict, digest
from dlm.study.learner import full_path
from dlm.study.names import Status
from dlm.study.sweep import Axes, Distribution, Uniform, check_space
from dlm.utils.errors import UsageError, nearest
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
    by_size = _settings(workdir, learner)
    size = max(by_size) if train_size is None else train_size
    if size not in by_size:
        known = ", ".join(map(str, by_size))
        raise UsageError(f"{learner} has no finished trials with train_size={size!r}; choose one of {known}")
    positions = {each: [_position(setting, given, learner) for setting in own] for each, own in by_size.items()}
    pairs = zip(positions[size], map(_error, by_size[size]))
    results = [(position, error) for position, error in pairs if error is not None]
    if not any(math.isfinite(error) for _, error in results):
        raise UsageError(
            f"{learner} has no validation error at {size} examples: no setting finished, or the data have no "
            "validation split; add one, or use quasi_random(…)"
        )
    seen = {_key(given, position) for of_size in positions.values() for position in of_size}
    return Axes(tuple(_suggest_points(optuna, given, results, seen, points, seed)))


def _settings(workdir: str | os.PathLike[str], learner: str) -> dict[int, list[Setting]]:
    """A learner's settings by size, in an order that does not depend on when they finished."""
    opened = Workdir.open(workdir)
    curves = settings_by_size(opened.records)
    if learner not in curves:
        raise UsageError(f"{opened.path} has no finished trials of a learner {learner!r}; {nearest(learner, curves)}")
    return {
        size: sorted(settings, key=lambda setting: (setting.rows[0].hyper, setting.rows[0].precision))
        for size, settings in curves[learner].items()
    }


def _error(setting: Setting) -> float | None:
    """The result of a setting for Optuna: infinity if a seed diverged, None without a result."""
    if any(row.status == Status.DIVERGED for row in setting.rows):
        return math.inf
    error = setting.rank[1]
    return error if math.isfinite(error) else None


def _position(setting: Setting, space: Mapping[str, Distribution], learner: str) -> Point:
    """A setting in a search space, by path: a number, or the index of an option."""
    text = setting.rows[0].hyper
    return {path: _position_of(_value(text, path, learner), each, path, learner) for path, each in space.items()}


def _position_of(value: Any, each: Distribution, path: str, learner: str) -> Any:
    if isinstance(each, Uniform):
        if is_number(value) and each.low <= value <= each.high:
            return float(value)
    else:
        options = [digest(option) for option in each.values]
        if digest(value) in options:
            return options.index(digest(value))
    raise UsageError(f"{learner} has trials with {path}={value!r}, outside {path}={each!r}; widen the range")


def _value(text: str, path: str, learner: str) -> Any:
    """The value at a path of a recorded config (JSON); UsageError if the learner has no such field."""
    value = json.loads(text)
    for name in (full_path(path) if "hyper" in value else path).split("."):
        if not isinstance(value, dict) or name not in value:
            known = [each.removeprefix("hyper.") for each in flat_config(text)]
            raise UsageError(f"{learner} has no field {path!r}; {nearest(path, known)}")
        value = value[name]
    return value


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
    new: dict[FrozenDict, FrozenDict] = {}
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # that some options are new
        stack.callback(optuna.logging.set_verbosity, optuna.logging.get_verbosity())
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # The first round was the start, so that no point is random.
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        # Of more than 25 trials Optuna lets the first count less: the worst, as all trials here are equally old.
        for position, error in sorted(results, key=lambda each: -each[1]):
            # A setting that diverged is pruned before its first number, which ranks last.
            result = {"value": error} if math.isfinite(error) else {"state": optuna.trial.TrialState.PRUNED}
            study.add_trial(optuna.create_trial(params=dict(position), distributions=spread, **result))
        repeats = 0
        while len(new) < points and repeats < _MOST_REPEATS:
            position = study.ask(spread).params
            key = _key(space, position)
            repeats = repeats + 1 if key in seen | new.keys() else 0
            if not repeats:
                new[key] = FrozenDict({path: _at(each, position[path]) for path, each in space.items()})
    if len(new) == points:
        return list(new.values())
    raise UsageError(
        f"of points={points}, {len(new)} are new; ask for fewer, widen the ranges, or use grid(…) for all of them"
    )


def _distribution(optuna: Any, each: Distribution) -> Any:
    if isinstance(each, Uniform):
        return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
    return optuna.distributions.CategoricalDistribution(tuple(range(len(each.values))))


def _at(each: Distribution, position: Any) -> Any:
    return each.rounded(position) if isinstance(each, Uniform) else each.values[position]


def _key(space: Mapping[str, Distribution], position: Point) -> FrozenDict:
    """Identity of a point: its rounded numbers and the indices of its options."""
    return FrozenDict(
        {
            path: each.rounded(position[path]) if isinstance(each, Uniform) else position[path]
            for path, each in space.items()
        }
    )

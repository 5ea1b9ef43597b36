"""Points that Optuna suggests from a workdir's finished cells: a further round of tuning, to be written down.

A suggestion changes whenever records do, so that it is no part of a study: it is asked for once, between two runs, and
what it gave is declared like any other points. docs/tuning.md has the steps.
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

_IN_VAIN = 50  # times asked in a row without a new point, before it is said that there is none

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
    """So many new points of a space, by Optuna's TPE from what a learner's settings in a workdir reached.

    That is the mean validation error of the finished seeds at the learner's largest size, or at `train_size`; a setting
    that diverged for a seed is worse than all others. Distributions are those of `quasi_random`. The same records and
    `seed` give the same points with one version of Optuna; their `repr` is Python code for the experiment.
    UsageError without Optuna; for a learner or size without finished cells or validation errors; for a path that the
    learner does not have, cells outside a range, and where fewer new points are found.
    Bergstra et al. 2011, "Algorithms for hyper-parameter optimization".
    """
    optuna = import_optional("optuna", "dlm.suggest")
    given = check_space("suggest", space, distributions, points)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(f"seed={seed!r} must be a whole number from 0 to 2^32 - 1")
    train_sizes = _settings(workdir, learner)
    size = max(train_sizes) if train_size is None else train_size
    if size not in train_sizes:
        known = ", ".join(map(str, train_sizes))
        raise UsageError(f"{learner} has no finished cells with train_size={size!r}; choose one of {known}")
    places = {each: [_place(one, given, learner) for one in settings] for each, settings in train_sizes.items()}
    told = [(place, error) for place, one in zip(places[size], train_sizes[size]) if (error := _error(one)) is not None]
    if not any(map(math.isfinite, (error for _, error in told))):
        raise UsageError(
            f"{learner} has no validation error at {size} examples to learn from: no setting finished, or the data "
            "have no validation split; mend that, or use quasi_random(…)"
        )
    seen = {_key(given, place) for found in places.values() for place in found}
    return Axes(tuple(_asked(optuna, given, told, seen, points, seed)))


def _settings(workdir: str | os.PathLike[str], learner: str) -> dict[int, list[Setting]]:
    """A learner's settings by size, in an order that does not depend on which was finished first."""
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
    """What Optuna is told of a setting: infinity where a seed diverged, None for nothing."""
    if any(cell.status == "diverged" for cell in one.rows):
        return math.inf
    error = one.rank[1]
    return error if math.isfinite(error) else None


def _place(one: Setting, space: Mapping[str, Distribution], learner: str) -> Point:
    """Where a setting lies in a space: by path a number, or which of the values to choose from."""
    config = json.loads(one.rows[0].hyper)
    return {path: _placed(_value(config, path, learner), each, path, learner) for path, each in space.items()}


def _placed(value: Any, each: Distribution, path: str, learner: str) -> Any:
    if isinstance(each, Uniform):
        if isinstance(value, int | float) and not isinstance(value, bool) and each.low <= value <= each.high:
            return float(value)
    else:
        options = [digest(option) for option in each.values]
        if digest(value) in options:
            return options.index(digest(value))
    raise UsageError(f"{learner} has cells with {path}={value!r}, outside {path}={each!r}; widen the range")


def _value(config: Any, path: str, learner: str) -> Any:
    """What stands at a path of a recorded config; UsageError if the learner has no such field."""
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


def _asked(
    optuna: Any,
    space: Mapping[str, Distribution],
    told: Sequence[tuple[Point, float]],
    seen: set[FrozenDict],
    points: int,
    seed: int,
) -> list[FrozenDict]:
    """New points, each asked for as if those before it were still running, so that they keep apart."""
    spread = {path: _distribution(optuna, each) for path, each in space.items()}
    found: dict[FrozenDict, FrozenDict] = {}
    with _quiet(optuna):
        # The first round was the start, so that no point is random.
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        # Of more than 25 trials Optuna lets the first count less: the worst, as no cell here is older than another.
        worst_first = sorted(told, key=lambda each: -each[1])
        study.add_trials([_trial(optuna, place, error, spread) for place, error in worst_first])
        in_vain = 0
        while len(found) < points and in_vain < _IN_VAIN:
            place = study.ask(spread).params
            key = _key(space, place)
            in_vain = in_vain + 1 if key in seen | found.keys() else 0
            if not in_vain:
                found[key] = FrozenDict({path: _at(each, place[path]) for path, each in space.items()})
    if len(found) == points:
        return list(found.values())
    raise UsageError(
        f"of points={points}, {len(found)} are new; ask for fewer, widen the ranges, or use grid(…) for all of them"
    )


def _trial(optuna: Any, place: Point, error: float, spread: Mapping[str, Any]) -> Any:
    """A setting as Optuna's trial; one that diverged is pruned before its first number, which ranks last."""
    if math.isfinite(error):
        return optuna.create_trial(params=dict(place), distributions=dict(spread), value=error)
    state = optuna.trial.TrialState.PRUNED
    return optuna.create_trial(params=dict(place), distributions=dict(spread), state=state)


def _distribution(optuna: Any, each: Distribution) -> Any:
    if isinstance(each, Uniform):
        return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
    return optuna.distributions.CategoricalDistribution(tuple(range(len(each.values))))


def _at(each: Distribution, place: Any) -> Any:
    return each.rounded(place) if isinstance(each, Uniform) else each.values[place]


def _key(space: Mapping[str, Distribution], place: Point) -> FrozenDict:
    """What makes a point the same point: its numbers as rounded, and which values it chose."""
    return FrozenDict(
        {path: each.rounded(place[path]) if isinstance(each, Uniform) else place[path] for path, each in space.items()}
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

"""Which trial of a study to look into: a trial id, learner:size:seed, or the largest of the first deep learner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dlm.errors import UsageError, nearest
from dlm.learner import Learner
from dlm.records import Record
from dlm.study import Study, Trial, trials


def chosen(study: Study, asked: str, rows: Sequence[Record] = ()) -> Trial:
    """The trial that `asked` names; rows: what the workdir's records say.

    A prefix of a trial id, or learner, learner:size or learner:size:seed: what is left out is the largest size and the
    first seed. Where a learner was swept, the variant with the least validation error. UsageError says what is wrong.
    """
    deep = [trial for trial in trials(study) if isinstance(trial.learner, Learner)]
    if not deep:
        raise UsageError("--mode=inside looks into networks, and the study has none; give it a dlm.Learner")
    by_id = [trial for trial in trials(study) if asked and trial.trial_id.startswith(asked)]
    if len(by_id) == 1:
        return _network(by_id[0])
    if by_id and ":" not in asked and asked not in study.learners:
        raise UsageError(f"--trial={asked} begins {len(by_id)} trial ids; give more of it")
    name, size, seed = _parts(asked or deep[0].name, study)
    of_name = [trial for trial in trials(study) if trial.name == name]
    _network(of_name[0])
    size = max(trial.train_size for trial in of_name) if size is None else size
    seed = of_name[0].subset_seed if seed is None else seed
    found = [trial for trial in of_name if (trial.train_size, trial.subset_seed) == (size, seed)]
    if not found:
        sizes = ", ".join(str(each) for each in study.sizes)
        seeds = ", ".join(str(each) for each in study.seeds)  # type: ignore[union-attr]
        raise UsageError(f"--trial={asked}: there is no such cell; the sizes are {sizes}, the seeds {seeds}")
    return _best(found, rows)


def siblings(study: Study, trial: Trial, differ: str) -> list[Trial]:
    """The trials that are as this one but for "train_size", small first, or "seed", itself first."""
    alike = [other for other in trials(study) if _variant(other) == _variant(trial)]
    if differ == "train_size":
        return sorted((each for each in alike if each.subset_seed == trial.subset_seed), key=lambda of: of.train_size)
    return [trial, *(each for each in alike if each.train_size == trial.train_size and each != trial)]


def _variant(trial: Trial) -> tuple[object, ...]:
    return trial.name, trial.learner, trial.precision, trial.noise, trial.test_noise


def _network(trial: Trial) -> Trial:
    if not isinstance(trial.learner, Learner):
        raise UsageError(
            f"--trial: {trial.name} is a {type(trial.learner).__name__}, a classical learner, which has no layers to "
            "look into; choose a network"
        )
    return trial


def _parts(asked: str, study: Study) -> tuple[str, int | None, int | None]:
    name, *numbers = asked.split(":")
    if name not in study.learners:
        raise UsageError(
            f"--trial={asked} is no learner's and begins no trial id; {nearest(name, study.learners)} "
            "Give learner:size:seed"
        )
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise UsageError(
            f"--trial={asked} is not understood; give learner:size:seed, such as {name}:{study.sizes[-1]}:0"
        )
    size, seed = (*map(int, numbers), None, None)[:2]
    return name, size, seed


def _best(found: Sequence[Trial], rows: Iterable[Record]) -> Trial:
    """The one whose last validation error on record is the least; the first, where nothing is on record."""
    last = {
        row.trial_id: row.value
        for row in rows
        if (row.split, row.metric) == ("validation", "error") and row.value is not None
    }
    return min(found, key=lambda trial: last.get(trial.trial_id, float("inf")))

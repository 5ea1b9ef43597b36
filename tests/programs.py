"""Programs that tests of one process share: each is traced and compiled once, whatever the number of runs."""

import types

import jax

from dlm.execution import executor, planner, trial_runner
from dlm.models import NNX
from dlm.study.learner import Optax
from dlm.study.trial import Cohort
from dlm.train import population

_population_of, _summarize_program = population.population_of, population.summarize_program
_functions, _summaries = {}, {}


class _Shared:
    """A jitted function, compiled once for arguments of the same shapes on the same devices."""

    def __init__(self, function):
        self._function, self._compiled = function, {}

    def __call__(self, *arguments):
        return self._function(*arguments)

    def lower(self, *arguments):
        leaves, tree = jax.tree.flatten(arguments)
        key = tree, *((leaf.shape, leaf.dtype, getattr(leaf, "sharding", None)) for leaf in leaves)

        def compiled(options):
            if key not in self._compiled:
                self._compiled[key] = self._function.lower(*arguments).compile(options)
            return self._compiled[key]

        return types.SimpleNamespace(compile=compiled)


def shared_population_of(cohort, device_data, packing):
    """A cohort's programs, with the functions of an earlier cohort that differs in sizes, seeds and the like alone."""
    made = _population_of(cohort, device_data, packing)
    if _has_own_parts(cohort.first):
        key = cohort.cohort_id, device_data.dataset.fingerprint, packing, tuple(device_data.devices)
        shared = {name: _Shared(function) for name, function in made._functions.items()}
        made._functions = _functions.setdefault(key, shared)
    return made


def shared_summary(trial, dataset):
    """FLOPs and hash of a trial's programs, computed once for each cohort and dataset."""
    if not _has_own_parts(trial):
        return _summarize_program(trial, dataset)
    key = Cohort((trial,)).cohort_id, dataset.fingerprint
    if key not in _summaries:
        _summaries[key] = _summarize_program(trial, dataset)
    return _summaries[key]


def _has_own_parts(trial):
    """Whether the code is dlm's: that of a test is not shared, because its name does not identify it."""
    parts = trial.learner.model, trial.learner.optimizer, trial.task
    return all(type(part).__module__.startswith("dlm.") and not isinstance(part, (NNX, Optax)) for part in parts)


def share_programs():
    """Every test from here on."""
    for module in (population, planner, trial_runner):
        module.population_of = shared_population_of
    for module in (executor, planner):
        module.summarize_program = shared_summary

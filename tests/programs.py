"""Programs that tests of one process share: each is traced and compiled once, whatever the number of runs."""

import types

import jax

from dlm.execution import planner, trial_runner
from dlm.models import NNX
from dlm.study.learner import Optax
from dlm.train import population

_population_of = population.population_of
_functions = {}


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
    learner = cohort.first.learner
    if _is_own(learner.model) and _is_own(learner.optimizer) and _is_own(cohort.first.task):
        key = cohort.cohort_id, device_data.dataset.fingerprint, packing, tuple(device_data.devices)
        shared = {name: _Shared(function) for name, function in made._functions.items()}
        made._functions = _functions.setdefault(key, shared)
    return made


def _is_own(part):
    """Code of a test is not shared: its name tells little of what it computes."""
    return type(part).__module__.startswith("dlm.") and not isinstance(part, (NNX, Optax))


def share_programs():
    """Every test from here on."""
    for module in (population, planner, trial_runner):
        module.population_of = shared_population_of

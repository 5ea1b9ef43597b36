"""A study that takes seconds, for whoever needs one."""

import dataclasses

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import LogisticRegression
from dlm.data import Digits
from dlm.models import MLP
from dlm.tasks import Classification
from dlm.train.cohort_run import CohortRun
from dlm.train.compiled import population_of


def small(**changes):
    """Three sizes, two seeds, an MLP and logistic regression on the digits."""
    base = Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(MLP((16,)), Hyper(lr=0.01)), "logreg": LogisticRegression()},
        sizes=(32, 64, 128),
        seeds=2,
        budget=Budget(steps=40),
        name="small",
    )
    return dataclasses.replace(base, **changes)


def started(cohort, arrays, data, subset_seeds, packing="exact"):
    """A cohort's members before their first update."""
    return CohortRun(cohort, population_of(cohort, arrays, data, packing), data, subset_seeds)

"""A study that takes seconds, for whoever needs one."""

import dataclasses

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import LogisticRegression
from dlm.data import Digits
from dlm.models import MLP
from dlm.tasks import Classification


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

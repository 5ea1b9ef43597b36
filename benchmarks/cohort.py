"""A workload as dlm trains it: one cohort of members on every device."""

from __future__ import annotations

import jax
import numpy as np

from benchmarks.workloads import LR, POOL_SIZE, WEIGHT_DECAY, Workload, dataset
from dlm import Budget, Hyper, Learner, Optimizer, Study
from dlm.data import Digits
from dlm.data.subset_orders import SubsetOrders
from dlm.study.learner import Precision
from dlm.study.trial import group_cohorts
from dlm.train.device_data import place
from dlm.train.population import Packing
from dlm.train.program import population_of
from dlm.train.trainer import CohortRun


def study(workload: Workload, members: int, precision: Precision = "float32") -> Study:
    """Members of a workload that train for ever. Its data is not read: the arrays are given."""
    return Study(
        data=Digits(),
        task=workload.task,
        learners={"net": Learner(workload.model, Hyper(LR, WEIGHT_DECAY), Optimizer(warmup=0.0, schedule="constant"))},
        train_sizes=(POOL_SIZE,),
        seeds=members,
        budget=Budget(steps=2**24, batch_size=workload.batch_size),
        precision=precision,
    )


def population(
    workload: Workload, members: int = 0, packing: Packing = "exact", precision: Precision = "float32"
) -> CohortRun:
    """The workload's members (or so many) as one cohort; its programs are compiled at their first use."""
    data = dataset(workload)
    cells = study(workload, members or workload.members, precision).trials
    cohort, placed = group_cohorts(cells)[0], place(SubsetOrders(data, (trial.subset_seed for trial in cells)))
    return CohortRun(cohort, population_of(cohort, placed, packing), placed)


def row_of_seed_0(run: CohortRun) -> int:
    """The row of the member that the peers begin as."""
    return next(row for row, trial in enumerate(run.rows) if trial and trial.init_seed == 0)


def first_weights(run: CohortRun) -> dict:
    """The parameters of the member with seed 0, as NumPy arrays."""
    row = row_of_seed_0(run)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[row], run.states.params)

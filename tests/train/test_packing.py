"""Members side by side waste few updates and few programs; members on several devices share the time."""

import dataclasses

import jax
import numpy as np
import pytest
from small import started

from dlm import Budget, Hyper, Learner, Study
from dlm.data import Digits
from dlm.data.subset_orders import SubsetOrders
from dlm.models import MLP
from dlm.study.trial import group_cohorts
from dlm.tasks import Classification
from dlm.train.device_data import put_on_devices
from dlm.train.packing import group_widths, steps_ahead
from dlm.train.trainer import Measurement, train

SEEDS = list(range(8))


def study(train_sizes, seeds, budget):
    return Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(MLP((4,)), Hyper(lr=3e-3))},
        train_sizes=train_sizes,
        seeds=seeds,
        budget=budget,
    )


@pytest.fixture(scope="module")
def data(digits):
    orders = SubsetOrders(digits, SEEDS)
    return {count: put_on_devices(orders, jax.devices()[:count]) for count in (1, 2)}


@pytest.mark.parametrize(
    ("train_sizes", "seeds", "budget"),
    [
        ((16, 32, 64, 128, 256, 512, 1024), 8, Budget(epochs=4, min_steps=6)),
        pytest.param((20, 50, 90, 300, 700), 3, Budget(epochs=5), marks=pytest.mark.slow),
        ((20, 50, 90, 300, 700), 3, Budget(steps=40, eval_every=7, patience=2)),
    ],
)
def test_members_side_by_side_waste_at_most_a_tenth_of_the_updates_with_few_programs(
    train_sizes, seeds, budget, digits, data
):
    (cohort,) = group_cohorts(study(train_sizes, seeds, budget).trials)
    run = started(cohort, data[1], "fast")
    told = [event for event in train(run, None) if isinstance(event, Measurement) and event.status == "done"]
    assert len(told) == len(cohort.trials)
    assert run.applied == sum(event.step for event in told)
    assert run.applied >= 0.9 * run.computed
    used = {width for name, width in run.population._compiled if name == "advance"}
    assert all(width & (width - 1) == 0 for width in used)
    assert run.population.num_compiled <= 3 * len(used)


def test_widths_hold_everyone_with_little_padding():
    for count in range(1, 300):
        for num_devices in (1, 2, 4):
            groups = group_widths(count, num_devices)
            full = -(-count // num_devices) * num_devices
            assert 0.9 * sum(groups) <= full <= sum(groups)
            assert all((width // num_devices).bit_count() == 1 for width in groups)
            assert len(groups) <= max(1, (count // num_devices).bit_length())


def test_a_device_with_fewer_members_lets_each_go_further(digits, data):
    (cohort,) = group_cohorts(study((100,), 5, Budget(steps=1000)).trials)
    run = started(cohort, data[2])
    (group,) = run.groups
    asked = steps_ahead(group, 20, "exact", 2, 0)
    hands = [sum(asked[row] for row in rows if group.rows[row]) for rows in np.split(np.arange(6), 2)]
    assert hands == [60, 60]
    run.advance(20)
    assert sorted(set(group.steps)) == [0, 20, 30]


def test_a_program_a_cohort_and_purpose_however_many_members_sizes_and_hyperparameters(digits, data):
    cells = study((16, 32, 64), 8, Budget(epochs=1)).trials
    cells = [*cells, *(dataclasses.replace(cell, learner=Learner(MLP((4,)), Hyper(lr=1e-2))) for cell in cells)]
    run = started(group_cohorts(cells)[0], data[2])
    list(train(run, None))
    assert run.population.num_compiled == 3
    assert run.computed == run.applied == sum(cell.num_steps for cell in cells)

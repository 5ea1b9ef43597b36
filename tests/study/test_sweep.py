"""Sweeps, quasi-random points, and tuning: points are known before a run, and tuning budgets are equal."""

import dataclasses
import json
import math

import pytest
from small import small

from dlm import Axes, Hyper, Learner, UsageError, choice, grid, log_uniform, quasi_random, uniform, zipped
from dlm.models import MLP
from dlm.study.noise import Noise
from dlm.study.overrides import apply

LRS, CS = (1e-3, 1e-2, 1e-1), (0.01, 0.1, 1.0)
TUNING = {"net": grid(lr=LRS), "logreg": grid(C=CS)}


def test_sweeps_cross_join_and_count():
    assert len(grid(lr=[1, 2], dropout=[0, 0.1, 0.2])) == 6
    assert len(zipped(lr=[1, 2], dropout=[0, 0.1])) == 2
    assert len(grid(lr=[1, 2]) * zipped(dropout=[0, 0.1], weight_decay=[0, 1])) == 4
    assert len(grid(lr=[1, 2]) + grid(lr=[3])) == 3
    assert len(Axes()) == len(grid()) == len(zipped()) == 1
    assert zipped(lr=[1, 2], dropout=[0, 0.1]).points[1] == {"lr": 2, "dropout": 0.1}


def test_invalid_axes_are_refused():
    with pytest.raises(UsageError, match="axis lr has no values"):
        grid(lr=[])
    with pytest.raises(UsageError, match=r"axis lr=0\.1 is one value"):
        grid(lr=0.1)
    with pytest.raises(UsageError, match=r"axis model\.norm='group' is one value"):
        grid({"model.norm": "group"})
    with pytest.raises(UsageError, match="give all the same number"):
        zipped(lr=[1, 2], dropout=[0.1])
    with pytest.raises(UsageError, match="both sweeps of a product vary lr"):
        _ = grid(lr=[1, 2]) * grid(lr=[3])


def ids(study):
    return {trial.trial_id for trial in study.trials}


def test_each_learner_has_its_own_tuning_points():
    study = small(tuning=TUNING)
    learners = {name: {trial.learner for trial in study.trials if trial.name == name} for name in study.learners}
    assert {learner.hyper.lr for learner in learners["net"]} == set(LRS)
    assert {learner.C for learner in learners["logreg"]} == set(CS)
    assert len(study.trials) == 2 * 3 * 3 * 2


def test_tuning_and_axes_make_the_same_trials():
    assert ids(small(tuning=TUNING)) == ids(small(axes=grid(lr=LRS))) | ids(small(axes=grid(C=CS)))
    assert ids(small(learners={"net": Learner(MLP((16,)), Hyper(lr=0.1))})) < ids(small(tuning={"net": grid(lr=LRS)}))
    assert "tuning" not in json.dumps(dataclasses.asdict(small().trials[0]))


def test_axes_are_crossed_with_tuning():
    study = small(axes=grid({"noise.label": (0, 0.2)}), tuning={"net": grid(lr=LRS)})
    assert len([trial for trial in study.trials if trial.name == "net"]) == 2 * 3 * 3 * 2
    assert {trial.noise for trial in study.trials} == {Noise(), Noise(label=0.2)}


def test_a_study_with_tuning_is_hashable_and_takes_assignments():
    study = small(tuning=TUNING)
    assert hash(study) == hash(small(tuning=dict(reversed(TUNING.items()))))
    changed = apply(study, ["learners.net.model.widths=8", "budget.steps=10"])
    assert changed.tuning == study.tuning
    with pytest.raises(UsageError, match="change it in the experiment file"):
        apply(study, ["tuning.net.points=3"])
    uneven = {"net": grid(lr=LRS), "logreg": grid(C=CS[:2])}
    assert apply(small(tuning=uneven, equal_tuning=False), ["seeds=1"]).tuning == uneven


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": {"ned": grid(lr=LRS)}}, "tuning.ned is not a learner of this study; did you mean 'net'"),
        ({"tuning": {"logreg": grid(lr=LRS)}}, "tuning.logreg: 'lr' is not a field of it"),
        ({"tuning": {"net": grid({"noise.label": (0, 0.1)})}}, "'noise.label' is not a field of it"),
        ({"tuning": grid(lr=LRS)}, "must map learners to their points"),
        ({"tuning": {"net": {"lr": LRS}}}, "must map learners to their points|cannot be part of a study"),
        ({"tuning": {"net": grid(lr=LRS)}, "axes": grid(lr=LRS)}, "tuning.net and axes both vary lr"),
        (
            {"tuning": {"net": grid({"model.widths": ((8,), (16,))})}, "axes": grid(model=(MLP((4,)), MLP((8,))))},
            "tuning.net and axes both vary model.widths",
        ),
        (
            {"tuning": {"net": grid(lr=LRS), "logreg": grid(C=CS[:2])}},
            r"different tuning budgets \(net 3, logreg 2\).*equal_tuning=False",
        ),
        ({"tuning": {"net": grid(lr=LRS), "logreg": grid(C=(1, 1.0, 2))}}, "net 3, logreg 2"),
    ],
    ids=["learner", "path", "noise", "no mapping", "no points", "axis", "inside an axis", "unequal", "twice the same"],
)
def test_invalid_tuning_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        small(**changes)


def test_an_invalid_value_in_tuning_is_named():
    with pytest.raises(UsageError, match=r"hyper\.dropout=1\.5"):
        _ = small(tuning={"net": grid(dropout=(0.0, 1.5))}).trials


def test_quasi_random_points_are_evenly_spread_and_extend():
    space = {"lr": log_uniform(1e-4, 1e-1), "dropout": uniform(0, 0.5), "weight_decay": choice(0.0, 0.1)}
    few, many = quasi_random(space, points=8, seed=1), quasi_random(space, points=32, seed=1)
    assert many.points[:8] == few.points
    assert few != quasi_random(space, points=8, seed=2)
    # Even: each fourth of the range has a fourth of the points.
    fourths = [math.floor(4 * math.log(point["lr"] / 1e-4) / math.log(1e3)) for point in many.points]
    assert [fourths.count(k) for k in range(4)] == [8, 8, 8, 8]
    assert {point["weight_decay"] for point in few.points} == {0.0, 0.1}
    assert all(0 <= point["dropout"] <= 0.5 for point in many.points)


def test_quasi_random_points_are_pinned():
    """If this fails, workdirs lose the trials of their tuning: keep `quasi_random`, and add another function."""
    points = quasi_random(lr=log_uniform(1e-4, 1e-1), dropout=uniform(0, 0.5), points=3, seed=0).points
    assert [tuple(point.values()) for point in points] == [(0.07922, 0.459), (0.002505, 0.2924), (0.01409, 0.1257)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quasi_random(points=3), "quasi_random takes 1 to 16 distributions"),
        (lambda: quasi_random(lr=(1e-3, 1e-2), points=3), "is not a distribution; use uniform"),
        (lambda: quasi_random(lr=uniform(0, 1), points=0), "points=0 must be an integer of at least 1"),
        (lambda: quasi_random(lr=choice(0.1, 0.2), points=5), "points=5 exceeds the 2 distinct points"),
        (lambda: log_uniform(0, 1), "must ascend between finite numbers above 0"),
        (lambda: uniform(1, 1), "must ascend between finite numbers"),
        (lambda: choice(1), "has no alternative"),
    ],
)
def test_invalid_distributions_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()

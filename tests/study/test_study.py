"""A study expands to the right trials, names them for good, and refuses what cannot be meant."""

import dataclasses
import math
import os
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from dlm import Budget, Hyper, Learner, Optimizer, Study, UsageError, grid, zipped
from dlm.data import File
from dlm.study.config import FrozenDict, canonical, digest, replaced
from dlm.study.noise import Noise
from dlm.study.trial import group_cohorts, variants


@dataclasses.dataclass(frozen=True)
class Data:
    rows: int = 100

    def load(self, data_dir=None):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Task:
    unit = "error rate"


@dataclasses.dataclass(frozen=True)
class Model:
    widths: tuple[int, ...] = (8,)
    depths: tuple[int, ...] = (1,)
    rate: float = 0.5
    norm: Literal["group", "layer"] = "group"

    def __post_init__(self):
        if len(self.widths) != len(self.depths):
            raise UsageError(f"model.widths={self.widths} and model.depths={self.depths} differ in length")


@dataclasses.dataclass(frozen=True)
class Ridge:
    c: float = 1.0


def study(**changes):
    fields = {
        "data": Data(),
        "task": Task(),
        "learners": {"net": Learner(Model()), "ridge": Ridge()},
        "train_sizes": (10, 20),
        "seeds": 2,
        "budget": Budget(steps=5),
        "name": "toy",
    }
    return Study(**{**fields, **changes})


def test_trials_are_distinct():
    trials = study(train_sizes=(20, 10, 20), seeds=(3, 1, 3)).trials
    assert [(c.name, c.train_size, c.subset_seed) for c in trials] == [
        (name, size, seed) for name in ("net", "ridge") for size in (10, 20) for seed in (3, 1)
    ]
    assert all(trial.init_seed == trial.subset_seed for trial in trials)
    assert len({trial.trial_id for trial in trials}) == len(trials)


def test_a_number_of_seeds_means_the_first_seeds():
    assert study(seeds=3).seeds == (0, 1, 2)
    assert study(seeds=3).trials == study(seeds=(0, 1, 2)).trials


def test_more_sizes_and_seeds_do_not_change_trial_ids():
    before = {trial.trial_id for trial in study().trials}
    after = {trial.trial_id for trial in study(train_sizes=(10, 20, 40), seeds=5, name="other", level=0.9).trials}
    assert before < after


@pytest.mark.parametrize(
    "changes",
    [
        {"data": Data(101)},
        {"budget": Budget(steps=6)},
        {"budget": Budget(steps=5, batch_size=32)},
        {"learners": {"net": Learner(Model(rate=0.25))}},
        {"learners": {"net": Learner(Model(), Hyper(lr=0.1))}},
        {"learners": {"net": Learner(Model(), optimizer=Optimizer("sgd"))}},
        {"learners": {"other": Learner(Model())}},
        {"precision": "bfloat16"},
    ],
)
def test_each_field_that_determines_numbers_changes_the_id(changes):
    before = {trial.trial_id for trial in study().trials}
    assert not before & {trial.trial_id for trial in study(**changes).trials if trial.name != "ridge"}


def test_precision_changes_the_cohort_but_not_classical_trials():
    before, after = study().trials, study(precision="bfloat16").trials
    assert [trial for trial in before if trial.name == "ridge"] == [trial for trial in after if trial.name == "ridge"]
    groups = [group_cohorts([trial for trial in trials if trial.name == "net"]) for trials in (before, after)]
    assert [len(group) for group in groups] == [1, 1]
    assert groups[0][0].cohort_id != groups[1][0].cohort_id
    assert {trial.precision for trial in groups[1][0].trials} == {"bfloat16"}
    assert len(group_cohorts([*groups[0][0].trials, *groups[1][0].trials])) == 2


def test_ids_are_the_same_in_every_process():
    code = (
        "from dlm import Budget, Hyper, Learner, Optimizer\n"
        "from dlm.study.config import FrozenDict, digest\n"
        "print(digest(FrozenDict(b=Learner(None, Hyper(lr=0.1)), a=(1, 2.5, 'x', None, True))))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = digest(FrozenDict(b=Learner(None, Hyper(lr=0.1)), a=(1, 2.5, "x", None, True)))
    assert told == {here}


def test_equal_configs_have_one_id():
    assert Ridge(1) == Ridge(1.0)
    assert digest(Ridge(1)) == digest(Ridge(1.0)) != digest(Ridge(1.5))
    assert digest(FrozenDict(a=1, b=2)) == digest(FrozenDict(b=2, a=1))
    assert digest(Learner(Model(), Hyper(weight_decay=0))) == digest(Learner(Model(), Hyper(weight_decay=-0.0)))
    assert canonical(True) is True


def test_a_field_that_is_omitted_at_its_default_changes_the_id_only_when_set():
    source = File("my.csv", target="label")
    assert digest(source) == "cea6e5598d821d5a"
    assert digest(dataclasses.replace(source, group="patient")) != digest(source)


def test_canonical_forms_of_different_types_differ():
    assert digest(Ridge(0.5)) != digest(Model(rate=0.5))
    assert digest(("1",)) != digest((1,))
    assert digest((True,)) != digest((1,))
    assert digest(None) != digest("None")


def test_equal_frozen_dicts_have_equal_hashes():
    a, b = FrozenDict(x=1, y=(2,)), FrozenDict({"y": (2,)}, x=1)
    assert a == b
    assert hash(a) == hash(b)
    assert list(a) == ["x", "y"]


def test_trials_of_a_cohort_differ_in_numbers_only():
    swept = study(
        axes=grid(lr=[0.1, 0.2], dropout=[0.0, 0.1, 0.2]) * grid({"model.rate": [0.5, 0.75]}),
        learners={"net": Learner(Model())},
        budget=Budget(epochs=3, min_steps=1),
    )
    trials = swept.trials
    groups = group_cohorts(trials)
    assert len(trials) == 2 * 3 * 2 * 2 * 2
    assert sorted(len(group.trials) for group in groups) == [8, 8, 16, 16]  # rate × with or without dropout
    assert len({group.cohort_id for group in groups}) == 4
    more = group_cohorts(dataclasses.replace(swept, train_sizes=(10, 20, 40), seeds=7).trials)
    assert {group.cohort_id for group in more} == {group.cohort_id for group in groups}


@pytest.mark.parametrize(("other", "number"), [(Budget(steps=9), 1), (Budget(steps=8, batch_size=8), 2)])
def test_step_limits_do_not_split_a_cohort_but_batch_sizes_do(other, number):
    trials = [
        trial
        for budget in (Budget(steps=8), other)
        for trial in study(learners={"net": Learner(Model(), budget=budget)}).trials
    ]
    assert len(group_cohorts(trials)) == number


def test_the_budget_of_a_learner_replaces_that_of_the_study():
    own = study(learners={"net": Learner(Model(), budget=Budget(steps=7)), "other": Learner(Model())})
    assert {trial.name: trial.num_steps for trial in own.trials} == {"net": 7, "other": 5}


@pytest.mark.parametrize(
    ("budget", "size", "steps"),
    [
        (Budget(steps=7), 10**6, 7),
        (Budget(epochs=2, batch_size=64), 64, 2),
        (Budget(epochs=2, batch_size=64), 65, 3),
        (Budget(epochs=0.001), 1, 1),
        (Budget(epochs=1, min_steps=300), 64, 300),
        (Budget(epochs=1, max_steps=10), 64_000, 10),
        (Budget(epochs=1, min_steps=5, max_steps=5), 64_000, 5),
    ],
)
def test_number_of_updates(budget, size, steps):
    assert budget.num_steps(size) == steps


def test_variants_are_distinct_and_ignore_axes_of_other_learners():
    swept = study(axes=grid(lr=[0.1, 0.2, 0.1], dropout=[0]) + grid(lr=[0.2]))
    assert [learner.hyper.lr for learner, _, _ in variants(Learner(Model()), swept)] == [0.1, 0.2]
    assert variants(Ridge(), swept) == ((Ridge(), Noise(), Noise()),)
    assert [v.c for v, _, _ in variants(Ridge(), study(axes=grid(c=[1, 1.0, 2])))] == [1, 2]


def test_fields_that_depend_on_each_other_change_together():
    pair = {"model.widths": (8, 8), "model.depths": (1, 1)}
    assert replaced(Learner(Model()), pair).model == Model((8, 8), (1, 1))
    swept = study(axes=zipped({"model.widths": [(8,), (8, 16)], "model.depths": [(1,), (1, 2)]}))
    assert [v.model.widths for v, _, _ in variants(Learner(Model()), swept)] == [(8,), (8, 16)]


@pytest.mark.parametrize(
    "train_sizes", [(), 0, 10, (0,), (-5, 10), (10.0,), (True,), ("10",), "10", ([],), None, (2**31,)]
)
def test_invalid_train_sizes_are_refused(train_sizes):
    with pytest.raises(UsageError, match="train_sizes="):
        study(train_sizes=train_sizes)


@pytest.mark.parametrize("seeds", [0, -1, True, 2.5, "3", (), (-1,), (0, "a"), (0.0,), (True,), None, 2**31, (2**31,)])
def test_invalid_seeds_are_refused(seeds):
    with pytest.raises(UsageError, match="seeds="):
        study(seeds=seeds)


def test_a_seed_given_as_a_number_of_seeds_is_refused():
    with pytest.raises(UsageError, match=r"a single seed is written \(20261123,\)"):
        study(seeds=20261123)
    assert study(seeds=(20261123,)).seeds == (20261123,)


def test_numpy_integers_are_accepted():
    train_sizes = study(train_sizes=np.geomspace(10, 1000, 3).astype(int), seeds=np.int64(2))
    assert train_sizes == study(train_sizes=(10, 100, 1000), seeds=2)
    assert all(type(size) is int for size in train_sizes.train_sizes)
    assert train_sizes.trials[0].trial_id == study(train_sizes=(10, 100, 1000)).trials[0].trial_id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learners": {}}, "learners="),
        ({"learners": None}, "learners="),
        ({"learners": {"": Ridge()}}, "learners has the name ''"),
        ({"learners": {"a.b": Ridge()}}, "learners has the name 'a.b'"),
        ({"learners": {1: Ridge()}}, "learners has the name 1"),
        ({"learners": {"net": "mlp"}}, "learners.net='mlp' is not a learner"),
        ({"learners": {"net": Learner(Model([8]))}}, r"learners\.net\.model\.widths=\[8\] .*tuple"),
        ({"learners": {"net": Learner(Model)}}, r"learners\.net\.model=Model is a class"),
        (
            {"learners": {"net": Learner(Model(), hyper=None)}},
            r"learners\.net\.hyper=None is not of type Hyper",
        ),
        ({"learners": {"net": Learner({"widths": 3})}}, r"learners\.net\.model=.* cannot be part of a study"),
        ({"learners": {"net": Learner(math.sqrt)}}, r"learners\.net\.model=.* cannot be part of a study"),
        ({"learners": {"net": Ridge(math.nan)}}, r"learners\.net\.c=nan"),
        ({"data": Data}, "data=Data is a class"),
        ({"data": None}, "data=None is not a config"),
        ({"data": Task()}, r"data=Task\(\) has no load"),
        ({"task": "classification"}, "task='classification' is not a config"),
        ({"budget": None}, "budget=None is not of type Budget"),
        ({"axes": {"lr": [1]}}, "axes=.* is not of type Axes"),
        ({"level": 1.0}, "level=1.0"),
        ({"level": "high"}, "level='high'"),
        ({"targets": 0.1}, "targets=0.1"),
        ({"targets": (0.1, -1)}, "targets="),
        ({"targets": ("x",)}, "targets="),
        ({"targets": (math.nan,)}, "targets="),
        ({"name": "../up"}, "name='../up'"),
        ({"name": ".hidden"}, "name='.hidden'"),
        ({"name": 3}, "name=3 is not text"),
        ({"precision": "float16"}, "precision='float16' is unknown; choose one of float32, bfloat16"),
        ({"precision": None}, "precision=None is unknown; choose one of float32, bfloat16"),
    ],
)
def test_invalid_parts_of_a_study_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        study(**changes)


def test_a_mutable_part_is_refused():
    @dataclasses.dataclass
    class Loose:
        widths: tuple[int, ...] = (8,)

    with pytest.raises(UsageError, match=r"learners\.net\.model: Loose is mutable.*frozen=True"):
        study(learners={"net": Learner(Loose())})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Hyper(lr=-1),
        lambda: Hyper(lr=math.inf),
        lambda: Hyper(lr="0.1"),
        lambda: Hyper(lr=True),
        lambda: Hyper(dropout=1.0),
        lambda: Optimizer("adam"),
        lambda: Optimizer(schedule="linear"),
        lambda: Optimizer(warmup=1.5),
        lambda: Optimizer(b1=1.0),
        lambda: Optimizer(b2=-0.1),
        lambda: Optimizer(clip=-1),
        lambda: Budget(),
        lambda: Budget(steps=1, epochs=1),
        lambda: Budget(steps=-1),
        lambda: Budget(steps=2**31),
        lambda: Budget(steps=1.5),
        lambda: Budget(epochs="3"),
        lambda: Budget(epochs=math.nan),
        lambda: Budget(epochs=math.inf),
        lambda: Budget(steps=1, batch_size=0),
        lambda: Budget(epochs=1, min_steps=10, max_steps=5),
        lambda: Budget(steps=10, patience=2),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(UsageError, match=r"(hyper|optimizer|budget)\.\w+="):
        make()


def test_a_budget_beyond_32_bit_positions_is_refused():
    """Positions in the stream of examples are 32-bit; beyond them the epochs would start again unnoticed."""
    assert study(budget=Budget(steps=2**26 - 1, batch_size=64)).trials
    with pytest.raises(UsageError, match=r"lower the budget"):
        _ = study(budget=Budget(steps=2**26, batch_size=64)).trials


def test_declaring_a_study_imports_neither_numpy_nor_jax():
    modules = "dlm, dlm.study.experiment, dlm.study.overrides, sys"
    code = f"import {modules}\nprint(sorted({{'numpy', 'jax', 'flax'}} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_axes_that_do_not_fit_the_learners_are_refused():
    with pytest.raises(UsageError, match="'lrr' is not a field of any learner"):
        _ = study(axes=grid(lrr=[0.1])).trials
    with pytest.raises(UsageError, match=r"hyper\.dropout=1\.5"):
        _ = study(axes=grid(dropout=[1.5])).trials
    with pytest.raises(UsageError, match=r"Ridge\.c='x' is not a number"):
        _ = study(axes=grid(c=["x"])).trials
    with pytest.raises(UsageError, match="Model refuses widths=8"):
        _ = study(axes=grid({"model.widths": [8]})).trials

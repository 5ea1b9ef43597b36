"""A further round of tuning: what Optuna is told of a workdir's cells, and the points that come of it."""

import dataclasses
import json
import math

import pytest
from small import ROW, claimed, small

import dlm
from dlm import Learner, UsageError, choice, grid, log_uniform, quasi_random, suggest, uniform, zipped
from dlm.baselines import LogisticRegression
from dlm.models import MLP
from dlm.storage import record_log
from dlm.study.config import canonical
from dlm.study.learner import Hyper

optuna = pytest.importorskip("optuna", reason="pip install dlm[optuna]")

LR = log_uniform(1e-4, 1e-1)
SIZES, SEEDS = (32, 64), 2


def hyper(lr, **model):
    return json.dumps(canonical(Learner(MLP(**model), Hyper(lr=lr))))


def cell(config, size, seed, error, **changes):
    """A trial's last rows: validation, of which half is the seed's luck, and a test error that says the opposite."""
    name = f"{config}{size}{seed}"
    one = dataclasses.replace(
        ROW, trial_id=name, hyper=config, train_size=size, subset_seed=seed, init_seed=seed, **changes
    )
    validation = dataclasses.replace(one, split="validation", value=None if error is None else error + seed / 100)
    return [validation, dataclasses.replace(one, value=None if error is None else 1 - error)]


def miss(lr):
    """An error that is least at lr=0.01."""
    return 0.1 + 0.1 * abs(math.log10(lr) + 2)


FIRST = quasi_random(lr=LR, points=8)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Eight learning rates of an MLP at two sizes; the smaller size has its best elsewhere."""
    folder = claimed(tmp_path_factory.mktemp("tuned"))
    for point in FIRST.points:
        for seed in range(SEEDS):
            record_log.append(folder, cell(hyper(point["lr"]), 32, seed, miss(point["lr"] / 10)))
            record_log.append(folder, cell(hyper(point["lr"]), 64, seed, miss(point["lr"])))
    return folder


@pytest.fixture
def told(monkeypatch):
    """The trials that Optuna's study is given."""
    given = []
    add = optuna.study.Study.add_trial
    monkeypatch.setattr(optuna.study.Study, "add_trial", lambda self, row: (given.append(row), add(self, row)))
    return given


def test_optuna_is_told_the_mean_validation_error_at_the_largest_size(workdir, told):
    suggest(workdir, "mlp", lr=LR, points=2)
    assert {trial.params["lr"]: trial.value for trial in told} == {
        point["lr"]: pytest.approx(miss(point["lr"]) + 0.005) for point in FIRST.points
    }


def test_another_size_can_be_asked_for(workdir, told):
    suggest(workdir, "mlp", lr=LR, points=2, train_size=32)
    assert {trial.params["lr"]: trial.value for trial in told} == {
        point["lr"]: pytest.approx(miss(point["lr"] / 10) + 0.005) for point in FIRST.points
    }


def test_points_are_new_in_their_range_and_nearer_to_the_best(workdir):
    points = suggest(workdir, "mlp", lr=LR, points=8)
    rates = [point["lr"] for point in points.points]
    assert len(set(rates)) == len(points) == 8
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert not set(points.points) & set(FIRST.points)
    assert sum(map(miss, rates)) / 8 < sum(miss(point["lr"]) for point in FIRST.points) / 8
    assert min(map(miss, rates)) < min(miss(point["lr"]) for point in FIRST.points)


def test_the_seed_decides_and_not_which_cell_was_finished_first(workdir, tmp_path):
    claimed(tmp_path)
    record_log.append(tmp_path, record_log.rows(workdir)[::-1])
    space = {"lr": LR}
    assert suggest(workdir, "mlp", space, points=3) == suggest(tmp_path, "mlp", space, points=3)
    assert suggest(workdir, "mlp", space, points=3) != suggest(workdir, "mlp", space, points=3, seed=1)


def test_what_is_printed_is_python_that_makes_the_points(workdir):
    points = suggest(workdir, "mlp", lr=LR, points=3)
    assert eval(repr(points)) == points
    assert repr(points).startswith("zipped(lr=(")
    mixed = grid({"model.widths": ((8,), (16, 16))}) + zipped(lr=(0.1,)) + zipped() + zipped()
    assert repr(mixed) == "zipped({'model.widths': ((8,), (16, 16))}) + zipped(lr=(0.1,)) + zipped() + zipped()"
    assert eval(repr(mixed)) == mixed


def test_a_second_round_is_declared_and_means_stay_equal(workdir):
    net = Learner(MLP((16,)))
    more = FIRST + suggest(workdir, "mlp", lr=LR, points=4)
    rates = quasi_random(C=log_uniform(1e-4, 1e2), points=12)
    study = small(learners={"mlp": net, "logreg": LogisticRegression()}, tuning={"mlp": more, "logreg": rates})
    before = small(learners={"mlp": net}, tuning={"mlp": FIRST})
    assert {one.trial_id for one in before.trials} < {one.trial_id for one in study.trials}
    with pytest.raises(UsageError, match="different tuning budgets"):
        dataclasses.replace(study, tuning={"mlp": FIRST, "logreg": rates})


def test_a_setting_that_diverged_is_worse_than_all_and_one_that_failed_says_nothing(tmp_path, told):
    claimed(tmp_path)
    record_log.append(tmp_path, cell(hyper(0.01), 64, 0, 0.3))
    record_log.append(tmp_path, [*cell(hyper(0.1), 64, 0, 0.2), *cell(hyper(0.1), 64, 1, None, status="diverged")])
    record_log.append(tmp_path, cell(hyper(0.001), 64, 0, None, status="failed"))
    suggest(tmp_path, "mlp", lr=LR, points=1)
    assert {trial.params["lr"]: trial.state.name for trial in told} == {0.01: "COMPLETE", 0.1: "PRUNED"}


def test_values_to_choose_from_are_found_in_the_records(tmp_path, told):
    claimed(tmp_path)
    record_log.append(tmp_path, cell(hyper(0.01, widths=(8,)), 64, 0, 0.3))
    space = {"model.widths": choice((8,), (16,), (32, 32)), "focal": uniform(0, 2), "augment.crop": choice(0, 1)}
    points = suggest(tmp_path, "mlp", space, points=4).points
    assert [trial.params for trial in told] == [{"model.widths": 0, "focal": 0.0, "augment.crop": 0}]
    assert {point["model.widths"] for point in points} <= {(8,), (16,), (32, 32)}


def test_every_point_that_is_left_is_found_and_no_more(tmp_path):
    claimed(tmp_path)
    for size, width in ((32, 4), (64, 8)):
        record_log.append(tmp_path, cell(hyper(0.01, widths=(width,)), size, 0, 0.3))
    widths = {"model.widths": choice((4,), (8,), (16,), (32,))}
    assert {point["model.widths"] for point in suggest(tmp_path, "mlp", widths, points=2).points} == {(16,), (32,)}
    with pytest.raises(UsageError, match="of points=3, 2 are new; ask for fewer"):
        suggest(tmp_path, "mlp", widths, points=3)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("mpl",), {}, "no finished trials of a learner 'mpl'; did you mean 'mlp'"),
        (("mlp", {"learning_rate": LR}), {}, "mlp has no field 'learning_rate'"),
        (("mlp", {"lr.x": LR}), {}, r"mlp has no field 'lr\.x'; did you mean 'lr'"),
        (
            ("mlp", {"lr": log_uniform(1e-2, 1)}),
            {},
            r"mlp has trials with lr=0.0\d+, outside lr=Uniform.*widen the range",
        ),
        (("mlp", {"model.widths": uniform(0, 1)}), {}, r"mlp has trials with model.widths=\[.*widen the range"),
        (("mlp", {"lr": choice(0.1, 0.2)}), {}, "mlp has trials with lr=.*, outside lr=OneOf"),
        (("mlp", {"lr": (0.1, 0.2)}), {}, "is not a distribution; use uniform"),
        (("mlp", {}), {}, "suggest takes 1 to 16 distributions"),
        (("mlp", {"lr": LR}), {"points": 0}, "points=0 must be an integer"),
        (("mlp", {"lr": LR}), {"seed": -1}, "seed=-1 must be a whole number from 0"),
        (("mlp", {"lr": LR}), {"train_size": 48}, "no finished trials with train_size=48; choose one of 32, 64"),
    ],
)
def test_what_cannot_be_suggested_is_refused(workdir, arguments, options, message):
    name, space = (*arguments, {"lr": LR})[:2]
    with pytest.raises(UsageError, match=message):
        suggest(workdir, name, space, **{"points": 2, **options})


def test_a_workdir_without_numbers_is_refused(tmp_path):
    claimed(tmp_path)
    with pytest.raises(UsageError, match="holds no study"):
        suggest(tmp_path / "none", "mlp", lr=LR, points=1)
    with pytest.raises(UsageError, match="no finished trials of a learner 'mlp'; there are none"):
        suggest(tmp_path, "mlp", lr=LR, points=1)
    record_log.append(tmp_path, cell(hyper(0.01), 64, 0, None, status="diverged"))
    record_log.append(tmp_path, cell(hyper(0.02), 64, 0, 0.3)[1:])
    with pytest.raises(UsageError, match="mlp has no validation error at 64 examples"):
        suggest(tmp_path, "mlp", lr=LR, points=1)


def test_without_optuna_the_command_that_installs_it_is_named(workdir, monkeypatch):
    monkeypatch.setattr("dlm.utils.optional_imports.installed", lambda _: False)
    with pytest.raises(UsageError, match=r"dlm\.suggest needs optuna.*pip install .*optuna"):
        dlm.suggest(workdir, "mlp", lr=LR, points=1)

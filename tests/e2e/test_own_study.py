"""A study of somebody's own data by two flags, the module that it is written as, and what examples in two places do."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from command import assert_refused
from sklearn.datasets import load_breast_cancer
from small import small

from dlm import Budget, UsageError
from dlm.baselines import HistGradientBoosting, LogisticRegression
from dlm.curves.from_records import learning_curves
from dlm.data import Digits, File, Split
from dlm.data.leakage import check_leakage
from dlm.execution import executor, proposal
from dlm.storage import artifacts, record_log
from dlm.study import experiment

CUT = ("--train_sizes=40,100", "--seeds=1", "--set=budget.max_steps=20", "--set=budget.min_steps=20")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    data = load_breast_cancer()
    path = tmp_path_factory.mktemp("own") / "cancer.csv"
    with open(path, "w", newline="") as file:
        rows = [[*x[:8], data.target_names[y]] for x, y in zip(data.data, data.target)]
        csv.writer(file).writerows([[*data.feature_names[:8], "diagnosis"], *rows])
    return path


def test_two_flags_run_a_study_that_says_how_the_file_was_read(launch, table, tmp_path):
    code, out, err = launch(f"--data={table}", "--target=diagnosis", *CUT, f"--workdir={tmp_path / 'run'}")
    assert code == 0, err
    assert "How cancer was read" in out
    assert "Target diagnosis: 2 classes (benign, malignant)." in out
    assert "mlp (best of 3 learning rates by validation), logreg, boosting" in " ".join(out.split())
    assert "The classical learners were not tuned; a statement about mlp concerns the best of 3" in " ".join(
        out.split()
    )
    assert out.index("How cancer was read") < out.index("examples")
    assert "trained 10 trials (0 were complete)" in out
    learners = {curve.learner for curve in learning_curves(record_log.rows(tmp_path / "run"))}
    assert learners == {"mlp", "logreg", "boosting"}
    code, out, _ = launch(f"--data={table}", "--target=diagnosis", *CUT, f"--workdir={tmp_path / 'run'}")
    assert "trained 0 trials (10 were complete)" in out


def test_the_written_module_declares_the_very_study(launch, table, tmp_path):
    module = tmp_path / "mine.py"
    code, out, err = launch(f"--data={table}", "--target=diagnosis", "--seeds=2", f"--save_experiment={module}")
    assert code == 0, err
    assert str(module) in out
    study, _, _ = proposal.for_path(str(table), "diagnosis")
    rates = {trial.learner.hyper.lr for trial in study.trials if trial.name == "mlp"}
    assert rates == set(proposal.LEARNING_RATES)
    assert study.budget.patience > 0
    assert '"mlp": zipped(lr=(0.001, 0.003, 0.01))' in module.read_text()
    loaded = experiment.load(str(module))
    assert {cell.trial_id for cell in loaded.trials} == {
        cell.trial_id for cell in dataclasses.replace(study, seeds=2).trials
    }
    assert experiment.question(module).startswith("How well can diagnosis be predicted in cancer")
    again = launch(f"--data={table}", "--target=diagnosis", f"--save_experiment={module}")
    assert_refused(again, "exists; choose another name")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--data=absent.csv",), "absent.csv: no such file or folder"),
        (("--data={table}", "--target=diagnoses"), "did you mean 'diagnosis'"),
        (("--data={table}", "--experiment=digits"), "are two studies; choose one"),
        (("--target=diagnosis",), "needs --data=PATH"),
        (("--experiment=digits", "--save_experiment=x.py"), "needs --data=PATH"),
        (("--data={table}", "--target=diagnosis", "--set=data.tset=3"), "did you mean 'data.test'"),
        (("--data={table}", "--target=diagnosis", "--save_experiment=x.txt"), "must name a .py file"),
        (("--data={table}", "--target=diagnosis", "--download"), "--download has no effect with data=File"),
    ],
    ids=["file", "target", "both", "alone", "save", "set", "suffix", "download"],
)
def test_a_slip_is_refused_with_its_remedy_and_nothing_written(flags, message, launch, table, tmp_path):
    outcome = launch(*(flag.format(table=table) for flag in flags), f"--workdir={tmp_path / 'run'}")
    code, _, err = outcome
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_grouped_table_is_planned_run_and_refused(launch, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "visits.csv"
    of_patient = rng.normal(size=(60, 3))
    rows = [
        [f"P{p}", *of_patient[p] + rng.normal(size=3) / 9, of_patient[p, 0] > 0] for p in range(60) for _ in range(10)
    ]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["patient", "a", "b", "c", "sick"], *rows])
    flags = (f"--data={path}", "--target=sick", *CUT, "--learners=logreg", f"--workdir={tmp_path / 'run'}")
    code, out, err = launch(*flags, "--set=data.group=patient", "--mode=plan")
    assert code == 0, err
    text = " ".join(out.split())
    assert "Groups by patient: " in text
    held_out = (
        "of 600 examples for testing: an error rate of 20 % has a standard error of 3 points; up to 9.4 points if"
    )
    assert text.count(held_out) == 2
    code, out, err = launch(*flags, "--set=data.group=patient")
    assert code == 0, err
    assert len(np.unique(artifacts.read_test_set(tmp_path / "run")["test_groups"])) == 18
    refused = "data.group='patients' is not a column; did you mean 'patient'?"
    assert_refused(launch(*flags, "--set=data.group=patients"), refused)


def test_a_learner_whose_learning_rate_is_set_is_not_tuned(table):
    study, _, _ = proposal.for_path(str(table), "diagnosis", ["learners.mlp.hyper.lr=0.02"])
    assert {trial.learner.hyper.lr for trial in study.trials if trial.name == "mlp"} == {0.02}


@pytest.mark.parametrize(("pool", "classes"), [(64, 2), (409, 2), (50_000, 10), (10**6, 0)])
def test_sizes_grow_by_one_factor_up_to_the_pool(pool, classes):
    train_sizes = proposal.train_sizes_for(pool, classes)
    assert 3 <= len(train_sizes) <= 7
    assert train_sizes[-1] == min(pool, proposal.MOST_SIZE)
    factors = np.array(train_sizes[1:]) / np.array(train_sizes[:-1])
    assert np.all(factors > 1.5)
    assert np.ptp(factors) < 0.2 * factors.mean()


@pytest.fixture
def leaky(digits):
    """The digits with 30 pool examples among the test examples, and 5 twice in the pool."""
    test = digits.test.take(np.arange(len(digits.test)))
    x, y = test.x.copy(), test.y.copy()
    x[:30], y[:30] = digits.train.x[:30], digits.train.y[:30]
    twice = np.concatenate([np.arange(len(digits.train)), np.arange(5)])
    return dataclasses.replace(digits, name="leaky", train=digits.train.take(twice), test=Split(x, y))


@dataclasses.dataclass(frozen=True)
class Leaky(Digits):
    """A source whose arrays are handed over."""


def test_leaks_are_counted_and_errors_told_with_and_without_them(leaky, tmp_path, launch):
    dataset, counts = check_leakage(leaky)
    assert (counts.leaked, counts.leaked_near, counts.repeated, counts.repeated_near) == (30, 0, 5, 0)
    assert list(dataset.leaked_rows) == list(range(30))
    assert check_leakage(leaky)[1] == counts
    study = small(data=Leaky(), train_sizes=(300, 1262), seeds=1)
    executor.run_trials(study, tmp_path, executor.RunOptions(dataset=leaky))
    assert artifacts.read_leak_counts(tmp_path) == counts
    values = {
        (row.learner, row.train_size, row.metric): row for row in record_log.rows(tmp_path) if row.split == "test"
    }
    for name in ("net", "logreg"):
        whole, clean = values[name, 1262, "error"], values[name, 1262, "error_without_leaks"]
        mistakes = whole.value * 360
        assert clean.num_examples == 330
        assert abs(clean.value * 330 - mistakes) < 30
        assert round(clean.value * 330, 4) == round(clean.value * 330)
    assert values["logreg", 1262, "error_without_leaks"].value >= values["logreg", 1262, "error"].value
    code, out, _ = launch("--mode=report", f"--workdir={tmp_path}")
    assert code == 0
    text = " ".join(out.split())
    assert "30 of 360 test examples are also in the training pool (exact duplicates)." in text
    assert "5 of 1,262 pool examples duplicate an earlier one (exact duplicates)." in text
    assert "logreg: " in text
    assert "without the overlap (n=1,262, mean of 1)" in text


def test_nothing_is_said_where_nothing_leaks(digits, tmp_path):
    dataset, counts = check_leakage(digits)
    assert dataset.leaked_rows is None
    assert (counts.leaked, counts.repeated) == (0, 0)
    executor.run_trials(small(train_sizes=(32,), seeds=1), tmp_path)
    assert json.loads((tmp_path / artifacts.LEAKS_FILE).read_text())["leaked"] == 0
    assert not any(row.metric == "error_without_leaks" for row in record_log.rows(tmp_path))


def test_a_subset_of_one_class_is_learnt_as_that_class(tmp_path):
    """What scikit-learn's classifiers refuse: a rare class that a small subset does not hold."""
    rng = np.random.default_rng(0)
    path = tmp_path / "rare.csv"
    with open(path, "w", newline="") as file:
        rows = [[*rng.normal(size=3), "rare" if row < 6 else "usual"] for row in range(400)]
        csv.writer(file).writerows([["a", "b", "c", "label"], *rows])
    source = File(str(path), target="label")
    study = small(
        data=source,
        learners={"logreg": LogisticRegression(), "boosting": HistGradientBoosting()},
        train_sizes=(10, 200),
        seeds=1,
    )
    assert executor.run_trials(study, tmp_path / "run").failed == 0
    errors = {curve.learner: curve.errors for curve in learning_curves(record_log.rows(tmp_path / "run"))}
    assert errors["logreg"][0] == errors["boosting"][0] == (pytest.approx(np.mean(source.load().test.y == 0)),)


def test_a_split_that_no_file_has_and_a_task_that_is_none_are_refused(table, tmp_path):
    with pytest.raises(UsageError, match=r"data\.test='dev' is not a split of the data; set how many"):
        File(str(table), target="diagnosis", test="dev").load()
    with pytest.raises(UsageError, match=r"is not a task; use one of dlm\.tasks"):
        executor.run_trials(small(task=Budget(steps=1)), tmp_path / "new")
    assert not (tmp_path / "new").exists()

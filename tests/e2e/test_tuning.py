"""A tuned study: validation errors select the settings, and the report states the tuning budgets."""

import dataclasses

import pytest
from small import ROW, small

from dlm import Budget, Learner, grid, log_uniform, quasi_random
from dlm.analysis.tuning import tuned_learners, tuning_budgets
from dlm.baselines import LogisticRegression
from dlm.curves.from_records import learning_curves, selected_rows
from dlm.execution import executor, planner
from dlm.models import MLP
from dlm.report.sections.tuning import budget_sentences
from dlm.storage import record_log

CS = (0.01, 0.1, 1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tuned MLP and logistic regression on the digits, beside one that is not tuned."""
    study = small(
        learners={"net": Learner(MLP((16,))), "logreg": LogisticRegression(), "plain": LogisticRegression(C=0.5)},
        train_sizes=(32, 64),
        budget=Budget(steps=40),
        tuning={"net": quasi_random(lr=log_uniform(1e-3, 1e-1), points=3), "logreg": grid(C=CS)},
    )
    folder = tmp_path_factory.mktemp("tuned")
    executor.run_trials(study, folder)
    return study, folder


def test_a_tuned_study_runs_resumes_and_says_what_tuning_did(finished, launch):
    study, folder = finished
    assert executor.run_trials(study, folder).trained == 0
    assert planner.plan(study, folder).trials_done == len(study.trials) == 2 * 2 * (3 + 3 + 1)
    code, out, _ = launch("--mode=report", f"--workdir={folder}")
    assert code == 0
    text = " ".join(out.split())
    assert "net: at 64 examples the expected test error of the best of k settings is" in text
    assert "logreg: at 64 examples the expected test error of the best of k settings is" in text
    claim = "plain was not tuned; a statement about net or logreg concerns the best of 3 settings, one about plain this"
    assert text.count(claim) == 1
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "net: expected test error of the best of k settings" in page
    assert "best of 3" in page


def test_the_best_of_all_settings_is_what_the_curve_shows(finished):
    _, folder = finished
    rows = record_log.rows(folder)
    for one, curve in zip(
        tuned_learners(rows, order=("net", "logreg", "plain")), learning_curves(rows, order=("net", "logreg", "plain"))
    ):
        for size, best in one.best_of.items():
            errors = curve.errors[curve.train_sizes.index(size)]
            assert best.test[-1] == pytest.approx(sum(errors) / len(errors))
            assert list(best.validation) == sorted(best.validation, reverse=True)


def test_test_errors_choose_nothing(finished):
    """With other test errors the same trials are taken; with other validation errors, others."""
    _, folder = finished
    rows = record_log.rows(folder)

    def changed(split):
        return [
            dataclasses.replace(row, value=1 - row.value) if (row.split, row.metric) == (split, "error") else row
            for row in rows
        ]

    def taken(rows):
        return {
            row.trial_id for by_size in selected_rows(rows).values() for cells_ in by_size.values() for row in cells_
        }

    assert taken(changed("test")) == taken(rows)
    assert taken(changed("validation")) != taken(rows)


def test_claims_name_unequal_tuning_budgets_and_untuned_networks():
    def claims(settings, deep=("mlp", "cnn")):
        rows = [
            dataclasses.replace(
                ROW,
                learner=name,
                trial_id=f"{name} {number}",
                hyper=f'{{"at": {number}}}',
                precision="float32" if name in deep else "none",
                step=0 if name == "majority" else 100,
            )
            for name, count in settings.items()
            for number in range(count)
        ]
        return budget_sentences(tuning_budgets(rows, order=tuple(settings)))

    assert claims({"mlp": 3, "boosting": 1, "logreg": 1, "majority": 1}) == [
        "The classical learners were not tuned; a statement about mlp concerns the best of 3 settings, one about "
        "boosting or logreg this configuration."
    ]
    assert claims({"mlp": 9, "cnn": 3}) == [
        "Tuning budgets differ; a statement about mlp concerns the best of 9 settings, one about cnn the best of 3 "
        "settings."
    ]
    assert claims({"cnn": 1, "logreg": 1}) == ["cnn stands for this configuration of cnn (not tuned)."]
    assert claims({"mlp": 1, "cnn": 1}) == ["mlp and cnn stand for these configurations of them (not tuned)."]
    assert claims({"mlp": 3, "logreg": 3}) == claims({"logreg": 1}) == []


def test_some_learners_of_a_tuned_study_can_be_run(launch, tmp_path):
    module = tmp_path / "tuned.py"
    module.write_text(
        "from dlm import MLP, Budget, Classification, Digits, Learner, LogisticRegression, Study, grid\n\n"
        "def study():\n    return Study(data=Digits(), task=Classification(), train_sizes=(32, 64),\n"
        "        budget=Budget(steps=9),\n"
        "        learners={'net': Learner(MLP((8,))), 'logreg': LogisticRegression()},\n"
        "        tuning={'net': grid(lr=(0.01, 0.1)), 'logreg': grid(C=(0.1, 1.0))})\n"
    )
    flags = ("--learners=logreg", "--train_sizes=32", "--seeds=1", f"--workdir={tmp_path / 'run'}")
    code, out, err = launch(f"--experiment={module}", *flags)
    assert code == 0, err
    assert "trained 2 trials" in out
    assert "logreg: at 32 examples the expected test error of the best of k settings is" in " ".join(out.split())


def test_fields_of_networks_and_classical_learners_are_tuned_by_their_own_names():
    learners = {"net": Learner(MLP((16,))), "logreg": LogisticRegression()}
    tuning = {"net": grid(balance=(0.0, 1.0)), "logreg": grid(class_weight=(None, "balanced"))}
    study = small(learners=learners, tuning=tuning, seeds=1, train_sizes=(32,))
    assert {trial.learner.hyper.balance for trial in study.trials if trial.name == "net"} == {0.0, 1.0}
    assert {trial.learner.class_weight for trial in study.trials if trial.name == "logreg"} == {None, "balanced"}

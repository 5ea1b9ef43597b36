"""A study of several hold-outs, end to end: each seed is trained and tested on its own, and nothing mixes them."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from small import ROW, interrupted, small

from dlm import UsageError, load
from dlm.analysis.predictions import predictions, read_test_sets
from dlm.curves.from_records import selected_rows
from dlm.curves.new_examples import ON_NEW_EXAMPLES
from dlm.data.groups import hold_outs
from dlm.execution import executor, planner
from dlm.execution.result import interpret, write_report
from dlm.report.tables import estimand_notes
from dlm.storage import artifacts, record_log
from dlm.storage.workdir import Workdir
from dlm.study.trial import Trial

STUDY = small(splits=2, seeds=(3, 0, 7), train_sizes=(32, 128))
HOLD_OUT = {3: 0, 0: 1, 7: 0}  # by seed


@pytest.fixture(scope="module")
def parts(digits):
    return hold_outs(digits, 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("splits")
    assert executor.run_trials(STUDY, folder) == executor.Outcome(trained=12, before=0, failed=0, diverged=0)
    return folder


def numbers(folder):
    return {row.key: (row.value, row.num_examples, row.hold_out, row.data) for row in record_log.rows(folder)}


def test_each_seed_is_tested_on_its_hold_out(finished, parts):
    rows = record_log.rows(finished)
    assert {(row.subset_seed, row.hold_out) for row in rows} == set(HOLD_OUT.items())
    for row in rows:
        part = parts[row.hold_out]
        assert row.data == f"digits@{part.fingerprint}"
        if row.split != "train":
            assert row.num_examples == len(getattr(part, row.split))
    for row in (row for row in rows if (row.learner, row.split, row.metric) == ("logreg", "test", "error")):
        part = parts[HOLD_OUT[row.subset_seed]]
        subset = part.order(row.subset_seed)[: row.train_size]
        x, new = (part.features(each).reshape(len(each), -1) for each in (part.train.x[subset], part.test.x))
        model = LogisticRegression(max_iter=1000).fit(x, part.train.y[subset])
        assert row.value == pytest.approx(1 - model.score(new, part.test.y), abs=1e-9)


def test_saved_predictions_are_those_of_the_test_set_of_the_trial(finished, parts):
    tests = read_test_sets(finished)
    assert [test.hold_out for test in tests] == [0, 1]
    for test, part in zip(tests, parts):
        np.testing.assert_array_equal(test.y, part.test.y)
        np.testing.assert_array_equal(test.x, part.test.x)
    for row in record_log.ends(record_log.rows(finished)).values():
        saved = artifacts.read_predictions(finished, row.trial_id)
        wrong = saved["probabilities"].argmax(1) != tests[row.hold_out].y
        assert np.mean(wrong != (saved["error"] > 0)) < 0.01  # probabilities are saved as float16, which may tie
        assert saved["error"].mean() == pytest.approx(row.value, abs=1e-6)


def test_predictions_of_another_hold_out_are_not_read_even_if_they_are_as_many(tmp_path):
    rows = [dataclasses.replace(ROW, trial_id=f"{k}", hold_out=k % 2) for k in range(4)]
    for row in rows:
        artifacts.write_predictions(tmp_path, row.trial_id, {"error": np.full(5, float(row.trial_id))})
    for hold_out, expected in ((0, [0, 2]), (1, [1, 3])):
        artifacts.write_test_set(tmp_path, {"y": np.zeros(5), "pool_classes": np.zeros(0)}, hold_out)
        saved = predictions(tmp_path, rows, read_test_sets(tmp_path)[hold_out])
        assert [each["error"][0] for each in saved] == expected


def test_worker_processes_fit_the_hold_out_of_each_trial(finished, tmp_path):
    study = dataclasses.replace(STUDY, learners={"logreg": STUDY.learners["logreg"]})
    executor.run_trials(study, tmp_path, executor.RunOptions(fit_workers=1))
    ours, theirs = numbers(tmp_path), numbers(finished)
    assert len(ours) == 6 * 6
    assert ours == {key: theirs[key] for key in ours}


def test_a_stopped_run_resumes_and_gives_the_same_numbers(finished, monkeypatch, tmp_path):
    interrupted(monkeypatch, STUDY, tmp_path, rounds=3)
    before = numbers(tmp_path)
    assert 0 < len(before) < len(numbers(finished))
    executor.run_trials(STUDY, tmp_path)
    assert numbers(tmp_path) == numbers(finished)
    assert executor.run_trials(STUDY, tmp_path).trained == 0
    more = executor.run_trials(dataclasses.replace(STUDY, seeds=(3, 0, 7, 9)), tmp_path)
    assert (more.trained, more.before) == (4, 12)


def test_another_number_of_splits_is_another_study(finished, tmp_path):
    for splits in (1, 3):
        with pytest.raises(UsageError, match=f"splits: 2 → {splits}"):
            executor.run_trials(dataclasses.replace(STUDY, splits=splits), finished)
    ids = [{trial.trial_id for trial in dataclasses.replace(STUDY, splits=splits).trials} for splits in (1, 2, 3)]
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]


def test_one_hold_out_is_the_study_without_splits():
    plain, study = small().trials, small(splits=1)
    assert [trial.trial_id for trial in study.trials] == [trial.trial_id for trial in plain]
    assert (plain[0].trial_id, study.cohorts[0].cohort_id) == ("35f37dade6e0af6a", "14c79c466f04fac8")
    assert {field.name for field in dataclasses.fields(Trial)} >= {"hold_out", "splits"}


def test_a_cohort_has_one_hold_out():
    assert [{trial.hold_out for trial in cohort.trials} for cohort in STUDY.cohorts] == [{0}, {1}]


def test_what_is_stored_once_is_that_of_all_hold_outs(finished, parts):
    content = json.loads((finished / "study.json").read_text())
    assert content["study"]["splits"] == 2
    assert content["data"]["fingerprint"] == ",".join(part.fingerprint for part in parts)
    assert content["pool_size"] == min(len(part.train) for part in parts)
    shares = [1 - np.mean(part.test.y == np.bincount(part.train.y).argmax()) for part in parts]
    assert content["chance"]["error"] == pytest.approx(np.mean(shares))
    counts = artifacts.read_leak_counts(finished)
    assert (counts.test, counts.pool) == (len(parts[0].train) + len(parts[0].test), len(parts[0].train))


def test_the_report_states_the_hold_outs_and_mixes_no_predictions(finished, monkeypatch):
    read, used = artifacts.read_predictions, []
    monkeypatch.setattr(artifacts, "read_predictions", lambda folder, trial: used.append(trial) or read(folder, trial))
    console = Console(record=True, width=200)
    summary = write_report(finished, console, STUDY)
    total = sum(len(test.y) for test in read_test_sets(finished))
    assert {(each.curve.num_test, each.curve.hold_outs) for each in summary.learners} == {(total, 2)}
    text = console.export_text()
    assert f"by the test set (s.e. of {total:,} examples of 2 hold-outs)" in text
    (note, _) = estimand_notes(dataclasses.replace(summary, estimand=ON_NEW_EXAMPLES))
    assert note.endswith(f"they include the sampling error of the {total:,} test examples of 2 hold-outs.")
    assert "Members of an ensemble have one test set" in text
    page = (finished / "report.html").read_text()
    assert "of hold-out 0" in page
    assert "of hold-out 1" in page
    assert {trial.trial_id for trial in STUDY.trials} >= set(used)
    # Seeds 3 and 7 share a test set, and seed 0 has another: an ensemble of all three would mix their rows.
    assert {ensemble.members for ensemble in artifacts.read_ensembles(finished)} == {2}
    assert load(finished).answer.learners[0].curve.hold_outs == 2


def test_networks_are_analysed_on_their_hold_out(finished, parts):
    from dlm.analysis.interpretability import results

    interpret(STUDY, finished, ["net:128:0"], Console(quiet=True))
    (trial,) = (trial for trial in STUDY.trials if (trial.name, trial.train_size, trial.subset_seed) == ("net", 128, 0))
    analysis = next(each for each in results.read_analyses(finished) if each.trial_id == trial.trial_id)
    np.testing.assert_array_equal(analysis.examples, parts[1].test.x[analysis.rows])


def test_the_plan_counts_all_hold_outs(tmp_path):
    plan = planner.plan(STUDY, tmp_path / "none")
    assert [part.name for part in plan.parts] == ["net, hold-out 0", "net, hold-out 1", "logreg"]
    assert sum(part.trials for part in plan.parts) == 12
    assert "Held out 1,617 of 1,797 examples for testing in 2 hold-outs" in str(plan)


def test_a_table_is_run_from_the_command_line_and_misuse_is_refused(launch, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "visits.csv"
    rows = [[*rng.normal(size=3), "ab"[k % 2], f"p{k // 5}"] for k in range(200)]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "c", "site", "patient", "sick"], *([*r, r[0] > 0.3] for r in rows)])
    run = tmp_path / "run"
    flags = (f"--data={path}", "--target=sick", "--learners=logreg", f"--workdir={run}", "--set=data.group=patient")
    for more, message in (
        (["--set=splits=0"], "splits=0 must be a number of hold-outs, an integer of at least 1"),
        (["--set=splits=many"], "splits='many' is not an integer"),
        (["--set=splits=5"], "splits=5 exceeds the 4 seeds"),
        (["--set=splits=41", "--seeds=41"], "exceeds the"),
        (["--set=splits=2", "--train_sizes=32,150"], "with splits=2; choose at most"),
        (["--set=splits=2", "--input=stream"], "splits=2 needs the training pool in memory"),
    ):
        assert_refused_last(launch(*flags, *more), message)
        assert not run.exists()
    code, out, err = launch(*flags, "--set=splits=3", "--seeds=3", "--set=groups=site")
    assert code == 0, err
    text = " ".join(out.split())
    assert "in pool and test of 3 hold-outs; no group is in two splits." in text
    assert "examples for testing in 3 hold-outs" in text
    assert "compared on the test examples of the first of 3 hold-outs" in text + (run / "report.html").read_text()
    tested = [set(test.content["test_groups"].tolist()) for test in read_test_sets(run)]
    assert len(set.union(*tested)) == sum(map(len, tested))
    curves = selected_rows(Workdir.open(run).records)
    assert {row.hold_out for row in curves["logreg"][max(curves["logreg"])]} == {0, 1, 2}


def assert_refused_last(outcome, message):
    code, _, err = outcome
    assert code == 2, err
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize("value", [True, 0, -1, 2.0, "2", None])
def test_splits_must_be_a_positive_integer(value):
    with pytest.raises(UsageError, match=r"splits=.* must be a number of hold-outs, an integer of at least 1"):
        small(splits=value)


def test_more_splits_than_seeds_are_refused():
    with pytest.raises(UsageError, match=r"splits=3 exceeds the 2 seeds.*at most 2 splits, or at least 3 seeds"):
        small(splits=3).trials  # noqa: B018

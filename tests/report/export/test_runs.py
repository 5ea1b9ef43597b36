"""Trials and curves as runs: numbers, groups, and ids that are stable between exports."""

from dlm.report.export.export import Source
from dlm.storage.workdir import Workdir


def by_kind(workdir, kind):
    return [run for run in Source(Workdir.open(workdir)).runs if run.kind == kind]


def test_a_curve_summarizes_the_seeds_of_each_size(workdir):
    numbers_of = {run.name: {step.step: dict(step.numbers) for step in run.steps} for run in by_kind(workdir, "curves")}
    assert numbers_of == {
        "mlp": {32: numbers(0.3, 0.2, 0.4, 3), 64: numbers(0.15000000000000002, 0.1, 0.2, 2)},
        "a_b & 50%": {32: numbers(0.2, 0.1, 0.3, 3)},
    }


def numbers(median, least, most, seeds):
    return {
        "test error/median": median,
        "test error/min": least,
        "test error/max": most,
        "test error/seeds": seeds,
    }


def test_a_trial_has_its_numbers_by_step_and_its_config(workdir):
    trials = by_kind(workdir, "trials")
    assert len({run.run_id for run in trials}) == 9
    (trial,) = [run for run in trials if run.name == "mlp/n=64/seed=1/3x64x1"]
    assert [(step.step, dict(step.numbers)) for step in trial.steps] == [
        (50, {"validation/error": 0.04}),
        (100, {"validation/error": 0.02, "test/error": 0.2}),
    ]
    assert trial.config["config.hyper.lr"] == 0.1
    assert trial.config["config.model.widths"] == "[16, 8]"
    assert trial.status == "done"


def test_seeds_share_a_group_and_sizes_do_not(workdir):
    groups = {run.group: [] for run in by_kind(workdir, "trials")}
    for run in by_kind(workdir, "trials"):
        groups[run.group].append(run.config["subset_seed"])
    assert list(groups.values()) == [[0, 1, 2]] * 3


def test_a_diverged_trial_has_its_status_and_no_number(workdir):
    (diverged,) = [run for run in by_kind(workdir, "trials") if run.status == "diverged"]
    assert all("test/error" not in step.numbers for step in diverged.steps)


def test_runs_are_reproducible(workdir):
    assert Source(Workdir.open(workdir)).runs == Source(Workdir.open(workdir)).runs

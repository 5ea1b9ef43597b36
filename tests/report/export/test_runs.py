"""Trials and curves as runs: their numbers, and names by which a second export finds them again."""

from dlm.report.export.runs import gather, runs


def by_kind(workdir, kind):
    return [run for run in runs(gather(workdir, forecast=False)) if run.kind == kind]


def test_a_curve_holds_the_seeds_at_each_size(workdir):
    told = {run.name: {one.step: dict(one.numbers) for one in run.steps} for run in by_kind(workdir, "curves")}
    assert told == {
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


def test_a_trial_holds_its_numbers_by_step_and_what_it_is(workdir):
    trials = by_kind(workdir, "trials")
    assert len({run.run_id for run in trials}) == 9
    (one,) = [run for run in trials if run.name == "mlp/n=64/seed=1/3x64x1"]
    assert [(step.step, dict(step.numbers)) for step in one.steps] == [
        (50, {"validation/error": 0.04}),
        (100, {"validation/error": 0.02, "test/error": 0.2}),
    ]
    assert one.config["config.hyper.lr"] == 0.1
    assert one.config["config.model.widths"] == "[16, 8]"
    assert one.status == "done"


def test_seeds_share_a_group_and_sizes_do_not(workdir):
    groups = {run.group: [] for run in by_kind(workdir, "trials")}
    for run in by_kind(workdir, "trials"):
        groups[run.group].append(run.config["subset_seed"])
    assert list(groups.values()) == [[0, 1, 2]] * 3


def test_a_trial_that_diverged_says_so_and_has_no_number(workdir):
    (lost,) = [run for run in by_kind(workdir, "trials") if run.status == "diverged"]
    assert all("test/error" not in step.numbers for step in lost.steps)


def test_exported_twice_the_runs_are_the_same(workdir):
    contents = gather(workdir, forecast=False)
    assert runs(contents) == runs(gather(workdir, forecast=False))

"""Each learner is tuned by as many points as another, which are known before anything runs, and validation chooses."""

import dataclasses
import json
import math

import pytest
from small import ROW, small

from dlm import Budget, Hyper, Learner, UsageError, choice, drawn, grid, log_uniform, uniform
from dlm.baselines import LogisticRegression
from dlm.curves.from_records import curves, selected_rows
from dlm.execution import executor, planner
from dlm.models import MLP
from dlm.report.sections.tuning import best_of_sentences, tuned
from dlm.storage import record_log
from dlm.study.noise import Noise
from dlm.study.overrides import apply

LRS, CS = (1e-3, 1e-2, 1e-1), (0.01, 0.1, 1.0)
TUNING = {"net": grid(lr=LRS), "logreg": grid(c=CS)}


def ids(study):
    return {cell.trial_id for cell in study.trials}


def test_a_learner_is_tuned_over_its_own_points_alone():
    study = small(tuning=TUNING)
    found = {name: {cell.learner for cell in study.trials if cell.name == name} for name in study.learners}
    assert {learner.hyper.lr for learner in found["net"]} == set(LRS)
    assert {learner.c for learner in found["logreg"]} == set(CS)
    assert len(study.trials) == 2 * 3 * 3 * 2
    assert "36 cells" in study._repr_html_()


def test_a_tuned_point_is_the_trial_that_an_axis_or_a_declaration_makes():
    assert ids(small(tuning=TUNING)) == ids(small(axes=grid(lr=LRS))) | ids(small(axes=grid(c=CS)))
    assert ids(small(learners={"net": Learner(MLP((16,)), Hyper(lr=0.1))})) < ids(small(tuning={"net": grid(lr=LRS)}))
    assert "tuning" not in json.dumps(dataclasses.asdict(small().trials[0]))


def test_axes_are_crossed_with_tuning():
    study = small(axes=grid({"noise.label": (0, 0.2)}), tuning={"net": grid(lr=LRS)})
    assert len([cell for cell in study.trials if cell.name == "net"]) == 2 * 3 * 3 * 2
    assert {cell.noise for cell in study.trials} == {Noise(), Noise(label=0.2)}


def test_a_study_with_tuning_is_hashable_and_takes_assignments():
    study = small(tuning=TUNING)
    assert hash(study) == hash(small(tuning=dict(reversed(TUNING.items()))))
    changed = apply(study, ["learners.net.model.widths=8", "budget.steps=10"])
    assert changed.tuning == study.tuning
    with pytest.raises(UsageError, match="change it in the experiment file"):
        apply(study, ["tuning.net.points=3"])
    uneven = {"net": grid(lr=LRS), "logreg": grid(c=CS[:2])}
    assert apply(small(tuning=uneven, equal_tuning=False), ["seeds=1"]).tuning == uneven


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": {"ned": grid(lr=LRS)}}, "tuning.ned is no learner of this study; did you mean 'net'"),
        ({"tuning": {"logreg": grid(lr=LRS)}}, "tuning.logreg: 'lr' is no field of it"),
        ({"tuning": {"net": grid({"noise.label": (0, 0.1)})}}, "'noise.label' is no field of it"),
        ({"tuning": grid(lr=LRS)}, "must map learners to their points"),
        ({"tuning": {"net": {"lr": LRS}}}, "must map learners to their points|cannot be part of a study"),
        ({"tuning": {"net": grid(lr=LRS)}, "axes": grid(lr=LRS)}, "tuning.net and axes both vary lr"),
        (
            {"tuning": {"net": grid({"model.widths": ((8,), (16,))})}, "axes": grid(model=(MLP((4,)), MLP((8,))))},
            "tuning.net and axes both vary model.widths",
        ),
        (
            {"tuning": {"net": grid(lr=LRS), "logreg": grid(c=CS[:2])}},
            r"unequal means \(points: net 3, logreg 2\).*equal_tuning=False",
        ),
        ({"tuning": {"net": grid(lr=LRS), "logreg": grid(c=(1, 1.0, 2))}}, "points: net 3, logreg 2"),
    ],
    ids=["learner", "path", "noise", "no mapping", "no points", "axis", "inside an axis", "unequal", "twice the same"],
)
def test_tuning_that_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        small(**changes)


def test_a_value_that_the_learner_refuses_is_named():
    with pytest.raises(UsageError, match=r"hyper\.dropout=1\.5"):
        _ = small(tuning={"net": grid(dropout=(0.0, 1.5))}).trials


def test_drawn_points_are_fixed_even_and_kept_when_there_are_more():
    space = {"lr": log_uniform(1e-4, 1e-1), "dropout": uniform(0, 0.5), "weight_decay": choice(0.0, 0.1)}
    few, many = drawn(space, points=8, seed=1), drawn(space, points=32, seed=1)
    assert many.points[:8] == few.points
    assert few != drawn(space, points=8, seed=2)
    # Even: each fourth of the range has a fourth of the points.
    fourths = [math.floor(4 * math.log(point["lr"] / 1e-4) / math.log(1e3)) for point in many.points]
    assert [fourths.count(k) for k in range(4)] == [8, 8, 8, 8]
    assert {point["weight_decay"] for point in few.points} == {0.0, 0.1}
    assert all(0 <= point["dropout"] <= 0.5 for point in many.points)


def test_drawn_points_never_change_since_ids_are_made_of_them():
    """If this fails, workdirs of drawn tunings would lose their cells: leave `drawn`, and add another way beside it."""
    points = drawn(lr=log_uniform(1e-4, 1e-1), dropout=uniform(0, 0.5), points=3, seed=0).points
    assert [tuple(point.values()) for point in points] == [(0.07922, 0.459), (0.002505, 0.2924), (0.01409, 0.1257)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: drawn(points=3), "drawn takes 1 to 16 ranges"),
        (lambda: drawn(lr=(1e-3, 1e-2), points=3), "is no range; use uniform"),
        (lambda: drawn(lr=uniform(0, 1), points=0), "points=0 must be a whole number of at least 1"),
        (lambda: drawn(lr=choice(0.1, 0.2), points=5), "of points=5, 2 differ"),
        (lambda: log_uniform(0, 1), "must ascend between finite numbers above 0"),
        (lambda: uniform(1, 1), "must ascend between finite numbers"),
        (lambda: choice(1), "leaves nothing to choose"),
    ],
)
def test_ranges_that_cannot_be_meant_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tuned MLP and logistic regression on the digits, beside one that is not tuned."""
    study = small(
        learners={"net": Learner(MLP((16,))), "logreg": LogisticRegression(), "plain": LogisticRegression(c=0.5)},
        train_sizes=(32, 64),
        budget=Budget(steps=40),
        tuning={"net": drawn(lr=log_uniform(1e-3, 1e-1), points=3), "logreg": grid(c=CS)},
    )
    folder = tmp_path_factory.mktemp("tuned")
    executor.run(study, folder)
    return study, folder


def test_a_tuned_study_runs_resumes_and_says_what_tuning_did(finished, launch):
    study, folder = finished
    assert executor.run(study, folder).trained == 0
    assert planner.plan(study, folder).trials_done == len(study.trials) == 2 * 2 * (3 + 3 + 1)
    code, out, _ = launch("--mode=report", f"--workdir={folder}")
    assert code == 0
    text = " ".join(out.split())
    assert "net: at 64 examples the best of 3 settings is expected to reach" in text
    assert "logreg: at 64 examples the best of 3 settings is expected to reach" in text
    assert "Not tuned: plain." in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "net: expected error of the best of k settings" in page
    assert "best of 3" in page


def test_the_best_of_all_settings_is_what_the_curve_shows(finished):
    _, folder = finished
    rows = record_log.rows(folder)
    for one, curve in zip(
        tuned(rows, order=("net", "logreg", "plain")), curves(rows, order=("net", "logreg", "plain"))
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


def test_other_means_are_told():
    study = small(
        tuning={"net": grid(lr=LRS), "logreg": grid(c=CS[:2])}, equal_tuning=False, train_sizes=(32,), seeds=1
    )
    rows = [
        dataclasses.replace(row, trial_id=cell.trial_id, hyper=f'{{"at": {place}}}', learner=cell.name, split=split)
        for place, cell in enumerate(study.trials)
        for split in ("validation", "test")
        for row in [ROW]
    ]
    assert best_of_sentences(tuned(rows, order=("net", "logreg")))[-1] == (
        "Unequal means: settings at the largest size are net 3, logreg 2; more settings find a lower error."
    )


def test_some_learners_of_a_tuned_study_can_be_run(launch, tmp_path):
    module = tmp_path / "tuned.py"
    module.write_text(
        "from dlm import MLP, Budget, Classification, Digits, Learner, LogisticRegression, Study, grid\n\n"
        "def study():\n    return Study(data=Digits(), task=Classification(), train_sizes=(32, 64),\n"
        "        budget=Budget(steps=9),\n"
        "        learners={'net': Learner(MLP((8,))), 'logreg': LogisticRegression()},\n"
        "        tuning={'net': grid(lr=(0.01, 0.1)), 'logreg': grid(c=(0.1, 1.0))})\n"
    )
    flags = ("--learners=logreg", "--train_sizes=32", "--seeds=1", f"--workdir={tmp_path / 'run'}")
    code, out, err = launch(f"--experiment={module}", *flags)
    assert code == 0, err
    assert "2 cells trained now" in out
    assert "logreg: at 32 examples the best of 2 settings is expected to reach" in " ".join(out.split())


def test_a_field_of_a_classical_learner_that_networks_call_a_hyperparameter_is_tuned_by_its_name():
    learners = {"net": Learner(MLP((16,))), "logreg": LogisticRegression()}
    study = small(
        learners=learners, tuning={name: grid(balance=(0.0, 1.0)) for name in learners}, seeds=1, train_sizes=(32,)
    )
    found = {(cell.name, getattr(cell.learner, "hyper", cell.learner).balance) for cell in study.trials}
    assert found == {("net", 0.0), ("net", 1.0), ("logreg", 0.0), ("logreg", 1.0)}

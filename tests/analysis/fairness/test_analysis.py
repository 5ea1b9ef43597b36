"""Groups of a tabular study, from the trials of its curves."""

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from rich.console import Console

from dlm import Budget, Hyper, Learner, Study
from dlm.analysis.fairness.analysis import analyze_groups
from dlm.baselines import LogisticRegression
from dlm.curves.from_records import learning_curves
from dlm.data import File
from dlm.execution import executor
from dlm.models import MLP
from dlm.report.study_report import report
from dlm.storage import record_log
from dlm.storage.workdir import Workdir
from dlm.tasks import Classification


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Women's labels have nothing to do with the inputs; men's follow from them."""
    folder, rng = tmp_path_factory.mktemp("groups"), np.random.default_rng(0)
    x, sex = rng.standard_normal((900, 2)), rng.integers(0, 3, 900) > 0
    label = np.where(sex, x[:, 0] > 0, rng.random(900) < 0.5)
    rows = [f"{a:.4f},{b:.4f},{'m' if m else 'f'},{'yes' if y else 'no'}" for (a, b), m, y in zip(x, sex, label)]
    (folder / "mine.csv").write_text("\n".join(["a,b,sex,label", *rows]))
    study = Study(
        data=File(str(folder / "mine.csv"), target="label", test=300),
        task=Classification(),
        learners={"net": Learner(MLP((8,)), Hyper(lr=0.01)), "logreg": LogisticRegression()},
        train_sizes=(40, 80, 160),
        seeds=2,
        budget=Budget(steps=60),
        groups=("sex",),
        name="who",
    )
    executor.run_trials(study, folder / "run")
    return folder / "run"


def test_curves_of_groups_average_to_the_learner_s_curve(finished):
    rows = record_log.rows(finished)
    told = analyze_groups(finished, rows)
    whole = {curve.learner: curve for curve in learning_curves(rows)}
    assert {(one.learner, one.group) for one in told.curves} == {(a, b) for a in ("net", "logreg") for b in ("f", "m")}
    for learner, curve in whole.items():
        parts = [one.answer.curve for one in told.curves if one.learner == learner]
        assert sum(part.num_test for part in parts) == curve.num_test == 300
        together = sum(part.num_test * np.array(part.errors) for part in parts) / 300
        np.testing.assert_allclose(together, np.array(curve.errors), atol=1e-6)
    assert sum(one.in_pool for one in told.curves if one.learner == "net") == 540
    json.dumps(dataclasses.asdict(told), allow_nan=False)


def test_a_group_with_random_labels_has_a_gap_that_no_data_closes(finished):
    out = io.StringIO()
    report(Workdir.open(finished), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "logreg: sex=f has an error" in text
    assert "points larger [" in text
    assert "than sex=m at n=160 (" in text
    assert "sex=m has an error" not in text  # one gap, told once
    assert "the error of sex=m at n=160" in text
    assert max(map(len, out.getvalue().split("\n\nWritten")[0].splitlines())) <= 80


def test_without_fairlearn_only_its_metrics_are_missing(finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    told = analyze_groups(finished, record_log.rows(finished))
    assert told.metrics == ()
    assert any("pip install" in note for note in told.notes)
    assert any(gap.is_significant for gap in told.largest())


def test_a_workdir_without_groups_has_no_report(finished, tmp_path):
    assert analyze_groups(tmp_path, record_log.rows(finished)) is None

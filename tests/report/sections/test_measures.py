"""Other measures: medians over the seeds, training beside test errors, on the page and the terminal."""

import dataclasses
import io

from rich.console import Console
from small import ROW

from dlm.analysis.measures import TrainingGap
from dlm.curves.from_records import learning_curves
from dlm.curves.summary import summarize
from dlm.report.sections.base import ReportContext
from dlm.report.sections.measures import measures_section, training_gap_sentence
from dlm.report.terminal import print_table


def rows():
    made = []
    for learner in ("net", "logreg"):
        for size in (32, 64):
            for seed in range(3):
                trial = dataclasses.replace(
                    ROW, trial_id=f"{learner}{size}{seed}", learner=learner, train_size=size, subset_seed=seed
                )
                more = {"auroc": ("AUROC", 0.5 + size / 200 + seed / 100), "error_rate": ("error rate", 0.125)}
                made += [
                    dataclasses.replace(trial, metric=name, unit=unit, value=value)
                    for name, (unit, value) in more.items()
                    if (learner, name) != ("net", "error_rate")
                ]
                made.append(trial)
    return made


def content(records, folder):
    return measures_section(ReportContext(summarize(learning_curves(records)), folder, records=records))


def test_medians_over_seeds_by_learner_and_size(tmp_path):
    measures = content(rows(), tmp_path).page
    assert len(measures.blocks[0].options) == 2
    table = measures.blocks[-1]
    assert table.headings == ("learner", "examples", "auroc", "error rate (%)")
    assert table.rows[0] == ("net", "32", "0.670", "–")
    assert table.rows[-1] == ("logreg", "64", "0.830", "12.5")


def test_the_terminal_has_each_learner_at_its_largest_size(tmp_path):
    out = io.StringIO()
    (table,) = content(rows(), tmp_path).tables
    print_table(Console(file=out, width=100), table)
    lines = [line.split() for line in out.getvalue().splitlines() if "logreg" in line]
    assert lines == [["logreg", "64", "0.830", "12.5"]]


def test_no_section_without_other_measures(tmp_path):
    plain = [row for row in rows() if row.metric == "error"]
    assert content(plain, tmp_path).page is None


def test_training_errors_are_shown_beside_test_errors_at_the_largest_size(tmp_path):
    plain = [row for row in rows() if row.metric == "error"]
    train = [dataclasses.replace(row, split="train", value=0.0) for row in plain if row.learner == "net"]
    made = content([*plain, *train], tmp_path)
    (table,) = made.tables
    assert table.headings == ("learner", "examples", "training error (%)", "test error (%)")
    assert table.rows == (("net", "64", "0.0", "25.0"),)
    assert made.page.blocks[0] == table
    assert made.sentences["Training and test error"] == [
        "net fits its training examples perfectly (0.0 %) and has 25.0 % on the test set; more data or regularization "
        "may help."
    ]


def test_two_similar_errors_suggest_a_larger_model():
    def sentence(train, test):
        return training_gap_sentence(TrainingGap("net", 64, "error rate", train, test))

    assert sentence(0.2, 0.25).startswith("net: training and test error are similar (20.0 %, 25.0 %); if they are too")
    assert sentence(0.05, 0.25).startswith("net fits its training examples better (5.0 %) than new ones: it has 25.0 %")

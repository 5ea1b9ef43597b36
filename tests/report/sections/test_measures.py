"""Other measures than the error: medians of the curves' own cells, on the page and on the terminal."""

import dataclasses
import io

from rich.console import Console
from small import ROW

from dlm.curves.from_records import selected_rows
from dlm.report.sections.measures import measure_table, measures_section, other_measures
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


def test_medians_over_seeds_are_told_for_each_learner_and_size():
    found = selected_rows(rows())
    measured = other_measures(found, rows())
    assert [one.name for one in measured] == ["auroc", "error_rate"]
    section_ = measures_section(measured, found)
    table = section_.blocks[-1]
    assert table.columns == ("learner", "examples", "auroc", "error rate %")
    assert table.rows[0] == ("net", "32", "0.670", "–")
    assert table.rows[-1] == ("logreg", "64", "0.830", "12.5")
    assert len(section_.blocks[0].options) == 2


def test_the_terminal_has_each_learner_s_largest_size():
    out = io.StringIO()
    console = Console(file=out, width=100)
    print_table(console, measure_table(other_measures(selected_rows(rows()), rows())))
    lines = [line.split() for line in out.getvalue().splitlines() if "logreg" in line]
    assert lines == [["logreg", "64", "0.830", "12.5"]]


def test_a_study_without_others_has_no_section():
    plain = [row for row in rows() if row.metric == "error"]
    assert measures_section(other_measures(selected_rows(plain), plain), selected_rows(plain)) is None

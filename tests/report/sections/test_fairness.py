"""Sentences of groups say what was found, and how much could still be there."""

import dataclasses

import pytest

from dlm.analysis.fairness.gaps import Gap, Spread
from dlm.analysis.fairness.report import GroupCurve, GroupReport
from dlm.curves.types import RequiredSize
from dlm.report.sections.fairness import group_sentences

GAP = Gap("cnn", "sex", "f", 1024, 200, 3, 0.05, 0.031, 0.019, 0.004, 0.035)
MIRROR = Gap("cnn", "sex", "m", 1024, 160, 3, 0.031, 0.05, -0.019, -0.035, -0.004)
NEED = RequiredSize(0.031, "interval", 1900.0, 3100.0, 6000.0, 1.0)


def told(gaps, need=NEED, notes=()):
    curves = tuple(GroupCurve(gap.learner, gap.column, gap.group, 10, None, None, need) for gap in gaps)
    spread = Spread("cnn", gaps[0].column, 1024, gaps[0].group, gaps[-1].group, 0.04, 0.01, 0.09)
    return group_sentences(GroupReport(curves, tuple(gaps), (spread,), (), 0.95, "error rate", notes))


def test_one_gap_of_two_groups_is_told_once_with_what_would_close_it():
    assert told([GAP, MIRROR]) == [
        "cnn: sex=f errs 1.9 points more [0.4, 3.5] than sex=m at n=1,024 (5.0 and 3.1 %).",
        "cnn: about 3,100 [1,900, 6,000] examples, mixed as the pool is, would take sex=f where sex=m is at n=1,024.",
    ]


def test_no_gap_is_told_with_what_may_still_be_there():
    calm = [dataclasses.replace(gap, low=-0.01, high=0.04) for gap in (GAP, MIRROR)]
    assert told(calm, notes=("A note.",)) == [
        "cnn: no gap between groups of sex is shown by 360 test examples at n=1,024; "
        "a gap of up to 4.0 points may still be there.",
        "A note.",
    ]


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (RequiredSize(0.03, "not reachable", None, None, None, 0.0), "no number of examples"),
        (RequiredSize(0.03, "undetermined", None, None, None, 0.0), "cannot be told"),
        (RequiredSize(0.03, "more than", 5000.0, None, None, 0.5), "more than 5,000 examples"),
    ],
)
def test_what_is_not_known_of_a_need_is_said(need, words):
    assert words in told([GAP, MIRROR], need)[1]


def test_of_several_groups_each_is_against_everyone_else_and_better_ones_need_nothing():
    groups = [dataclasses.replace(gap, column="age", group=f"age ≤ {k}") for k, gap in enumerate([GAP, MIRROR, MIRROR])]
    lines = told(groups)
    assert "than everyone else" in lines[0]
    assert any("age ≤ 1 errs 1.9 points less [0.4, 3.5] than everyone else" in line for line in lines)
    assert any("groups of age differ by 4.0 points [1.0, 9.0]" in line for line in lines)
    assert sum("would take" in line for line in lines) == 1

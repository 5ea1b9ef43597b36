"""Sentences about gaps between groups."""

import dataclasses

import pytest

from dlm.analysis.fairness.analysis import GroupCurve, GroupReport
from dlm.analysis.fairness.gaps import Gap, GroupRange
from dlm.curves.types import RequiredSize
from dlm.report.sections.fairness import group_sentences

GAP = Gap("cnn", "sex", "f", 1024, 200, 3, 0.05, 0.031, 0.019, 0.004, 0.035)
MIRROR = Gap("cnn", "sex", "m", 1024, 160, 3, 0.031, 0.05, -0.019, -0.035, -0.004)
NEED = RequiredSize(0.031, "interval", 1900.0, 3100.0, 6000.0, 1.0)


def report_lines(gaps, need=NEED, notes=()):
    curves = tuple(GroupCurve(gap.learner, gap.column, gap.group, 10, None, None, need) for gap in gaps)
    spread = GroupRange("cnn", gaps[0].column, 1024, gaps[0].group, gaps[-1].group, 0.04, 0.01, 0.09)
    return group_sentences(GroupReport(curves, tuple(gaps), (spread,), (), 0.95, "error rate", notes))


def test_the_gap_of_two_groups_is_reported_once_with_the_data_to_close_it():
    assert report_lines([GAP, MIRROR]) == [
        "cnn: sex=f has an error 1.9 points larger [0.4, 3.5] than sex=m at n=1,024 (5.0 and 3.1 %).",
        "cnn: about 3,100 [1,900, 6,000] examples, with the pool's group proportions, are needed for sex=f to reach "
        "the error of sex=m at n=1,024.",
    ]


def test_no_significant_gap_is_reported_with_the_largest_possible_one():
    calm = [dataclasses.replace(gap, low=-0.01, high=0.04) for gap in (GAP, MIRROR)]
    assert report_lines(calm, notes=("A note.",)) == [
        "cnn: no significant gap between groups of sex in 360 test examples at n=1,024; "
        "the intervals include a gap of up to 4.0 points.",
        "A note.",
    ]


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (RequiredSize(0.03, "not reachable", None, None, None, 0.0), "no number of examples"),
        (RequiredSize(0.03, "undetermined", None, None, None, 0.0), "cannot be determined"),
        (RequiredSize(0.03, "unsupported", 5000.0, None, None, 0.5), "outside the supported range, more than 5,000"),
    ],
)
def test_required_sizes_without_a_number(need, words):
    assert words in report_lines([GAP, MIRROR], need)[1]


def test_several_groups_are_compared_with_all_other_examples():
    groups = [dataclasses.replace(gap, column="age", group=f"age ≤ {k}") for k, gap in enumerate([GAP, MIRROR, MIRROR])]
    lines = report_lines(groups)
    assert "than all other examples" in lines[0]
    assert any("age ≤ 1 has an error 1.9 points smaller [0.4, 3.5] than all other examples" in line for line in lines)
    assert any("groups of age differ by 4.0 points [1.0, 9.0]" in line for line in lines)
    assert sum("are needed" in line for line in lines) == 1

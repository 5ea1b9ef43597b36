"""The view in terminals of all sizes."""

import pytest
from rich.console import Console

from dlm.report.progress.status import About, Row, Status
from dlm.report.progress.view import view

LAW = "error ≈ 0.0045 + 1.16·exp(-(n/2.71)^0.232) (wbl4, weight 0.79)"


def study(learners, train_sizes, name="learner"):
    rows = tuple(
        Row(f"{name}{k}", 100 * (s + 1), 8, trained=4, running=3, failed=1, median=0.5 / (s + 1), low=0.05, high=0.65)
        for k in range(learners)
        for s in range(train_sizes)
    )
    about = tuple(About(f"{name}{k}", "error rate", LAW) for k in range(learners))
    return Status(
        "digits", "running", "train", "cnn, 56 members", rows, about, 0.42, 120.0, 200.0, 41_234.0,
        (("train", 70.0), ("compile", 30.0)), 2**30, 3 * 2**30, "host", 1,
    )  # fmt: skip


def drawn(status, width, height):
    console = Console(width=width, height=height, color_system=None, file=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(view(status, width, height))
    return [text.rstrip() for text in captured.get().splitlines()]


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 7), (10, 20), (40, 20), (1, 60)])
@pytest.mark.parametrize("size", [(79, 23), (59, 23), (39, 11), (199, 49)])
def test_it_fits_and_says_how_far_the_study_is(shape, size):
    lines = drawn(study(*shape), *size)
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    text = "\n".join(lines)
    cells = shape[0] * shape[1]
    for needed in ("digits · train · cnn", "42 %", "about 3 min 20 s left", f"{4 * cells:,} of {8 * cells:,} cells"):
        assert needed in text
    assert "41,000 examples/s" in text
    assert "train 70 %, compile 30 %" in text
    assert "learner0" in text


def test_a_small_study_has_a_row_for_each_size():
    text = "\n".join(drawn(study(2, 3), 79, 23))
    assert "learner0       100   4 of 8        3       1     50.0  5.0–65.0" in text
    assert f"learner1: {LAW}" in text


def test_seven_sizes_stand_side_by_side_in_80_columns():
    lines = drawn(study(3, 7), 79, 23)
    (head,) = [text for text in lines if text.startswith("learner ")]
    assert head.split()[1:] == ["100", "200", "300", "400", "500", "600", "700"]
    (cells,) = [text for text in lines if text.startswith("learner2 ")]
    assert cells.count("4 ▸3 ✗1") == 7
    assert sum("error %" in text for text in lines) == 3


def test_where_there_is_no_room_a_learner_is_a_row_at_its_largest_size():
    lines = drawn(study(10, 20), 79, 23)
    rows = [text for text in lines if text.startswith("learner") and " of " in text]
    assert len(rows) == 10
    assert rows[0].split() == ["learner0", "80", "of", "160", "60", "20", "2,000", "2.5", "5.0–65.0"]


def test_learners_that_do_not_fit_are_counted():
    lines = drawn(study(40, 20), 79, 23)
    shown = sum(text.startswith("learner") and " of " in text for text in lines)
    assert shown > 10
    assert any(text.startswith(f"{40 - shown} more ") for text in lines)


def test_names_are_no_markup():
    assert "[bold]0" in "\n".join(drawn(study(1, 2, name="[bold]"), 79, 23))

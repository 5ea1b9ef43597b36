"""Where a learner that learns nothing is not beaten, the report says so, and by how much; else it says nothing."""

import dataclasses

import numpy as np
import pytest
from small import ROW as RECORD

from dlm.report.sections.learner_comparison import unbeaten_sentences
from dlm.storage import artifacts

NUM_TEST = 40
WAVE = 0.05 * np.sin(np.arange(NUM_TEST))


@pytest.fixture
def said(tmp_path):
    """The sentences of cells (name, errors of the test examples, step, size), of forecasts `ahead` steps ahead."""

    def said(*cells, ahead=None):
        y = np.zeros((NUM_TEST, ahead, 2) if ahead else NUM_TEST, np.float32)
        artifacts.write_test_set(tmp_path, {"y": y, "pool_classes": np.zeros(0)})
        rows = []
        for name, errors, step, *size in cells:
            trial_id = f"{name}{size}"
            artifacts.write(tmp_path, trial_id, artifacts.PREDICTIONS, {"error": np.broadcast_to(errors, NUM_TEST)})
            change = {"trial_id": trial_id, "learner": name, "train_size": size[0] if size else 100, "step": step}
            rows.append(dataclasses.replace(RECORD, value=float(np.mean(errors)), unit="MSE", **change))
        return unbeaten_sentences(tmp_path, rows, None)

    return said


LAST = ("last", 0.2, 0)


def test_learners_that_are_not_shown_to_beat_the_naive_one_are_named(said):
    head, *told = said(LAST, ("better", 0.1 + WAVE, 5), ("worse", 0.25, 5), ("like", 0.199 + WAVE, 5))
    assert head.startswith("With 100 examples 2 of 3 learners that train are not shown to err less than last")
    assert "(0.200 MSE)" in head
    paired = "in per cent of their mean, paired over 40 test examples."
    assert told[0] == f"worse errs 22.2 % more [22.2, 22.2] than last, {paired}"
    assert told[1].startswith("like errs ")


def test_where_nothing_beats_it_that_is_said(said):
    head, line = said(LAST, ("naive too", 0.3, 0), ("worse", 0.25 + WAVE, 5))
    assert "no learner that trains is shown to err less than last, which learns nothing from data" in head
    assert "worse" in line


def test_forecasts_of_the_same_steps_count_as_one_stretch(said):
    lucky = 0.2 - 0.15 * (np.arange(NUM_TEST) < 10)
    assert said(LAST, ("lucky", lucky, 5)) == []
    _, line = said(LAST, ("lucky", lucky, 5), ahead=10)
    assert line.endswith("paired over 4 stretches of 10 test windows.")


def test_the_largest_size_that_all_have_counts(said):
    assert said(LAST, (*LAST, 50), ("late", 0.9, 5, 50), ("late", 0.1, 5)) == []
    assert said(LAST, ("other", 0.9, 5, 50)) == []


def test_without_a_naive_learner_or_others_or_predictions_there_is_nothing_to_say(said, tmp_path):
    assert said(LAST) == []
    assert said(("a", 0.3, 5), ("b", 0.1, 5)) == []
    row = dataclasses.replace(RECORD, trial_id="x", step=0)
    assert unbeaten_sentences(tmp_path / "empty", [row, dataclasses.replace(row, learner="y", step=3)], None) == []

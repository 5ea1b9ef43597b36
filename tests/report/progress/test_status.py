"""progress.json, and counts of trials from records."""

import dataclasses

import pytest
from small import ROW

from dlm.report.progress import status
from dlm.report.progress.status import RunStatus, SizeProgress, TrialCounts


def record(trial_id, value, state="done", size=32, split="test"):
    return dataclasses.replace(
        ROW, trial_id=trial_id, train_size=size, value=value, status=state, split=split, metric="error"
    )


def test_trials_are_counted_by_learner_and_size():
    trials = {f"{size}-{seed}": ("mlp", size) for size in (32, 64) for seed in range(4)}
    counts = TrialCounts(trials)
    counts.add([record("32-0", 0.25), record("32-1", 0.125), record("32-2", 0.375), record("32-3", None, "diverged")])
    counts.add([record("of another study", 0.9)])
    first, second = counts.rows(running=list(trials)[:6])
    assert first == SizeProgress("mlp", 32, 4, 3, 0, 1, 0.25, unit=ROW.unit)
    assert second == SizeProgress("mlp", 64, 4, running=2, unit=ROW.unit)


def test_a_trial_that_is_trained_again_counts_as_its_later_result():
    counts = TrialCounts(None)
    counts.add([record("a", None, "failed")])
    assert counts.rows()[0].failed == 1
    counts.add([record("a", 0.5), record("a", 0.5)])
    assert (counts.rows()[0].trained, counts.rows()[0].failed) == (1, 0)
    counts.add([record("a", None, "failed")])
    assert (counts.rows()[0].trained, counts.rows()[0].failed) == (1, 0)


def test_status_is_read_as_written(tmp_path):
    rows = (SizeProgress("mlp", 10, 3, 1, 1, 1, 0.5),)
    written = RunStatus("toy", "running", rows=rows, phase_seconds={"train": 3.0}, eta=4.0)
    status.write(tmp_path, written)
    assert status.read(tmp_path) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"study": 3}',
        '{"study": "a", "state": "unknown"}',
        '{"study": "a", "state": "done", "elapsed": -1}',
        '{"study": "\\u001b[2J", "state": "done"}',
        '{"study": "a\\n", "state": "done"}',
        '{"study": "\\u202e", "state": "done"}',
    ],
)
def test_invalid_status_is_none(text, tmp_path):
    (tmp_path / status.FILE).write_text(text)
    assert status.read(tmp_path) is None

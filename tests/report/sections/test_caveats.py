"""Trials without a result are listed with their cause; a learner that always diverges gets advice."""

import dataclasses
import json

from small import ROW as RECORD

from dlm.report.sections.caveats import MOST_LINES, missing_result_sentences

ROW = dataclasses.replace(
    RECORD,
    trial_id="a",
    train_size=1000,
    subset_seed=3,
    hyper=json.dumps({"hyper": {"lr": 0.5}}),
    step=70,
    value=None,
    status="diverged",
)
LOSS = dataclasses.replace(ROW, split="train", metric="loss", value=2.125, unit="nats")
DONE = dataclasses.replace(ROW, trial_id="b", status="done", value=0.25)


def test_a_diverged_trial_is_listed_with_its_step_and_last_finite_loss():
    assert missing_result_sentences([LOSS, ROW, DONE]) == [
        "mlp, 1,000 examples, seed 3: diverged after update 70; its last finite training loss was 2.125 nats."
    ]


def test_a_failed_trial_is_listed_with_its_error():
    failed = dataclasses.replace(ROW, status="failed", note="MemoryError: no more")
    (line,) = missing_result_sentences([failed, DONE])
    assert line == "mlp, 1,000 examples, seed 3: failed (MemoryError: no more); run the same command to try it again."


def test_a_learner_of_which_every_trial_diverged_gets_advice():
    lines = missing_result_sentences([LOSS, ROW])
    assert len(lines) == 2
    assert "--set learners.mlp.hyper.lr=0.05" in lines[1]
    assert "--set learners.mlp.optimizer.clip=1" in lines[1]


def test_a_learning_rate_that_cannot_be_read_gets_no_advice():
    for hyper in ("", "[]", "{}", '{"hyper": {"lr": "x"}}', "[" * 100_000):
        assert len(missing_result_sentences([dataclasses.replace(ROW, hyper=hyper)])) == 1


def test_of_many_trials_the_first_few_are_listed():
    rows = [dataclasses.replace(ROW, trial_id=str(number), train_size=number) for number in range(MOST_LINES + 5)]
    lines = missing_result_sentences([*rows, DONE])
    assert lines[MOST_LINES:] == ["5 more are in records.csv."]
    assert missing_result_sentences([DONE]) == []

"""Trials without a result are listed with their cause, and trials that were still improving with a remedy."""

import dataclasses
import json

from small import ROW as RECORD

from dlm.analysis.measures import undertrained_learners
from dlm.curves.from_records import selected_rows
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


def undertrained(losses, *, step=80, epochs=40, own=None):
    """A trial of 128 examples (80 updates of 64 in 40 epochs) that ended at `step`, with losses every 10 updates."""
    fields = {"type": "Budget", "epochs": epochs, "batch_size": 64, "eval_every": 10, "patience": 3}
    row = dataclasses.replace(ROW, train_size=128, value=0.25, hyper=json.dumps({"budget": own and fields | own}))
    rows = [
        dataclasses.replace(
            row, step=10 * (number + 1), split="validation", metric="loss", status="running", value=loss
        )
        for number, loss in enumerate(losses)
    ]
    rows.append(dataclasses.replace(row, step=step, status="done"))
    return undertrained_learners(rows, selected_rows(rows), {"budget": fields})


FALLING, FLAT = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.55, 0.54]


def test_trials_that_were_still_improving_are_counted_with_the_budget_that_ended_them():
    (item,) = undertrained(FALLING)
    assert (item.learner, item.num_improving, item.num_trials) == ("mlp", 1, 1)
    assert item.limits == {"budget.epochs": 40}
    (item,) = undertrained(FALLING, own={"epochs": 90, "max_steps": 80})
    assert item.limits == {"learners.mlp.budget.max_steps": 80}
    (item,) = undertrained(FALLING, own={"epochs": 3, "min_steps": 80})
    assert item.limits == {"learners.mlp.budget.min_steps": 80}


def test_flat_short_and_early_stopped_trials_are_not_undertrained():
    assert undertrained(FLAT) == []
    assert undertrained(FALLING[:3]) == []
    assert undertrained(FALLING, step=70) == []

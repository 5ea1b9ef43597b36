"""Cells without a number are named with what is known of them, and a learner that always diverges gets advice."""

import dataclasses
import json

from small import ROW as RECORD

from dlm.report.sections.caveats import MOST_LINES, without_a_number

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


def test_a_diverged_cell_tells_its_step_and_last_finite_loss():
    assert without_a_number([LOSS, ROW, DONE]) == [
        "mlp, 1,000 examples, seed 3: diverged after update 70; its last finite training loss was 2.125 nats"
    ]


def test_a_failed_cell_tells_its_error():
    failed = dataclasses.replace(ROW, status="failed", note="MemoryError: no more")
    (line,) = without_a_number([failed, DONE])
    assert line == "mlp, 1,000 examples, seed 3: failed, and the same command tries it again: MemoryError: no more"


def test_where_all_cells_of_a_learner_diverge_it_says_what_to_change():
    lines = without_a_number([LOSS, ROW])
    assert len(lines) == 2
    assert "--set learners.mlp.hyper.lr=0.05" in lines[1]
    assert "--set learners.mlp.optimizer.clip=1" in lines[1]


def test_a_learning_rate_that_cannot_be_read_gets_no_advice():
    for hyper in ("", "[]", "{}", '{"hyper": {"lr": "x"}}', "[" * 100_000):
        assert len(without_a_number([dataclasses.replace(ROW, hyper=hyper)])) == 1


def test_of_many_cells_a_few_are_named_and_others_counted_and_only_of_the_trials_asked_for():
    rows = [dataclasses.replace(ROW, trial_id=str(number), train_size=number) for number in range(MOST_LINES + 5)]
    lines = without_a_number([*rows, DONE])
    assert lines[MOST_LINES:] == ["and 5 more: records.csv has them all"]
    assert len(without_a_number([*rows, DONE], {"0", "1", "b"})) == 2
    assert without_a_number([DONE]) == []

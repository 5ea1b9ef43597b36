"""Sweeps of hyperparameters, and warnings of optima at the boundary of the values tried."""

import dataclasses
import json

from small import ROW

from dlm.analysis.tuning import boundary_optima, sweeps
from dlm.report.sections.tuning import boundary_sentence


def cells(error, train_sizes=(100, 200), lrs=(0.001, 0.01, 0.1), widths=((16,), (64,)), seeds=2):
    """Rows of finished trials with the validation errors `error(size, lr, width)`."""
    rows = []
    for size in train_sizes:
        for lr in lrs:
            for width in widths:
                for seed in range(seeds):
                    hyper = json.dumps(
                        {"type": "Learner", "hyper": {"lr": lr, "type": "Hyper"}, "model": {"widths": width}}
                    )
                    row = dataclasses.replace(
                        ROW, trial_id=f"{size}-{lr}-{width}-{seed}", train_size=size, subset_seed=seed, hyper=hyper
                    )
                    rows.append(
                        dataclasses.replace(row, split="validation", value=error(size, lr, width[0]) + 0.01 * seed)
                    )
                    rows.append(row)
    return rows


def warnings(rows):
    return [boundary_sentence(optimum) for optimum in boundary_optima(sweeps(rows))]


def test_a_slice_has_the_others_at_their_best():
    found = sweeps(cells(lambda size, lr, width: abs(lr - 0.01) + 1 / width))
    lr, width = found
    assert (lr.path, lr.values, width.path, width.values) == ("lr", (0.001, 0.01, 0.1), "model.widths", ([16], [64]))
    assert lr.errors[100][0].mean == 0.009 + 1 / 64 + 0.005
    assert lr.errors[100][0].num_seeds == 2
    assert lr.best(100) == 1
    assert not width.numeric


def test_an_alarm_tells_learner_value_sizes_and_remedy():
    rows = cells(lambda size, lr, width: abs(lr - (0.1 if size == 200 else 0.01)) + 1 / width)
    assert warnings(rows) == ["mlp: the best lr, 0.1, is the largest value tried at 200 examples; try larger values."]
    rows = cells(lambda size, lr, width: lr)
    assert warnings(rows) == [
        "mlp: the best lr, 0.001, is the smallest value tried at 100 and 200 examples; try smaller values."
    ]


def test_a_best_inside_and_a_study_without_a_sweep_give_none():
    assert warnings(cells(lambda size, lr, width: abs(lr - 0.01))) == []
    assert sweeps(cells(lambda *_: 0.1, lrs=(0.1,), widths=((16,),))) == []


def test_a_config_that_is_no_json_is_passed_over():
    rows = [dataclasses.replace(row, hyper="{") for row in cells(lambda *_: 0.1)]
    assert sweeps(rows) == []

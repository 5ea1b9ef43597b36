"""Curves are made of final test errors alone, each cell once, of the variant that validation chooses."""

import dataclasses

import pytest

from dlm.curves.from_records import learning_curves
from dlm.storage.record_log import Record


def cell(size, seed, test, validation=None, *, learner="mlp", hyper="{}", status="done", step=100, **more):
    """The rows that a finished cell leaves."""
    precision = more.get("precision", "float32")
    name = more.get("trial_id") or f"{learner}-{hyper}-{precision}-{size}-{seed}"
    values = {
        ("train", "loss"): 0.1,
        ("validation", "error"): validation,
        ("test", "loss"): 9.0,
        ("test", "error"): test,
    }
    return [
        Record(
            study="toy",
            trial_id=name,
            learner=learner,
            train_size=size,
            subset_seed=seed,
            init_seed=seed,
            hyper=hyper,
            step=step,
            split=split,
            metric=metric,
            value=value,
            unit="error rate" if metric == "error" else "nats",
            num_examples=360 if split == "test" else 180,
            status=status,
            subset_hash="00",
            data="toy@00",
            packing="exact",
            precision=precision,
            seconds=1.0,
            device="cpu",
            versions="dlm=0",
        )
        for (split, metric), value in values.items()
        if value is not None or (split, metric) == ("test", "error")
    ]


def rows(*cells):
    return [row for rows in cells for row in rows]


def test_learners_come_as_they_were_declared_however_they_ended():
    rows = [row for name in ("b", "c", "a") for row in cell(32, 0, 0.2, learner=name)]
    assert [curve.learner for curve in learning_curves(rows)] == ["b", "c", "a"]
    assert [curve.learner for curve in learning_curves(rows, order=["a", "b"])] == ["a", "b", "c"]


def test_nothing_gives_no_curve():
    assert learning_curves([]) == []
    assert learning_curves(cell(10, 0, 0.5), trial_ids=()) == []


def test_sizes_ascend_and_errors_follow_the_seeds():
    told = rows(cell(20, 1, 0.2), cell(10, 1, 0.4), cell(20, 0, 0.1), cell(10, 0, 0.3))
    (curve,) = learning_curves(told)
    assert (curve.learner, curve.train_sizes, curve.errors) == ("mlp", (10, 20), ((0.3, 0.4), (0.1, 0.2)))
    assert (curve.unit, curve.bound, curve.num_test, curve.num_failed) == ("error rate", (0.0, 1.0), 360, 0)


def test_a_unit_without_a_known_bound_is_bounded_below_alone():
    told = [dataclasses.replace(row, unit="nats per byte") for row in cell(10, 0, 2.5)]
    assert learning_curves(told)[0].bound == (0.0, None)


def test_learners_keep_their_order():
    told = rows(cell(10, 0, 0.5, learner="b"), cell(10, 0, 0.4, learner="a"), cell(20, 0, 0.3, learner="b"))
    assert [(curve.learner, curve.train_sizes) for curve in learning_curves(told)] == [("b", (10, 20)), ("a", (10,))]


def test_running_cells_and_numbers_of_other_splits_are_no_points():
    running = cell(20, 0, 0.9, 0.8, status="running")
    train = [row for row in cell(10, 1, 0.7) if row.split == "train"]
    errors_in_training = [type(row)(**{**vars(row), "metric": "error"}) for row in train]
    (curve,) = learning_curves(rows(cell(10, 0, 0.5, 0.6), running, train, errors_in_training))
    assert (curve.train_sizes, curve.errors) == ((10,), ((0.5,),))


def test_a_final_block_cut_short_is_not_finished():
    """The test error is written last: without it the cell will be trained again."""
    torn = [row for row in cell(20, 0, 0.1, 0.2) if (row.split, row.metric) != ("test", "error")]
    assert learning_curves(torn) == []
    (curve,) = learning_curves(rows(cell(10, 0, 0.5), torn))
    assert curve.train_sizes == (10,)


def test_only_the_trials_named_count():
    told = rows(cell(10, 0, 0.5, trial_id="a"), cell(20, 0, 0.4, trial_id="b"))
    assert learning_curves(told, {"b"})[0].train_sizes == (20,)


def test_diverged_and_failed_cells_are_counted_and_left_out():
    told = rows(
        cell(10, 0, 0.5),
        cell(10, 1, None, status="diverged", step=7),
        cell(20, 0, None, status="failed", step=0),
        cell(20, 1, None, status="diverged"),
    )
    (curve,) = learning_curves(told)
    assert (curve.train_sizes, curve.errors, curve.num_failed) == ((10,), ((0.5,),), 3)


def test_a_learner_of_which_every_cell_failed_has_no_points():
    (curve,) = learning_curves(rows(cell(10, 0, None, status="failed"), cell(20, 0, None, status="diverged")))
    assert (curve.train_sizes, curve.errors, curve.num_failed) == ((), (), 2)


@pytest.mark.parametrize("order", [1, -1])
def test_a_cell_that_worked_when_tried_again_has_not_failed(order):
    tries = [cell(10, 0, None, status="failed", step=0), cell(10, 0, 0.25)]
    (curve,) = learning_curves(rows(*tries[::order]))
    assert (curve.errors, curve.num_failed) == (((0.25,),), 0)


def test_of_a_sweep_validation_chooses_at_each_size():
    """The test error would choose the other variant at both sizes."""
    told = rows(
        cell(10, 0, 0.5, 0.10, hyper="slow"),
        cell(10, 0, 0.1, 0.20, hyper="fast"),
        cell(20, 0, 0.1, 0.20, hyper="slow"),
        cell(20, 0, 0.4, 0.10, hyper="fast"),
    )
    assert learning_curves(told)[0].errors == ((0.5,), (0.4,))


def test_the_mean_over_seeds_chooses_one_variant_for_all_of_them():
    told = rows(
        cell(10, 0, 0.5, 0.30, hyper="slow"),
        cell(10, 1, 0.6, 0.30, hyper="slow"),
        cell(10, 0, 0.1, 0.10, hyper="fast"),
        cell(10, 1, 0.2, 0.60, hyper="fast"),
    )
    assert learning_curves(told)[0].errors == ((0.5, 0.6),)


def test_a_variant_that_diverged_on_all_but_a_lucky_seed_is_not_chosen():
    told = rows(
        cell(10, 0, 0.1, 0.1, hyper="wild"),
        cell(10, 1, None, hyper="wild", status="diverged"),
        cell(10, 0, 0.4, 0.4, hyper="calm"),
        cell(10, 1, 0.5, 0.5, hyper="calm"),
    )
    (curve,) = learning_curves(told)
    assert curve.errors == ((0.4, 0.5),)
    assert curve.num_failed == 0


def test_validation_errors_of_the_way_there_do_not_choose():
    """Only what was measured at the step that the test error is of counts."""
    earlier = [row for row in cell(10, 0, None, 0.01, hyper="slow", step=50) if row.split == "validation"]
    told = rows(earlier, cell(10, 0, 0.5, 0.30, hyper="slow"), cell(10, 0, 0.4, 0.20, hyper="fast"))
    assert learning_curves(told)[0].errors == ((0.4,),)


def test_a_variant_without_validation_comes_last():
    told = rows(cell(10, 0, 0.1, hyper="unseen"), cell(10, 0, 0.5, 0.9, hyper="seen"))
    assert learning_curves(told)[0].errors == ((0.5,),)
    assert learning_curves(cell(10, 0, 0.1, hyper="unseen"))[0].errors == ((0.1,),)


def test_cells_of_two_precisions_are_never_averaged():
    """As with a sweep, validation chooses; whoever wants the one in particular names its trials."""
    told = rows(*(cell(10, seed, 0.5, 0.5) for seed in (0, 1)))
    told += rows(*(cell(10, seed, 0.4, 0.6, precision="bfloat16") for seed in (0, 1)))
    assert learning_curves(told)[0].errors == ((0.5, 0.5),)
    assert learning_curves(told, {row.trial_id for row in told if row.precision == "bfloat16"})[0].errors == (
        (0.4, 0.4),
    )

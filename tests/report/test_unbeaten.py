"""Where a learner that learns nothing is not beaten, the report says so, and by how much; else it says nothing."""

import dataclasses

from small import ROW as RECORD

from dlm.report.unbeaten import unbeaten_sentences


def cells(name, errors, size=100, step=5, **more):
    return [
        dataclasses.replace(
            RECORD,
            trial_id=f"{name}{size}{seed}",
            learner=name,
            train_size=size,
            subset_seed=seed,
            step=step,
            value=error,
            unit="MSE",
            **more,
        )
        for seed, error in enumerate(errors)
    ]


LAST = cells("last", [0.2, 0.2, 0.2], step=0)


def test_learners_that_are_not_shown_to_beat_the_naive_one_are_named():
    rows = [
        *LAST,
        *cells("better", [0.1, 0.11, 0.1]),
        *cells("worse", [0.25, 0.25, 0.25]),
        *cells("like", [0.1, 0.3, 0.2]),
    ]
    head, *told = unbeaten_sentences(rows, None)
    assert head.startswith("With 100 examples 2 of 3 learners that train are not shown to err less than last")
    assert "(0.200 MSE)" in head
    assert told[0] == "worse: errs 22.2 % more [22.2, 22.2] than last, paired over 3 seeds of one test set."
    assert told[1].startswith("like: errs ")


def test_where_nothing_beats_it_that_is_said():
    head, line = unbeaten_sentences([*LAST, *cells("worse", [0.25])], None)
    assert "no learner that trains is shown to err less than last, which learns nothing from data" in head
    assert line.endswith("by 1 paired seed, which says nothing of the noise.")


def test_the_largest_size_that_all_have_counts():
    rows = [*LAST, *cells("last", [0.2], 50, 0), *cells("late", [0.9], 50), *cells("late", [0.1, 0.1, 0.1])]
    assert unbeaten_sentences(rows, None) == []
    assert unbeaten_sentences([*LAST, *cells("other", [0.9], 50)], None) == []


def test_without_a_naive_learner_or_without_others_there_is_nothing_to_say():
    assert unbeaten_sentences([], None) == []
    assert unbeaten_sentences(LAST, None) == []
    assert unbeaten_sentences([*cells("a", [0.3]), *cells("b", [0.1])], None) == []
    failed = cells("failed", [None, None, None], step=0, status="failed")
    assert unbeaten_sentences([*cells("a", [0.3]), *failed], None) == []

"""The best of each kind, chosen by validation error, and what is said of them."""

import dataclasses

import pytest

from dlm.records import Record
from dlm.report.families import best_of_each, family_sentences
from dlm.report.page.better import against, better_block
from dlm.report.page.parts import Chart, Choice

SIZES = (32, 64, 128, 256, 512, 1024)
# Validation and test errors by size: the test errors of `lucky` are the least, those of validation are not.
LEARNERS = {
    "logreg": ("none", lambda n: 0.8 * n**-0.2, lambda n: 0.8 * n**-0.2),
    "lucky": ("none", lambda n: n**-0.2, lambda n: 0.1 * n**-0.2),
    "cnn": ("float32", lambda n: 3 * n**-0.5, lambda n: 3 * n**-0.5),
    "mlp": ("float32", lambda n: 0.7 if n < 100 else 0.9, lambda n: 0.7),
}


def records(learners=LEARNERS, noise=""):
    fields = {field.name for field in dataclasses.fields(Record)}
    rows = []
    for learner, (precision, validation, test) in learners.items():
        for size in SIZES:
            for seed in range(3):
                for split, law in (("validation", validation), ("test", test)):
                    row = {
                        "study": "s", "trial_id": f"{learner}{size}{seed}", "learner": learner, "train_size": size,
                        "subset_seed": seed, "init_seed": seed, "hyper": "{}", "step": 1, "split": split,
                        "metric": "error", "value": min(law(size) * (1 + 0.02 * seed), 1.0), "unit": "error rate",
                        "num_examples": 1000, "status": "done", "subset_hash": "", "data": "", "packing": "exact",
                        "precision": precision, "seconds": 0.0, "device": "", "versions": "", "note": "",
                        "noise": noise,
                    }  # fmt: skip
                    rows.append(Record(**{name: value for name, value in row.items() if name in fields}))
    return rows


def test_the_best_of_a_kind_is_chosen_by_validation_and_judged_by_test_errors():
    classical, deep = best_of_each(records())
    assert set(classical.chosen) == {"logreg"}
    assert deep.chosen == ("cnn",) * len(SIZES)
    assert classical.curve.errors[0][0] == pytest.approx(0.8 * 32**-0.2)


def test_it_is_said_where_deep_learning_overtakes():
    [sentence] = family_sentences(records(), None, 0.95)
    assert sentence.startswith("Deep learning (cnn) overtakes the best classical learner (logreg) at about ")
    assert "the chance that deep learning (cnn) is better is" in sentence


def test_a_choice_that_changes_with_size_is_said():
    odd = {**LEARNERS, "mlp": ("float32", lambda n: 0.1 if n < 100 else 0.9, lambda n: 0.3)}
    said = family_sentences(records(odd), None, 0.95)
    assert "(cnn or mlp)" in said[0]
    assert said[1] == "By validation error deep learning is mlp at 32 to 64, cnn at 128 to 1,024 examples."


def test_nothing_is_said_of_one_kind_or_of_noise_on_purpose():
    classical = {name: one for name, one in LEARNERS.items() if one[0] == "none"}
    assert family_sentences(records(classical), None, 0.95) == []
    assert family_sentences(records(noise="label=0.2"), None, 0.95) == []


def test_the_page_shows_chances_against_each_learner(digits):
    from dlm.curves.results import Chance, Overtake

    chances = (Chance(32, 0.25, True), Chance(64, 0.5, False))
    pairs = [Overtake(a, b, "cannot tell", None, None, None, chances) for a, b in (("logreg", "cnn"), ("cnn", "mlp"))]
    block = better_block(dataclasses.replace(digits, overtakes=tuple(pairs)))
    assert isinstance(block, Choice)
    assert against(pairs, "cnn") == {"logreg": {32: 0.75, 64: 0.5}, "mlp": {32: 0.25, 64: 0.5}}
    assert isinstance(better_block(dataclasses.replace(digits, overtakes=tuple(pairs[:1]))), Chart)
    assert better_block(digits) is None

"""The best of each kind, chosen by validation error, and what is said of them."""

import dataclasses

import numpy as np
import pytest

from dlm.report.html.elements import Chart, Choice
from dlm.report.sections.learner_comparison import best_of_each, family_sentences
from dlm.report.sections.learning_curve import against, better_block
from dlm.storage import artifacts
from dlm.storage.record_log import Record

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


def test_it_is_said_where_deep_learning_overtakes(tmp_path):
    [sentence] = family_sentences(tmp_path, records(), None, 0.95)
    assert sentence.startswith("Deep learning (cnn) overtakes the best classical learner (logreg) at about ")
    assert "the chance that deep learning (cnn) is better is" in sentence


def test_a_choice_that_changes_with_size_is_said(tmp_path):
    odd = {**LEARNERS, "mlp": ("float32", lambda n: 0.1 if n < 100 else 0.9, lambda n: 0.3)}
    said = family_sentences(tmp_path, records(odd), None, 0.95)
    assert "(cnn or mlp)" in said[0]
    assert said[1] == "By validation error deep learning is mlp at 32 to 64, cnn at 128 to 1,024 examples."


def test_the_test_examples_have_their_say_where_errors_are_means_over_them(tmp_path):
    rng = np.random.default_rng(0)
    wrong = {name: (rng.random(200) < share).astype(np.float32) for name, share in (("cnn", 0.1), ("logreg", 0.13))}
    artifacts.write_test_set(tmp_path, {"y": np.zeros(200, np.int32), "pool_classes": np.array([100, 100])})

    def told(times):
        rows = []
        for row in records():
            if row.learner in wrong and row.train_size == max(SIZES) and row.split == "test":
                artifacts.write(tmp_path, row.trial_id, artifacts.PREDICTIONS, {"error": wrong[row.learner]})
                row = dataclasses.replace(row, value=times * float(wrong[row.learner].mean()))
            rows.append(row)
        return family_sentences(tmp_path, rows, None, 0.95)

    assert "than logreg, in per cent of their mean, paired over 200 test examples" in told(1)[1]
    assert told(1)[1].endswith("So another test set might say otherwise.")
    assert not any("paired" in line for line in told(2)), "an error of the whole split"


def test_nothing_is_said_of_one_kind_or_of_noise_on_purpose(tmp_path):
    classical = {name: one for name, one in LEARNERS.items() if one[0] == "none"}
    assert family_sentences(tmp_path, records(classical), None, 0.95) == []
    assert family_sentences(tmp_path, records(noise="label=0.2"), None, 0.95) == []


def test_the_page_shows_chances_against_each_learner(digits):
    from dlm.curves.types import Crossover, ProbabilityBetter

    chances = (ProbabilityBetter(32, 0.25, True), ProbabilityBetter(64, 0.5, False))
    pairs = [Crossover(a, b, "undetermined", None, None, None, chances) for a, b in (("logreg", "cnn"), ("cnn", "mlp"))]
    block = better_block(dataclasses.replace(digits, crossovers=tuple(pairs)))
    assert isinstance(block, Choice)
    assert against(pairs, "cnn") == {"logreg": {32: 0.75, 64: 0.5}, "mlp": {32: 0.25, 64: 0.5}}
    assert isinstance(better_block(dataclasses.replace(digits, crossovers=tuple(pairs[:1]))), Chart)
    assert better_block(digits) is None

"""Sentences of learner comparisons, and the chart of probabilities of being better."""

import dataclasses

from dlm.analysis.learner_comparison import ErrorRatio, Family, FamilyComparison, NaiveComparison
from dlm.analysis.tuning import TuningBudget
from dlm.curves.types import Crossover, Curve, ProbabilityBetter
from dlm.report.html.elements import Chart, Choice
from dlm.report.sections.learner_comparison import family_sentences, naive_sentences
from dlm.report.sections.learning_curve import against, better_block

CLASSICAL = Family(Curve("the best classical learner", (64, 128), ((0.3,), (0.2,))), ("logreg", "logreg"), ())
DEEP = Family(Curve("the best deep learner", (64, 128), ((0.4,), (0.1,))), ("mlp", "cnn"), ())
CROSSING = Crossover("a", "b", "measured", 70.0, 100.0, 120.0, (ProbabilityBetter(128, 0.98, True),))


def test_crossover_ratio_and_selection_are_reported():
    comparison = FamilyComparison(CLASSICAL, DEEP, CROSSING, ErrorRatio(0.5, 0.301, 0.829, 200))
    first, second, third = family_sentences(comparison, 0.95)
    assert first.startswith("The best deep learner (cnn or mlp) becomes better than the best classical learner (logreg")
    assert second == (
        "At 128 examples the error ratio of cnn to logreg is 0.50 [0.30, 0.83] (95 % interval, paired over 200 test "
        "examples)."
    )
    assert third == "By validation error the best deep learner is mlp at 64, cnn at 128 examples."


def test_tuning_of_the_compared_learners_is_named_once():
    comparison = FamilyComparison(CLASSICAL, DEEP, CROSSING, None)

    def last(**settings):
        budgets = [TuningBudget(name, count, name != "logreg") for name, count in settings.items()]
        return family_sentences(comparison, 0.95, budgets)[-1]

    assert last(mlp=3, cnn=3, logreg=1) == (
        "This compares mlp (best of 3 settings) and cnn (best of 3 settings) with logreg (not tuned)."
    )
    assert last(mlp=1, cnn=1, logreg=1).endswith("with logreg (not tuned).")
    assert last(mlp=3, cnn=3, logreg=3).startswith("By validation error")


def test_a_ratio_whose_interval_includes_1_is_marked():
    comparison = FamilyComparison(CLASSICAL, DEEP, CROSSING, ErrorRatio(0.9, 0.7, float("inf"), 4, 10))
    line = family_sentences(comparison, 0.9)[1]
    assert "0.90 [0.70, ∞] (90 % interval, paired over 4 blocks of 10 test windows)" in line
    assert line.endswith("It includes 1: another test set may reverse the order.")


def test_learners_not_better_than_the_naive_baseline_are_named():
    comparison = NaiveComparison("last", 100, 0.2, "MSE", 3, {"worse": ErrorRatio(1.25, 1.2, 1.3, 40)})
    assert naive_sentences(comparison, 0.95) == [
        "At 100 examples 1 of 3 trained learners are not shown to err less than the naive baseline last (0.200 MSE).",
        "worse: error ratio 1.25 [1.20, 1.30] to last (95 % interval, paired over 40 test examples).",
    ]
    every = naive_sentences(dataclasses.replace(comparison, num_learners=1), 0.95)
    assert "no trained learner is shown" in every[0]


def test_the_page_shows_probabilities_against_each_learner(digits):
    chances = (ProbabilityBetter(32, 0.25, True), ProbabilityBetter(64, 0.5, False))
    pairs = [Crossover(a, b, "undetermined", None, None, None, chances) for a, b in (("logreg", "cnn"), ("cnn", "mlp"))]
    block = better_block(dataclasses.replace(digits, crossovers=tuple(pairs)))
    assert isinstance(block, Choice)
    assert against(pairs, "cnn") == {"logreg": {32: 0.75, 64: 0.5}, "mlp": {32: 0.25, 64: 0.5}}
    assert isinstance(better_block(dataclasses.replace(digits, crossovers=tuple(pairs[:1]))), Chart)
    assert better_block(digits) is None

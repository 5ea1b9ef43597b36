"""Sentences for every kind of required size and crossover, and the numbers in them."""

import dataclasses
import itertools
import math

import pytest

from dlm.curves.summary import summarize
from dlm.curves.types import Crossover, Curve, Prediction, ProbabilityBetter, RequiredSize, StudySummary
from dlm.report.formatting import about, error_number, forecast_text, percent, probability_text
from dlm.report.sentences import brief, crossover_sentence, crossovers, headline, sentences
from dlm.study.names import ChanceLevel


def with_required_size(digits: StudySummary, need: RequiredSize) -> list[str]:
    learner = dataclasses.replace(digits.learners[0], required_sizes=(need,))
    return sentences(StudySummary((learner,), (), (), 0.95))


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        (
            RequiredSize(0.05, "reached", 250.0, 300.0, 350.0, 1.0),
            "mlp reaches 5 % at about 300 [250, 350] examples, within the measured sizes.",
        ),
        (
            RequiredSize(0.02, "interval", 1401.0, 2130.0, 4201.0, 1.0),
            "mlp needs about 2,100 [1,400, 4,300] examples for 2 %.",
        ),
        (
            RequiredSize(0.01, "interval", 1600.0, 2431.0, None, 0.88),
            "mlp needs about 2,400 [1,600 or more] examples for 1 %; the probability that it is reachable is 88 %.",
        ),
        (
            RequiredSize(0.005, "unsupported", 12570.0, None, None, 0.4),
            "The examples that mlp needs for 0.5 % are outside the supported range, more than 12,000.",
        ),
        (
            RequiredSize(0.01, "not reachable", None, None, None, 0.03),
            "1 % is not reachable for mlp with more data alone (probability 3 %).",
        ),
        (
            RequiredSize(0.01, "undetermined", None, None, None, 0.0),
            "The examples that mlp needs for 1 % cannot be estimated from these measurements.",
        ),
        (
            RequiredSize(0.01, "interval", None, None, None, 0.5),
            "The examples that mlp needs for 1 % cannot be estimated from these measurements.",
        ),
    ],
)
def test_required_sizes(digits: StudySummary, need: RequiredSize, sentence: str) -> None:
    assert sentence in with_required_size(digits, need)


@pytest.mark.parametrize(
    ("kind", "train_sizes", "sentence"),
    [
        ("measured", (45.0, 60.0, 90.0), "cnn becomes better than logreg at about 60 examples [45, 90]."),
        ("measured", (None, 60.0, None), "cnn becomes better than logreg at about 60 examples."),
        (
            "forecast",
            (3000.0, 5000.0, None),
            "cnn is forecast to become better than logreg at about 5,000 examples [3,000 or more].",
        ),
        (
            "never",
            (None, None, None),
            "cnn stays worse than logreg over the range of the forecast.",
        ),
        ("already", (None, None, None), "cnn is better than logreg at every measured size."),
        (
            "undetermined",
            (None, None, None),
            "It is undetermined whether cnn becomes better than logreg.",
        ),
    ],
)
def test_crossovers(digits: StudySummary, kind: str, train_sizes: tuple[float | None, ...], sentence: str) -> None:
    crossover = Crossover("logreg", "cnn", kind, *train_sizes)
    assert sentence in sentences(dataclasses.replace(digits, crossovers=(crossover,)))


def test_a_crossover_gives_its_probability_at_the_largest_measured_and_forecast_size(digits: StudySummary) -> None:
    chances = (
        ProbabilityBetter(32, 0.2, True),
        ProbabilityBetter(1257, 0.97, True),
        ProbabilityBetter(2514, 0.98, False),
        ProbabilityBetter(12570, 0.9999, False),
    )
    crossover = Crossover("logreg", "cnn", "measured", 45.0, 60.0, 90.0, chances)
    assert crossover_sentence(crossover) == (
        "cnn becomes better than logreg at about 60 examples [45, 90]; "
        "the probability that cnn is better is 97 % at 1,257 and >99.9 % at 12,570."
    )


def test_many_pairs_are_reduced_to_those_of_the_best_learner(digits: StudySummary) -> None:
    names = ["cnn", *"abcd"]
    learners = tuple(
        dataclasses.replace(one, curve=dataclasses.replace(one.curve, learner=name, errors=((0.1 + k,),) * 7))
        for k, (name, one) in enumerate(zip(names, [digits.learners[0]] * 5))
    )
    pairs = tuple(Crossover(a, b, "never", None, None, None) for a, b in itertools.combinations(names, 2))
    lines = crossovers(dataclasses.replace(digits, learners=learners, crossovers=pairs))
    assert len(lines) == 5
    assert all("cnn" in sentence for sentence in lines[:4])
    assert lines[4] == "6 more pairs are on the page and in forecast.json."


def test_without_forecasts(digits: StudySummary) -> None:
    learners = tuple(dataclasses.replace(learner, predictions=()) for learner in digits.learners)
    lines = sentences(dataclasses.replace(digits, learners=learners))
    assert sum("there is no forecast for larger sizes" in sentence for sentence in lines) == 3


def test_ranking_forecasts_and_caveats(digits: StudySummary) -> None:
    lines = sentences(digits)
    assert lines[0] == (
        "At 1,257 examples the mean errors of 8 seeds are, best first: cnn 1.2 %, mlp 2.5 % and logreg 4.5 %."
    )
    assert any("forecast: 1.9 % [1.4, 2.6] with 2x the data (n=2,514) and" in one for one in lines)
    assert "cnn: 1 trial failed or diverged and is excluded." in lines
    assert all("\n" not in sentence for sentence in lines)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.011, "error rate", "1.1"),
        (0.0083, "error rate", "0.83"),
        (0.45678, "error rate", "45.7"),
        (0.0, "error rate", "0.0"),
        (1.2345, "nats per byte", "1.23"),
        (1234.5, "RMSE", "1,234"),
        (0.01234, "RMSE", "0.0123"),
        (3e-9, "RMSE", "3e-09"),
    ],
)
def test_error_numbers(value: float, unit: str, text: str) -> None:
    assert error_number(value, unit) == text


def test_small_interval_ends_are_not_zero() -> None:
    assert forecast_text(Prediction(10, 0.011, 0.0002, 0.016), "error rate") == "1.1 % [<0.1, 1.6]"


def test_counts_and_shares() -> None:
    assert [about(n) for n in (0.4, 7.6, 61.2, 1257, 123456, 2.5e7, 3.14e9)] == [
        "0", "8", "61", "1,300", "120,000", "25 million", "3.1 billion",
    ]  # fmt: skip
    assert [about(n, math.floor, digits=3) for n in (57, 12999.5, 1.299e7)] == ["57", "12,900", "12.9 million"]
    assert [probability_text(share) for share in (0.0, 0.004, 0.876, 0.994, 1.0)] == [
        "<0.1 %",
        "0.4 %",
        "88 %",
        "99.4 %",
        ">99.9 %",
    ]
    assert [percent(level) for level in (0.95, 0.975, 0.999)] == ["95 %", "97.5 %", "99.9 %"]


def test_ranking_with_unequal_seeds_one_learner_and_many(digits: StudySummary) -> None:
    first, second = digits.learners[:2]
    fewer = dataclasses.replace(first.curve, errors=(*first.curve.errors[:-1], (0.02, 0.02)))
    mixed = StudySummary((dataclasses.replace(first, curve=fewer), second), (), (), 0.95)
    assert "cnn 1.2 % (8 seeds) and mlp 2.0 % (2 seeds)." in sentences(mixed)[0]
    alone = sentences(StudySummary((first,), (), (), 0.95))[0]
    assert alone == "At 1,257 examples the mean error of 8 seeds is 2.5 %."
    many = sentences(StudySummary((first,) * 9, (), (), 0.95))[0]
    assert many.endswith("mlp 2.5 %, 4 more and mlp 2.5 %.")


def test_an_error_that_rises_leads_every_summary():
    curve = Curve(
        "cnn", (100, 200, 400, 800, 1600), ((0.1,), (0.12,), (0.15,), (0.2,), (0.25,)), "error rate", (0.0, 1.0)
    )
    summary = summarize([curve])
    rise = "The error of cnn rises with more data, from 10.0 % at 100 to 25.0 % at 1,600 examples"
    assert any(line.startswith(rise) for line in headline(summary))
    for text in (brief(summary), sentences(summary)):
        assert any(line.startswith(rise) for line in text)
        assert not any("hardly falls" in line for line in text)


def test_imbalanced_classes_lead_every_summary():
    curve = Curve("cnn", (100, 200), ((0.01,), (0.01,)), "error rate", (0.0, 1.0), num_test=1000)
    summary = dataclasses.replace(summarize([curve]), chance=ChanceLevel(0.01, "the majority class"))
    lines = headline(summary)
    assert lines[1].startswith("cnn is not better than chance at 200 examples: the majority class has 1.0 %")
    assert "a constant answer, the majority class, has an error of only 1.0 %" in lines[2]


def test_learners_without_a_common_size_are_reported_at_their_own():
    curves = [
        Curve(name, sizes, ((0.2,),) * len(sizes), "error rate") for name, sizes in (("a", (10, 20)), ("b", (30,)))
    ]
    summary = summarize([*curves, Curve("c", (), ())])
    assert headline(summary) == [
        "The learners have no measured size in common; at their largest sizes the mean errors are a 20.0 % (n=20) and "
        "b 20.0 % (n=30)."
    ]

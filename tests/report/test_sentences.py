"""Sentences for every kind of need and overtake, and the numbers in them."""

import dataclasses
import itertools

import pytest

from dlm.curves.types import Crossover, Prediction, ProbabilityBetter, RequiredSize, StudySummary
from dlm.report import sentences
from dlm.report.formatting import about, at_least, chance, error_number, forecast_phrase, percent


def with_needs(digits: StudySummary, need: RequiredSize) -> list[str]:
    learner = dataclasses.replace(digits.learners[0], required_sizes=(need,))
    return sentences(StudySummary((learner,), (), (), 0.95))


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        (
            RequiredSize(0.05, "reached", 250.0, 300.0, 350.0, 1.0),
            "mlp needs about 300 [250, 350] examples for 5 %: reached within the measured sizes.",
        ),
        (
            RequiredSize(0.02, "interval", 1401.0, 2130.0, 4201.0, 1.0),
            "mlp needs about 2,100 [1,400, 4,300] examples for 2 %.",
        ),
        (
            RequiredSize(0.01, "interval", 1600.0, 2431.0, None, 0.88),
            "mlp needs about 2,400 [1,600 or more] examples for 1 %; the chance that it gets there at all is 88 %.",
        ),
        (
            RequiredSize(0.005, "more than", 12570.0, None, None, 0.4),
            "mlp needs more than 12,500 examples for 0.5 %.",
        ),
        (
            RequiredSize(0.01, "not reachable", None, None, None, 0.03),
            "1 % is not reachable for mlp by more data alone (chance 3 %).",
        ),
        (
            RequiredSize(0.01, "undetermined", None, None, None, 0.0),
            "How many examples mlp needs for 1 % cannot be told from these measurements.",
        ),
        (
            RequiredSize(0.01, "interval", None, None, None, 0.5),
            "How many examples mlp needs for 1 % cannot be told from these measurements.",
        ),
    ],
)
def test_needs(digits: StudySummary, need: RequiredSize, sentence: str) -> None:
    assert sentence in with_needs(digits, need)


@pytest.mark.parametrize(
    ("kind", "train_sizes", "sentence"),
    [
        ("measured", (45.0, 60.0, 90.0), "cnn overtakes logreg at about 60 examples [45, 90]."),
        ("measured", (None, 60.0, None), "cnn overtakes logreg at about 60 examples."),
        (
            "forecast",
            (3000.0, 5000.0, None),
            "cnn is forecast to overtake logreg at about 5,000 examples [3,000 or more], beyond the measured sizes.",
        ),
        (
            "never",
            (None, None, None),
            "cnn stays behind logreg as far as the forecast reaches.",
        ),
        ("already", (None, None, None), "cnn is ahead of logreg at every measured size."),
        (
            "undetermined",
            (None, None, None),
            "Whether cnn overtakes logreg cannot be told: noise and forecast leave it open.",
        ),
    ],
)
def test_overtakes(digits: StudySummary, kind: str, train_sizes: tuple[float | None, ...], sentence: str) -> None:
    crossover = Crossover("logreg", "cnn", kind, *train_sizes)
    assert sentence in sentences(dataclasses.replace(digits, crossovers=(crossover,)))


def test_an_overtake_says_how_likely_it_is_at_the_largest_size_and_the_farthest(digits: StudySummary) -> None:
    chances = (
        ProbabilityBetter(32, 0.2, True),
        ProbabilityBetter(1257, 0.97, True),
        ProbabilityBetter(2514, 0.98, False),
        ProbabilityBetter(12570, 0.9999, False),
    )
    crossover = Crossover("logreg", "cnn", "measured", 45.0, 60.0, 90.0, chances)
    assert sentences.overtakes_sentence(crossover) == (
        "cnn overtakes logreg at about 60 examples [45, 90]; "
        "the chance that cnn is better is 97 % at 1,257 and >99 % at 12,570."
    )


def test_of_many_pairs_those_of_the_best_learner_are_told(digits: StudySummary) -> None:
    names = ["cnn", *"abcd"]
    learners = tuple(
        dataclasses.replace(one, curve=dataclasses.replace(one.curve, learner=name, errors=((0.1 + k,),) * 7))
        for k, (name, one) in enumerate(zip(names, [digits.learners[0]] * 5))
    )
    pairs = tuple(Crossover(a, b, "never", None, None, None) for a, b in itertools.combinations(names, 2))
    said = sentences.crossovers(dataclasses.replace(digits, learners=learners, crossovers=pairs))
    assert len(said) == 5
    assert all("cnn" in sentence for sentence in said[:4])
    assert said[4] == "6 more pairs are on the page and in forecast.json."


def test_without_forecasts(digits: StudySummary) -> None:
    learners = tuple(dataclasses.replace(learner, predictions=()) for learner in digits.learners)
    said = sentences(dataclasses.replace(digits, learners=learners))
    assert sum("no forecast beyond that size is given" in sentence for sentence in said) == 3


def test_lead_forecast_and_notes(digits: StudySummary) -> None:
    said = sentences(digits)
    assert said[0] == (
        "At 1,257 examples the median errors of 8 seeds are, best first, cnn 1.1 %, mlp 2.5 % and logreg 4.6 %."
    )
    assert any(
        "forecast with 2x the data (n=2,514) 1.9 % [1.4, 2.6] and with 10x the data (n=12,570)" in one for one in said
    )
    assert "cnn: 1 cell failed or diverged and is left out of every number." in said
    assert all("\n" not in sentence for sentence in said)


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


def test_small_interval_ends_are_not_called_zero() -> None:
    assert forecast_phrase(Prediction(10, 0.011, 0.0002, 0.016), "error rate") == "1.1 % [<0.1, 1.6]"


def test_counts_and_shares() -> None:
    assert [about(n) for n in (0.4, 7.6, 61.2, 1257, 123456, 2.5e7, 3.14e9)] == [
        "0", "8", "61", "1,300", "120,000", "25 million", "3.1 billion",
    ]  # fmt: skip
    assert [at_least(n) for n in (57, 12999.5, 1.299e7)] == ["57", "12,900", "12.9 million"]
    assert [chance(share) for share in (0.0, 0.004, 0.876, 0.999, 1.0)] == [
        "0 %",
        "<1 %",
        "88 %",
        ">99 %",
        "100 %",
    ]
    assert [percent(level) for level in (0.95, 0.975, 0.999)] == ["95 %", "97.5 %", "99.9 %"]


def test_lead_with_unequal_seeds_one_learner_and_many(digits: StudySummary) -> None:
    first, second = digits.learners[:2]
    fewer = dataclasses.replace(first.curve, errors=(*first.curve.errors[:-1], (0.02, 0.02)))
    mixed = StudySummary((dataclasses.replace(first, curve=fewer), second), (), (), 0.95)
    assert "cnn 1.1 % (8 seeds) and mlp 2.0 % (2 seeds)." in sentences(mixed)[0]
    alone = sentences(StudySummary((first,), (), (), 0.95))[0]
    assert alone == "At 1,257 examples the median error of 8 seeds is 2.5 %."
    many = sentences(StudySummary((first,) * 9, (), (), 0.95))[0]
    assert many.endswith("mlp 2.5 %, 4 more and mlp 2.5 %.")

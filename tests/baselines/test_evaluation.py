import numpy as np
import pytest

from dlm import (
    Classification,
    Dataset,
    Decisions,
    Digits,
    Forecasting,
    LanguageModelling,
    NextItem,
    RareEvents,
    Regression,
    Split,
)
from dlm.baselines.evaluation import chance_level
from dlm.study.noise import Noise


def dataset(make, **options):
    """Splits of 300, 100 and 200 examples; `make(count, rng)` returns inputs and targets."""
    rng = np.random.default_rng(0)
    return Dataset("toy", *(Split(*make(count, rng)) for count in (300, 100, 200)), **options)


def table(count, rng):
    return rng.standard_normal((count, 3)).astype(np.float32), (rng.random(count) < 0.2).astype(np.int32)


def test_the_majority_class_of_the_digits(digits):
    counts = np.bincount(digits.train.y)
    level = chance_level(Classification(), digits, Noise())
    assert level.error == pytest.approx(np.mean(digits.test.y != counts.argmax()))
    assert level.prediction == "the majority class"


def test_the_mean_of_numbers():
    data = dataset(
        lambda count, rng: (
            rng.standard_normal((count, 3)).astype(np.float32),
            rng.normal(5, 2, count).astype(np.float32),
        ),
        standardize=True,
    )
    level = chance_level(Regression(), data, Noise())
    assert level.error == pytest.approx(np.sqrt(np.mean((data.test.y - data.train.y.mean()) ** 2)), rel=1e-5)
    assert level.prediction == "the mean"


def test_rare_events_at_random_have_the_prevalence_as_precision():
    data = dataset(table, num_classes=2, standardize=True)
    level = chance_level(RareEvents(), data, Noise())
    assert level.error == pytest.approx(1 - data.test.y.mean(), abs=1e-5)


def test_the_cheaper_constant_decision():
    data = dataset(table, num_classes=2, standardize=True)
    always_first = chance_level(Decisions(costs=(1.0, 1.0)), data, Noise()).error
    always_second = chance_level(Decisions(costs=(1.0, 50.0)), data, Noise()).error
    assert always_first == pytest.approx(data.test.y.mean(), abs=1e-6)
    assert always_second == pytest.approx(1 - data.test.y.mean(), abs=1e-6)


def test_token_frequencies_of_text():
    data = dataset(lambda count, rng: (x := rng.integers(0, 4, (count, 8)).astype(np.uint8), x), vocabulary=8)
    shares = np.bincount(data.train.y.ravel(), minlength=8) / data.train.y.size
    level = chance_level(LanguageModelling(), data, Noise())
    assert level.error == pytest.approx(-np.mean(np.log(shares[data.test.y])), rel=1e-5)


def test_the_most_frequent_items():
    def histories(count, rng):
        return rng.integers(1, 6, (count, 4)), rng.choice(6, (count, 1), p=[0, 0.6, 0.1, 0.1, 0.1, 0.1])

    level = chance_level(NextItem(k=1), dataset(histories, vocabulary=6), Noise())
    assert level.prediction == "the most frequent items"
    assert level.error == pytest.approx(0.4, abs=0.1)


def test_the_last_value_of_a_series():
    def windows(count, rng):
        series = rng.standard_normal((count, 6, 2)).cumsum(axis=1).astype(np.float32)
        return series[:, :4], series[:, 4:]

    data = dataset(windows, time_ordered=True)
    level = chance_level(Forecasting(), data, Noise())
    assert level.error == pytest.approx(np.mean((data.test.y - data.test.x[:, -1:]) ** 2), rel=1e-5)
    assert level.prediction == "the last value"


def test_a_study_records_its_chance_level(tmp_path):
    from small import small

    from dlm import GaussianNB
    from dlm.execution.executor import run_trials
    from dlm.execution.result import load

    run_trials(small(learners={"bayes": GaussianNB()}), tmp_path)
    assert load(tmp_path).answer.chance == chance_level(Classification(), Digits().load(), Noise())

"""Baselines recover the simulated laws."""

import numpy as np
import pytest

from benchmarks.forecasting import calibrated_baselines, published_laws
from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.single_laws import FORMS, MMF4, POW3, POW4, fit, single_laws

SIZES = np.unique(np.round(16 * 2 ** (np.arange(0, 21) / 2)))
AT = SIZES[-1] * np.array([2.0, 8.0])


def task_of(law, train_sizes=SIZES, at=AT, bound=(0.0, None), stderr=None, ratio=8.0, target=None):
    at = np.asarray(at, dtype=float)
    return Task(
        "simulated", "c", "d", "l", train_sizes, law(train_sizes), stderr, None, bound, at,
        law(at) if target is None else np.array([target]), np.zeros(len(at)), ratio,
    )  # fmt: skip


SIMULATED = {
    "pow2": lambda n: 3 * n**-0.3,
    "pow3": lambda n: 0.1 + 3 * n**-0.5,
    "pow4": lambda n: 0.1 + 90 * (n + 300) ** -0.8,
    "mmf4": lambda n: 0.05 + 0.5 / (1 + (n / 400) ** 0.9),
    "wbl4": lambda n: 0.1 + 0.8 * np.exp(-((n / 500) ** 0.4)),
    "exp3": lambda n: 0.1 + 0.5 * np.exp(-n / 4000),
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_single_law_is_recovered(form):
    law = SIMULATED[form.name]
    assert fit(form, SIZES, law(SIZES)).at(AT) == pytest.approx(law(AT), rel=0.02)


def test_an_outlier_has_little_influence():
    errors = SIMULATED["pow3"](SIZES)
    errors[7] *= 2
    assert fit(POW3, SIZES, errors).at(AT) == pytest.approx(SIMULATED["pow3"](AT), rel=0.03)


def test_single_laws_stay_inside_the_bound_and_accept_zeros():
    train_sizes = np.array([16.0, 32, 64, 128])
    task = task_of(lambda n: np.where(n > 50, 0.0, 0.2), train_sizes, [256, 1024], bound=(0.0, 1.0))
    predictions = single_laws(task)
    assert {"last value", "pow3", "median of four"} <= set(predictions)
    assert all(((value >= 0) & (value <= 1)).all() for value in predictions.values())
    zeros = single_laws(task_of(np.zeros_like, train_sizes, [256], bound=(0.0, 1.0)))
    assert zeros["pow4"][0] < 1e-2


def m4(n):
    """(y - .05) / (.95 - y)^1.2 = 30 n^-.5, solved by bisection."""
    low, high = np.full(n.shape, 0.05), np.full(n.shape, 0.95)
    for _ in range(80):
        y = (low + high) / 2
        above = (y - 0.05) > 30 * n**-0.5 * (0.95 - y) ** 1.2
        low, high = np.where(above, low, y), np.where(above, y, high)
    return (low + high) / 2


PUBLISHED = {
    "M1": lambda n: 3 * n**-0.3,
    "M2": lambda n: 0.1 + 3 * n**-0.5,
    "M3": lambda n: 2 * (1 / n + 1e-4) ** 0.4,
    "M4": m4,
    "BNSL": lambda n: 0.05 + n**-0.1 * (1 + (n / 2000) ** (1 / 0.3)) ** (-0.6 * 0.3),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_law_is_recovered(name):
    law, train_sizes = PUBLISHED[name], np.geomspace(16, 20000, 30)
    data = published_laws.read(task_of(law, train_sizes))
    predicted = data.scale * np.exp(published_laws.LAWS[name](data)(data.log_sizes(AT)))
    assert predicted == pytest.approx(law(AT), rel=0.02)


def test_many_points_are_merged_before_a_fit():
    train_sizes = np.linspace(1e3, 1e6, 900)
    data = published_laws.read(task_of(PUBLISHED["M2"], train_sizes))
    assert len(data.logs) <= published_laws.MAX_POINTS
    assert data.weight.sum() == 900


def test_two_breaks_are_used_if_one_is_not_enough():
    def law(n):
        return 0.9 * (1 + (n / 100) ** 4) ** (-0.15) * (1 + (n / 3000) ** 4) ** 0.15

    predictions = published_laws.predict(task_of(law, np.geomspace(16, 20000, 40)))
    assert predictions["BNSL"] == pytest.approx(law(AT), rel=0.1)


def test_a_widened_power_law_covers_its_own_law():
    law = SIMULATED["pow3"]
    rng = np.random.default_rng(1)
    forecasts = []
    for _ in range(40):
        noise = np.full(len(SIZES), 0.01)
        task = task_of(law, at=AT[-1:], stderr=noise, bound=(0.0, 1.0))
        object.__setattr__(task, "errors", law(SIZES) + noise * rng.standard_normal(len(SIZES)))
        forecasts.append(calibrated_baselines.power_law(task))
    inside = [one.interval(1.0)[0] <= law(AT[-1]) <= one.interval(1.0)[1] for one in forecasts]
    assert np.mean(inside) > 0.8
    factor = calibrated_baselines.factors(forecasts)[8.0]
    assert 0.3 < factor < 2.5
    assert np.mean([one.factor_needed() <= factor for one in forecasts]) >= 0.95


def test_spread_of_the_last_value_is_a_quantile_of_changes():
    forecasts = [
        calibrated_baselines.spread_last_value(
            task_of(SIMULATED["pow2"], at=[1e6], bound=(0.0, 1.0), target=share * last)
        )
        for last in SIMULATED["pow2"](SIZES[-1:])
        for share in np.linspace(0.5, 1.0, 21)
    ]
    factor = calibrated_baselines.factors(forecasts)[8.0]
    assert factor == pytest.approx(np.log(1 / 0.525), rel=0.06)
    low, high = forecasts[0].interval(factor)
    assert low * high == pytest.approx(forecasts[0].median ** 2)


def test_shifted_forms_are_monotone_on_their_grid():
    x = np.geomspace(0.01, 16, 50)
    for form in (POW4, MMF4):
        assert (np.diff(form.shape(form.grid, x), axis=1) <= 1e-12).all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_baselines_do_not_depend_on_the_unit_of_error(scale):
    plain, scaled = (task_of(lambda n, s=s: s * (0.1 + 3 * n**-0.5)) for s in (1.0, scale))
    for name, predicted in single_laws(plain).items():
        assert single_laws(scaled)[name] == pytest.approx(scale * predicted, rel=0.01), name
    one, other = calibrated_baselines.power_law(plain), calibrated_baselines.power_law(scaled)
    assert other.median == pytest.approx(scale * one.median, rel=0.01)
    assert other.spread == pytest.approx(scale * one.spread, rel=0.2)

"""The forecast: planted laws, odd curves, symmetries, errors, and coverage on real curves."""

import subprocess
import sys

import numpy as np
import pytest

import dlm
from dlm.curves import forecast_many
from dlm.curves.forecaster import forecast
from dlm.curves.laws import LAWS

SIZES = np.array([64, 128, 256, 512, 1024, 2048, 4096])


def pow3(n):
    return 0.05 + 2.0 * np.asarray(n, dtype=float) ** -0.5


def seeds(law, train_sizes=SIZES, num=3, noise=0.03, seed=0):
    rng = np.random.default_rng(seed)
    return law(train_sizes)[:, None] * np.exp(noise * rng.standard_normal((len(train_sizes), num)))


def test_is_the_exported_function():
    assert dlm.forecast is forecast


@pytest.mark.parametrize("seed", range(5))
def test_interval_holds_a_planted_law(seed):
    at = [8192, 40960]
    told = forecast(SIZES, seeds(pow3, seed=seed), at=at, seed=seed)
    assert (told.low < pow3(at)).all()
    assert (pow3(at) < told.high).all()
    assert (told.high < 3 * pow3(at)).all()
    assert "error ≈" in told.law
    assert "\n" not in told.law


def test_exact_law_is_recovered():
    told = forecast(SIZES, pow3(SIZES), stderr=1e-4, at=[40960])
    assert told.median[0] == pytest.approx(pow3(40960), rel=0.02)
    assert told.diagnostics["weights"]["pow3"] > 0.5
    assert "n^-0.5 " in told.law


def test_shapes():
    told = forecast(SIZES, pow3(SIZES), at=[5000, 6000, 7000])
    assert told.samples.shape[0] >= 2000
    assert told.samples.shape[1:] == told.at.shape == told.median.shape == told.low.shape == (3,)
    assert told.quantile([0.1, 0.9]).shape == (2, 3)
    assert sum(told.diagnostics["weights"].values()) == pytest.approx(1.0)


def test_interval_widens_with_distance():
    at = SIZES[-1] * np.array([1, 2, 4, 8, 16, 32])
    told = forecast(SIZES, seeds(pow3), at=at)
    ratio = told.high / told.low
    assert (np.diff(ratio) > 0).all()


def test_fewer_sizes_and_fewer_seeds_are_wider():
    many = forecast(SIZES, seeds(pow3, num=10), at=[16384])
    few = forecast(SIZES[-3:], seeds(pow3, num=10)[-3:], at=[16384])
    noisy = forecast(SIZES, seeds(pow3, num=3, noise=0.2), at=[16384])
    width = [float(f.high[0] / f.low[0]) for f in (many, few, noisy)]
    assert width[1] > width[0]
    assert width[2] > width[0]


@pytest.mark.parametrize("scale", [1e-6, 0.37, 3.0, 1e6])
def test_unit_of_error_does_not_matter(scale):
    errors = seeds(pow3)
    plain = forecast(SIZES, errors, at=[10000, 50000])
    scaled = forecast(SIZES, scale * errors, at=[10000, 50000])
    np.testing.assert_allclose(scaled.samples, scale * plain.samples, rtol=1e-6)


def test_unit_of_size_does_not_matter():
    plain = forecast(SIZES, pow3(SIZES), at=[10000])
    scaled = forecast(SIZES * 1024.0, pow3(SIZES), at=[10240000])
    np.testing.assert_allclose(scaled.median, plain.median, rtol=1e-6)


def test_same_seed_same_draws():
    plain, again, other = (forecast(SIZES, seeds(pow3), at=[10000], seed=seed) for seed in (1, 1, 2))
    assert (plain.samples == again.samples).all()
    assert (plain.samples != other.samples).any()
    assert other.median[0] == pytest.approx(plain.median[0], rel=0.02)


def test_bounds_hold():
    errors = np.array([0.99, 0.98, 0.985, 0.97, 0.99])
    told = forecast([1, 2, 4, 8, 16], errors, at=[32, 1600], bound=(0.9, 1.0))
    assert told.samples.min() >= 0.9
    assert told.samples.max() <= 1.0


@pytest.mark.parametrize(
    ("train_sizes", "errors"),
    [
        ([100, 200, 400], [0.5, 0.4, 0.33]),
        ([100, 200, 400], [0.5, 0.5, 0.5]),
        ([100, 101, 102], [0.5, 0.4, 0.6]),
        ([1, 1e2, 1e4, 1e6, 1e8], [0.9, 0.6, 0.3, 0.1, 0.05]),
        ([1, 2, 4, 8, 16], [0.1, 0.12, 0.15, 0.2, 0.25]),
        ([1, 2, 4, 8, 16, 32, 64], [0.5, 0.4, 0.3, 0.5, 0.6, 0.3, 0.2]),
        ([1, 2, 4, 8, 16], [0.5, 0.2, 0.0, 0.01, 0.0]),
        ([1, 2, 4, 8], [0, 0, 0, 0]),
        ([1, 2, 4, 8], [0, 0, 0, 0.1]),
        ([4, 1, 2, 2, 4, 8], [0.3, 0.5, 0.4, 0.42, 0.32, 0.2]),
        (range(1, 400), [1 / n for n in range(1, 400)]),
        ([1, 2, 4], [[0.5, np.nan], [np.nan, 0.4], [0.3, np.nan]]),
        ([1, 2, 4, 8], [[0.5, 0.4], [np.nan, np.nan], [0.3, np.nan], [0.2, 0.2]]),
    ],
)
def test_odd_curves_are_forecast(train_sizes, errors):
    largest = max(train_sizes)
    told = forecast(train_sizes, errors, at=[largest, 2 * largest, 10 * largest, 1e6 * largest])
    for value in (told.samples, told.low, told.median, told.high):
        assert np.isfinite(value).all()
        assert (value >= 0).all()
    assert (told.low <= told.median).all()
    assert (told.median <= told.high).all()
    told.required_train_size(0.01)
    assert isinstance(told.diagnostics["carries"], bool)


def test_three_sizes_carry_little():
    near, far = (forecast([100, 200, 400], [0.5, 0.4, 0.33], at=[at]) for at in (800, 4000))
    assert near.diagnostics["carries"]
    assert not far.diagnostics["carries"]
    assert far.diagnostics["reason"] == "3 sizes over a span of 4x do not support a 10x extrapolation; add sizes"


def test_alarms():
    rising = forecast([1, 2, 4, 8, 16], [0.1, 0.12, 0.15, 0.2, 0.25], stderr=0.002, at=[32])
    assert "not monotone" in rising.diagnostics["warnings"]
    assert rising.median[0] > 0.2
    flat = forecast([1, 2, 4, 8, 16, 32], [0.3] * 6, at=[64])
    assert "plateau" in flat.diagnostics["warnings"]
    assert flat.median[0] == pytest.approx(0.3, rel=0.03)
    far = forecast(SIZES, pow3(SIZES), at=[SIZES[-1] * 17])
    assert "beyond what was calibrated" in far.diagnostics["warnings"]


@pytest.mark.parametrize("place", range(7))
def test_one_wild_point_does_not_lead(place):
    errors = pow3(SIZES)
    errors[place] *= 3.0 if place % 2 else 0.3
    told = forecast(SIZES, errors, at=[16384])
    assert told.low[0] < pow3(16384) < told.high[0]
    if place < 6:  # nothing tells a wild last point from a bend, and the last but one only a little
        assert told.median[0] == pytest.approx(pow3(16384), rel=0.15 if place < 5 else 0.3)


def test_repeats_weigh_points():
    errors = pow3(SIZES)
    errors[1] *= 1.5
    trusted, doubted = (forecast(SIZES, errors, repeats=count, at=[16384]) for count in (5, [9, 1, 9, 9, 9, 9, 9]))
    assert np.isfinite(trusted.median).all()
    assert abs(doubted.median[0] - pow3(16384)) <= abs(trusted.median[0] - pow3(16384)) + 1e-3


def test_sizes_for_a_target():
    told = forecast(SIZES, seeds(pow3, num=5, noise=0.01), at=[8192])
    truth = (2.0 / 0.025) ** 2
    answer = told.required_train_size(0.075)
    assert answer.low < truth < answer.high
    assert answer.low <= answer.median <= answer.high
    assert answer.p_reachable > 0.8
    assert told.required_train_size(0.5).median < SIZES[-1]
    beyond = told.required_train_size(0.02)
    assert beyond.p_reachable < 0.2
    assert beyond.median == np.inf
    assert told.required_train_size(0.0).p_reachable == 0.0


def test_forecast_many():
    pairs = [(SIZES, pow3(SIZES)), (SIZES[:4], pow3(SIZES[:4]))]
    one, two = forecast_many(pairs, at=[8192, 16384])
    assert one.samples.shape == two.samples.shape
    one, two = forecast_many(pairs, at=[[8192], [1024, 2048]])
    assert len(one.at) == 1
    assert len(two.at) == 2
    with pytest.raises(ValueError, match="3 lists in `at` for 2 curves"):
        forecast_many(pairs, at=[[1], [2], [3]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_sizes": [1, 2], "errors": [0.2, 0.1]}, "2 distinct sizes are too few to fit a law; give at least 3"),
        ({"train_sizes": [1, 2, 2], "errors": [0.2, 0.1, 0.1]}, "2 distinct sizes"),
        ({"train_sizes": [], "errors": []}, "no sizes"),
        ({"errors": [np.nan] * 3}, "every error is NaN"),
        ({"errors": [0.3, np.inf, 0.1]}, "not finite"),
        ({"errors": [0.3, -0.2, 0.1]}, "error -0.2 is negative"),
        ({"errors": [0.3, 0.2]}, "3 sizes but 2 errors"),
        ({"train_sizes": [0, 2, 4]}, "train_size=0 is not a positive number"),
        ({"at": []}, "at is empty"),
        ({"at": [-1]}, "at=-1 is not a positive number"),
        ({"level": 95}, "level=95 is not in"),
        ({"bound": (0.0, 0.25)}, "error 0.3 is above bound 0.25"),
        ({"bound": (0.2, None)}, "error 0.1 is below bound 0.2"),
        ({"stderr": [0.1, 0.1]}, r"stderr has shape \(2,\) but there are 3 sizes"),
        ({"stderr": -0.1}, "is negative"),
        ({"repeats": 0}, "must be at least 1"),
    ],
)
def test_errors_name_value_rule_and_remedy(change, message):
    arguments = {"train_sizes": [1, 2, 4], "errors": [0.3, 0.2, 0.1], "at": [8]} | change
    train_sizes, errors = arguments.pop("train_sizes"), arguments.pop("errors")
    with pytest.raises(ValueError, match=message):
        forecast(train_sizes, errors, **arguments)


def test_targets_are_checked():
    told = forecast(SIZES, pow3(SIZES), at=[8192])
    with pytest.raises(ValueError, match="is negative or not a number"):
        told.required_train_size(-0.1)
    with pytest.raises(ValueError, match="is negative or not a number"):
        told.required_train_size(float("nan"))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_is_its_own_text(law):
    """The readable form, evaluated, is the law."""
    n, largest = 3000.0, 2000.0
    row = law.grid[len(law.grid) // 3]
    text = law.text(0.2, largest, *row).replace("·", "*").replace("^", "**").replace("exp", "np.exp")
    value = eval(text, {"n": n, "np": np})
    expected = 0.2 * np.exp(law.log_shape(row[None], np.array([n / largest]))[0, 0])
    assert value == pytest.approx(expected, rel=0.05)
    assert law.log_shape(law.grid, np.array([1.0])) == pytest.approx(0.0)


def test_import_leaves_scipy_and_jax_alone():
    code = "import sys, dlm.curves; print(*(m for m in ('jax', 'scipy', 'flax') if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_lists_of_different_numbers_of_repeats_equal_a_table_with_gaps():
    table = [[0.3, 0.31, np.nan], [0.2, 0.22, 0.21], [0.15, np.nan, np.nan]]
    lists = [[0.3, 0.31], (0.2, 0.22, 0.21), np.array([0.15])]
    for num_test in (None, 500):
        given = [forecast([100, 200, 400], errors, at=[800], num_test=num_test) for errors in (table, lists)]
        np.testing.assert_array_equal(given[0].samples, given[1].samples)


@pytest.mark.parametrize("errors", [[["a"], [0.2, 0.1], [0.1]], [[[0.1]], [0.2, 0.1], [0.1]], ["a", "b", "c"]])
def test_errors_that_are_not_numbers_are_refused(errors):
    with pytest.raises(ValueError, match="are not numbers"):
        forecast([100, 200, 400], errors, at=[800])


@pytest.mark.parametrize("target", [1, 5])
def test_target_above_the_largest_error_is_refused(target):
    rates = forecast([100, 200, 400], [0.3, 0.2, 0.15], at=[800], bound=(0.0, 1.0))
    with pytest.raises(ValueError, match=f"target={target} is not below 1, the largest possible error"):
        rates.required_train_size(target)

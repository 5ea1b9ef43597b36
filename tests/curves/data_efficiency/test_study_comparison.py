"""Two studies held against each other: planted ratios, none where there is none, pairing, and too few seeds."""

import numpy as np
import pytest

from dlm import UsageError
from dlm.curves.data_efficiency.equivalence import LogErrors, SeedTest, overall_ratio
from dlm.curves.data_efficiency.study_comparison import (
    compare_studies,
    error_difference,
    paired,
    relative_difference,
)
from dlm.curves.types import Curve

SIZES = (100, 200, 400, 800, 1600, 3200, 6400)


def law(train_sizes):
    return 2 * np.asarray(train_sizes, float) ** -0.4 + 0.01


def study(name, errors, train_sizes=SIZES, subset="same", num_test=0, unit="error rate"):
    """A curve and its cells, of errors [K, S]."""
    curve = Curve(
        name, tuple(train_sizes), tuple(map(tuple, np.asarray(errors).tolist())), unit=unit, num_test=num_test
    )
    return curve, {
        size: {(seed, f"{subset} {size} {seed}"): error for seed, error in enumerate(row)}
        for size, row in zip(curve.train_sizes, curve.errors, strict=True)
    }


def noisy(rng, errors, seeds, shared, along=0.5, sd=0.1):
    """Two noisy copies [K, S] of errors [2, K]: part of a seed's noise is shared, and alike along the curve."""
    places = np.arange(len(errors[0]))
    root = np.linalg.cholesky(along ** np.abs(places[:, None] - places) + 1e-9 * np.eye(len(places)))
    common = root @ rng.normal(size=(len(places), seeds))
    own = root @ rng.normal(size=(2, len(places), seeds))
    return [
        np.asarray(error)[:, None] * np.exp(sd * (shared**0.5 * common + (1 - shared) ** 0.5 * each))
        for error, each in zip(errors, own, strict=True)
    ]


@pytest.mark.parametrize("need", [0.5, 1.0, 2.0])
def test_a_planted_ratio_without_noise_is_found(need):
    tiny = 1 + 1e-6 * np.random.default_rng(0).normal(size=(7, 3))
    told = compare_studies(
        study("a", law(np.divide(SIZES, need))[:, None] * tiny), study("b", law(SIZES)[:, None] * tiny)
    )
    assert told.data_ratio.median == pytest.approx(need, rel=0.01)
    assert told.data_ratio.kind == "interval"
    for rate in told.data_ratios:
        if SIZES[0] < rate.train_sizes[0] / need < SIZES[-1]:
            assert rate.median == pytest.approx(need, rel=0.02)


@pytest.mark.parametrize(("need", "seeds", "shared"), [(0.6, 3, 0.5), (2.0, 5, 0.0), (1.0, 3, 0.9), (0.3, 8, 0.5)])
def test_intervals_hold_planted_ratios(need, seeds, shared):
    rng = np.random.default_rng(1)
    inside = bounded = 0
    for _ in range(120):
        a, b = noisy(rng, [law(np.divide(SIZES, need)), law(SIZES)], seeds, shared)
        needs = overall_ratio(SeedTest(logs(b), logs(a)), 0.95)
        inside += (needs.low or 0.0) <= 1 / need <= (needs.high or np.inf)
        bounded += needs.kind == "interval"
    assert 107 <= inside <= 120  # 95 % of 120 is 114, three standard deviations are 7
    assert bounded >= 100


def test_equal_studies_are_seldom_told_apart_and_different_ones_are():
    rng = np.random.default_rng(2)
    alarms = found = by_ratio = 0
    for _ in range(120):
        a, b = noisy(rng, [law(SIZES), law(SIZES)], 3, 0.5)
        alarms += whole(a, b).p < 0.05
        needs = overall_ratio(SeedTest(logs(b), logs(a)), 0.95)
        by_ratio += (needs.low or 0.0) > 1 or (needs.high or np.inf) < 1
        a, b = noisy(rng, [1.2 * law(SIZES), law(SIZES)], 5, 0.5)
        found += whole(a, b).p < 0.05
    assert alarms <= 13  # 5 % of 120 is 6, three standard deviations are 7
    assert by_ratio <= 13
    assert found >= 100


def whole(a, b):
    """The test over all sizes, of errors [K, S]."""
    return error_difference(list((2 * (a - b) / (a + b)).mean(axis=0)), 0.95, None)


def logs(errors):
    return LogErrors(np.log(SIZES), np.log(errors))


def test_a_rate_that_changes_with_size_is_said_to():
    tiny = 1 + 1e-3 * np.random.default_rng(0).normal(size=(7, 4))
    train_sizes = np.asarray(SIZES, float)[:, None]
    told = compare_studies(study("a", 2 * train_sizes**-0.35 * tiny), study("b", 2 * train_sizes**-0.4 * tiny[::-1]))
    assert told.data_ratio.changes_with_size
    assert told.data_ratio.factor_per_doubling == pytest.approx(
        2 ** (1 - 0.35 / 0.4), rel=0.03
    )  # a needs size^(1 − 0.35 / 0.4) times


def test_sizes_that_do_not_overlap_tell_a_bound():
    tiny = 1 + 1e-3 * np.random.default_rng(0).normal(size=(7, 3))
    told = compare_studies(study("a", 0.01 * law(SIZES)[:, None] * tiny), study("b", law(SIZES)[:, None] * tiny))
    assert (told.data_ratio.kind, told.data_ratio.low) == ("below", None)
    assert told.data_ratio.high < 1


def test_only_the_same_subset_pairs():
    _, a = study("a", [[0.2, 0.3]], train_sizes=(100,))
    _, b = study("b", [[0.1, 0.3]], train_sizes=(100,))
    assert paired(a, b) == {100: {0: pytest.approx(2 / 3), 1: 0.0}}
    _, other = study("b", [[0.1, 0.3]], train_sizes=(100,), subset="another")
    assert paired(a, other) == {}
    told = compare_studies(study("a", [[0.2, 0.3]] * 7), study("b", [[0.1, 0.3]] * 7, subset="another"))
    assert told.overall is None
    assert told.differences == ()
    assert relative_difference(0.0, 0.0) == 0.0


def test_the_test_is_scipys_and_holms():
    from scipy import stats

    rng = np.random.default_rng(3)
    a, b = noisy(rng, [1.1 * law(SIZES[:3]), law(SIZES[:3])], 6, 0.0)
    told = compare_studies(study("a", a, SIZES[:3]), study("b", b, SIZES[:3]))
    diffs = 2 * (a - b) / (a + b)
    assert told.overall.p == pytest.approx(stats.ttest_1samp(diffs.mean(axis=0), 0).pvalue)
    raw = sorted(stats.ttest_1samp(row, 0).pvalue for row in diffs)
    wanted = np.minimum(1, np.maximum.accumulate([3 * raw[0], 2 * raw[1], raw[2]]))
    assert sorted(each.p for each in told.differences) == pytest.approx(wanted.tolist())


def test_too_few_seeds_are_told_with_how_many_would_do():
    rng = np.random.default_rng(4)
    a, b = noisy(rng, [law(SIZES), law(SIZES)], 3, 0.0, sd=0.2)
    told = compare_studies(study("a", a), study("b", b))
    assert told.detectable_difference > 0.1
    assert told.num_seeds_needed > 3
    one = error_difference([0.1], 0.95, None)
    assert (one.mean, one.p, one.low) == (0.1, None, None)
    # What is called visible is seen in four of five studies.
    spread = 0.1
    rng = np.random.default_rng(5)
    from dlm.curves.data_efficiency.study_comparison import _effect

    seen = [
        error_difference(list(rng.normal(_effect(4, 0.95) * spread, spread, 4)), 0.95, None).p < 0.05
        for _ in range(500)
    ]
    assert 0.74 < np.mean(seen) < 0.86


def test_errors_of_zero_stand_at_half_a_test_example():
    errors = np.maximum(law(SIZES)[:, None] * np.ones((7, 3)), 0.02)
    a = errors.copy()
    a[-1] = 0.0
    told = compare_studies(study("a", a, num_test=100), study("b", errors, num_test=100))
    assert told.differences[-1].mean == -2.0
    assert len(told.data_ratios) == 7
    assert compare_studies(study("a", a), study("b", errors)).data_ratios[-1].train_sizes[0] == SIZES[-2]


def test_units_must_agree():
    with pytest.raises(UsageError, match="unit"):
        compare_studies(study("a", [[0.1] * 2] * 7, unit="RMSE"), study("b", [[0.1] * 2] * 7))

"""Gaps between groups: none is made up, those that are there are found, and seeds do not pass for test examples."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from benchmarks.fairness import Setting, found, gap_row
from dlm.analysis.fairness.gaps import Gap, SeedNoise, common_tail, gaps, group_ranges, seed_noise
from dlm.analysis.fairness.groups import GroupColumn, Measure, design_effect, mean_limits, rate_limits

RATE, MEAN, ROOT = Measure(True), Measure(False), Measure(False, True)
QUIET = SeedNoise()


def of(errors, codes, measure=RATE, noise=QUIET, learners=("a",), level=0.95):
    column = GroupColumn("sex", tuple(map(str, range(max(codes) + 1))), np.array(codes))
    tables = {learner: np.atleast_2d(errors).astype(float) for learner in learners}
    return gaps(100, tables, [column], dict.fromkeys(learners, noise), measure=measure, level=level)


@pytest.mark.parametrize(
    ("setting", "seeds"),
    [
        (Setting((100, 200), (0.1, 0.1)), 3),
        (Setting((20, 500), (0.01, 0.01)), 1),
        (Setting((20, 30, 100, 150), (0.02,) * 4), 1),
        (Setting((40, 60, 80, 100, 120, 140, 160, 180), (0.3,) * 8, own=0.1), 3),
    ],
)
def test_no_gap_is_reported_where_there_is_none(setting, seeds):
    row = gap_row(setting, seeds, studies=150)
    assert row["some gap shown"] <= 0.067  # 10 of 150, of which 7.5 were expected at most


@pytest.mark.parametrize(
    ("setting", "seeds", "power"),
    [
        (Setting((200, 200), (0.1, 0.25)), 3, 0.85),
        (Setting((60, 100, 200, 300), (0.05, 0.05, 0.05, 0.2)), 8, 0.95),
    ],
)
def test_a_planted_gap_is_held_and_shown(setting, seeds, power):
    row = gap_row(setting, seeds, studies=100)
    assert row["held"] >= 0.92
    assert row["largest gap shown"] >= power


def test_more_seeds_that_miss_the_same_examples_tell_nothing_more():
    errors, _ = Setting((50, 150), (0.2, 0.1)).draw(1, np.random.default_rng(0))
    codes = Setting((50, 150), (0.2, 0.1)).codes()
    alone, copied = found(errors, codes)[0], found(np.repeat(errors, 8, axis=0), codes)[0]
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_seeds_of_their_own_minds_make_intervals_narrower():
    rng, codes = np.random.default_rng(1), np.repeat([0, 1], 200)
    errors = (rng.random((8, 400)) < 0.2).astype(float)
    one, eight = found(errors[:1], codes)[0], found(errors, codes)[0]
    assert eight.high - eight.low < 0.5 * (one.high - one.low)


def test_what_trainings_do_to_one_group_is_in_the_interval():
    rng, codes = np.random.default_rng(2), np.repeat([0, 1], 3000)
    rates = np.where(codes == 0, rng.choice([0.1, 0.3], size=(6, 1)), 0.2)
    errors = (rng.random((6, 6000)) < rates).astype(float)
    gap = found(errors, codes)[0]
    by_seed = errors[:, codes == 0].mean(1) - errors[:, codes == 1].mean(1)
    of_seeds = 2 * stats.t.isf(0.025, 5) * by_seed.std(ddof=1) / np.sqrt(6)
    assert gap.high - gap.low == pytest.approx(of_seeds, rel=0.1)


def test_one_mistake_of_few_is_no_gap():
    # One of 20 where 5 of 1,000 are usual happens by chance one time in ten.
    errors = np.r_[1.0, np.zeros(19), np.ones(5), np.zeros(995)]
    gap = of(errors, [0] * 20 + [1] * 1000)[0]
    assert not gap.is_significant
    assert gap.gap == pytest.approx(0.05 - 0.005)


def test_two_groups_are_one_comparison_and_a_learner_twice_is_one_learner():
    errors = np.random.default_rng(3).random(300) < 0.2
    codes = [0] * 100 + [1] * 200
    once, twice = of(errors, codes), of(errors, codes, learners=("a", "b"))
    low, high = rate_limits(errors[:100].mean(), 100, 0.025)
    low_rest, high_rest = rate_limits(errors[100:].mean(), 200, 0.025)
    difference = errors[:100].mean() - errors[100:].mean()
    assert once[0].high - difference == pytest.approx(
        np.hypot(high - errors[:100].mean(), errors[100:].mean() - low_rest), rel=0.02
    )
    assert difference - once[0].low == pytest.approx(
        np.hypot(errors[:100].mean() - low, high_rest - errors[100:].mean()), rel=0.02
    )
    assert (once[1].low, once[1].high) == pytest.approx((-once[0].high, -once[0].low))
    assert twice[0].high == pytest.approx(once[0].high, rel=0.02)


def test_independent_comparisons_need_sidak_and_equal_ones_nothing():
    apart = np.eye(10)
    assert common_tail(apart, 0.95) == pytest.approx((1 - 0.95**0.1) / 2, rel=0.05)
    assert common_tail(np.ones((10, 3)), 0.95) == pytest.approx(0.025, rel=0.05)
    assert common_tail(np.zeros((2, 3)), 0.95) == pytest.approx((1 - 0.95**0.5) / 2, rel=0.05)


@pytest.mark.parametrize(("wrong", "examples"), [(0, 20), (1, 20), (7, 31), (20, 20)])
def test_limits_of_a_rate_are_clopper_and_pearsons(wrong, examples):
    exact = stats.binomtest(wrong, examples).proportion_ci(0.95, method="exact")
    assert rate_limits(wrong / examples, examples, 0.025) == pytest.approx((exact.low, exact.high))


def test_the_design_effect_is_one_seeds_for_one_and_less_for_independent_ones():
    rng, codes = np.random.default_rng(4), np.zeros(5000, int)
    errors = rng.random((4, 5000)) < 0.3
    assert design_effect(errors[0].astype(float), codes) == 1
    assert design_effect(errors.mean(axis=0), codes) == pytest.approx(0.25, abs=0.02)


def test_limits_of_skewed_means_hold():
    rng, held = np.random.default_rng(5), 0
    for _ in range(1000):
        low, high = mean_limits(rng.standard_normal(60) ** 2, 0.025)
        held += low <= 1 <= high
    assert 0.92 <= held / 1000 <= 0.975


def test_a_gap_of_rmse_is_of_roots_and_scales_with_the_unit():
    rng = np.random.default_rng(6)
    squares = np.r_[rng.standard_normal(400) ** 2, 9 * rng.standard_normal(400) ** 2]
    codes = [0] * 400 + [1] * 400
    one, ten = (of(scale * squares, codes, ROOT)[1] for scale in (1, 100))
    assert one.low < 2 < one.high
    assert (ten.gap, ten.low, ten.high) == pytest.approx((10 * one.gap, 10 * one.low, 10 * one.high))
    assert of(squares, codes, MEAN)[1].gap == pytest.approx(squares[400:].mean() - squares[:400].mean())


def test_a_spread_is_shown_with_a_gap_and_only_then():
    errors, _ = Setting((100, 200, 300), (0.1, 0.1, 0.4)).draw(3, np.random.default_rng(7))
    told = found(errors, Setting((100, 200, 300), (0.1, 0.1, 0.4)).codes())
    (spread,) = group_ranges(told, measure=RATE)
    assert 0 < spread.low < spread.spread < spread.high
    assert spread.most == "2"
    calm = [dataclasses.replace(gap, low=-0.1, high=0.1) for gap in told]
    assert group_ranges(calm, measure=RATE)[0].low == 0


def test_groups_too_small_to_compare_are_left_out():
    told = of(np.zeros(40), [0] * 5 + [1] * 15 + [2] * 20)
    assert [gap.group for gap in told] == ["1", "2"]
    assert all(isinstance(gap, Gap) and not gap.is_significant for gap in told)
    assert of(np.zeros(40), [0] * 40) == []


def test_one_seed_shows_no_noise_of_seeds():
    column = GroupColumn("sex", ("f", "m"), np.repeat([0, 1], 50))
    assert seed_noise({1: np.ones((1, 100)), 2: np.zeros((3, 100))}, [column], measure=RATE)[1].relative == 0
